//! Golden files for the errors of the emulated surface: each has a request and the complete response.

use std::{collections::BTreeSet, fs};

use bytes::Bytes;
use expect_test::expect_file;
use http::Request;

use crate::harness::{CLIENT, Mock, SECRET, TOKEN, V2, V3, V33};

/// File name, method, target, headers and body of a request.
type Refused = (&'static str, &'static str, String, Vec<(&'static str, String)>, &'static str);

fn rows() -> Vec<Refused> {
    let bearer = ("authorization", format!("Bearer {TOKEN}"));
    let json = ("content-type", "application/json".to_owned());
    let call = |name, path: &str, body| (name, "POST", path.to_owned(), vec![bearer.clone(), json.clone()], body);
    let token = |name, rest: &str| (name, "GET", format!("/o/oauth/token?{rest}"), vec![], "");
    let client = format!("client_id={CLIENT}&client_secret={SECRET}");
    vec![
        ("401-no-token", "GET", V2.to_owned(), vec![], ""),
        ("401-unknown-token", "GET", V2.to_owned(), vec![("authorization", "Bearer nobody".to_owned())], ""),
        ("401-expired-token", "GET", format!("{V2}?access_token=EXPIRED"), vec![], ""),
        token("401-no-client", "grant_type=client_credentials"),
        token("401-bad-client", "grant_type=client_credentials&client_id=nobody&client_secret=x"),
        ("404-path", "GET", "/o/api/v9/logs".to_owned(), vec![bearer.clone()], ""),
        ("404-outside", "GET", "/".to_owned(), vec![], ""),
        ("405-method", "GET", V3.to_owned(), vec![bearer.clone()], ""),
        ("429-quota", "POST", V33.to_owned(), vec![("authorization", "Bearer SPENT".to_owned()), json.clone()], "{}"),
        (
            "415-other-type",
            "POST",
            V3.to_owned(),
            vec![bearer.clone(), ("content-type", "text/plain".to_owned())],
            "{}",
        ),
        ("415-no-type", "POST", V3.to_owned(), vec![bearer.clone()], "{}"),
        (
            "415-encoding",
            "POST",
            V3.to_owned(),
            vec![bearer.clone(), json.clone(), ("content-encoding", "gzip".to_owned())],
            "{}",
        ),
        call("400-not-json", V3, "{\"limit\":"),
        call("400-not-an-object", V3, "[1]"),
        call("400-name-twice", V3, "{\"limit\":1,\"limit\":2}"),
        call("400-wrong-type", V3, "{\"limit\":\"20\"}"),
        call("400-wrong-value", V33, "{\"event_category\":\"device\",\"age\":86401}"),
        call("400-missing", V33, "{}"),
        call("400-dates", V3, "{\"start_date\":\"01/12/2026\",\"end_date\":\"01/12/2026\"}"),
        call("400-window", V33, "{\"event_category\":\"device\",\"start_time\":2,\"end_time\":1}"),
        call("400-filter", V33, "{\"event_category\":\"webhook\",\"filter\":{\"events\":\"unseen\"}}"),
        call("400-page-token", V33, "{\"event_category\":\"device\",\"token\":\"altered\"}"),
        ("400-escape", "GET", format!("{V2}?page=%zz"), vec![bearer.clone()], ""),
        ("400-line", "GET", V2.to_owned(), vec![bearer.clone(), ("x-long", "x".repeat(9000))], ""),
        token("400-missing-grant-type", &client),
        token("400-unsupported-grant-type", &format!("{client}&grant_type=password")),
        token("400-bad-code", &format!("{client}&grant_type=authorization_code&code=abcdef")),
        token("400-bad-refresh-token", &format!("{client}&grant_type=refresh_token&refresh_token=abc")),
        (
            "400-redirect",
            "GET",
            format!("/o/oauth/authorize?client_id={CLIENT}&response_type=code&redirect_uri=https://evil.example/"),
            vec![],
            "",
        ),
        (
            "400-response-type",
            "GET",
            format!("/o/oauth/authorize?client_id={CLIENT}&response_type=token&redirect_uri=http://localhost/"),
            vec![],
            "",
        ),
        call("406-limit-v3", V3, "{\"limit\":51}"),
        call("406-limit-v3.3", V33, "{\"event_category\":\"device\",\"limit\":101}"),
        ("406-limit-v2", "GET", format!("{V2}?limit=51"), vec![bearer.clone()], ""),
        call("413-page", V3, "{\"page\":9999}"),
        ("413-page-v2", "GET", format!("{V2}?page=9999"), vec![bearer.clone()], ""),
    ]
}

async fn new_token(mock: &Mock) -> String {
    let form = format!("client_id={CLIENT}&client_secret={SECRET}&grant_type=client_credentials");
    mock.form(&form).await.ok()["access_token"].as_str().expect("a string").to_owned()
}

#[tokio::test]
async fn every_error_response_matches_its_golden_file() {
    for (name, method, target, headers, body) in rows() {
        // A separate mock for each row, so that the rows are independent.
        let mock = Mock::new("");
        let mut issued = String::new();
        if name == "401-expired-token" {
            issued = new_token(&mock).await;
            mock.advance(12 * 3600);
        }
        if name == "429-quota" {
            issued = new_token(&mock).await;
            for _ in 0..10 {
                mock.post_as(&issued, V33, "{}").await;
            }
        }
        let fill = |text: &str| text.replace("EXPIRED", &issued).replace("SPENT", &issued);
        let mut request = Request::builder().method(method).uri(fill(&target));
        let mut text = format!("{method} {}\n", fill(&target));
        for (header, value) in &headers {
            request = request.header(*header, fill(value));
            text += &format!("{header}: {}\n", fill(value));
        }
        let answer = mock.send(request.body(Bytes::from(body)).expect("a request")).await;
        assert_eq!(answer.refusal().0.to_string(), name[..3], "{name}");
        let text = text.replace(&"x".repeat(9000), "x (9000 times)") + "\n" + body + "\n\n" + &answer.printed();
        expect_file![format!("{}/fixtures/refusals/{name}.http", env!("CARGO_MANIFEST_DIR"))].assert_eq(&text);
    }
}

#[test]
fn every_golden_file_is_used() {
    let directory = format!("{}/fixtures/refusals", env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(directory).expect("the directory of golden files");
    let files: BTreeSet<String> =
        files.map(|file| file.expect("a file").file_name().into_string().expect("a name in UTF-8")).collect();
    let named: BTreeSet<String> = rows().iter().map(|(name, ..)| format!("{name}.http")).collect();
    assert_eq!(files, named);
}
