//! Fault rules that answer for paths and methods, also for those that are not emulated.

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, TOKEN};

impl Client {
    async fn rule(&self, rule: Value) {
        self.control("PUT", "/faults", rule).await.ok();
    }

    async fn ask(&self, method: &str, target: &str, token: Option<&str>, body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(target).header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.send(request.body(Bytes::from(body.to_owned())).expect("a request")).await
    }
}

#[tokio::test]
async fn a_stub_answers_where_there_would_be_404() {
    let client = Client::new();
    client
        .rule(json!({
            "match": { "method": "GET", "path": "/o/api/v9/reports/*" },
            "fault": { "status": 201, "body": r#"{"reports":[]}"#, "headers": { "X-Page": "1", "ETag": "\"a\"" } },
        }))
        .await;
    let answer = client.ask("GET", "/o/api/v9/reports/a/b", Some(TOKEN), "").await;
    assert_eq!((answer.status, answer.text()), (201, r#"{"reports":[]}"#));
    assert_eq!((answer.header("x-page"), answer.header("etag")), (Some("1"), Some("\"a\"")));
    assert_eq!(answer.header("x-mock-fault"), Some("fault-1"));
    // Another method, another path, and no token.
    assert_eq!(client.ask("POST", "/o/api/v9/reports/a", Some(TOKEN), "").await.status, 404);
    assert_eq!(client.ask("GET", "/o/api/v9/report", Some(TOKEN), "").await.status, 404);
    assert_eq!(client.ask("GET", "/o/api/v9/reports/a", None, "").await.status, 401);
    let requests = client.get("/accounts/default/requests").await;
    let faults: Vec<&Value> =
        requests["requests"].as_array().expect("requests").iter().map(|request| &request["fault"]).collect();
    assert_eq!(faults, [&json!("fault-1"), &Value::Null, &Value::Null, &Value::Null]);
}

/// Also on a path of an API, and with the method that the API does not have.
#[tokio::test]
async fn a_stub_stands_before_an_api() {
    let client = Client::new();
    client
        .rule(json!([
            { "match": { "path": "/o/api/v3.3/logs", "method": "POST" }, "fault": { "body": "mine" } },
            { "match": { "path": "/o/api/v3.3/logs", "method": "DELETE" }, "fault": { "status": 204 } },
        ]))
        .await;
    assert_eq!(client.v33(json!({"event_category":"device"})).await.text(), "mine");
    assert_eq!(client.ask("DELETE", "/o/api/v3.3/logs", Some(TOKEN), "").await.status, 204);
    assert_eq!(client.ask("PATCH", "/o/api/v3.3/logs", Some(TOKEN), "").await.status, 405);
}

#[tokio::test]
async fn a_stub_before_the_token_check_answers_any_request() {
    let client = Client::new();
    client
        .rule(json!([
            { "match": { "path": "/elsewhere/*", "needs_token": false }, "fault": { "body": "open" } },
            { "match": { "path": "/o/api/v9/open", "needs_token": false }, "fault": { "body": "open" } },
            { "match": { "path": "/o/api/v3.3/logs", "needs_token": false, "nth": 2 }, "fault": { "status": 503 } },
        ]))
        .await;
    for (target, token) in [("/elsewhere/x", None), ("/o/api/v9/open", None), ("/o/api/v9/open", Some("no such token"))]
    {
        assert_eq!(client.ask("GET", target, token, "").await.text(), "open", "{target} {token:?}");
    }
    let query = r#"{"event_category":"device"}"#;
    let statuses = [
        client.ask("POST", "/o/api/v3.3/logs", None, query).await.status,
        client.ask("POST", "/o/api/v3.3/logs", None, query).await.status,
        client.ask("POST", "/o/api/v3.3/logs", Some(TOKEN), query).await.status,
    ];
    assert_eq!(statuses, [401, 503, 200]);
}

#[tokio::test]
async fn the_body_of_a_stub_has_parts_of_the_request() {
    let client = Client::new();
    let body = r#"{"id":{{ path.id }},"first":{{ json.ids[0] }},"all":{{ json.ids }},"q":{{ query.q }},"at":{{ now }},"by":{{ method }},"n":{{ json.ids|length }}}"#;
    client
        .rule(json!({
            "match": { "path": "/o/api/v9/devices/{id}/links" },
            "fault": { "body": body, "template": true },
        }))
        .await;
    let answer = client.ask("POST", "/o/api/v9/devices/A1/links?q=x%20y", Some(TOKEN), r#"{"ids":["a\"b","c"]}"#).await;
    let expected = json!({
        "id": "A1", "first": "a\"b", "all": ["a\"b", "c"], "q": "x y", "at": "2026-01-15T12:00:00Z", "by": "POST", "n": 2,
    });
    assert_eq!(answer.json(), expected);
    // What the request does not have is an error that says so.
    let answer = client.ask("POST", "/o/api/v9/devices/A1/links", Some(TOKEN), "{}").await;
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("fault.body cannot be rendered: the request has no json.ids"), "{}", answer.text());
    // A request that cannot be read is refused, and the answer names the rule.
    let answer = client.ask("POST", "/o/api/v9/devices/A1/links?q=%FF", Some(TOKEN), "{}").await;
    assert_eq!((answer.status, answer.header("x-mock-fault")), (400, Some("fault-1")), "{}", answer.text());
    // Other content types have values as they are.
    client
        .rule(json!({
            "match": { "path": "/o/api/v9/text" },
            "fault": { "body": "<b>{{ json.name }}</b>", "template": true, "content_type": "text/html" },
        }))
        .await;
    let answer = client.ask("POST", "/o/api/v9/text", Some(TOKEN), r#"{"name":"x"}"#).await;
    assert_eq!((answer.text(), answer.header("content-type")), ("<b>x</b>", Some("text/html")));
}

/// A template cannot run for long, and its result has a maximum size.
#[tokio::test]
async fn a_template_has_limits() {
    let client = Client::new();
    let list = format!("[{}0]", "0,".repeat(999));
    let text = "x".repeat(1_000);
    for (template, why) in [
        ("{% for a in json %}{% for b in json %}{% endfor %}{% endfor %}".to_owned(), "ran out of fuel"),
        ("{% for a in json %}".to_owned() + &text + &text + "{% endfor %}", "the body is larger than 1048576 bytes"),
    ] {
        let fault = json!({ "body": template, "template": true, "content_type": "text/plain" });
        client.rule(json!({ "match": { "path": "/o/api/v9/x" }, "fault": fault })).await;
        let answer = client.ask("POST", "/o/api/v9/x", Some(TOKEN), &list).await;
        assert_eq!(answer.status, 500);
        assert!(answer.text().contains(why), "{}", answer.text());
    }
}

/// A rule before the token check that only delays is still the one rule that applies.
#[tokio::test]
async fn one_rule_applies_also_with_one_before_the_token_check() {
    let client = Client::new();
    client
        .rule(json!([
            { "name": "early", "match": { "api": "groups", "needs_token": false }, "fault": { "headers": { "X-Early": "1" } }, "times": 1 },
            { "name": "late", "match": { "api": "groups" }, "fault": { "status": 503 } },
        ]))
        .await;
    let first = client.post_as(TOKEN, "/o/api/v3/groups", json!({})).await;
    assert_eq!((first.status, first.header("x-early"), first.header("x-mock-fault")), (200, Some("1"), Some("early")));
    let second = client.post_as(TOKEN, "/o/api/v3/groups", json!({})).await;
    assert_eq!((second.status, second.header("x-mock-fault")), (503, Some("late")));
    let requests = client.get("/accounts/default/requests").await;
    let faults: Vec<&Value> =
        requests["requests"].as_array().expect("requests").iter().map(|request| &request["fault"]).collect();
    assert_eq!(faults, [&json!("early"), &json!("late")]);
    let rules = client.get("/accounts/default/faults").await;
    assert_eq!((&rules["faults"][1]["seen"], &rules["faults"][1]["applied"]), (&json!(2), &json!(1)));
}

/// A path of a rule can be one path of an API with a name in its path, or its template.
#[tokio::test]
async fn a_rule_can_have_an_api_and_one_of_its_paths() {
    let client = Client::new();
    for path in ["/o/api/v2.2/devices/A1/delete", "/o/api/v2.2/devices/{id}/delete", "/o/api/v2.2/*"] {
        client.rule(json!({ "match": { "api": "delete-device", "path": path }, "fault": { "status": 503 } })).await;
        assert_eq!(client.ask("POST", "/o/api/v2.2/devices/A1/delete", Some(TOKEN), "").await.status, 503, "{path}");
    }
}

/// As the documentation says: without conditions, a rule reaches all requests with a valid token.
#[tokio::test]
async fn a_rule_without_conditions_reaches_unknown_paths() {
    let client = Client::new();
    client.rule(json!({ "fault": { "status": 503 } })).await;
    for target in ["/o/api/v9/nothing", "/o/api/v3/groups", "/o/api/v2/account"] {
        assert_eq!(client.ask("GET", target, Some(TOKEN), "").await.status, 503, "{target}");
    }
    assert_eq!(client.ask("GET", "/o/api/v9/nothing", None, "").await.status, 401);
    client.rule(json!({ "fault": { "delay_ms": 1 } })).await;
    let answer = client.ask("GET", "/o/api/v9/nothing", Some(TOKEN), "").await;
    assert_eq!((answer.status, answer.header("x-mock-fault")), (404, Some("fault-1")));
}

#[tokio::test]
async fn headers_of_a_rule_are_added_to_the_answer_of_an_api() {
    let client = Client::new();
    client
        .rule(json!({ "match": { "api": "groups" }, "fault": { "headers": { "Cache-Control": "max-age=60" } } }))
        .await;
    let answer = client.post_as(TOKEN, "/o/api/v3/groups", json!({})).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("max-age=60")));
    assert!(answer.json().is_array());
}

#[tokio::test]
async fn wrong_conditions_headers_and_templates_are_refused_with_the_name_of_the_field() {
    let client = Client::new();
    let path = "a path from /, in which {name} is one segment and * is any text";
    for (matches, fault, detail) in [
        (
            json!({"method":"get"}),
            json!({}),
            r#"match.method must be a method in capitals, such as GET or POST, got "get""#.to_owned(),
        ),
        (json!({"path":"x"}), json!({}), format!(r#"match.path must be {path}, got "x""#)),
        (json!({"path":"/o/api/x?a=1"}), json!({}), format!(r#"match.path must be {path}, got "/o/api/x?a=1""#)),
        (json!({"path":"/{a}/{a}"}), json!({}), format!("match.path must be {path}, got {{a}} twice")),
        (
            json!({"path":"/_mock/x","needs_token":false}),
            json!({}),
            "match.path must not be one of the control surface".to_owned(),
        ),
        (
            json!({"path":"/elsewhere"}),
            json!({}),
            "match.needs_token must be false for a path outside of /o/api, which has no token check".to_owned(),
        ),
        (json!({"needs_token":false}), json!({}), "match.needs_token comes with match.path or match.api".to_owned()),
        (
            json!({"path":"/o/api/v2/logs","api":"logs-v3.3"}),
            json!({}),
            r#"match.path must match a path of match.api (/o/api/v3.3/logs), got "/o/api/v2/logs""#.to_owned(),
        ),
        (
            json!({"api":"groups","needs_token":false}),
            json!({"expire_token":true}),
            "fault.expire_token is about the token of a request, and match.needs_token is false".to_owned(),
        ),
        (json!({}), json!({"headers":{"X-A":"1","x-a":"2"}}), "fault.headers must not have a name twice".to_owned()),
        (
            json!({}),
            json!({"headers":{"Content-Length":"1"}}),
            "fault.headers must not have Content-Length, which has a field of its own or is set".to_owned(),
        ),
        (
            json!({}),
            json!({"headers":{"X-A":"a\nb"}}),
            "fault.headers.X-A must be at most 1000 visible ASCII characters".to_owned(),
        ),
        (
            json!({}),
            json!({"status":205,"body":"x"}),
            "fault.status 204, 205 and 304 have no body: nothing that changes one can come with them".to_owned(),
        ),
        (json!({}), json!({"template":true}), "fault.template comes with fault.body only".to_owned()),
    ] {
        let mut fault = fault;
        if fault == json!({}) {
            fault = json!({"status":503});
        }
        let rule = json!({"match":matches,"fault":fault});
        client.control("PUT", "/faults", rule).await.assert_problem(400, &detail);
    }
    // What could build values of any size.
    for (body, why) in [
        ("{{ 'x' * 3000000 }}", "the operators + * ~ are not supported, got * in line 1"),
        ("a\n{{ json.l + json.l }}", "the operators + * ~ are not supported, got + in line 2"),
        ("{{ json.a ~ json.a }}", "the operators + * ~ are not supported, got ~ in line 1"),
        ("{%- set x = json.l %}", "the statements are if, elif, else, endif, for, endfor, got \"set\" in line 1"),
        (
            "{% macro x() %}{% endmacro %}",
            "the statements are if, elif, else, endif, for, endfor, got \"macro\" in line 1",
        ),
        ("{{ json.ids|join }}", "the filters are default, first, last, length, lower, upper, got \"join\" in line 1"),
        (
            "{% if json.a %}\n{{ json.a | first|tojson }}{% endif %}",
            "the filters are default, first, last, length, lower, upper, got \"tojson\" in line 2",
        ),
        ("{{ path.id }}", "match.path has no {id}, which path.id needs"),
        ("{{ body.id }}", "the names are json, path, query, method and now, got body"),
    ] {
        let rule = json!({"fault":{"body":body,"template":true}});
        let detail = format!("fault.body must be a template: {why}");
        client.control("PUT", "/faults", rule).await.assert_problem(400, &detail);
    }
    let answer = client.control("PUT", "/faults", json!({"fault":{"body":"{{ range(9) }}","template":true}})).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    for body in ["{{ \"a + b\" }} * +", "{# + * #}{{ json.a|default('~') -}}", "{% if json.a -%} 1 + 1 {%- endif +%}"] {
        client.rule(json!({"fault":{"body":body,"template":true}})).await;
    }
    let unclosed = json!({"fault":{"body":"{% for a in b %}","template":true}});
    let refused = client.control("PUT", "/faults", unclosed).await;
    let text = refused.text();
    assert!(refused.status == 400 && text.contains("fault.body must be a template: syntax error"), "{text}");
}

/// Filters that build texts from lists, of any size, are not there.
#[tokio::test]
async fn a_template_has_few_filters() {
    let client = Client::new();
    for (body, expected) in [
        ("{{ json.ids|first }}{{ json.ids|last|upper }}{{ json.none|default('x') }}", Some(r#""a""B""x""#)),
        ("{{ json.none|first }}", None),
    ] {
        client.rule(json!({ "match": { "path": "/o/api/v9/x" }, "fault": { "body": body, "template": true } })).await;
        let answer = client.ask("POST", "/o/api/v9/x", Some(TOKEN), r#"{"ids":["a","b"]}"#).await;
        assert_eq!(
            (answer.status, expected.is_none_or(|text| answer.text() == text)),
            (if expected.is_some() { 200 } else { 500 }, true),
            "{body}: {}",
            answer.text()
        );
    }
}
