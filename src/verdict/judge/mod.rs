//! How each rule judges the requests.

pub(super) mod attempts;
pub(super) mod pages;
pub(super) mod requests;
pub(super) mod tokens;
pub(super) mod windows;
