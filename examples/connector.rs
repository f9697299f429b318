//! A connector and its tests. The tests run a mock in the same process, and control its clock, faults and history.
//!
//! `cargo test --example connector` runs the tests. `cargo run --example connector` reads one day from its own mock.

use std::time::Duration;

use opswat_mock::Mock;
use serde_json::{Value, json};

/// Reads device events page by page. The tests check its error handling.
struct Connector {
    base_url: String,
    client_id: String,
    client_secret: String,
    token: Option<String>,
    /// The wait between requests: a real connector sleeps, a test advances the mock's clock.
    wait: Box<dyn FnMut(Duration) + Send>,
}

impl Connector {
    fn new(mock: &Mock, wait: impl FnMut(Duration) + Send + 'static) -> Self {
        let account = mock.account().describe();
        Self {
            base_url: mock.base_url(),
            client_id: account.client_id,
            client_secret: account.client_secret,
            token: None,
            wait: Box::new(wait),
        }
    }

    /// All events of the last day, newest first.
    fn read_day(&mut self) -> Vec<Value> {
        let mut query = json!({"event_category":"device","age":86400,"limit":50});
        let mut events = Vec::new();
        loop {
            let Some(page) = self.page(&query) else { continue };
            let data = page["data"].as_array().cloned().unwrap_or_default();
            if data.is_empty() {
                return events;
            }
            events.extend(data);
            query["token"] = page["token"].clone();
        }
    }

    /// One page, or `None` if the request must be repeated.
    fn page(&mut self, query: &Value) -> Option<Value> {
        let token = self.token.take().unwrap_or_else(|| self.fetch_token());
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = agent.post(format!("{}/o/api/v3.3/logs", self.base_url));
        let request =
            request.header("Authorization", format!("Bearer {token}")).header("Content-Type", "application/json");
        let mut answer = match request.send(query.to_string()) {
            Ok(answer) => answer,
            Err(error) => {
                println!("the connection broke ({error}), repeating the request");
                self.token = Some(token);
                return None;
            }
        };
        match answer.status().as_u16() {
            // The token is discarded; the next request fetches a new one.
            401 => return None,
            429 => (self.wait)(Duration::from_secs(30)),
            200 => {
                let text = answer.body_mut().read_to_string();
                self.token = Some(token);
                // A truncated body is not a page.
                return text.ok().and_then(|text| serde_json::from_str(&text).ok());
            }
            status => println!("status {status}, repeating the request"),
        }
        self.token = Some(token);
        None
    }

    fn fetch_token(&self) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.client_id),
            ("client_secret", &self.client_secret),
        ];
        let mut answer = ureq::post(format!("{}/o/oauth/token", self.base_url)).send_form(form).expect("a token");
        let text = answer.body_mut().read_to_string().expect("a body");
        let token: Value = serde_json::from_str(&text).expect("JSON");
        token["access_token"].as_str().expect("a token").to_owned()
    }
}

/// Runs a connector against the mock, on a thread for blocking work.
async fn read_day(mock: &Mock) -> Vec<Value> {
    let account = mock.account().clone();
    let mut connector = Connector::new(mock, move |by| {
        account.advance(by);
    });
    tokio::task::spawn_blocking(move || connector.read_day()).await.expect("a connector that ends")
}

#[tokio::main]
async fn main() {
    let mock = Mock::builder().seed(7).now("2026-01-15T12:00:00Z").start().await.expect("a mock");
    println!("{} events in the last day", read_day(&mock).await.len());
    for request in mock.account().requests(0, 100).requests {
        println!("{} {} {} {:?}", request.at, request.method, request.path, request.status);
    }
}

#[cfg(test)]
mod tests {
    use opswat_mock::{
        ApiName,
        account::fault::{Close, Fault, FaultMatch, FaultRule},
        world::{Category, Millis, Window},
    };

    use super::*;

    /// Asserts that the connector reads every event exactly once.
    async fn assert_all_is_read(mock: &Mock) {
        let now = mock.account().clock().now();
        let read = read_day(mock).await;
        let day = Window { from: Millis(now.0 - 86_400_000), to: now };
        let truth = mock.account().truth(Category::Device, day).count();
        assert_eq!(read.len(), truth);
        let mut distinct: Vec<String> = read.iter().map(Value::to_string).collect();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), truth, "an event was read twice");
    }

    fn third_page(fault: Fault) -> FaultRule {
        let matches = FaultMatch { api: Some(ApiName::LogsV3_3), nth: Some(3), ..FaultMatch::default() };
        FaultRule { matches, fault, ..FaultRule::default() }
    }

    #[tokio::test]
    async fn reads_a_day_completely_despite_each_fault() {
        for fault in [
            Fault { close: Some(Close::MidBody), ..Fault::default() },
            Fault { close: Some(Close::BeforeHeaders), ..Fault::default() },
            Fault { truncate_at: Some(100), ..Fault::default() },
            Fault { status: Some(503), ..Fault::default() },
            Fault { expire_token: true, ..Fault::default() },
        ] {
            let mock =
                Mock::builder().now("2026-01-15T12:00:00Z").fault(third_page(fault)).start().await.expect("a mock");
            assert_all_is_read(&mock).await;
            assert_eq!(mock.account().faults()[0].applied, 1);
        }
    }

    #[tokio::test]
    async fn waits_for_a_429_on_the_mock_clock() {
        let limit: opswat_mock::account::quota::QuotaLimit = "2/60".parse().expect("a limit");
        let mock = Mock::builder().now("2026-01-15T12:00:00Z").quota(limit.into()).start().await.expect("a mock");
        assert!(read_day(&mock).await.len() > 100);
        let statuses: Vec<_> = mock.account().requests(0, 1000).requests.iter().map(|request| request.status).collect();
        assert!(statuses.contains(&Some(429)));
    }
}
