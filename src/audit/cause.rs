//! Why an event is missing, or twice among the records.

use std::fmt;

use serde::Serialize;

/// Why an event is missing. Requests are named by their numbers in the journal.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// The event became visible after the last request whose window covers it.
    Late {
        /// That request.
        request: u64,
        /// The time from the event until it became visible, in milliseconds.
        lag_ms: i64,
    },
    /// No window covers the time of the event.
    Gap {
        /// The request whose window ends last before the event.
        after_request: Option<u64>,
        /// The request whose window starts first after the event.
        before_request: Option<u64>,
    },
    /// A window covers the event, but no request asked for its page.
    NotPaged {
        /// The last request for another page of the same query.
        request: u64,
    },
    /// The request for its page, or for a page before it, was refused and not repeated.
    Refused {
        /// That request.
        request: u64,
        /// Its status.
        status: u16,
    },
    /// The client ended the request for its page, or for a page before it, before it had the whole response.
    Abandoned {
        /// That request.
        request: u64,
    },
    /// A fault changed or replaced the response with its page, or with a page before it, and the request was not repeated.
    Fault {
        /// That request.
        request: u64,
        /// The name of the fault rule.
        rule: String,
    },
    /// The event was in a response that the server sent to its end: the connector had it, unless it stopped reading.
    Served {
        /// The last request with the event.
        request: u64,
    },
    /// A window covers the event, but the filter of the request excludes it.
    Filtered {
        /// The last such request.
        request: u64,
    },
    /// A requested window covers the event, but the event was older than the retention.
    Expired {
        /// The last such request.
        request: u64,
    },
    /// The journal has dropped requests that may tell, or has too many.
    Unknown,
}

/// Why a record is there twice. Requests are named by their numbers in the journal.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DuplicateCause {
    /// The event was in several responses.
    Overlap {
        /// The requests, at most ten.
        requests: Vec<u64>,
    },
    /// A fault doubled the event in a response.
    Fault {
        /// The request.
        request: u64,
        /// The name of the fault rule.
        rule: String,
    },
    /// The event was in at most one response, once: the connector doubled it.
    Connector {
        /// The request.
        request: Option<u64>,
    },
    /// The journal has dropped requests that may tell, or has too many.
    Unknown,
}

impl Cause {
    /// The name of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Late { .. } => "late",
            Self::Gap { .. } => "gap",
            Self::NotPaged { .. } => "not_paged",
            Self::Refused { .. } => "refused",
            Self::Abandoned { .. } => "abandoned",
            Self::Fault { .. } => "fault",
            Self::Served { .. } => "served",
            Self::Filtered { .. } => "filtered",
            Self::Expired { .. } => "expired",
            Self::Unknown => "unknown",
        }
    }
}

impl DuplicateCause {
    /// The name of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Overlap { .. } => "overlap",
            Self::Fault { .. } => "fault",
            Self::Connector { .. } => "connector",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late { request, lag_ms } => {
                let seconds = *lag_ms / 1000;
                if *lag_ms < 0 {
                    return write!(
                        f,
                        "late: it became visible after request {request}, the last one whose window covers it, and is dated {} s ahead",
                        lag_ms.unsigned_abs().div_ceil(1000)
                    );
                }
                write!(
                    f,
                    "late: it became visible {seconds} s after it happened, after request {request}, the last one whose window covers it"
                )
            }
            Self::Gap { after_request: None, before_request: None } => f.write_str("gap: no window covers its time"),
            Self::Gap { after_request: Some(request), before_request: None } => {
                write!(f, "gap: no window covers its time, the last one before it is that of request {request}")
            }
            Self::Gap { after_request: None, before_request: Some(request) } => {
                write!(f, "gap: no window covers its time, the first one after it is that of request {request}")
            }
            Self::Gap { after_request: Some(after), before_request: Some(before) } => {
                write!(f, "gap: no window covers its time, it is between those of requests {after} and {before}")
            }
            Self::NotPaged { request } => {
                write!(
                    f,
                    "not_paged: its page was not asked for; request {request} read another page of the same query"
                )
            }
            Self::Refused { request, status } => {
                write!(f, "refused: request {request} got {status}, and its page was not asked for again")
            }
            Self::Abandoned { request } => {
                write!(f, "abandoned: the client ended request {request} before the response was complete")
            }
            Self::Fault { request, rule } => {
                write!(f, "fault: the rule {rule} changed the response to request {request}")
            }
            Self::Served { request } => {
                write!(
                    f,
                    "served: it was in the response to request {request}, which was sent to its end, so the connector \
                     most likely had it and lost it"
                )
            }
            Self::Filtered { request } => write!(f, "filtered: the filter of request {request} excludes it"),
            Self::Expired { request } => write!(f, "expired: it was older than the retention at request {request}"),
            Self::Unknown => {
                f.write_str("unknown: the journal has dropped requests that may tell, or has too many to tell")
            }
        }
    }
}

impl fmt::Display for DuplicateCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overlap { requests } => {
                let requests: Vec<String> = requests.iter().map(u64::to_string).collect();
                write!(f, "overlap: it was in the responses to requests {}", requests.join(", "))
            }
            Self::Fault { request, rule } => {
                write!(f, "fault: the rule {rule} doubled it in the response to request {request}")
            }
            Self::Connector { request: Some(request) } => {
                write!(f, "connector: it was only in the response to request {request}, so the connector doubled it")
            }
            Self::Connector { request: None } => {
                f.write_str("connector: it was in no response, so the connector doubled it")
            }
            Self::Unknown => {
                f.write_str("unknown: the journal has dropped requests that may tell, or has too many to tell")
            }
        }
    }
}
