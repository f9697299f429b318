//! Properties: whatever is asked and broken, an audit tells exactly what was not served.

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use crate::connector::{HOUR, Lab, NOW, between, builder, findings, window};

/// One request of a random connector.
#[derive(Clone, Debug)]
struct Step {
    from: i64,
    length: i64,
    limit: u8,
    pages: u8,
    advance: u64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..8 * HOUR, 1..4 * HOUR, 1..=100_u8, 1..4_u8, 0..1_800_u64);
    vec(step.prop_map(|(from, length, limit, pages, advance)| Step { from, length, limit, pages, advance }), 1..12)
}

fn fault() -> impl Strategy<Value = Value> {
    let faults = [
        json!({"close":"mid-body"}),
        json!({"close":"before-headers"}),
        json!({"truncate_at":200}),
        json!({"invalid_utf8":true}),
        json!({"status":503}),
        json!({"body":"{}"}),
        json!({"rate_limit":"off"}),
        json!({"entries":"duplicate"}),
        json!({"entries":"reorder"}),
        json!({"entries":"empty"}),
        json!({"entries":"drop"}),
        json!({"repeat_page_token":true}),
        json!({"content_type":"text/html"}),
    ];
    prop::sample::select(faults.to_vec())
}

/// Runs a random connector, and returns the entries of all whole 200 answers.
async fn run(lab: &Lab, steps: &[Step]) -> Vec<Value> {
    let mut served = Vec::new();
    for step in steps {
        let from = NOW - 8 * HOUR + step.from;
        let mut query = window(from, from + step.length);
        query["limit"] = json!(step.limit);
        for _ in 0..step.pages {
            let (200, Some(page)) = lab.ask(&query).await else { break };
            let Some(data) = page["data"].as_array() else { break };
            served.extend(data.iter().cloned());
            if page["token"] == "" {
                break;
            }
            query["token"] = page["token"].clone();
        }
        lab.advance(step.advance);
    }
    served
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn an_audit_of_what_was_served_tells_what_was_not(
        seed in 0..50_u64,
        lag in prop::sample::select(vec!["0", "60", "0..900"]),
        fault in fault(),
        every in 1..6_u64,
        steps in steps(),
        injected in vec(0..8 * HOUR, 0..6),
        oldest_first in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let lab = Lab::of(builder().seed(seed).lag(lag));
            if oldest_first {
                let (status, _) = lab.patch(json!({"profile":{"order":"asc"}})).await;
                assert_eq!(status, 200);
            }
            for (nth, at) in injected.iter().enumerate() {
                let at = opswat_mock::clock::Instant::from(opswat_mock::world::Millis(NOW - at));
                lab.inject(json!({"category":"device","event":"added","device_name":format!("D{nth}"),"timestamp":at})).await;
            }
            // A broken content type does not hide the entries from this connector, but the answer does not count as whole.
            let is_unread = fault.get("content_type").is_some();
            lab.fault(json!({"match":{"every":every},"fault":fault})).await;
            let served = run(&lab, &steps).await;
            let params = between(NOW - 9 * HOUR, lab.now() + 1);
            let (_, report) = lab.control_as("POST", &format!("/audit?category=device&{params}"), "application/json", Value::from(served.clone()).to_string()).await;
            let (_, truth) = lab.control("GET", &format!("/audit?category=device&{params}"), "").await;
            let mut distinct: Vec<String> = served.iter().map(Value::to_string).collect();
            distinct.sort();
            distinct.dedup();
            let expected = report["expected"].as_u64().expect("a count");
            assert_eq!(report["matched"].as_u64(), Some(distinct.len() as u64), "{report}");
            assert_eq!(report["missing"]["count"].as_u64(), Some(expected - distinct.len() as u64));
            assert_eq!(report["duplicated"]["count"].as_u64(), Some((served.len() - distinct.len()) as u64));
            for kind in ["altered", "unknown", "unreadable", "outside"] {
                assert!(report[kind] == 0 || report[kind]["count"] == 0, "{kind}: {report}");
            }
            // Nothing that is missing was served, and no cause is unknown.
            let causes = &report["missing"]["causes"];
            assert!(causes.get("served").is_none() && causes.get("unknown").is_none(), "{causes}");
            if !is_unread {
                assert_eq!(truth["served"].as_u64(), Some(distinct.len() as u64), "{truth}");
                assert_eq!(&truth["missed"]["causes"], causes);
                assert!(report["duplicated"]["causes"].get("connector").is_none(), "{report}");
            }
        });
    }

    #[test]
    fn an_audit_of_the_truth_is_complete(seed in 0..50_u64, from in 0..24 * HOUR, length in 1..48 * HOUR) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let lab = Lab::of(builder().seed(seed).lag("0..60"));
            lab.advance(3600);
            let (from, to) = (NOW - from, (NOW - from + length).min(NOW));
            prop_assume!(from < to);
            let params = between(from, to);
            for category in ["device", "admin", "webhook", "device_report", "activity"] {
                // Both ends of the truth are included.
                let window = between(from, to - 1).replace("&examples=1000", "");
                let (_, truth) = lab.control("GET", &format!("/events?category={category}&{window}"), "").await;
                let records = truth["events"].to_string();
                let noun = format!("/audit?category={category}&{params}");
                let (_, report) = lab.control_as("POST", &noun, "application/json", records).await;
                assert_eq!(findings(&report), json!({}), "{category} {report}");
            }
            Ok(())
        })?;
    }
}
