//! Each profile key selects the alternative behaviour.

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, NOW_SECONDS, TOKEN, V3};

async fn with(key: &str, value: Value) -> Client {
    let mock = Client::new();
    mock.control("PUT", "/quota", json!("off")).await.ok();
    mock.control("PATCH", "", json!({"profile":{key:value}})).await.ok();
    assert_eq!(mock.get("/accounts/default").await["profile"][key], value);
    mock
}

async fn usual() -> Client {
    with("order", json!("desc")).await
}

fn device(age: i64) -> Value {
    json!({"event_category":"device","age":age,"limit":100})
}

fn timestamps(answer: &Answer) -> Vec<String> {
    answer.ok()["data"]
        .as_array()
        .expect("data")
        .iter()
        .map(|row| row["timestamp"].as_str().expect("a time").to_owned())
        .collect()
}

#[tokio::test]
async fn unknown_keys_and_values_get_an_error_with_the_key() {
    let mock = Client::new();
    let keys: Vec<&str> = opswat_mock::account::profile::Profile::KEYS.iter().map(|(key, _)| *key).collect();
    let unknown = format!("The body: profile: unknown key oder; the keys are {}", keys.join(", "));
    for (profile, detail) in [
        (json!({"oder":"asc"}), unknown.as_str()),
        (json!({"order":"up"}), "The body: profile: order must be desc or asc, got \"up\""),
        (json!({"order":"asc","charset":null}), "The body: profile: charset must be utf-8 or none, got null"),
        (
            json!({"token_life_seconds":0}),
            "The body: profile: token_life_seconds must be a whole number from 1 (43200 by default), got 0",
        ),
    ] {
        let answer = mock.control("PATCH", "", json!({"profile":profile})).await;
        let got = answer.json()["detail"].as_str().expect("a detail").to_owned();
        assert_eq!((answer.status, got.split(" at line").next()), (400, detail.split(" at line").next()));
    }
    assert_eq!(mock.get("/accounts/default").await["profile"]["order"], "desc", "a rejected change was applied");
}

#[tokio::test]
async fn empty_page() {
    let mock = with("empty_page", json!("200")).await;
    assert_eq!(mock.v3(json!({"page":9999})).await.ok(), json!([]));
    assert_eq!(mock.v2("page=9999").await.ok(), json!({"logs":[]}));
}

#[tokio::test]
async fn after_last_page() {
    let mock = with("after_last_page", json!("413")).await;
    let mut query = device(3600);
    let page = mock.v33(query.clone()).await.ok();
    query["token"] = page["token"].clone();
    let after = mock.v33(query).await;
    assert_eq!((after.status, &after.json()["error"]), (413, &json!("page_out_of_range")));
}

#[tokio::test]
async fn order() {
    let (mock, usual) = (with("order", json!("asc")).await, usual().await);
    let mut newest_first = timestamps(&usual.v33(device(86_400)).await);
    newest_first.reverse();
    let all = mock.walk(device(86_400)).await;
    let times: Vec<&str> = all.iter().map(|row| row["timestamp"].as_str().expect("a time")).collect();
    assert!(times.is_sorted());
    assert_eq!(&times[times.len() - newest_first.len()..], newest_first);
    let first = mock.v3(json!({"limit":1})).await.ok();
    let mut all = Vec::new();
    for page in 1.. {
        let answer = usual.v3(json!({"page":page})).await;
        if answer.status == 413 {
            break;
        }
        all.extend(answer.ok().as_array().expect("rows").clone());
    }
    assert_eq!(first[0], all[all.len() - 1]);
}

#[tokio::test]
async fn window_end() {
    let (mock, usual) = (with("window_end", json!("exclusive")).await, usual().await);
    let newest = timestamps(&usual.v33(device(86_400)).await)[0].clone();
    let end = newest.parse::<jiff::Timestamp>().expect("an instant").as_millisecond();
    let query = json!({"event_category":"device","start_time":end - 1000,"end_time":end});
    assert_eq!((timestamps(&usual.v33(query.clone()).await).len(), timestamps(&mock.v33(query).await).len()), (1, 0));
}

#[tokio::test]
async fn reversed_window() {
    let mock = with("reversed_window", json!("empty")).await;
    let query = json!({"event_category":"device","start_time":2_000_000_000_000_i64,"end_time":1_000_000_000_000_i64});
    assert_eq!(mock.v33(query).await.ok(), json!({"data":[],"token":""}));
}

