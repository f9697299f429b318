//! What the server counts, as Prometheus reads it.
//!
//! RateLimitLayer is of the machine's time and of the whole server; what one account did stands in its journal. Every server of a
//! process has numbers of its own.

use std::{borrow::Cow, fmt, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

use crate::account::Sizes;

/// What [`Metrics::text`] is written in.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper ends of the times until an answer begins, in seconds: from what a page takes to what a fault delays.
const BUCKETS: [f64; 14] =
    [0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

/// See the module.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    durations: Family<Route, Histogram, fn() -> Histogram>,
    rate_limited: Family<Route, Counter>,
    faults: Family<Route, Counter>,
    entries: Family<Route, Counter>,
    turned_away: Family<Limit, Counter>,
    panics: Counter,
    connections: Counter,
    open_connections: Gauge,
    accounts: Gauge,
    sandboxes: Gauge,
    tokens: Gauge,
    journal_bytes: Gauge,
    page_bytes: Gauge,
    worlds: Gauge,
}

/// A request that was answered, or whose client went before.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    /// The route, not the path: there are few of them.
    pub(crate) route: Cow<'static, str>,
    pub(crate) method: &'static str,
    pub(crate) status: Option<u16>,
    pub(crate) after: Duration,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Answered {
    route: Cow<'static, str>,
    method: &'static str,
    status: Status,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Status(Option<u16>);

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Route {
    route: Cow<'static, str>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Limit {
    limit: &'static str,
}

/// A connection, until it is dropped.
pub(crate) struct OpenConnection<'a>(&'a Gauge);

impl Metrics {
    pub(crate) fn new() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let mut metrics = Self {
            registry: Registry::with_prefix("opswat_mock"),
            requests: Family::default(),
            durations: Family::new_with_constructor(histogram),
            rate_limited: Family::default(),
            faults: Family::default(),
            entries: Family::default(),
            turned_away: Family::default(),
            panics: Counter::default(),
            connections: Counter::default(),
            open_connections: Gauge::default(),
            accounts: Gauge::default(),
            sandboxes: Gauge::default(),
            tokens: Gauge::default(),
            journal_bytes: Gauge::default(),
            page_bytes: Gauge::default(),
            worlds: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("build", "What is running", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
        registry.register(
            "requests",
            "Requests by their route, method and the status of the answer; none where the connection ended without one",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "From the head of a request to that of its answer",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register("rate_limited", "Requests for which a quota had nothing left", self.rate_limited.clone());
        registry.register("faults", "Requests that a fault broke", self.faults.clone());
        registry.register("entries_served", "Entries of logs in answers of status 200", self.entries.clone());
        registry.register(
            "limited",
            "Connections that were refused or ended, and requests that were refused, for a limit of the server",
            self.turned_away.clone(),
        );
        registry.register("panics", "Handlers that panicked", self.panics.clone());
        registry.register("connections", "Connections that came", self.connections.clone());
        registry.register("open_connections", "Connections that are held", self.open_connections.clone());
        registry.register("accounts", "Accounts that were made, default among them", self.accounts.clone());
        registry.register("sandbox_accounts", "Accounts that made themselves", self.sandboxes.clone());
        registry.register("known_tokens", "Access tokens that are known", self.tokens.clone());
        registry.register_with_unit("journal", "What the journals keep", Unit::Bytes, self.journal_bytes.clone());
        registry.register_with_unit("page_cache", "Ready pages", Unit::Bytes, self.page_bytes.clone());
        registry.register("worlds", "Companies that are kept ready", self.worlds.clone());
    }

    /// A request of either surface.
    pub(crate) fn served(&self, served: Served) {
        let Served { route, method, status, after } = served;
        self.requests.get_or_create(&Answered { route: route.clone(), method, status: Status(status) }).inc();
        self.durations.get_or_create(&Route { route }).observe(after.as_secs_f64());
    }

    pub(crate) fn rate_limited(&self, route: &'static str) {
        self.rate_limited.get_or_create(&Route { route: route.into() }).inc();
    }

    pub(crate) fn broken_by_fault(&self, route: &'static str) {
        self.faults.get_or_create(&Route { route: route.into() }).inc();
    }

    pub(crate) fn entries(&self, route: &'static str, count: u64) {
        self.entries.get_or_create(&Route { route: route.into() }).inc_by(count);
    }

    /// Something was refused or ended for a limit, by the name of its flag.
    pub(crate) fn limited(&self, limit: &'static str) {
        self.turned_away.get_or_create(&Limit { limit }).inc();
    }

    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    pub(crate) fn connected(&self) {
        self.connections.inc();
    }

    pub(crate) fn hold_connection(&self) -> OpenConnection<'_> {
        self.open_connections.inc();
        OpenConnection(&self.open_connections)
    }

    /// All numbers, with how much there is now.
    pub(crate) fn text(&self, sizes: &Sizes) -> String {
        for (gauge, size) in [
            (&self.accounts, sizes.accounts),
            (&self.sandboxes, sizes.sandboxes),
            (&self.tokens, sizes.tokens),
            (&self.journal_bytes, sizes.journal_bytes),
            (&self.page_bytes, sizes.page_bytes),
            (&self.worlds, sizes.worlds),
        ] {
            gauge.set(i64::try_from(size).unwrap_or(i64::MAX));
        }
        let mut written = String::new();
        text::encode(&mut written, &self.registry).expect("a string takes what is written");
        written
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl EncodeLabelValue for Status {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        match self.0 {
            Some(status) => u64::from(status).encode(encoder),
            None => "none".encode(encoder),
        }
    }
}

/// A method as it is counted: whoever makes one up makes no number of its own.
pub(crate) fn method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or(OTHER)
}

/// A route or a method that there is not.
pub(crate) const OTHER: &str = "other";
