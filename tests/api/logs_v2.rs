//! `GET /o/api/v2/logs`

use serde_json::Value;

use crate::harness::{Mock, Row};

fn lines(page: &Value) -> Vec<(String, String)> {
    let days = page["logs"].as_array().expect("logs is an array");
    let line = |line: &Value| line.as_str().expect("an entry is a string").to_owned();
    days.iter()
        .flat_map(|day| {
            let date = line(&day["date"]);
            day["eventlog"]
                .as_array()
                .expect("eventlog is an array")
                .iter()
                .map(move |entry| (date.clone(), line(entry)))
        })
        .collect()
}

#[tokio::test]
async fn the_default_is_one_device_event() {
    let mock = Mock::unlimited();
    let default = mock.v2("").await.ok();
    assert_eq!(lines(&default).len(), 1);
    assert_eq!(default, mock.v2("limit=1&page=1&event_type=1").await.ok());
}

#[tokio::test]
async fn a_limit_counts_entries_not_days() {
    let mock = Mock::unlimited();
    for limit in [1, 10, 50] {
        assert_eq!(lines(&mock.v2(&format!("limit={limit}")).await.ok()).len(), limit);
    }
}

#[tokio::test]
async fn entries_have_the_documented_format() {
    let mock = Mock::unlimited();
    let page = mock.v2("limit=50").await.ok();
    let days: Vec<&str> =
        page["logs"].as_array().expect("logs").iter().map(|day| day["date"].as_str().expect("a date")).collect();
    assert_eq!(days[0], "Jan 15, 2026 ", "the trailing space is part of the vendor's format");
    for (_, line) in lines(&page) {
        let parts: Vec<&str> = line.split('|').collect();
        let [time, half, agent, hostname, description] = parts[..] else { panic!("{line} does not have five parts") };
        assert!(time.len() == 5 && time.as_bytes()[2] == b':' && time < "12:60", "{line}");
        assert!(half == "AM" || half == "PM", "{line}");
        assert!(agent.contains(" (Version ") && agent.ends_with(')'), "{line}");
        assert!(!hostname.is_empty() && !description.is_empty(), "{line}");
    }
    for (_, line) in lines(&mock.v2("limit=50&event_type=2").await.ok()) {
        let parts: Vec<&str> = line.split('|').collect();
        assert_eq!((parts.len(), parts[2]), (5, "Administrator"), "{line}");
        assert!(parts[3].contains('@'), "{line}");
    }
}

#[tokio::test]
async fn all_page_sizes_give_the_same_entries() {
    let mock = Mock::new("--rate-limit off --devices 20");
    for event_type in [1, 2] {
        let mut walks = Vec::new();
        for limit in [50, 1, 7, 33] {
            let mut walk = Vec::new();
            for page in 1.. {
                let answer = mock.v2(&format!("event_type={event_type}&limit={limit}&page={page}")).await;
                if answer.status == 413 || walk.len() > 200 {
                    break;
                }
                walk.extend(lines(&answer.ok()));
            }
            walk.truncate(200);
            walks.push(walk);
        }
        assert!(walks[0].len() > 50);
        assert!(walks.iter().all(|walk| *walk == walks[0]), "event type {event_type}");
    }
}

#[tokio::test]
async fn the_retention_limits_the_pages() {
    for (flags, least, most) in
        [("--devices 3 --retention-days 1", 0, 20), ("--devices 3 --retention-days 30", 40, 400)]
    {
        let mock = Mock::new(&format!("--rate-limit off {flags}"));
        let mut entries = 0;
        for page in 1.. {
            let answer = mock.v2(&format!("limit=50&page={page}")).await;
            if answer.status == 413 {
                break;
            }
            entries += lines(&answer.ok()).len();
        }
        assert!((least..=most).contains(&entries), "{entries} entries with {flags}");
    }
}

#[tokio::test]
async fn invalid_values_get_an_error_with_the_parameter_name() {
    let mock = Mock::unlimited();
    let rows: [Row; 19] = [
        ("limit=51", 406, "not_acceptable", "limit must be at most 50, got 51"),
        ("limit=9223372036854775807", 406, "not_acceptable", "limit must be at most 50, got 9223372036854775807"),
        ("limit=0", 400, "invalid_request", "limit must be an integer from 1 to 50, got 0"),
        ("limit=-1", 400, "invalid_request", "limit must be an integer from 1 to 50, got -1"),
        ("limit=1.5", 400, "invalid_request", "limit must be an integer from 1 to 50, got \"1.5\""),
        ("limit=ten", 400, "invalid_request", "limit must be an integer from 1 to 50, got \"ten\""),
        ("limit=", 400, "invalid_request", "limit must be an integer from 1 to 50, got \"\""),
        ("limit=%20", 400, "invalid_request", "limit must be an integer from 1 to 50, got \" \""),
        ("limit", 400, "invalid_request", "limit must be an integer from 1 to 50, got \"\""),
        (
            "limit=9223372036854775808",
            400,
            "invalid_request",
            "limit must be an integer from 1 to 50, got \"9223372036854775808\"",
        ),
        ("page=0", 400, "invalid_request", "page must be an integer from 1, got 0"),
        ("page=-5", 400, "invalid_request", "page must be an integer from 1, got -5"),
        ("page=x", 400, "invalid_request", "page must be an integer from 1, got \"x\""),
        (
            "event_type=3",
            400,
            "invalid_request",
            "event_type must be 1 (device events) or 2 (administrator events), got 3",
        ),
        (
            "event_type=device",
            400,
            "invalid_request",
            "event_type must be 1 (device events) or 2 (administrator events), got \"device\"",
        ),
        // An invalid value has precedence over a limit that is too large.
        ("limit=51&page=0", 400, "invalid_request", "page must be an integer from 1, got 0"),
        ("page=%zz", 400, "invalid_request", "A parameter has %zz where % and two hexadecimal digits belong"),
        ("page=%C3%28", 400, "invalid_request", "A parameter is not UTF-8 when its escapes are decoded"),
        (
            "page=9223372036854775807",
            413,
            "page_out_of_range",
            "There is nothing on page 9223372036854775807: it is beyond the last page, or there is no data to return",
        ),
    ];
    for (params, status, error, description) in rows {
        println!("{params}");
        mock.v2(params).await.assert_refused(status, error, description);
    }
}

#[tokio::test]
async fn unknown_parameters_are_ignored_and_the_first_duplicate_is_used() {
    let mock = Mock::unlimited();
    let three = mock.v2("limit=3").await.ok();
    for params in
        ["limit=3&verify=True", "limit=3&limit=7", "limit=3&limit=bad", "&&limit=3&", "li%6Dit=%33", "x=&limit=3"]
    {
        assert_eq!(mock.v2(params).await.ok(), three, "{params}");
    }
}

#[tokio::test]
async fn an_empty_history_has_no_page() {
    let mock = Mock::new("--rate-limit off --devices 0");
    let nothing = "There is nothing on page 1: it is beyond the last page, or there is no data to return";
    mock.v2("").await.assert_refused(413, "page_out_of_range", nothing);
    assert_eq!(lines(&mock.v2("event_type=2").await.ok()).len(), 1);
}