#[tokio::test]
async fn inapplicable_filter() {
    let mock = with("inapplicable_filter", json!("reject")).await;
    for (category, filter, named) in [
        ("admin", json!({"search":"x"}), "filter.search"),
        ("webhook", json!({"agent_types":[0]}), "filter.agent_types"),
        ("device_report", json!({"events":"added"}), "filter.events"),
    ] {
        let refused = mock.v33(json!({"event_category":category,"filter":filter})).await;
        let description = refused.json()["error_description"].as_str().expect("a description").to_owned();
        assert!(refused.status == 400 && description.starts_with(named), "{description}");
        assert_eq!(usual().await.v33(json!({"event_category":category,"filter":filter})).await.status, 200);
    }
    assert_eq!(
        mock.v33(json!({"event_category":"device","filter":{"search":"x","agent_types":[0],"events":""}})).await.status,
        200
    );
}

#[tokio::test]
async fn more_than_limit() {
    let mock = with("more_than_limit", json!("406")).await;
    let refused = mock.v33(json!({"event_category":"device","age":86400,"limit":5})).await;
    assert_eq!(
        (refused.status, &refused.json()["error_description"]),
        (406, &json!("There are more event logs than limit (5) asks for"))
    );
    assert_eq!(mock.v2("limit=1").await.status, 406);
    assert_eq!(mock.v3(json!({"limit":1})).await.status, 406);
    assert_eq!(mock.v3(json!({"limit":1,"search":"a"})).await.status, 406);
    let few = mock.v33(json!({"event_category":"device","age":300,"limit":100})).await;
    assert_eq!(few.status, 200, "the window has fewer entries than the limit");
}

#[tokio::test]
async fn limit_with_token() {
    for (value, expected) in [("given", 7), ("first", 3)] {
        let mock = with("limit_with_token", json!(value)).await;
        let page = mock.v33(json!({"event_category":"device","age":86400,"limit":3})).await.ok();
        let next = json!({"event_category":"device","age":86400,"limit":7,"token":page["token"]});
        assert_eq!(timestamps(&mock.v33(next).await).len(), expected, "{value}");
    }
}

#[tokio::test]
async fn reset_time() {
    let mock = with("reset_time", json!("seconds")).await;
    mock.control("PUT", "/quota", json!({"enabled":true})).await.ok();
    assert_eq!(mock.v2("").await.number("x-ratelimit-reset-time"), 6);
    assert_eq!(mock.v2("").await.number("x-ratelimit-reset-time"), 12);
}

#[tokio::test]
async fn details() {
    let expected = usual().await.v33(device(86_400)).await.ok();
    for (value, details) in [("label", "Access revoked"), ("empty", "")] {
        let mock = with("details", json!(value)).await;
        let page = mock.v33(device(86_400)).await.ok();
        for (row, usual) in
            page["data"].as_array().expect("data").iter().zip(expected["data"].as_array().expect("data"))
        {
            assert_eq!(row["event"], usual["event"]);
            assert!(row["event"] != "access_revoked" || row["details"] == details, "{row}");
            assert_ne!(row["details"], usual["details"]);
        }
        // The truth has the rows that the API returns.
        let truth = mock.get("/accounts/default/events?category=device&from=2026-01-14T12:00:00Z").await;
        let newest = truth["events"].as_array().expect("events").last().expect("an event");
        assert_eq!(newest["details"], page["data"][0]["details"]);
    }
}

#[tokio::test]
async fn time_zone() {
    // This seed gives a company that is not in UTC.
    let zone = -5;
    let seed = (0..100).find(|&seed| opswat_mock::world::World::zone_of(seed) == zone).expect("one of a hundred");
    let (mock, usual) = (with("time_zone", json!("account")).await, usual().await);
    for mock in [&mock, &usual] {
        mock.control("PATCH", "", json!({"seed":seed})).await.ok();
    }
    let read = |mock: &Client| {
        let mock = mock.clone();
        async move {
            let row = mock.v3(json!({"limit":1})).await.ok()[0]["timestamp"].as_str().expect("a time").to_owned();
            jiff::civil::DateTime::strptime("%b %d, %Y %I:%M:%S %p", row).expect("a time")
        }
    };
    let ahead = read(&usual).await.duration_since(read(&mock).await);
    assert_eq!(ahead.as_hours(), 5);
    // A day of the company starts five hours after the UTC day.
    let day = json!({"start_date":"01/13/2026","end_date":"01/14/2026","limit":1});
    assert_ne!(mock.v3(day.clone()).await.ok(), usual.v3(day).await.ok());
    assert_eq!(
        mock.v33(device(86_400)).await.ok()["data"],
        usual.v33(device(86_400)).await.ok()["data"],
        "v3.3 is in UTC"
    );
}

