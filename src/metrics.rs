//! Prometheus metrics of the server.
//!
//! Metrics use the machine's time and cover the whole server; the journals cover single accounts. Each server in a
//! process has its own metrics.

use std::{borrow::Cow, fmt, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

use crate::account::Sizes;

/// The content type of [`Metrics::text`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The bucket bounds of the request duration, in seconds: from the time of a cached page to a delay by a fault.
const BUCKETS: [f64; 14] =
    [0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

/// The metrics of a server, see the module.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    rate_limited: Family<RouteLabels, Counter>,
    faults: Family<RouteLabels, Counter>,
    entries: Family<RouteLabels, Counter>,
    limit_hits: Family<LimitLabels, Counter>,
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

/// A request that was answered, or whose client disconnected before the response.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    /// The route instead of the path, because there are few routes.
    pub(crate) route: Cow<'static, str>,
    pub(crate) method: &'static str,
    pub(crate) status: Option<u16>,
    pub(crate) after: Duration,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    route: Cow<'static, str>,
    method: &'static str,
    status: Status,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Status(Option<u16>);

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RouteLabels {
    route: Cow<'static, str>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct LimitLabels {
    limit: &'static str,
}

/// Counts a connection as open until it is dropped.
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
            limit_hits: Family::default(),
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
        registry.register("build", "Server version", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
        registry.register(
            "requests",
            "Requests by route, method and response status; status none if the connection ended without a response",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "The time from the request head to the response head",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register("rate_limited", "Requests that exceeded a quota", self.rate_limited.clone());
        registry.register("faults", "Requests that a fault was applied to", self.faults.clone());
        registry.register("entries_served", "Log entries in responses with status 200", self.entries.clone());
        registry.register(
            "limited",
            "Connections that were rejected or closed, and requests that were rejected, by a limit of the server",
            self.limit_hits.clone(),
        );
        registry.register("panics", "Handlers that panicked", self.panics.clone());
        registry.register("connections", "Connections that were accepted", self.connections.clone());
        registry.register("open_connections", "Connections that are open", self.open_connections.clone());
        registry.register("accounts", "Accounts that were created, including default", self.accounts.clone());
        registry.register("sandbox_accounts", "Implicit accounts", self.sandboxes.clone());
        registry.register("known_tokens", "Access tokens in the index", self.tokens.clone());
        registry.register_with_unit("journal", "The size of all journals", Unit::Bytes, self.journal_bytes.clone());
        registry.register_with_unit("page_cache", "The size of the page cache", Unit::Bytes, self.page_bytes.clone());
        registry.register("worlds", "Cached worlds", self.worlds.clone());
    }

    /// Counts a request of either surface.
    pub(crate) fn served(&self, served: Served) {
        let Served { route, method, status, after } = served;
        self.requests.get_or_create(&RequestLabels { route: route.clone(), method, status: Status(status) }).inc();
        self.durations.get_or_create(&RouteLabels { route }).observe(after.as_secs_f64());
    }

    pub(crate) fn rate_limited(&self, route: &'static str) {
        self.rate_limited.get_or_create(&RouteLabels { route: route.into() }).inc();
    }

    pub(crate) fn broken_by_fault(&self, route: &'static str) {
        self.faults.get_or_create(&RouteLabels { route: route.into() }).inc();
    }

    pub(crate) fn entries(&self, route: &'static str, count: u64) {
        self.entries.get_or_create(&RouteLabels { route: route.into() }).inc_by(count);
    }

    /// Counts a request or connection that was rejected or closed by a limit, labelled with the limit's flag name.
    pub(crate) fn limited(&self, limit: &'static str) {
        self.limit_hits.get_or_create(&LimitLabels { limit }).inc();
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

    /// All metrics as text, with the current sizes.
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
        let mut output = String::new();
        text::encode(&mut output, &self.registry).expect("writing to a string cannot fail");
        output
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

/// The method as a label. Unknown methods share one label, so that clients cannot create new series.
pub(crate) fn method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or(OTHER)
}

/// The label of an unknown route or method.
pub(crate) const OTHER: &str = "other";
