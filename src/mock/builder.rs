//! What a mock is made from, and how it starts.

use std::{fmt, io};

use tokio::{net::TcpListener, sync::oneshot};

use super::{handle::Mock, local::Local};
use crate::{
    account::{
        CreateAccountError,
        fault::FaultRule,
        profile::Profile,
        quota::QuotaSettings,
        settings::{NewAccount, Settings},
    },
    clock::{Instant, Start},
    control::Access,
    limits::{Limits, MIN_HEADER_BYTES},
    server,
};
#[cfg(feature = "tls")]
use crate::{clock::Clock, server::tls::Tls};

/// What a mock is made from. Neither flags nor the environment have a say.
#[derive(Clone, Debug)]
pub struct Builder {
    default: Settings,
    accounts: Vec<NewAccount>,
    limits: Limits,
    #[cfg(feature = "tls")]
    is_tls: bool,
    /// The first thing that is wrong.
    invalid: Option<String>,
}

/// Why there is no mock.
#[derive(Debug)]
pub enum StartError {
    /// Something that was asked for is wrong, in a sentence.
    Invalid(String),
    /// An account cannot be made.
    Account(CreateAccountError),
    /// There is no port.
    Bind(io::Error),
}

impl Mock {
    /// A mock as the binary starts without flags: the documented credentials, seed 1, 100 devices, the machine's time.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new(Settings::default(), Vec::new(), Limits::default())
    }
}

impl Builder {
    pub(crate) fn new(default: Settings, accounts: Vec<NewAccount>, limits: Limits) -> Self {
        Self {
            default,
            accounts,
            limits,
            #[cfg(feature = "tls")]
            is_tls: false,
            invalid: None,
        }
    }

    /// Decides the whole history; 1 by default.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.default.world.seed = seed;
        self
    }

    /// How many devices the company has at a time, up to [`MAX_DEVICES`](crate::world::MAX_DEVICES); 100 by default.
    #[must_use]
    pub fn devices(mut self, devices: u32) -> Self {
        self.default.world.devices = devices.min(crate::world::MAX_DEVICES);
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

    /// How the clock begins: with the machine's, status still, or at a rate.
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
            Ok(lag) => self.default.world.lag = lag,
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
    #[cfg(feature = "tls")]
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
        self.invalid.get_or_insert(wrong);
    }

    /// Makes a mock that answers without a socket.
    ///
    /// # Errors
    ///
    /// When something that was asked for is wrong.
    pub fn local(self) -> Result<Local, StartError> {
        if let Some(wrong) = self.invalid {
            return Err(StartError::Invalid(wrong));
        }
        Local::new(self.default, self.accounts, Access::new(None), self.limits).map_err(StartError::Account)
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
    pub async fn start(self) -> Result<Mock, StartError> {
        #[cfg(feature = "tls")]
        let (tls, ca_pem) = if self.is_tls {
            let (tls, pem) = Tls::made(&[], Clock::running().now()).map_err(StartError::Invalid)?;
            (Some(tls), Some(pem))
        } else {
            (None, None)
        };
        #[cfg(not(feature = "tls"))]
        let (tls, ca_pem) = (None, None);
        let local = self.local()?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(StartError::Bind)?;
        let address = listener.local_addr().map_err(StartError::Bind)?;
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server::run(listener, local.router(), local.serve_options(tls), async {
            // When the other end is gone, so is the mock.
            let _ = stopped.await;
        }));
        Ok(Mock { local, address, ca_pem, stop: Some(stop), serving })
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) => f.write_str(why),
            Self::Account(why) => why.fmt(f),
            Self::Bind(why) => write!(f, "cannot listen: {why}"),
        }
    }
}

impl std::error::Error for StartError {}