#[tokio::test]
async fn activity_hour() {
    let hour = |row: &Value| {
        row["timestamp"]
            .as_str()
            .and_then(|time| time.split(' ').nth(3))
            .and_then(|time| time.split(':').next())
            .expect("an hour")
            .to_owned()
    };
    let rows = with("activity_hour", json!("padded")).await.v3(json!({})).await.ok();
    assert!(rows.as_array().expect("rows").iter().all(|row| hour(row).len() == 2));
    let (usual, mut lengths) = (usual().await, Vec::new());
    for page in 1..=6 {
        let rows = usual.v3(json!({"page":page})).await.ok();
        lengths.extend(rows.as_array().expect("rows").iter().map(|row| hour(row).len()));
    }
    assert!(lengths.contains(&1) && lengths.contains(&2));
}

async fn issued(mock: &Client) -> Value {
    let account = mock.get("/accounts/default").await;
    mock.token_of(account["client_id"].as_str().expect("an id"), account["client_secret"].as_str().expect("a secret"))
        .await
        .ok()
}

async fn refreshed(mock: &Client, token: &Value) -> Answer {
    let account = mock.get("/accounts/default").await;
    let field = |name: &str| account[name].as_str().expect("a text").to_owned();
    let query = format!(
        "grant_type=refresh_token&client_id={}&client_secret={}&refresh_token={}",
        field("client_id"),
        field("client_secret"),
        token.as_str().expect("a token")
    );
    mock.send(Request::get(format!("/o/oauth/token?{query}")).body(Bytes::new()).expect("a request")).await
}

#[tokio::test]
async fn token_reissue() {
    let mock = with("token_reissue", json!("new")).await;
    let (first, second) = (issued(&mock).await, issued(&mock).await);
    assert_ne!(first["access_token"], second["access_token"]);
    for token in [first, second] {
        assert_eq!(mock.v2_as(token["access_token"].as_str().expect("a token"), "").await.status, 200);
    }
}

#[tokio::test]
async fn client_refresh_token() {
    let mock = with("client_refresh_token", json!("given")).await;
    let token = issued(&mock).await["refresh_token"].clone();
    let renewed = refreshed(&mock, &token).await.ok();
    assert_eq!(renewed["refresh_token"], token);
    assert!(
        usual().await.account().describe().profile.client_refresh_token
            != mock.account().describe().profile.client_refresh_token
    );
}

#[tokio::test]
async fn refresh_token_use() {
    for (value, again) in [("many", 200), ("once", 400)] {
        let mock = with("refresh_token_use", json!(value)).await;
        mock.control("PATCH", "", json!({"profile":{"client_refresh_token":"given"}})).await.ok();
        let token = issued(&mock).await["refresh_token"].clone();
        let renewed = refreshed(&mock, &token).await.ok();
        assert_eq!(renewed["refresh_token"] == token, value == "many");
        assert_eq!(refreshed(&mock, &token).await.status, again, "{value}");
    }
}

#[tokio::test]
async fn ignored_input() {
    let wrong = json!({
        "event_category":"admin","star_time":1,"age":60,"start_time":1_768_478_400,
        "filter":{"event":"login","search":"x"},
    });
    let texts = [
        "star_time is not a field of this API",
        "filter.event is not a field of this API",
        "filter.search is ignored for admin",
        "age is ignored when start_time is given",
        "start_time must be in milliseconds since 1970; 1768478400 looks like seconds",
    ];
    let mock = with("ignored_input", json!("flag")).await;
    assert_eq!(mock.v33(wrong.clone()).await.status, 200);
    mock.v33(json!({"event_category":"admin","token":""})).await.ok();
    mock.v3(json!({"start_date":"01/01/2026","pages":2})).await.ok();
    mock.v2("limit=1&event=2").await.ok();
    let journal = mock.get("/accounts/default/requests").await;
    let ignored = |nth: usize| journal["requests"][nth]["ignored"].clone();
    assert_eq!(ignored(0), json!(texts));
    assert_eq!(ignored(1), json!([]));
    assert_eq!(ignored(2), json!(["pages is not a field of this API", "start_date is ignored without end_date"]));
    assert_eq!(ignored(3), json!(["event is not a parameter of this API"]));
    let verdict = mock.get("/accounts/default/verdict").await;
    let rule = verdict["rules"].as_array().expect("rules").iter().find(|rule| rule["rule"] == "no_ignored_input");
    assert_eq!(rule.expect("a rule")["requests"], json!([1, 3, 4]));

    let mock = with("ignored_input", json!("reject")).await;
    let refused = mock.v33(wrong.clone()).await;
    assert_eq!((refused.status, &refused.json()["error_description"]), (400, &json!(texts[0])));
    mock.v33(json!({"event_category":"admin","limit":10})).await.ok();

    let mock = Client::new();
    assert_eq!(mock.v33(wrong).await.status, 200);
    assert!(mock.get("/accounts/default/requests").await["requests"][0].get("ignored").is_none());
}

