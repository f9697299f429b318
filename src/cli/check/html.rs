//! The report of a check as one page of HTML, with a timeline of each scenario.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    evidence::{Evidence, ShownRequest},
    outcome::Outcome,
    report::Report,
};
use crate::clock::Instant;

/// The size of a timeline, in units of its view.
const WIDTH: f64 = 1000.0;
/// The height of the lane of events, of that of requests, and of one window.
const LANE: f64 = 18.0;
const WINDOW: f64 = 5.0;
/// The maximum number of windows that are drawn.
const MAX_WINDOWS: usize = 60;

const STYLE: &str = "
:root { color-scheme: light dark; --text: #1c2024; --soft: #60646c; --line: #d9d9e0; --page: #fcfcfd; --card: #fff;
  --good: #18794e; --bad: #c62a2f; --warn: #ad5700; --window: #8da4ef; --event: #8b8d98; --code: #f0f0f3; }
@media (prefers-color-scheme: dark) { :root { --text: #edeef0; --soft: #b0b4ba; --line: #363a3f; --page: #111113; --card: #18191b;
  --good: #4cc38a; --bad: #ff9592; --warn: #ffa057; --window: #5472e4; --event: #797b86; --code: #212225; } }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); }
main { max-width: 70rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.05rem; margin: 0; } p { margin: .35rem 0; }
.soft { color: var(--soft); } .good { color: var(--good); } .bad { color: var(--bad); }
code, pre { font: 13px/1.45 ui-monospace, monospace; background: var(--code); border-radius: 4px; }
code { padding: .1em .3em; overflow-wrap: anywhere; }
pre { padding: .6rem .8rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
article, details.pass { border: 1px solid var(--line); border-radius: 8px; background: var(--card); padding: .8rem 1rem; margin: .7rem 0; }
details.pass { padding: .4rem 1rem; } summary { cursor: pointer; }
ul { margin: .5rem 0; padding-left: 1.2rem; } li { overflow-wrap: anywhere; }
svg { width: 100%; height: auto; display: block; margin: .6rem 0 .2rem; } svg text { font: 11px system-ui, sans-serif; fill: var(--soft); }
.axis { stroke: var(--line); } .event { stroke: var(--event); } .missing { stroke: var(--bad); stroke-width: 2; }
.doubled { stroke: var(--warn); stroke-width: 2; } .window { fill: var(--window); } .window.lost { fill: var(--bad); opacity: .55; }
.ok { fill: var(--good); } .refused { fill: var(--warn); } .broken { fill: var(--bad); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: 13px; color: var(--soft); }
.legend b { font-weight: 600; }
@media (max-width: 40rem) { svg text { font-size: 20px; } }
";

/// The page.
pub(super) fn page(report: &Report) -> String {
    let title = format!("{} of {} scenarios passed", report.passed, report.scenarios.len());
    let failed = report.scenarios.iter().filter(|outcome| !outcome.passed);
    let passed = report.scenarios.iter().filter(|outcome| outcome.passed);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    header {
                        h1 { (title) }
                        p.soft { "opswat-mock check, seed " (report.seed) ": " code { (report.command.join(" ")) } }
                        p.legend {
                            span { b { "Events" } ": grey; missing ones red, doubled ones orange" }
                            span { b { "Requests" } ": green 200, orange refused, red broken or without an answer" }
                            span { b { "Windows" } ": one bar for each query, at the time that it asked for" }
                        }
                    }
                    @if report.failed > 0 {
                        section aria-label="Failed scenarios" { @for outcome in failed { (article(report, outcome)) } }
                    }
                    section aria-label="Passed scenarios" {
                        @for outcome in passed {
                            details.pass {
                                summary { span.good { "pass" } " " code { (outcome.scenario) } " " span.soft { (outcome.title) } }
                                p.soft { (outcome.why) }
                                (timeline(&outcome.evidence))
                            }
                        }
                    }
                }
            }
        }
    }
    .into_string()
}

