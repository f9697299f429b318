//! A test of a connector that stops at an error: it loses events, and the mock says which ones and why.
//!
//! `cargo test --example audit` runs the test. `cargo run --example audit` prints the report.

use opswat_mock::{
    Mock,
    account::fault::{Fault, FaultMatch, FaultRule},
    audit::AuditReport,
    world::Category,
};
use serde_json::{Value, json};

/// Reads the last day of device events. Takes every error for the end.
fn read_day(base_url: &str, token: &str) -> Vec<Value> {
    let (mut stored, mut page_token) = (Vec::new(), Value::from(""));
    loop {
        let query = json!({"event_category":"device","age":86400,"limit":25,"token":page_token});
        let request = ureq::post(format!("{base_url}/o/api/v3.3/logs"))
            .header("Authorization", format!("Bearer {token}"))
            .header("Content-Type", "application/json");
        let Ok(mut answer) = request.send(query.to_string()) else { return stored };
        let text = answer.body_mut().read_to_string().unwrap_or_default();
        let Ok(page) = serde_json::from_str::<Value>(&text) else { return stored };
        match page["data"].as_array() {
            Some(data) if !data.is_empty() => stored.extend(data.clone()),
            _ => return stored,
        }
        page_token = page["token"].clone();
    }
}

/// Runs the connector against a mock whose third answer is 503, and audits what it stored.
async fn audit() -> AuditReport {
    let matches = FaultMatch { nth: Some(3), ..FaultMatch::default() };
    let fault = Fault { status: Some(503), ..Fault::default() };
    let rule = FaultRule { name: Some("outage".to_owned()), matches, fault, ..FaultRule::default() };
    let builder = Mock::builder().seed(7).now("2026-01-15T12:00:00Z").fault(rule);
    let mock = builder.start().await.expect("a mock");
    let (base_url, token) = (mock.base_url(), mock.account().describe().access_token);
    let reading = tokio::task::spawn_blocking(move || read_day(&base_url, &token));
    let stored = reading.await.expect("a connector that ends");
    let day = "2026-01-14T12:00:00Z".parse().expect("a time").."2026-01-15T12:00:00Z".parse().expect("a time");
    mock.account().audit(Category::Device, day, &stored).expect("an audit")
}

#[tokio::main]
async fn main() {
    println!("{}", audit().await);
}

#[cfg(test)]
mod tests {
    use opswat_mock::audit::Cause;

    use super::*;

    #[tokio::test]
    async fn the_audit_names_the_rule_and_the_request() {
        let report = audit().await;
        assert_eq!((report.expected, report.matched, report.missing.count), (108, 50, 58));
        let cause = Cause::Fault { request: 3, rule: "outage".to_owned() };
        assert_eq!(report.missing.examples[0].cause, cause, "{report}");
    }
}