#[tokio::test]
async fn wrong_types() {
    let mock = with("wrong_types", json!("convert")).await;
    let query = json!({"event_category":"device","limit":"3","age":" 86400 "});
    assert_eq!(timestamps(&mock.v33(query.clone()).await).len(), 3);
    assert_eq!(mock.v33(json!({"event_category":"device","limit":"three"})).await.status, 400);
    assert_eq!(usual().await.v33(query).await.status, 400);
}

#[tokio::test]
async fn repeated_parameter() {
    assert_eq!(with("repeated_parameter", json!("last")).await.v2("limit=99&limit=2").await.status, 200);
    assert_eq!(usual().await.v2("limit=99&limit=2").await.status, 406);
}

#[tokio::test]
async fn charset() {
    let mock = with("charset", json!("none")).await;
    assert_eq!(mock.v2("").await.header("content-type"), Some("application/json"));
    assert_eq!(mock.v2("limit=0").await.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn quota_counts_refused() {
    for (value, left) in [(true, 5), (false, 9)] {
        let mock = with("quota_counts_refused", json!(value)).await;
        mock.control("PUT", "/quota", json!({"enabled":true})).await.ok();
        let last = async || mock.v2("").await.number("x-ratelimit-remaining");
        for params in ["limit=0", "limit=51", "page=99999", "page=%zz"] {
            let refused = mock.v2(params).await;
            let expected = if value { None } else { Some(10) };
            assert!(expected.is_none_or(|expected| refused.number("x-ratelimit-remaining") == expected), "{params}");
        }
        assert_eq!(last().await, left, "{value}");
    }
}

#[tokio::test]
async fn token_life_seconds() {
    let mock = with("token_life_seconds", json!(60)).await;
    assert_eq!(issued(&mock).await["expires_in"], 59);
    let minted = mock.control("POST", "/tokens", json!({})).await.ok();
    assert_eq!(minted["expires_at"], "2026-01-15T12:01:00Z");
}

#[tokio::test]
async fn page_token_life_seconds() {
    let mock = with("page_token_life_seconds", json!(60)).await;
    let page = mock.v33(json!({"event_category":"device","age":86400,"limit":3})).await.ok();
    let next = json!({"event_category":"device","age":86400,"limit":3,"token":page["token"]});
    mock.control("POST", "/clock/advance", json!({"seconds":59})).await.ok();
    assert_eq!(mock.v33(next.clone()).await.status, 200);
    mock.control("POST", "/clock/advance", json!({"seconds":1})).await.ok();
    assert_eq!(mock.v33(next).await.status, 400);
}

/// A profile value that is a status may be a JSON number or a string.
#[tokio::test]
async fn a_status_may_be_written_as_a_number() {
    let mock = Client::new();
    mock.control("PATCH", "", json!({"profile":{"empty_page":200,"after_last_page":413}})).await.ok();
    assert_eq!(mock.get("/accounts/default").await["profile"]["empty_page"], "200");
    assert_eq!(mock.v3(json!({"page":9999})).await.status, 200);
}

/// The creation of an account accepts a profile.
#[tokio::test]
async fn an_account_can_be_created_with_a_profile() {
    let mock = Client::new();
    mock.call(
        "POST",
        "/accounts",
        json!({"name":"acme","access_token":"acme-token","profile":{"empty_page":"200","retry_after":"seconds"}}),
    )
    .await
    .ok();
    assert_eq!(mock.post_as("acme-token", V3, json!({"page":9999})).await.ok(), json!([]));
    assert_eq!(mock.post_as(TOKEN, V3, json!({"page":9999})).await.status, 413, "the profile changed another account");
    assert_eq!(mock.get("/accounts/acme/quota").await["retry_after"], "seconds");
    assert_eq!(mock.v2("").await.number("x-ratelimit-reset-time"), NOW_SECONDS + 6);
}
