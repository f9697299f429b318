//! Notifications to a receiver on a real socket: what it gets, what is repeated, and what the logs say about it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::harness::{Served, TOKEN, builder, in_time};

const NOW: i64 = 1_768_478_400_000;

/// A receiver that answers as told, or else 200.
struct Receiver {
    url: String,
    got: Arc<Mutex<Vec<(String, Value)>>>,
    answers: Arc<Mutex<VecDeque<String>>>,
    task: JoinHandle<()>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook?x=1", listener.local_addr().expect("an address"));
        let (got, answers) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<VecDeque<String>>>::default());
        let (to, from) = (got.clone(), answers.clone());
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read(&mut stream).await;
                // Counted before it is answered, so that nobody sees the answer earlier.
                to.lock().expect("no panic").push(request);
                let answer = from.lock().expect("no panic").pop_front();
                let answer = answer.unwrap_or_else(|| "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK".to_owned());
                // An empty answer is a closed connection.
                stream.write_all(answer.as_bytes()).await.expect("written");
            }
        });
        Self { url, got, answers, task }
    }

    /// The answers to the next requests.
    fn answers(&self, statuses: &[&str]) {
        let body = |status: &&str| format!("HTTP/1.1 {status}\r\ncontent-length: 4\r\n\r\nbody");
        self.answers.lock().expect("no panic").extend(statuses.iter().map(body));
    }

    /// What has arrived: the head and the notification.
    fn got(&self) -> Vec<(String, Value)> {
        self.got.lock().expect("no panic").clone()
    }
}

async fn read(stream: &mut TcpStream) -> (String, Value) {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        let length = stream.read(&mut part).await.expect("readable");
        assert!(length > 0, "the request is cut off");
        bytes.extend_from_slice(&part[..length]);
        let text = String::from_utf8(bytes.clone()).expect("UTF-8");
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let announced = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() == announced.expect("a length").parse::<usize>().expect("a number") {
            return (head.to_owned(), serde_json::from_str(body).expect("JSON"));
        }
    }
}

impl Served {
    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        let request =
            request.header("authorization", format!("Bearer {TOKEN}")).header("content-type", "application/json");
        let answer = in_time(self.mock.local().answer(request.body(Bytes::from(body)).expect("a request"))).await;
        let answer = answer.expect("a whole answer");
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
    }

    async fn webhook(&self, body: Value) -> (u16, Value) {
        self.call("PUT", "/_mock/accounts/default/webhook", body).await
    }

    /// The webhook when all attempts up to now are made.
    async fn delivered(&self) -> Value {
        self.call("GET", "/_mock/accounts/default/webhook?wait=30s", Value::Null).await.1
    }

    fn advance(&self, seconds: u64) {
        self.mock.account().clock().advance(Duration::from_secs(seconds));
    }

    /// The webhook category of the logs since the start, oldest first.
    async fn log(&self) -> Vec<Value> {
        let mut query = json!({"event_category":"webhook","start_time":NOW,"limit":100});
        let mut all = Vec::new();
        loop {
            let (_, page) = self.call("POST", "/o/api/v3.3/logs", query.clone()).await;
            all.extend(page["data"].as_array().expect("data").clone());
            query["token"] = page["token"].clone();
            if page["token"] == "" {
                all.reverse();
                return all;
            }
        }
    }

    /// A notification that is not generated: of an injected event at the account's now.
    async fn inject(&self, event: &str, device: &str) {
        let event = json!({"category":"device","event":event,"device_id":device});
        assert_eq!(self.call("POST", "/_mock/accounts/default/events", event).await.0, 201);
    }
}

async fn quiet() -> Served {
    // Without devices, only injected events have notifications.
    Served { mock: builder().devices(0).start().await.expect("a mock") }
}

