//! The `limit` and `page` parameters.

use super::{body::Fields, error::ApiError};

/// The bounds of `limit`: from 1 to a maximum.
///
/// The vendor's service returns 406 above the maximum, and 400 below 1 (D).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Limits {
    pub(super) max: u16,
    /// The limit of a request without one.
    pub(super) default: u16,
}

/// The maximum number of entries of a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Limit(u16);

impl Limits {
    pub(super) fn wanted(self) -> String {
        format!("an integer from 1 to {}", self.max)
    }

    /// Checks a limit.
    pub(super) fn check(self, limit: i64) -> Result<Limit, ApiError> {
        match u16::try_from(limit) {
            _ if limit < 1 => Err(ApiError::invalid("limit", self.wanted(), limit)),
            Ok(limit) if limit <= self.max => Ok(Limit(limit)),
            _ => Err(ApiError::LimitTooLarge { max: self.max, got: limit }),
        }
    }

    /// The `limit` of a body, if it has one.
    pub(super) fn given(self, fields: &Fields) -> Result<Option<Limit>, ApiError> {
        fields.integer("limit", &self.wanted())?.map(|limit| self.check(limit)).transpose()
    }

    /// The `limit` of a body, or the default.
    pub(super) fn read(self, fields: &Fields) -> Result<Limit, ApiError> {
        Ok(self.given(fields)?.unwrap_or(Limit(self.default)))
    }
}

impl Limit {
    pub(super) fn entries(self) -> usize {
        self.0.into()
    }
}

/// The number of a page, from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct PageNumber(u64);

impl PageNumber {
    pub(super) const WANTED: &'static str = "an integer from 1";

    /// The `page` of a body; 1 by default.
    pub(super) fn read(fields: &Fields) -> Result<Self, ApiError> {
        fields.integer("page", Self::WANTED)?.unwrap_or(1).try_into()
    }

    pub(super) fn get(self) -> u64 {
        self.0
    }

    /// The number of entries before the page.
    pub(super) fn skip(self, limit: Limit) -> u64 {
        (self.0 - 1).saturating_mul(limit.0.into())
    }
}

impl TryFrom<i64> for PageNumber {
    type Error = ApiError;

    fn try_from(page: i64) -> Result<Self, ApiError> {
        match u64::try_from(page) {
            Ok(page) if page > 0 => Ok(Self(page)),
            _ => Err(ApiError::invalid("page", Self::WANTED, page)),
        }
    }
}
