//! The embeddable handle: a mock inside a Rust test.
//!
//! ```
//! # async fn test() -> Result<(), opswat_mock::NotStarted> {
//! use std::time::Duration;
//!
//! use opswat_mock::Mock;
//!
//! let mock = Mock::builder().seed(7).now("2026-01-15T12:00:00Z").start().await?;
//! let url = mock.base_url(); // such as http://127.0.0.1:41234
//! let account = mock.account();
//! account.advance(Duration::from_secs(12 * 3600)); // every token that was issued has expired
//! // … run the connector against `url` …
//! for request in account.requests(0, 100).requests {
//!     println!("{} {} {:?}", request.method, request.path, request.status);
//! }
//! # drop(url);
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().expect("a runtime").block_on(test()).expect("a mock");
//! ```

use std::{fmt, io, net::SocketAddr, sync::Arc};

use axum::{Router, body::Body};
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tower::ServiceExt;

use crate::{
    account::{
        Account, Accounts, NotMade,
        fault::FaultRule,
        profile::Profile,
        quota::QuotaSettings,
        settings::{NewAccount, Settings},
    },
    api::BrokenOff,
    clock::{Clock, Instant, Start},
    config::Config,
    control::{self, Access},
    limits::{Limits, MIN_HEADER_BYTES},
    metrics::Metrics,
    server::{self, Serving, tls::Tls},
};

/// A running mock on a free port of 127.0.0.1. It stops when it is dropped.
#[derive(Debug)]
#[must_use = "the mock stops when it is dropped"]
pub struct Mock {
    local: Local,
    address: SocketAddr,
    ca_pem: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

/// A mock without a socket: it answers requests that are handed to it.
#[derive(Clone, Debug)]
pub struct Local {
    accounts: Arc<Accounts>,
    limits: Limits,
    metrics: Arc<Metrics>,
    router: Router,
}

/// What a mock is made from. Neither flags nor the environment have a say.
#[derive(Clone, Debug)]
pub struct Builder {
    default: Settings,
    accounts: Vec<NewAccount>,
    limits: Limits,
    is_tls: bool,
    /// The first thing that is wrong.
    wrong: Option<String>,
}

/// Why there is no mock.
#[derive(Debug)]
pub enum NotStarted {
    /// Something that was asked for is wrong, in a sentence.
    Wrong(String),
    /// An account cannot be made.
    NotMade(NotMade),
    /// There is no port.
    NoPort(io::Error),
}

/// The connection ended without an answer, or in the middle of one, because a fault says so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConnectionEnded;

impl Mock {
    /// A mock as the binary starts without flags: the documented credentials, seed 1, 100 devices, the machine's time.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::from(Config::plain())
    }

    /// Where it listens, such as `http://127.0.0.1:41234`.
    #[must_use]
    pub fn base_url(&self) -> String {
        let scheme = if self.ca_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The certificate, as PEM, of the authority that a client must trust where [`Builder::tls`] was asked for.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The account that is there from the start, with its credentials and all verbs of the control surface.
    #[must_use]
    pub fn account(&self) -> &Arc<Account> {
        self.local.account()
    }

    /// All accounts, and how more are made.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        self.local.accounts()
    }