fn article(report: &Report, outcome: &Outcome) -> Markup {
    html! {
        article id=(outcome.scenario) {
            h2 { span.bad { "FAIL" } " " code { (outcome.scenario) } " " (outcome.title) }
            p.soft { (outcome.why) }
            ul { @for finding in &outcome.findings { li { (finding) } } }
            (timeline(&outcome.evidence))
            p { "Again: " code { (report.again(outcome)) } }
            @for said in outcome.evidence.said.iter().filter(|said| !said.trim().is_empty()) {
                details { summary { "What the connector said" } pre { (said) } }
            }
        }
    }
}

/// Events above, requests in the middle, and windows below.
fn timeline(evidence: &Evidence) -> Markup {
    let windows = windows(evidence);
    let requests_at = LANE * 2.5;
    let windows_at = LANE * 3.5;
    #[expect(clippy::cast_precision_loss, reason = "at most MAX_WINDOWS")]
    let height = windows_at + windows.len() as f64 * WINDOW + LANE;
    let x = |at: Instant| format!("{:.1}", evidence.place(at) * WIDTH);
    let tick = |class: &str, at: Instant| {
        html! { line class=(class) x1=(x(at)) x2=(x(at)) y1=(LANE * 0.3) y2=(LANE * 1.3) {} }
    };
    let label = format!(
        "{} requests from {} to {}; {} events missing, {} stored twice",
        evidence.requests.len(),
        evidence.from,
        evidence.to,
        evidence.missing.len(),
        evidence.doubled.len()
    );
    html! {
        svg viewBox=(format!("-6 0 {:.0} {height:.0}", WIDTH + 12.0)) role="img" aria-label=(label) {
            line.axis x1="0" x2=(WIDTH) y1=(LANE * 1.5) y2=(LANE * 1.5) {}
            @for at in &evidence.events { (tick("event", *at)) }
            @for at in &evidence.missing { (tick("missing", *at)) }
            @for at in &evidence.doubled { (tick("doubled", *at)) }
            @for request in &evidence.requests {
                circle class=(class_of(request)) cx=(x(request.at)) cy=(requests_at) r="4" {
                    title { (described(request)) }
                }
            }
            @for (nth, (request, from, to)) in windows.iter().enumerate() {
                rect.window.lost[!request.is_whole] x=(x(*from)) y=(windows_at + row(nth) * WINDOW) height=(WINDOW - 1.5)
                    width=(format!("{:.1}", ((evidence.place(*to) - evidence.place(*from)) * WIDTH).max(2.0))) {
                    title { (described(request)) }
                }
            }
            text x="0" y=(height - 3.0) { (evidence.from) }
            text x=(WIDTH) y=(height - 3.0) text-anchor="end" { (evidence.to) }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most MAX_WINDOWS")]
fn row(nth: usize) -> f64 {
    nth as f64
}

/// The windows of the queries, each one once.
fn windows(evidence: &Evidence) -> Vec<(&ShownRequest, Instant, Instant)> {
    let mut found: Vec<(&ShownRequest, Instant, Instant)> = Vec::new();
    for request in &evidence.requests {
        if let Some((from, to)) = request.window
            && found.last().is_none_or(|(_, last_from, last_to)| (from, to) != (*last_from, *last_to))
            && found.len() < MAX_WINDOWS
        {
            found.push((request, from, to));
        }
    }
    found
}

fn class_of(request: &ShownRequest) -> &'static str {
    match request.status {
        Some(200) if request.is_whole => "ok",
        Some(401 | 413 | 429) => "refused",
        _ => "broken",
    }
}

fn described(request: &ShownRequest) -> String {
    let status = request.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let fault = request.fault.as_ref().map(|name| format!(", fault {name}")).unwrap_or_default();
    let entries = request.entries.map(|count| format!(", {count} entries")).unwrap_or_default();
    let window = request.window.map(|(from, to)| format!(", {from} to {to}")).unwrap_or_default();
    format!("Request {} at {}: {} {status}{entries}{fault}{window}", request.number, request.at, request.path)
}
