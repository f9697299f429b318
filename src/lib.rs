//! opswat-mock
#[doc(hidden)]
pub mod world;
