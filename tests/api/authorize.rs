//! `GET /o/oauth/authorize`

use crate::harness::{CLIENT, Mock, Row};

#[tokio::test]
async fn redirects_back_with_a_code_and_the_state() {
    let mock = Mock::new("--redirect-uri https://client.example/cb?x=1");
    for (redirect_uri, state, start, end) in [
        ("http://localhost:7000/cb", "", "http://localhost:7000/cb?code=", ""),
        ("http://LOCALHOST/cb", "", "http://LOCALHOST/cb?code=", ""),
        ("http://127.0.0.1/cb", "&state=a%20b%26c", "http://127.0.0.1/cb?code=", "&state=a%20b%26c"),
        ("http://[::1]:1/", "&state=", "http://[::1]:1/?code=", "&state="),
        ("https%3A%2F%2Fclient.example%2Fcb%3Fx%3D1", "", "https://client.example/cb?x=1&code=", ""),
    ] {
        let target =
            format!("/o/oauth/authorize?client_id={CLIENT}&response_type=code&redirect_uri={redirect_uri}{state}");
        let answer = mock.get(&target).await;
        assert_eq!((answer.status, answer.text()), (302, ""), "{target}");
        let location = answer.headers["location"].to_str().expect("ASCII");
        let code = location.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
        let code = code.unwrap_or_else(|| panic!("{location} is not {start}…{end}"));
        assert!(code.len() == 6 && code.bytes().all(|c| c.is_ascii_alphanumeric()), "{code}");
    }
}

#[tokio::test]
async fn invalid_requests_get_an_error() {
    let mock = Mock::new("--redirect-uri https://client.example/cb");
    let rows: [Row; 9] = [
        ("", 401, "invalid_client", "Bad client credentials"),
        ("client_id=nobody", 401, "invalid_client", "Bad client credentials"),
        (
            "ME",
            400,
            "invalid_request",
            "redirect_uri is required: an address of this machine, or one that --redirect-uri names",
        ),
        (
            "ME&redirect_uri=https://evil.example/&response_type=code",
            400,
            "invalid_request",
            "redirect_uri must be an address of this machine, or one that --redirect-uri names, got https://evil.example/",
        ),
        (
            "ME&redirect_uri=https://client.example/cb/more&response_type=code",
            400,
            "invalid_request",
            "redirect_uri must be an address of this machine, or one that --redirect-uri names, got https://client.example/cb/more",
        ),
        (
            "ME&redirect_uri=http://127.0.0.1@evil.example/&response_type=code",
            400,
            "invalid_request",
            "redirect_uri must be an address of this machine, or one that --redirect-uri names, got http://127.0.0.1@evil.example/",
        ),
        ("ME&redirect_uri=http://localhost/", 400, "invalid_request", "response_type is required: code"),
        (
            "ME&redirect_uri=http://localhost/&response_type=token",
            400,
            "unsupported_response_type",
            "response_type must be code, got token",
        ),
        (
            "ME&redirect_uri=javascript:alert(1)&response_type=code",
            400,
            "invalid_request",
            "redirect_uri must be an address of this machine, or one that --redirect-uri names, got javascript:alert(1)",
        ),
    ];
    for (query, status, error, description) in rows {
        println!("{query}");
        let query = query.replace("ME", &format!("client_id={CLIENT}"));
        mock.get(&format!("/o/oauth/authorize?{query}")).await.assert_refused(status, error, description);
    }
    let split = format!("client_id={CLIENT}&redirect_uri=http://localhost/%0d%0aX-Evil:1&response_type=code");
    let answer = mock.get(&format!("/o/oauth/authorize?{split}")).await;
    assert_eq!(answer.refusal().0, 400, "a line break must not reach a header");
}
