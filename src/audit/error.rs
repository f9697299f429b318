//! Why an audit is not possible.

use std::{fmt, io};

use super::{fields::FieldMapError, input::InputError};

/// Why an audit is not possible. `Display` is a sentence.
#[derive(Debug)]
#[non_exhaustive]
pub enum AuditError {
    /// The query or the records as a whole are invalid; the message.
    Invalid(String),
    /// The records could not be read to their end.
    Io(io::Error),
}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) => f.write_str(why),
            Self::Io(error) => write!(f, "The records cannot be read: {error}"),
        }
    }
}

impl std::error::Error for AuditError {}

impl From<FieldMapError> for AuditError {
    fn from(error: FieldMapError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<InputError> for AuditError {
    fn from(error: InputError) -> Self {
        match error {
            InputError::Invalid(why) => Self::Invalid(why),
            InputError::Io(error) => Self::Io(error),
        }
    }
}
