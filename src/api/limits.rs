//! The `limit` and `page` parameters.

use super::error::ApiError;

/// The maximum number of entries of a page, from 1 to `MAX`.
///
/// The vendor's service returns 406 above `MAX`, and 400 below 1 (D).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Limit<const MAX: u16>(u16);

impl<const MAX: u16> Limit<MAX> {
    pub(super) fn wanted() -> String {
        format!("an integer from 1 to {MAX}")
    }

    pub(super) fn entries(self) -> usize {
        self.0.into()
    }
}

impl<const MAX: u16> TryFrom<i64> for Limit<MAX> {
    type Error = ApiError;

    fn try_from(limit: i64) -> Result<Self, ApiError> {
        match u16::try_from(limit) {
            _ if limit < 1 => Err(ApiError::invalid("limit", Self::wanted(), limit)),
            Ok(limit) if limit <= MAX => Ok(Self(limit)),
            _ => Err(ApiError::LimitTooLarge { max: MAX, got: limit }),
        }
    }
}

/// The number of a page, from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct PageNumber(u64);

impl PageNumber {
    pub(super) const WANTED: &'static str = "an integer from 1";

    pub(super) fn get(self) -> u64 {
        self.0
    }

    /// The number of entries before the page.
    pub(super) fn skip<const MAX: u16>(self, limit: Limit<MAX>) -> u64 {
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