/// The receiver gets what a simulated one would have got, and the logs have its answers.
#[tokio::test]
async fn what_happens_is_delivered_in_order_and_the_logs_have_the_answers() {
    let served = Served { mock: builder().start().await.expect("a mock") };
    let simulated = Served { mock: builder().start().await.expect("a mock") };
    let receiver = Receiver::start().await;
    served.webhook(json!({"url":receiver.url,"api_key":"key-1"})).await;
    for _ in 0..3 {
        served.advance(3600);
        simulated.advance(3600);
        served.delivered().await;
    }
    let expected = simulated.log().await;
    let first_attempts: Vec<&Value> =
        expected.iter().filter(|entry| !entry["details"].to_string().contains("attempt")).collect();
    assert!(first_attempts.len() > 5, "{}", first_attempts.len());
    let log = served.log().await;
    let rows = |entry: &Value| (entry["timestamp"].clone(), entry["event"].clone(), entry["device_id"].clone());
    assert_eq!(
        log.iter().map(rows).collect::<Vec<_>>(),
        first_attempts.iter().map(|entry| rows(entry)).collect::<Vec<_>>()
    );
    assert!(log.iter().all(|entry| entry["response_code"] == "200" && entry["response_body"] == "OK"), "{log:?}");
    let got = receiver.got();
    let ids: Vec<&Value> = got.iter().map(|(_, body)| &body[0]["device_id"]).collect();
    assert_eq!(ids, log.iter().map(|entry| &entry["device_id"]).collect::<Vec<_>>());
    let (head, body) = &got[0];
    assert!(head.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{head}");
    for line in ["authorization: key-1", "content-type: application/json"] {
        assert!(head.lines().any(|known| known == line), "{line} is not in {head}");
    }
    // The timestamp is that of the event, shortly before the notification.
    let device_log = served
        .call("POST", "/o/api/v3.3/logs", json!({"event_category":"device","start_time":NOW,"limit":100}))
        .await
        .1;
    let happened = body[0]["timestamp"].as_i64().expect("milliseconds");
    let millis =
        |entry: &Value| entry["timestamp"].as_str().and_then(|text| text.parse::<opswat_mock::clock::Instant>().ok());
    let is_there = |entry: &Value| {
        millis(entry).is_some_and(|at| at.millis().0 == happened) && entry["device_id"] == body[0]["device_id"]
    };
    assert!(device_log["data"].as_array().expect("data").iter().any(is_there), "{body}");
}

/// It fails twice, then answers, then dies.
#[tokio::test]
async fn a_failed_attempt_is_repeated_after_4_and_60_seconds_of_the_accounts_clock() {
    let served = quiet().await;
    let receiver = Receiver::start().await;
    receiver.answers(&["503 Service Unavailable", "302 Found"]);
    served.webhook(json!({"url":receiver.url,"api_key":"k"})).await;
    served.inject("noncompliant", "KIOSK00001").await;
    let mut attempts = Vec::new();
    for seconds in [0, 3, 1, 59, 1] {
        served.advance(seconds);
        attempts.push(served.delivered().await["deliveries"].as_array().map(Vec::len));
    }
    assert_eq!(attempts, [Some(1), Some(1), Some(2), Some(2), Some(3)]);
    assert_eq!(receiver.got()[0].1, json!([{"device_id":"KIOSK00001","status":"non_compliant","timestamp":NOW}]));
    let row = |entry: &Value| {
        ["timestamp", "response_code", "response_body", "details"]
            .map(|field| entry[field].as_str().unwrap_or_default().to_owned())
    };
    let rows: Vec<[String; 4]> = served.log().await.iter().map(row).collect();
    let text = "device KIOSK00001 changed status to non-compliant";
    assert_eq!(
        rows,
        [
            [
                "2026-01-15T12:00:00.000Z".to_owned(),
                "503".to_owned(),
                "body".to_owned(),
                format!("Notification: {text}")
            ],
            [
                "2026-01-15T12:00:04.000Z".to_owned(),
                "302".to_owned(),
                "body".to_owned(),
                format!("Notification, attempt 2: {text}")
            ],
            [
                "2026-01-15T12:01:04.000Z".to_owned(),
                "200".to_owned(),
                "OK".to_owned(),
                format!("Notification, attempt 3: {text}")
            ],
        ]
    );
    // Dead: the answer is that there is none.
    receiver.task.abort();
    served.inject("added", "KIOSK00002").await;
    let webhook = served.delivered().await;
    let last = webhook["deliveries"].as_array().expect("deliveries").last().expect("an attempt").clone();
    assert_eq!((last["response_code"].as_u64(), webhook["failures_in_a_row"].as_u64()), (Some(0), Some(1)), "{last}");
    assert_eq!(served.log().await.last().expect("an entry")["response_code"], "0");
}

#[tokio::test]
async fn a_webhook_is_off_after_100_failures_in_a_row() {
    let served = quiet().await;
    let receiver = Receiver::start().await;
    receiver.answers(&["500 Internal Server Error"; 99]);
    served.webhook(json!({"url":receiver.url,"api_key":"k"})).await;
    for nth in 0..33 {
        served.inject("added", &format!("KIOSK{nth:05}")).await;
        served.advance(100);
        served.delivered().await;
    }
    assert_eq!(served.delivered().await["failures_in_a_row"], 99);
    // A success begins the count again.
    served.inject("added", "KIOSK10000").await;
    assert_eq!(served.delivered().await["failures_in_a_row"], 0);
    receiver.answers(&["500 Internal Server Error"; 100]);
    for nth in 0..34 {
        served.inject("deleted", &format!("KIOSK{nth:05}")).await;
        served.advance(100);
        served.delivered().await;
    }
    let webhook = served.delivered().await;
    assert_eq!((&webhook["state"], &webhook["failures_in_a_row"]), (&json!("off"), &json!(100)));
    assert_eq!(receiver.got().len(), 200);
    served.inject("added", "KIOSK20000").await;
    served.advance(1000);
    served.delivered().await;
    assert_eq!(receiver.got().len(), 200);
    // Another PUT turns it on.
    served.webhook(json!({"url":receiver.url,"api_key":"k"})).await;
    served.inject("added", "KIOSK30000").await;
    served.delivered().await;
    assert_eq!(receiver.got().len(), 201);
}

/// A receiver that never answers holds up neither the API nor another account.
#[tokio::test]
async fn a_silent_receiver_holds_up_nothing_else() {
    let served = quiet().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", silent.local_addr().expect("an address"));
    served.webhook(json!({"url":url,"api_key":"k"})).await;
    served.inject("added", "KIOSK00001").await;
    let (_stream, _) = in_time(silent.accept()).await.expect("a connection");
    assert_eq!(served.call("POST", "/_mock/accounts", json!({"name":"other","devices":0})).await.0, 201);
    let receiver = Receiver::start().await;
    let put = served.call("PUT", "/_mock/accounts/other/webhook", json!({"url":receiver.url,"api_key":"k"})).await;
    assert_eq!(put.0, 200);
    served
        .call("POST", "/_mock/accounts/other/events", json!({"category":"device","event":"added","device_id":"K"}))
        .await;
    served.call("GET", "/_mock/accounts/other/webhook?wait=30s", Value::Null).await;
    assert_eq!(receiver.got().len(), 1);
    assert_eq!(served.log().await, Vec::<Value>::new());
    // A reset removes the receiver, also in the middle of an attempt.
    assert_eq!(served.call("POST", "/_mock/accounts/default/reset", Value::Null).await.0, 200);
    assert_eq!(served.delivered().await["state"], "absent");
}

#[tokio::test]
async fn a_receiver_gets_only_the_events_that_it_wants_also_about_actions() {
    let served = Served { mock: builder().start().await.expect("a mock") };
    let receiver = Receiver::start().await;
    served.webhook(json!({"url":receiver.url,"api_key":"k","events":["deleted","status_changed_to_exempted"]})).await;
    let devices = served.call("POST", "/o/api/v3.4/devices", json!({"limit":2})).await.1;
    let ids: Vec<&str> = (0..2).filter_map(|nth| devices["devices"][nth]["device_id"].as_str()).collect();
    served.call("POST", "/o/api/v3.2/devices/action", json!({"types":"exempt","ids":[ids[0]]})).await;
    served.call("POST", "/o/api/v3.2/devices/action", json!({"types":"delete","ids":[ids[1]]})).await;
    served.inject("added", "KIOSK00001").await;
    served.delivered().await;
    let got: Vec<Value> = receiver.got().into_iter().map(|(_, body)| body).collect();
    assert_eq!(
        got,
        [
            json!([{"device_id":ids[0],"status":"exempted","timestamp":NOW}]),
            json!([{"device_id":ids[1],"status":"deleted","timestamp":NOW}]),
        ]
    );
    assert_eq!(served.log().await.len(), 2);
    // The truth has the attempts, and an audit of a connector that read them passes.
    let truth = served
        .call("GET", "/_mock/accounts/default/events?category=webhook&from=2026-01-15T12:00:00Z", Value::Null)
        .await
        .1;
    assert_eq!(truth["events"].as_array().map(Vec::len), Some(2));
    assert_eq!(served.call("DELETE", "/_mock/accounts/default/webhook", Value::Null).await.0, 204);
    assert_eq!(served.call("DELETE", "/_mock/accounts/default/webhook", Value::Null).await.0, 404);
    served.advance(100_000);
    assert_eq!(served.delivered().await["state"], "removed");
    assert_eq!(served.log().await.len(), 2);
}

/// The end of an exemption that another action has cancelled is delivered to nobody.
#[tokio::test]
async fn the_end_of_an_exemption_is_delivered_unless_another_action_cancels_it() {
    for (then, expected) in [
        (None, vec!["exempted", "compliant"]),
        (Some("delete"), vec!["exempted", "deleted"]),
        (Some("unexempt"), vec!["exempted", "compliant"]),
        (Some("exempt"), vec!["exempted"]),
    ] {
        let served = quiet().await;
        let receiver = Receiver::start().await;
        served.inject("added", "KIOSK00001").await;
        served.webhook(json!({"url":receiver.url,"api_key":"k"})).await;
        let act = async |action: &str, hours: u64| {
            let body = json!({"types":action,"ids":["KIOSK00001"],"params":{"exempt_time":hours}});
            served.call("POST", "/o/api/v3.2/devices/action", body).await.1
        };
        act("exempt", 1).await;
        if let Some(action) = then {
            served.advance(60);
            assert_eq!(act(action, 0).await[0]["status"], 1, "{action}");
        }
        served.advance(3_600);
        served.delivered().await;
        let got: Vec<Value> = receiver.got().into_iter().map(|(_, body)| body[0]["status"].clone()).collect();
        assert_eq!(got, expected, "{then:?}");
        let log: Vec<Value> = served.log().await.iter().map(|entry| entry["event"].clone()).collect();
        let code = |status: &str| {
            json!(if status == "deleted" { "deleted".to_owned() } else { format!("status_changed_to_{status}") })
        };
        assert_eq!(log, expected.into_iter().map(code).collect::<Vec<_>>(), "{then:?}");
    }
}

/// A company that becomes larger has more to notify of.
#[tokio::test]
async fn another_history_has_other_notifications() {
    let served = quiet().await;
    let receiver = Receiver::start().await;
    served.webhook(json!({"url":receiver.url,"api_key":"k"})).await;
    assert_eq!(served.delivered().await["deliveries"], json!([]));
    assert_eq!(served.call("PATCH", "/_mock/accounts/default", json!({"devices":100})).await.0, 200);
    served.advance(86_400);
    served.delivered().await;
    assert!(receiver.got().len() > 10, "{}", receiver.got().len());
    assert_eq!(served.log().await.len(), receiver.got().len());
}

#[tokio::test]
async fn deleted_events_are_not_delivered_any_more() {
    let served = quiet().await;
    let receiver = Receiver::start().await;
    receiver.answers(&["500 Internal Server Error"]);
    served.webhook(json!({"url":receiver.url,"api_key":"k"})).await;
    served.inject("added", "KIOSK00001").await;
    assert_eq!(served.delivered().await["failures_in_a_row"], 1);
    let future =
        json!({"category":"device","event":"deleted","device_id":"KIOSK00001","timestamp":"2026-01-15T12:00:02Z"});
    assert_eq!(served.call("POST", "/_mock/accounts/default/events", future).await.0, 201);
    assert_eq!(served.call("DELETE", "/_mock/accounts/default/events", Value::Null).await.0, 200);
    served.advance(100);
    served.delivered().await;
    assert_eq!(receiver.got().len(), 1);
    let account = served.call("GET", "/o/api/v2/account?access_token=mock-access-token", Value::Null).await.1;
    assert_eq!(account["devices_used"], 0);
}

/// What a simulated receiver got until then, stays in the log, and the receiver gets what comes after it.
#[tokio::test]
async fn a_receiver_gets_each_notification_that_the_log_has_not() {
    // The instant of a generated notification.
    let simulated = Served { mock: builder().start().await.expect("a mock") };
    simulated.advance(7_200);
    let log = simulated.log().await;
    let at = log[3]["timestamp"].as_str().expect("a time").to_owned();
    let served = Served { mock: builder().start().await.expect("a mock") };
    let set = json!({"mode":"frozen","now":at});
    assert_eq!(served.call("PUT", "/_mock/accounts/default/clock", set).await.0, 200);
    let before = served.log().await;
    assert!(before.len() >= 4, "{before:?}");
    let receiver = Receiver::start().await;
    let webhook = served.webhook(json!({"url":receiver.url,"api_key":"a-long-key"})).await.1;
    assert_ne!(webhook["api_key"], "a-long-key");
    assert_eq!(served.log().await, before);
    served.advance(7_200);
    let webhook = served.delivered().await;
    let after = served.log().await;
    assert_eq!(after[..before.len()], before);
    assert_eq!(after.len() - before.len(), receiver.got().len());
    let numbers: Vec<u64> =
        webhook["deliveries"].as_array().expect("deliveries").iter().filter_map(|one| one["number"].as_u64()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let first = after.iter().filter(|entry| !entry["details"].to_string().contains("attempt")).count();
    let expected = simulated_until(&simulated, &served).await;
    assert_eq!(first, expected);
}

/// The number of first attempts that a simulated receiver has got by the time of another account.
async fn simulated_until(simulated: &Served, other: &Served) -> usize {
    let now = other.mock.account().clock().now();
    let left = now.0 - simulated.mock.account().clock().now().0;
    simulated.mock.account().clock().advance(Duration::from_millis(u64::try_from(left).expect("a later time")));
    simulated.log().await.iter().filter(|entry| !entry["details"].to_string().contains("attempt")).count()
}

/// Attempts that would be due after the last second of the clock are never due.
#[tokio::test]
async fn a_webhook_is_idle_at_the_end_of_the_clock_and_ends_with_its_account() {
    for start in ["2199-12-30T23:59:58Z", "2199-12-31T00:00:00Z"] {
        let served = Served { mock: builder().devices(0).now(start).start().await.expect("a mock") };
        let receiver = Receiver::start().await;
        receiver.answers(&["500 Internal Server Error"]);
        served.webhook(json!({"url":receiver.url,"api_key":"k"})).await;
        served.inject("added", "KIOSK00001").await;
        for seconds in [0, 1, 1, 1, 100] {
            served.advance(seconds);
            let webhook = served.delivered().await;
            assert_eq!((&webhook["failures_in_a_row"], &webhook["idle"]), (&json!(1), &json!(true)), "{webhook}");
        }
        assert_eq!(served.call("POST", "/_mock/accounts", json!({"name":"other","devices":0})).await.0, 201);
        let receiver_of_other = json!({"url":receiver.url,"api_key":"k"});
        assert_eq!(served.call("PUT", "/_mock/accounts/other/webhook", receiver_of_other).await.0, 200);
        assert_eq!(served.call("DELETE", "/_mock/accounts/other", Value::Null).await.0, 204);
        assert_eq!(served.call("GET", "/_mock/accounts/other/webhook?wait=30s", Value::Null).await.0, 404);
        assert_eq!(receiver.got().len(), 1);
    }
}

#[tokio::test]
async fn wrong_receivers_are_refused_with_the_name_of_the_field() {
    let served = quiet().await;
    for (body, detail) in [
        (json!({}), "missing field `url`"),
        (
            json!({"url":"http://127.0.0.1/","api_key":""}),
            "api_key must be 1 to 200 visible ASCII characters without spaces",
        ),
        (json!({"url":"http://127.0.0.1/","api_key":"k","events":["x"]}), "events must be some of added, deleted, "),
        (json!({"url":"https://127.0.0.1/","api_key":"k"}), "url must be http:// with a host"),
        (
            json!({"url":"http://example.com/","api_key":"k"}),
            "url must have a loopback or private address, a name without a dot, or a host of --webhook-allow",
        ),
        (json!({"url":"http://127.0.0.1/","api_key":"k","retries":1}), "unknown field `retries`"),
    ] {
        let (status, problem) = served.webhook(body.clone()).await;
        assert_eq!(status, 400, "{body}");
        assert!(problem["detail"].as_str().is_some_and(|text| text.contains(detail)), "{body}: {problem}");
    }
    let (status, problem) = served.call("GET", "/_mock/accounts/default/webhook?wait=2m", Value::Null).await;
    assert_eq!(
        (status, problem["detail"].as_str()),
        (400, Some("wait must be a time such as 10s or 500ms, at most 60s, got 2m"))
    );
    assert_eq!(served.delivered().await, json!({"state":"absent","idle":true,"failures_in_a_row":0,"deliveries":[]}));
}
