//! Records that arrive slowly, or that are refused before they have arrived.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Served, answer, in_time, serve};

const WINDOW: &str = "category=device&from=2026-01-15T10:00:00Z&to=2026-01-15T12:00:00Z";

/// The head of an audit of this many bytes in CSV.
fn head(account: &str, length: usize) -> String {
    format!(
        "POST /_mock/accounts/{account}/audit?{WINDOW} HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/csv\r\n\
         content-length: {length}\r\n\r\n"
    )
}

/// Sends a request without a body, and returns the head and the body of the response.
async fn ask(served: &Served, method: &str, path: &str) -> (String, String) {
    let mut stream = served.send(&format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")).await;
    answer(&mut stream).await
}

#[tokio::test]
async fn a_client_whose_records_are_refused_early_gets_the_reason() {
    let served = serve().await;
    // The header line is wrong, and far more follows than the buffers of the connection hold.
    let body = "a,b\n".to_owned() + &"1,2\n".repeat(8 * 1024 * 1024);
    let mut stream = served.send(&head("default", body.len())).await;
    in_time(stream.write_all(body.as_bytes())).await.expect("the whole body is written");
    let (head, body) = answer(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert!(body.contains("The header line must have columns of timestamp"), "{body}");
}

#[tokio::test]
async fn slow_uploads_do_not_hold_up_other_audits() {
    let served = serve().await;
    let begin = head("default", 1_000) + "timestamp,event\n";
    let mut slow = Vec::new();
    for _ in 0..8 {
        slow.push(served.send(&begin).await);
    }
    let path = format!("/_mock/accounts/default/audit?{WINDOW}");
    // The eight are under way when a ninth is refused.
    let refused = in_time(async {
        loop {
            let mut ninth = served.send(&(head("default", 0))).await;
            let (head, body) = answer(&mut ninth).await;
            if head.starts_with("HTTP/1.1 503 ") {
                return (head, body);
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(refused.0.contains("\r\nretry-after: 1\r\n"), "{}", refused.0);
    assert!(refused.1.contains("Too many audits receive records"), "{}", refused.1);
    let (answered, report) = ask(&served, "GET", &path).await;
    assert!(answered.starts_with("HTTP/1.1 200 "), "{answered}");
    assert!(report.contains(r#""served":0"#), "{report}");
    // A client that leaves makes room.
    drop(slow.pop());
    in_time(async {
        loop {
            let mut ninth = served.send(&(head("default", 0))).await;
            if answer(&mut ninth).await.0.starts_with("HTTP/1.1 200 ") {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_upload_ends_with_its_account() {
    let served = serve().await;
    let body = r#"{"name":"short"}"#;
    let create = format!(
        "POST /_mock/accounts HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = served.send(&create).await;
    assert!(answer(&mut stream).await.0.starts_with("HTTP/1.1 201 "));
    // The server asks for the body when the upload has begun.
    let begin = head("short", 1_000).replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n");
    let mut upload = served.send(&begin).await;
    let mut go_on = [0; 25];
    in_time(upload.read_exact(&mut go_on)).await.expect("an interim response");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    let mut stream = served.send("DELETE /_mock/accounts/short HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let mut status = [0; 12];
    in_time(stream.read_exact(&mut status)).await.expect("a status");
    assert_eq!(&status, b"HTTP/1.1 204");
    let (head, body) = answer(&mut upload).await;
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    assert!(body.contains("The account was deleted while its records arrived"), "{body}");
}
