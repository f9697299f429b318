//! A connector, and the test that its author would like to have: against a mock in the same process, with its clock, its
//! network and its history in hand.
//!
//! `cargo test --example connector` runs the tests; `cargo run --example connector` reads a day from a mock of its own.

use std::time::Duration;

use opswat_mock::Mock;
use serde_json::{Value, json};

/// Reads device events page by page. What a connector does when something goes wrong is what is tested.
struct Connector {
    base_url: String,
    client_id: String,
    client_secret: String,
    token: Option<String>,
    /// How to wait: a real one sleeps, one in a test turns the mock's clock.
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

    /// One page, or nothing when it has to be asked for again.
    fn page(&mut self, query: &Value) -> Option<Value> {
        let token = self.token.take().unwrap_or_else(|| self.fetch_token());
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = agent.post(format!("{}/o/api/v3.3/logs", self.base_url));
        let request =
            request.header("Authorization", format!("Bearer {token}")).header("Content-Type", "application/json");
        let mut answer = match request.send(query.to_string()) {
            Ok(answer) => answer,
            Err(error) => {
                println!("the connection broke ({error}), asking again");
                self.token = Some(token);
                return None;
            }
        };
        match answer.status().as_u16() {
            // Forget the token; the next request fetches another one.
            401 => return None,
            429 => (self.wait)(Duration::from_secs(30)),
            200 => {
                let text = answer.body_mut().read_to_string();
                self.token = Some(token);
                // A body that ends too early is no page.
                return text.ok().and_then(|text| serde_json::from_str(&text).ok());
            }
            status => println!("status {status}, asking again"),
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

/// Runs a connector beside the mock: it blocks, as connectors do.
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

    /// The one thing that counts: whatever breaks, the connector has every event, each once.
    async fn assert_all_is_read(mock: &Mock) {
        let now = mock.account().clock().now();
        let read = read_day(mock).await;
        let day = Window { from: Millis(now.0 - 86_400_000), to: now };
        let truth = mock.account().truth(Category::Device, day).count();
        assert_eq!(read.len(), truth);
        let mut distinct: Vec<String> = read.iter().map(Value::to_string).collect();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), truth, "each once");
    }

    fn third_page(fault: Fault) -> FaultRule {
        let matches = FaultMatch { api: Some(ApiName::LogsV3_3), nth: Some(3), ..FaultMatch::default() };
        FaultRule { matches, fault, ..FaultRule::default() }
    }

    #[tokio::test]
    async fn a_day_is_read_whatever_breaks() {
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
    async fn a_429_is_waited_for_by_the_mocks_clock_and_not_by_ours() {
        let limit: opswat_mock::account::quota::QuotaLimit = "2/60".parse().expect("a limit");
        let mock = Mock::builder().now("2026-01-15T12:00:00Z").quota(limit.into()).start().await.expect("a mock");
        assert!(read_day(&mock).await.len() > 100);
        let statuses: Vec<_> = mock.account().requests(0, 1000).requests.iter().map(|request| request.status).collect();
        assert!(statuses.contains(&Some(429)));
    }
}
