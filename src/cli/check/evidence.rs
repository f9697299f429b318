//! What a report shows of a scenario: when the connector asked for what, and where events are missing.

use serde::Serialize;

use crate::{
    account::{Account, journal::Outcome},
    audit::AuditReport,
    clock::Instant,
    world::{Category, Millis, Window},
};

/// The maximum number of requests and of events in a report.
const MAX_SHOWN: usize = 2_000;

/// The evidence of one scenario. Times are of the account's clock.
#[derive(Debug, Serialize)]
pub(super) struct Evidence {
    pub(super) from: Instant,
    pub(super) to: Instant,
    /// The first requests.
    pub(super) requests: Vec<ShownRequest>,
    /// The times of the events, some of them where there are many.
    pub(super) events: Vec<Instant>,
    /// Examples of missing events.
    pub(super) missing: Vec<Instant>,
    /// Examples of events that were stored twice.
    pub(super) doubled: Vec<Instant>,
    /// The ends of what the connector wrote to its standard error, for each API that it read.
    pub(super) said: Vec<String>,
}

/// A request in a report.
#[derive(Debug, Serialize)]
pub(super) struct ShownRequest {
    pub(super) number: u64,
    pub(super) at: Instant,
    pub(super) path: String,
    /// `None` if the connection ended without an answer.
    pub(super) status: Option<u16>,
    /// The fault rule that was applied.
    pub(super) fault: Option<String>,
    pub(super) entries: Option<u64>,
    /// The window that it asked for.
    pub(super) window: Option<(Instant, Instant)>,
    /// Whether a whole answer was sent.
    pub(super) is_whole: bool,
}

impl Evidence {
    pub(super) fn new(account: &Account, category: Category, since: Instant) -> Self {
        let now = account.clock().now();
        let requests = account.requests(0, MAX_SHOWN).requests.into_iter().map(|request| ShownRequest {
            number: request.number,
            at: request.at,
            path: request.path.clone(),
            status: request.status,
            fault: request.fault.clone(),
            entries: request.entries,
            window: request.page.as_ref().map(|page| (page.query.asked.from.into(), page.query.asked.to.into())),
            is_whole: request.outcome == Outcome::Completed,
        });
        let truth = account.truth(category, Window { from: since.millis(), to: now });
        let times: Vec<Instant> = truth.map(|event| event.at.into()).collect();
        let every = times.len().div_ceil(MAX_SHOWN).max(1);
        Self {
            from: since,
            to: now.into(),
            requests: requests.collect(),
            events: times.into_iter().step_by(every).collect(),
            missing: Vec::new(),
            doubled: Vec::new(),
            said: Vec::new(),
        }
    }

    pub(super) fn add_audit(&mut self, report: &AuditReport) {
        self.missing.extend(report.missing.examples.iter().map(|found| found.event.at));
        self.doubled.extend(report.duplicated.examples.iter().map(|found| found.event.at));
    }

    /// Where a time is between the first and the last one, from 0 to 1.
    pub(super) fn place(&self, at: Instant) -> f64 {
        let (Millis(from), Millis(to), Millis(at)) = (self.from.millis(), self.to.millis(), at.millis());
        // Times of a scenario are some days apart, so that a float holds them without loss.
        #[expect(clippy::cast_precision_loss, reason = "some days in milliseconds")]
        let place = (at - from) as f64 / (to - from).max(1) as f64;
        place.clamp(0.0, 1.0)
    }
}
