//! The embeddable handle: a mock inside a Rust test.
//!
//! ```
//! # async fn test() -> Result<(), opswat_mock::StartError> {
//! use std::time::Duration;
//!
//! use opswat_mock::Mock;
//!
//! let mock = Mock::builder().seed(7).now("2026-01-15T12:00:00Z").start().await?;
//! let url = mock.base_url(); // such as http://127.0.0.1:41234
//! let account = mock.account();
//! account.advance(Duration::from_secs(12 * 3600)); // all issued tokens expire
//! // … run the connector against `url` …
//! for request in account.requests(0, 100).requests {
//!     println!("{} {} {:?}", request.method, request.path, request.status);
//! }
//! # drop(url);
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().expect("a runtime").block_on(test()).expect("a mock");
//! ```

mod builder;
mod handle;
mod local;

pub use self::{
    builder::{Builder, StartError},
    handle::Mock,
    local::{ConnectionClosedError, Local},
};
