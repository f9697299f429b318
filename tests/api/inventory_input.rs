//! Bad input to the look-ups: the status, and a sentence that names the parameter.

use serde_json::json;

use crate::harness::{Mock, Row, TOKEN};

const DEVICES_V3_3: &str = "/o/api/v3.3/devices";
const DEVICES_V3_4: &str = "/o/api/v3.4/devices";
const DETAILS: &str = "/o/api/v3.4/devices/detail";
const INFO: &str = "/o/api/v3/device_info";
const DEVICE_CVES: &str = "/o/api/v3/get_cves";
const CHANGED: &str = "/o/api/v3/devices/status_changed";
const ACTION: &str = "/o/api/v3.2/devices/action";
const POLICY_CHECK: &str = "/o/api/v2/devices/policy_check";
const IDS: &str = "ids must be an array of 1 to 50 device ids, got ";

impl Mock {
    async fn assert_refused(&self, rows: &[Row<'_>]) {
        for (request, status, error, description) in rows {
            let (path, body) = request.split_once(' ').expect("a path and a body");
            let refusal = self.post(path, body.to_owned()).await.refusal();
            assert_eq!(refusal, (*status, (*error).to_owned(), (*description).to_owned()), "{request}");
        }
    }
}

/// Rows: path and body, then what is refused.
#[tokio::test]
async fn wrong_ids_and_pages_are_refused_with_the_name_of_the_parameter() {
    let mock = Mock::unlimited();
    let many = json!({"ids": vec!["A"; 51]}).to_string();
    let many = format!("{DETAILS} {many}");
    let token_of_logs = mock.v33(json!({"event_category":"device","limit":1})).await.ok()["token"].clone();
    let foreign = format!("{DEVICES_V3_4} {}", json!({"token":token_of_logs}));
    let token_wrong = "token must be the next_token of the page before, as it was answered, of the same account and configuration, got ";
    let rows: &[Row<'_>] = &[
        (&format!("{DETAILS} {{}}"), 400, "invalid_request", "ids is required: an array of 1 to 50 device ids"),
        (&many, 400, "invalid_request", &format!("{IDS}51 ids")),
        (&format!("{DETAILS} {{\"ids\":[]}}"), 400, "invalid_request", &format!("{IDS}0 ids")),
        (&format!("{DETAILS} {{\"ids\":\"A\"}}"), 400, "invalid_request", &format!("{IDS}\"A\"")),
        (&format!("{DETAILS} {{\"ids\":[1]}}"), 400, "invalid_request", &format!("{IDS}1")),
        (
            &format!("{DETAILS} {{\"ids\":[\"A\"],\"opt\":2}}"),
            400,
            "invalid_request",
            "opt must be 0 (device ids or MAC addresses) or 1 (ids of a third party), got 2",
        ),
        (
            &format!("{DETAILS} {{\"ids\":[\"A\"],\"verbose\":1}}"),
            400,
            "invalid_request",
            "verbose must be an object of 0 and 1, got 1",
        ),
        (
            &format!("{DETAILS} {{\"ids\":[\"A\"],\"verbose\":{{\"system_info\":true}}}}"),
            400,
            "invalid_request",
            "verbose.system_info must be 0 or 1, got true",
        ),
        (&format!("{DEVICES_V3_4} {{\"limit\":51}}"), 406, "not_acceptable", "limit must be at most 50, got 51"),
        (
            &format!("{DEVICES_V3_4} {{\"limit\":0}}"),
            400,
            "invalid_request",
            "limit must be an integer from 1 to 50, got 0",
        ),
        (&format!("{DEVICES_V3_4} {{\"token\":\"AAAA\"}}"), 400, "invalid_request", &format!("{token_wrong}\"AAAA\"")),
        (
            &foreign,
            400,
            "invalid_request",
            &format!(
                "{token_wrong}{}",
                token_of_logs
                    .as_str()
                    .map(|text| format!("\"{}… ({} characters)", &text[..99], text.len() + 2))
                    .expect("a token")
            ),
        ),
        (&format!("{DEVICES_V3_3} {{\"page\":0}}"), 400, "invalid_request", "page must be an integer from 1, got 0"),
        (
            &format!("{DEVICES_V3_3} {{\"page\":99}}"),
            413,
            "page_out_of_range",
            "There is nothing on page 99: it is beyond the last page, or there is no data to return",
        ),
    ];
    mock.assert_refused(rows).await;
}

#[tokio::test]
async fn other_bad_input_is_refused_with_the_name_of_the_parameter() {
    let mock = Mock::unlimited();
    let types = "exempt, unexempt, delete, fetch_agent_log, scan_threats, ignore, unignore, dhcprenew, re-identify or assign_to_group";
    let types_missing = format!("types is required: {types}");
    let types_wrong = format!("types must be {types}, got \"reboot\"");
    let rows: &[Row<'_>] = &[
        (&format!("{DEVICE_CVES} {{}}"), 400, "invalid_request", "id is required: a device id"),
        (
            &format!("{DEVICE_CVES} {{\"id\":\"\"}}"),
            400,
            "invalid_request",
            "id must be a device id, got an empty string",
        ),
        (&format!("{DEVICE_CVES} {{\"id\":\"A\"}}"), 404, "not_found", "There is no device A in the account"),
        (
            &format!("{DEVICE_CVES} {{\"id\":\"A\",\"limit\":101}}"),
            406,
            "not_acceptable",
            "limit must be at most 100, got 101",
        ),
        (
            &format!("{DEVICE_CVES} {{\"id\":\"A\",\"verbose\":2}}"),
            400,
            "invalid_request",
            "verbose must be 0 or 1, got 2",
        ),
        (
            &format!("{DEVICE_CVES} {{\"id\":\"A\",\"filter\":{{\"severity\":[\"bad\"]}}}}"),
            400,
            "invalid_request",
            "filter.severity must be an array of critical, important, moderate, low, unknown, got \"bad\"",
        ),
        (
            &format!("{INFO} {{\"ids\":[\"A\",\"B\"]}}"),
            400,
            "invalid_request",
            "ids must be a device id, a MAC address or an id of a third party, got an array",
        ),
        (
            &format!("{INFO} {{\"ids\":\"A\",\"select\":{{\"categories\":1}}}}"),
            400,
            "invalid_request",
            "select.categories must be an array of categories, got 1",
        ),
        (
            &format!("{CHANGED} {{\"age\":86401}}"),
            400,
            "invalid_request",
            "age must be an integer of seconds from 0 to 86400, got 86401",
        ),
        (&format!("{CHANGED} {{\"limit\":51}}"), 406, "not_acceptable", "limit must be at most 50, got 51"),
        (
            &format!("{CHANGED} {{\"page\":5000}}"),
            413,
            "page_out_of_range",
            "There is nothing on page 5000: it is beyond the last page, or there is no data to return",
        ),
        (&format!("{ACTION} {{\"ids\":[\"A\"]}}"), 400, "invalid_request", &types_missing),
        (&format!("{ACTION} {{\"ids\":[\"A\"],\"types\":\"reboot\"}}"), 400, "invalid_request", &types_wrong),
        (
            &format!("{ACTION} {{\"types\":\"delete\",\"ids\":[\"A\"],\"macs\":[\"B\"]}}"),
            400,
            "invalid_request",
            "ids must be left out when macs is given, got both",
        ),
        (
            &format!("{ACTION} {{\"types\":\"exempt\",\"ids\":[\"A\"],\"params\":{{\"exempt_time\":65000}}}}"),
            400,
            "invalid_request",
            "params.exempt_time must be an integer of hours from 0 to 64999, got 65000",
        ),
        (
            &format!("{POLICY_CHECK} {{\"MAC_list\":\"02:00:00:00:00:00\"}}"),
            404,
            "not_found",
            "There is no device 02:00:00:00:00:00 in the account",
        ),
        (
            "/o/api/v3/groups {\"sort\":{\"order\":\"up\"}}",
            400,
            "invalid_request",
            "sort.order must be asc or desc, got \"up\"",
        ),
        (
            "/o/api/v3/apps/details {\"product_id\":1,\"version\":\"1.0\"}",
            404,
            "not_found",
            "There is no product 1 in version 1.0 on the devices",
        ),
        (
            "/o/api/v3.2/account {\"score_type\":\"best\"}",
            400,
            "invalid_request",
            "score_type must be opswat_score, cvss2_score or cvss3_score, got \"best\"",
        ),
        (
            "/o/api/v3.1/configuration {}",
            400,
            "invalid_request",
            "sections is required: an array of regcode, cross-domain-api",
        ),
        ("/o/api/v2.2/devices/%20x/delete {}", 404, "not_found", "There is no device  x in the account"),
    ];
    mock.assert_refused(rows).await;
    let rows: &[Row<'_>] = &[
        ("/o/api/v2.2/devices?limit=51", 406, "not_acceptable", "limit must be at most 50, got 51"),
        ("/o/api/v2.2/devices?limit=x", 400, "invalid_request", "limit must be an integer from 1 to 50, got \"x\""),
        (
            "/o/api/v2.2/devices?page=9999",
            413,
            "page_out_of_range",
            "There is nothing on page 9999: it is beyond the last page, or there is no data to return",
        ),
        (
            "/o/api/v2/devices/stats?in=1",
            400,
            "invalid_request",
            "event is required: not_seen, or a code of a device event",
        ),
        (
            "/o/api/v2/devices/stats?event=added&in=0",
            400,
            "invalid_request",
            "in must be an integer from 1 to 1000, got 0",
        ),
        (
            "/o/api/v2/devices/stats?event=added&period=week",
            400,
            "invalid_request",
            "period must be second, hour, month or ytd, got \"week\"",
        ),
        ("/o/api/v3.1/get_reports?x=1", 400, "invalid_request", "type is required: the type of a report"),
    ];
    for (target, status, error, description) in rows {
        let answer = mock.get(&format!("{target}&access_token={TOKEN}")).await;
        answer.assert_refused(*status, error, description);
    }
}

#[tokio::test]
async fn bad_input_to_smaller_look_ups_is_refused_with_the_name_of_the_parameter() {
    let mock = Mock::unlimited();
    mock.assert_refused(&[
        (
            "/o/api/v2.2/devices/%FF/delete {}",
            400,
            "invalid_request",
            "id must be a device id in UTF-8, got /o/api/v2.2/devices/%FF/delete",
        ),
        (
            &format!("{POLICY_CHECK} {{\"MAC_list\":\"00:1B:44:11:3A:B7,,x\"}}"),
            400,
            "invalid_request",
            "MAC_list must be 1 to 50 MAC addresses or device ids, in an array or separated by commas, got an empty address",
        ),
        ("/o/api/v3/get_threats {\"id\":\"A\",\"verbose\":2}", 400, "invalid_request", "verbose must be 0 or 1, got 2"),
        (
            "/o/api/v3/get_threats {\"id\":\"A\",\"limit\":\"x\"}",
            400,
            "invalid_request",
            "limit must be an integer from 1 to 100, got \"x\"",
        ),
    ])
    .await;
}