    /// The same mock without the socket.
    #[must_use]
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// Stops listening, lets requests that are under way finish, and waits until all is over.
    pub async fn stop(mut self) {
        self.local.accounts.hang_up();
        if let Some(stop) = self.stop.take() {
            // When nobody listens, it has stopped already.
            let _ = stop.send(());
        }
        let _ = (&mut self.serving).await;
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Local {
    pub(crate) fn new(
        default: Settings,
        accounts: Vec<NewAccount>,
        access: Access,
        limits: Limits,
    ) -> Result<Self, NotMade> {
        let all = Arc::new(Accounts::new(default)?);
        for (nth, account) in accounts.into_iter().enumerate() {
            all.make(account).map_err(|why| NotMade::Invalid(format!("accounts[{nth}]: {why}")))?;
        }
        let metrics = Arc::new(Metrics::new());
        let router = crate::router(all.clone(), Some(access), &limits, &metrics);
        Ok(Self { accounts: all, limits, metrics, router })
    }

    /// The account that is there from the start.
    #[must_use]
    pub fn account(&self) -> &Arc<Account> {
        self.accounts.default_account()
    }

    /// All accounts, and how more are made.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Answers a request as the server would, without a socket.
    ///
    /// # Errors
    ///
    /// When a fault ends the connection before the answer is complete.
    pub async fn answer(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, ConnectionEnded> {
        let Ok(response) = self.router.clone().oneshot(request.map(Body::from)).await;
        if BrokenOff::ends(&response) {
            return Err(ConnectionEnded);
        }
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| ConnectionEnded)?;
        Ok(http::Response::from_parts(parts, body.to_bytes()))
    }

    #[cfg(test)]
    pub(crate) fn shared_accounts(&self) -> Arc<Accounts> {
        self.accounts.clone()
    }

    /// Both surfaces.
    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    /// The emulated surface, with nothing of the other but its health.
    pub(crate) fn without_control(&self) -> Router {
        crate::router(self.accounts.clone(), None, &self.limits, &self.metrics)
    }

    /// The control surface.
    pub(crate) fn control_alone(&self, access: Access) -> Router {
        control::alone(self.accounts.clone(), access, &self.limits, &self.metrics)
    }

    /// What a listener serves it with.
    pub(crate) fn serving(&self, tls: Option<Tls>) -> Serving {
        Serving::new(self.limits.clone(), tls, self.metrics.clone())
    }
}

impl Builder {
    /// Decides the whole history; 1 by default.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.default.shape.seed = seed;
        self
    }

    /// How many devices the company has at a time, up to [`MAX_DEVICES`](crate::world::MAX_DEVICES); 100 by default.
    #[must_use]
    pub fn devices(mut self, devices: u32) -> Self {
        self.default.shape.devices = devices.min(crate::world::MAX_DEVICES);
        self
    }

    /// Stops the clock at an instant, such as `2026-01-15T12:00:00Z`.
    #[must_use]
    pub fn now(mut self, now: &str) -> Self {
        match now.parse::<Instant>() {
            Ok(now) => self.default.start = Start::Frozen(now.millis()),
            Err(wanted) => self.note(format!("now {wanted}, got {now}")),
        }
        self
    }

    /// How the clock begins: with the machine's, standing still, or at a rate.
    #[must_use]
    pub fn clock(mut self, start: Start) -> Self {
        self.default.start = start;
        self
    }

    /// How requests are counted; ten a minute for each token and API by default.
    #[must_use]
    pub fn quota(mut self, quota: QuotaSettings) -> Self {
        self.default.quota = quota;
        self
    }

    /// Lets all requests through.
    #[must_use]
    pub fn without_quota(mut self) -> Self {
        self.default.quota.enabled = false;
        self
    }

    /// How many days back the history can be read, from 1; 30 by default.
    #[must_use]
    pub fn retention_days(mut self, days: u32) -> Self {
        if days == 0 {
            self.note("retention_days must be from 1, got 0".to_owned());
        }
        self.default.retention_days = days.clamp(1, crate::account::settings::MAX_RETENTION_DAYS);
        self
    }

    /// How many seconds events take to become visible: `30`, or `5..120` for another lag of each event.
    #[must_use]
    pub fn lag(mut self, lag: &str) -> Self {
        match lag.parse() {
            Ok(lag) => self.default.shape.lag = lag,
            Err(wanted) => self.note(format!("lag {wanted}, got {lag}")),
        }
        self
    }

    /// Which reading is followed of what is assumed.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.default.profile = profile;
        self
    }

    /// Breaks requests from the start.
    #[must_use]
    pub fn fault(mut self, rule: FaultRule) -> Self {
        self.default.faults.push(rule);
        self
    }

    /// Sets what the server bears.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        if limits.max_header_bytes < MIN_HEADER_BYTES {
            self.note(format!("max_header_bytes must be from {MIN_HEADER_BYTES}, got {}", limits.max_header_bytes));
        }
        self.limits = limits;
        self
    }

    /// Serves HTTPS, with a certificate for 127.0.0.1, localhost and others; [`Mock::ca_pem`] is what a client trusts then.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.is_tls = true;
        self
    }

    /// Makes another account from the start.
    #[must_use]
    pub fn account(mut self, account: NewAccount) -> Self {
        self.accounts.push(account);
        self
    }

    fn note(&mut self, wrong: String) {
        self.wrong.get_or_insert(wrong);
    }

    /// Makes a mock that answers without a socket.
    ///
    /// # Errors
    ///
    /// When something that was asked for is wrong.
    pub fn local(self) -> Result<Local, NotStarted> {
        if let Some(wrong) = self.wrong {
            return Err(NotStarted::Wrong(wrong));
        }
        Local::new(self.default, self.accounts, Access::new(None), self.limits).map_err(NotStarted::NotMade)
    }

    /// Starts the mock on a free port. It listens when this returns.
    ///
    /// # Errors
    ///
    /// When something that was asked for is wrong, and when there is no port.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with time and network.
    pub async fn start(self) -> Result<Mock, NotStarted> {
        let (tls, ca_pem) = if self.is_tls {
            let (tls, pem) = Tls::made(&[], Clock::running().now()).map_err(NotStarted::Wrong)?;
            (Some(tls), Some(pem))
        } else {
            (None, None)
        };
        let local = self.local()?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(NotStarted::NoPort)?;
        let address = listener.local_addr().map_err(NotStarted::NoPort)?;
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server::run(listener, local.router(), local.serving(tls), async {
            // When the other end is gone, so is the mock.
            let _ = stopped.await;
        }));
        Ok(Mock { local, address, ca_pem, stop: Some(stop), serving })
    }
}

/// What flags, environment and file say of accounts, limits and a made certificate. What is the binary's affair (addresses,
/// files, the log, the token of the control surface) is not looked at.
impl From<Config> for Builder {
    fn from(config: Config) -> Self {
        Self {
            default: config.settings(),
            accounts: config.file.accounts,
            limits: config.limits,
            is_tls: config.tls,
            wrong: None,
        }
    }
}

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(why) => f.write_str(why),
            Self::NotMade(why) => why.fmt(f),
            Self::NoPort(why) => write!(f, "cannot listen: {why}"),
        }
    }
}

impl std::error::Error for NotStarted {}

impl fmt::Display for ConnectionEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection ended before the answer was complete")
    }
}

impl std::error::Error for ConnectionEnded {}
