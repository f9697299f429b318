//! The journal: the recorded requests of clients and the results.

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::harness::{Client, TOKEN, V2, builder};

async fn journal(mock: &Client) -> Vec<Value> {
    mock.get("/accounts/default/requests?limit=1000").await["requests"].as_array().expect("requests").clone()
}

#[tokio::test]
async fn a_request_is_recorded_with_its_parameters_and_result() {
    let mock = Client::new();
    mock.v33(json!({"event_category":"admin","limit":3,"age":86400})).await.ok();
    mock.v2("limit=51").await;
    let noted = journal(&mock).await;
    let mut first = noted[0].clone();
    assert!(first["duration_us"].as_u64().is_some());
    assert!(first["bytes_sent"].as_u64() > Some(0));
    first.as_object_mut().expect("an object").remove("duration_us");
    assert_eq!(
        first,
        json!({
            "number":1,"at":"2026-01-15T12:00:00Z","method":"POST","path":"/o/api/v3.3/logs","api":"logs-v3.3","token":"TEST…1234",
            "parameters":{"event_category":"admin","limit":3,"age":86400},"status":200,"entries":3,
            "outcome":"completed","bytes_sent":first["bytes_sent"],
            "quota":{"limit":10,"remaining":9,"reset_at":"2026-01-15T12:00:06Z"},
        })
    );
    assert_eq!((&noted[1]["status"], &noted[1]["parameters"]["limit"]), (&json!(406), &json!("51")));
    assert_eq!(noted[1]["parameters"]["access_token"], "TEST…1234");
}

/// The journal contains no secret, in whatever part of a request the client sends it.
#[tokio::test]
async fn secrets_are_masked() {
    let mock = Client::new();
    let account = mock.get("/accounts/default").await;
    let (id, secret) =
        (account["client_id"].as_str().expect("an id"), account["client_secret"].as_str().expect("a secret"));
    let token = mock.token_of(id, secret).await.ok()["access_token"].as_str().expect("a token").to_owned();
    mock.v2_as(&token, "").await.ok();
    for query in [
        format!("grant_type=client_credentials&client_id={id}&client_secret={secret}"),
        format!("client_secret={secret}&client_id={id}&grant_type=refresh_token&refresh_token={token}"),
        format!("grant_type=authorization_code&code={token}&client_id={id}&client%5Fsecret={secret}"),
    ] {
        mock.send(Request::get(format!("/o/oauth/token?{query}")).body(Bytes::new()).expect("a request")).await;
    }
    let text = json!(journal(&mock).await).to_string();
    assert!(text.contains(id), "the client id is not masked");
    for hidden in [secret, token.as_str(), TOKEN] {
        assert!(!text.contains(hidden), "{hidden} is in {text}");
    }
}

#[tokio::test]
async fn requests_of_no_account_are_in_the_journal_of_default() {
    let mock = Client::new();
    mock.v2_as("nobody-knows-this-token", "").await;
    mock.send(Request::get("/favicon.ico").body(Bytes::new()).expect("a request")).await;
    mock.token_of("nobody", "x").await;
    let noted: Vec<(Value, Value)> =
        journal(&mock).await.iter().map(|one| (one["path"].clone(), one["status"].clone())).collect();
    assert_eq!(
        noted,
        [
            (json!("/o/api/v2/logs"), json!(401)),
            (json!("/favicon.ico"), json!(404)),
            (json!("/o/oauth/token"), json!(401)),
        ]
    );
}

#[tokio::test]
async fn the_control_surface_is_not_in_the_journal() {
    let mock = Client::new();
    mock.control("PUT", "/clock", json!({})).await.ok();
    mock.get("/health").await;
    assert_eq!(mock.get("/accounts/default/requests").await, json!({"requests":[],"next_after":0,"noted":0,"epoch":0}));
}

#[tokio::test]
async fn a_journal_is_read_by_page_and_keeps_the_latest_requests() {
    let mock = Client::new();
    let made =
        mock.call("POST", "/accounts", json!({"name":"acme","journal":5,"access_token":"acme-token"})).await.ok();
    assert_eq!(made["name"], "acme");
    for page in 1..=8 {
        mock.v2_as("acme-token", &format!("page={page}")).await;
    }
    let read = async |query: &str| {
        let part = mock.get(&format!("/accounts/acme/requests?{query}")).await;
        let numbers: Vec<u64> = part["requests"]
            .as_array()
            .expect("requests")
            .iter()
            .map(|one| one["number"].as_u64().expect("a number"))
            .collect();
        (numbers, part["next_after"].as_u64(), part["noted"].as_u64())
    };
    assert_eq!(read("").await, (vec![4, 5, 6, 7, 8], Some(8), Some(8)));
    assert_eq!(read("limit=2").await, (vec![4, 5], Some(5), Some(8)));
    assert_eq!(read("limit=2&after=5").await, (vec![6, 7], Some(7), Some(8)));
    assert_eq!(read("after=8").await, (vec![], Some(8), Some(8)));
    let wrong = mock.call("GET", "/accounts/acme/requests?limit=1001", Value::Null).await;
    wrong.assert_problem(400, "limit must be from 1 to 1000, got 1001");
}

