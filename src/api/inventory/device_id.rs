//! The device id in a path.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};

use super::super::error::ApiError;

/// The device id in a path such as `/o/api/v3/devices/{id}/remediation`.
pub(super) struct DeviceId(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for DeviceId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        // The only other error than escapes that are not UTF-8 would be a route without an id.
        path.map(|Path(id)| Self(id)).map_err(|_| ApiError::invalid("id", "a device id in UTF-8", parts.uri.path()))
    }
}
