//! The builder of a mock.

use std::{fmt, io};

use tokio::{net::TcpListener, sync::oneshot};

use super::{handle::Mock, local::Local};
#[cfg(feature = "scenarios")]
use crate::scenario;
use crate::{
    account::{
        CreateAccountError,
        fault::FaultRule,
        injected::NewEvent,
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

/// The configuration of an embedded mock. It reads no flags and no environment variables.
#[derive(Clone, Debug)]
pub struct Builder {
    default: Settings,
    accounts: Vec<NewAccount>,
    limits: Limits,
    #[cfg(feature = "tls")]
    is_tls: bool,
    /// The first invalid value, as an error message.
    invalid: Option<String>,
}

/// Why a mock cannot start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A value is invalid, or a certificate cannot be generated; the message.
    Invalid(String),
    /// An account cannot be created.
    Account(CreateAccountError),
    /// The listener cannot be bound.
    Bind(io::Error),
}

impl Mock {
    /// A builder with the defaults of the binary: the documented credentials, seed 1, 100 devices, the machine's time.
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

    /// Sets the seed of the history; 1 by default.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.default.world.seed = seed;
        self
    }

    /// Sets the number of devices of the company at any time; 100 by default. Clamps it to
    /// [`MAX_DEVICES`](crate::world::MAX_DEVICES).
    #[must_use]
    pub fn devices(mut self, devices: u32) -> Self {
        self.default.world.devices = devices.min(crate::world::MAX_DEVICES);
        self
    }

    /// Freezes the clock at an instant, such as `2026-01-15T12:00:00Z`.
    #[must_use]
    pub fn now(mut self, now: &str) -> Self {
        match now.parse::<Instant>() {
            Ok(now) => self.default.start = Start::Frozen(now.millis()),
            Err(wanted) => self.set_invalid(format!("now {wanted}, got {now}")),
        }
        self
    }

    /// Sets the start of the clock: the machine's time, frozen, or at a rate.
    #[must_use]
    pub fn clock(mut self, start: Start) -> Self {
        self.default.start = start;
        self
    }

    /// Sets the quota; 10 requests per minute for each token and API by default.
    #[must_use]
    pub fn quota(mut self, quota: QuotaSettings) -> Self {
        self.default.quota = quota;
        self
    }

    /// Disables the quota.
    #[must_use]
    pub fn without_quota(mut self) -> Self {
        self.default.quota.enabled = false;
        self
    }

    /// Sets the number of days before now that clients can read, from 1; 30 by default.
    #[must_use]
    pub fn retention_days(mut self, days: u32) -> Self {
        if days == 0 {
            self.set_invalid("retention_days must be from 1, got 0".to_owned());
        }
        self.default.retention_days = days.clamp(1, crate::account::settings::MAX_RETENTION_DAYS);
        self
    }

    /// Sets the seconds until events become visible: `30`, or `5..120` for a different lag of each event.
    #[must_use]
    pub fn lag(mut self, lag: &str) -> Self {
        match lag.parse() {
            Ok(lag) => self.default.world.lag = lag,
            Err(wanted) => self.set_invalid(format!("lag {wanted}, got {lag}")),
        }
        self
    }

    /// Gives each category at least this many events in the last hour before the start, at most
    /// [`MAX_DENSE`](crate::account::settings::MAX_DENSE). Events are injected where the history has fewer.
    #[must_use]
    pub fn dense(mut self, events: u32) -> Self {
        self.default.dense = events.min(crate::account::settings::MAX_DENSE);
        self
    }

    /// Sets the profile: the alternatives of assumed behaviour.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.default.profile = profile;
        self
    }

    /// Adds a fault rule that applies from the start.
    #[must_use]
    pub fn fault(mut self, rule: FaultRule) -> Self {
        self.default.faults.push(rule);
        self
    }

    /// Injects an event from the start. A reset injects it again.
    #[must_use]
    pub fn event(mut self, event: NewEvent) -> Self {
        self.default.events.push(event);
        self
    }

    /// Sets the limits of the server.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        if limits.max_header_bytes < MIN_HEADER_BYTES {
            self.set_invalid(format!(
                "max_header_bytes must be from {MIN_HEADER_BYTES}, got {}",
                limits.max_header_bytes
            ));
        }
        self.limits = limits;
        self
    }

    /// Serves HTTPS, with a generated certificate for 127.0.0.1, localhost and others. Clients must trust
    /// [`Mock::ca_pem`].
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.is_tls = true;
        self
    }

    /// Gives `default` the settings of a scenario: its time, company, quota, faults and events. Later calls change them.
    #[cfg(feature = "scenarios")]
    #[must_use]
    pub fn scenario(mut self, name: &str) -> Self {
        let new = NewAccount { scenario: Some(name.to_owned()), ..NewAccount::default() };
        match scenario::resolved(new) {
            Ok(new) => self.default = self.default.with(new),
            Err(why) => self.set_invalid(why),
        }
        self
    }

    /// Adds an account.
    #[must_use]
    pub fn account(mut self, account: NewAccount) -> Self {
        self.accounts.push(account);
        self
    }

    fn set_invalid(&mut self, wrong: String) {
        self.invalid.get_or_insert(wrong);
    }

    /// Creates a mock that responds to requests without a socket.
    ///
    /// # Errors
    ///
    /// When a value is invalid, or an account cannot be created.
    pub fn local(self) -> Result<Local, StartError> {
        if let Some(wrong) = self.invalid {
            return Err(StartError::Invalid(wrong));
        }
        Local::new(self.default, self.accounts, Access::new(None), self.limits).map_err(StartError::Account)
    }

    /// Starts the mock on a free port of 127.0.0.1. The mock listens when this returns.
    ///
    /// # Errors
    ///
    /// When a value is invalid, an account cannot be created, or the listener cannot be bound.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with the time and IO drivers.
    pub async fn start(self) -> Result<Mock, StartError> {
        #[cfg(feature = "tls")]
        let (tls, ca_pem) = if self.is_tls {
            let (tls, pem) = Tls::generate(&[], Clock::running().now()).map_err(StartError::Invalid)?;
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
        let server_task = tokio::spawn(server::run(listener, local.router(), local.serve_options(tls), async {
            // An error means that the handle was dropped, which stops the server, too.
            let _ = stopped.await;
        }));
        Ok(Mock { local, address, ca_pem, stop: Some(stop), server_task })
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