#[tokio::test]
async fn the_body_of_a_request_to_an_unknown_path_or_method_is_recorded() {
    let mock = Client::new();
    for (method, path) in [("POST", "/o/api/v9/devices"), ("PUT", "/o/api/v3.3/logs"), ("POST", "/o/oauth3/token")] {
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {TOKEN}"));
        let body = json!({"ids":["A"],"client_secret":"HUSHHUSHHUSHHUSHHUSH"}).to_string();
        mock.send(request.body(body.into()).expect("a request")).await;
    }
    for request in journal(&mock).await {
        assert_eq!(request["parameters"], json!({"ids":["A"],"client_secret":"HUSH…HUSH"}), "{request}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_recorded_as_text() {
    let mock = Client::new();
    let request = Request::post("/o/api/v3/activities")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json");
    mock.send(request.body(Bytes::from_static(b"{\"limit\":")).expect("a request")).await;
    assert_eq!(journal(&mock).await[0]["parameters"], json!({"body":"{\"limit\":"}));
}

/// Reads the next event of a stream: its id and its data.
async fn next(lines: &mut tokio::io::Lines<BufReader<TcpStream>>) -> (String, Value) {
    let mut id = String::new();
    loop {
        let line = lines.next_line().await.expect("a line").expect("a stream that goes on");
        if let Some(given) = line.strip_prefix("id: ") {
            given.clone_into(&mut id);
        }
        if let Some(data) = line.strip_prefix("data: ") {
            return (id, serde_json::from_str(data).expect("JSON"));
        }
    }
}

#[tokio::test]
async fn the_stream_sends_each_recorded_request() {
    let mock = builder().start().await.expect("a mock");
    let client = Client { local: mock.local().clone() };
    client.v2("page=1").await.ok();
    for (header, first) in [("", 2), ("last-event-id: 0\r\n", 1)] {
        let mut stream = TcpStream::connect(mock.address()).await.expect("a connection");
        let head = format!("GET /_mock/accounts/default/requests/stream HTTP/1.1\r\nhost: localhost\r\n{header}\r\n");
        stream.write_all(head.as_bytes()).await.expect("written");
        let mut lines = BufReader::new(stream).lines();
        // After the response head, the server has subscribed the client.
        while lines.next_line().await.expect("a line").is_some_and(|line| !line.is_empty()) {}
        if header.is_empty() {
            client.v2("page=2").await.ok();
        }
        let (id, request) = next(&mut lines).await;
        assert_eq!((id, &request["number"], &request["path"]), (first.to_string(), &json!(first), &json!(V2)));
    }
}

/// The journal has the parameters of a request also if the server rejected it or a fault changed it.
#[tokio::test]
async fn a_rejected_request_is_recorded_with_its_parameters() {
    let query = json!({"event_category":"device","limit":7});
    for (fault, status) in [
        (json!({"status":503}), json!(503)),
        (json!({"rate_limit":"off"}), json!(429)),
        (json!({"body":"<html>","content_type":"text/html"}), json!(200)),
        (json!({"close":"before-headers"}), Value::Null),
    ] {
        let mock = Client::new();
        mock.control("PUT", "/faults", json!([{"fault":fault}])).await.ok();
        let request = Request::post("/o/api/v3.3/logs")
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-length", query.to_string().len());
        let _ = mock.try_send(request.body(query.to_string().into()).expect("a request")).await;
        let noted = journal(&mock).await;
        assert_eq!((&noted[0]["status"], &noted[0]["parameters"]), (&status, &query), "{fault}");
    }
    let mock = Client::new();
    mock.control("PUT", "/quota", json!({"requests":1})).await.ok();
    let send = async |token: &str, media_type: &str| {
        let request = Request::post("/o/api/v3.3/logs")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", media_type)
            .header("content-length", query.to_string().len());
        mock.send(request.body(query.to_string().into()).expect("a request")).await.status
    };
    assert_eq!(send(TOKEN, "text/plain").await, 415);
    assert_eq!(send(TOKEN, "application/json").await, 429);
    assert_eq!(send("nobody", "application/json").await, 401);
    for request in journal(&mock).await {
        assert_eq!(request["parameters"], query, "{}", request["status"]);
    }
}

/// A request is recorded also if the client cancels it.
#[tokio::test]
async fn a_cancelled_request_is_recorded_without_a_status() {
    let mock = Client::new();
    mock.control("PUT", "/faults", json!([{"name":"slow","fault":{"delay_ms":1000,"waits_on":"account"}}])).await.ok();
    let waiting = {
        let mock = mock.clone();
        tokio::spawn(async move { mock.v2("page=3").await })
    };
    while mock.account().faults()[0].applied == 0 {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    assert!(waiting.await.is_err());
    let noted = journal(&mock).await;
    assert_eq!(
        (&noted[0]["status"], &noted[0]["fault"], &noted[0]["parameters"]["page"]),
        (&Value::Null, &json!("slow"), &json!("3"))
    );
}

#[tokio::test]
async fn the_stream_announces_a_reset_and_misses_no_later_request() {
    let mock = builder().start().await.expect("a mock");
    let client = Client { local: mock.local().clone() };
    for _ in 0..3 {
        client.v2("").await.ok();
    }
    let mut stream = TcpStream::connect(mock.address()).await.expect("a connection");
    let head = "GET /_mock/accounts/default/requests/stream HTTP/1.1\r\nhost: localhost\r\nlast-event-id: 3\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("written");
    let mut lines = BufReader::new(stream).lines();
    while lines.next_line().await.expect("a line").is_some_and(|line| !line.is_empty()) {}
    client.control("POST", "/reset", Value::Null).await.ok();
    client.v2("page=2").await.ok();
    assert_eq!(next(&mut lines).await, (String::new(), json!({})), "the stream does not announce the reset");
    let (id, request) = next(&mut lines).await;
    assert_eq!((id.as_str(), &request["parameters"]["page"]), ("1", &json!("2")));
    // After the end of the journal the list is empty, and `next_after` is the last number.
    let page = client.get("/accounts/default/requests?after=3").await;
    assert_eq!((&page["requests"], &page["next_after"]), (&json!([]), &json!(1)));
}
