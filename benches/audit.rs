//! The cost of an audit of a million records, beside plain parsing of the same bytes; and of a verdict of a full journal.
//!
//! `cargo bench --bench audit`

use std::hint::black_box;

use divan::Bencher;
use http::Request;
use opswat_mock::{
    Local, Mock,
    audit::{AuditQuery, RecordFormat},
    clock::Instant,
    world::{Category, Millis, Window},
};
use serde_json::Value;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NOW: i64 = 1_768_478_400_000;
const RECORDS: usize = 1_000_000;
/// The number of requests that fit into the memory of all journals of a server.
const REQUESTS: usize = 60_000;

fn main() {
    divan::main();
}

/// A mock, the window of its last million device events, and these as NDJSON.
fn million() -> (Local, std::ops::Range<Instant>, Vec<u8>) {
    let local =
        Mock::builder().devices(2_000).now("2026-01-15T12:00:00Z").retention_days(3_000).local().expect("a mock");
    let world = local.account().world();
    let all = Window { from: Millis(NOW - 3_000 * 86_400_000), to: Millis(NOW - 1) };
    let left = world.events(Category::Device, all, 1).left();
    let skip = usize::try_from(left).expect("a number that fits") - RECORDS;
    let first = world.events(Category::Device, all, 4_096).flatten().nth(skip).expect("a million events");
    let from = Millis(first.at().0);
    let mut lines = Vec::new();
    for event in local.account().truth(Category::Device, Window { from, ..all }) {
        serde_json::to_writer(&mut lines, &row(&event.entry)).expect("memory");
        lines.push(b'\n');
    }
    (local, from.into()..Instant::from(Millis(NOW)), lines)
}

/// The row of a device event, as the API has it.
fn row(record: &opswat_mock::world::Record) -> Value {
    let opswat_mock::world::Record::Device(event) = record else { unreachable!("a device event") };
    let device = &event.device;
    let at = Instant::from(event.at).to_string();
    serde_json::json!({
        "timestamp": if at.contains('.') { at } else { at.replace('Z', ".000Z") },
        "event": event.event.code(), "details": event.details, "device_id": device.id, "device_name": device.name,
        "device_username": device.username, "device_group": device.group,
    })
}

/// A million records, all of them right.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn audit_a_million(bencher: Bencher) {
    let (local, window, lines) = million();
    bencher.bench_local(|| {
        let query = AuditQuery::new(Category::Device).window(window.clone());
        let report = local.account().audit_stream(&query, RecordFormat::Json, &*lines).expect("an audit");
        assert!(report.is_complete && report.matched >= RECORDS as u64, "{report}");
    });
}

/// The reference: the same lines, each parsed as a JSON value.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn parse_a_million(bencher: Bencher) {
    let (_, _, lines) = million();
    bencher.bench_local(|| {
        for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            black_box(serde_json::from_slice::<Value>(line).expect("JSON"));
        }
    });
}

/// A journal that is as full as it gets, of a connector that polls and pages.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn judge_a_full_journal(bencher: Bencher) {
    let account =
        serde_json::json!({"name":"busy","seed":1,"journal":1_000_000,"now":"2026-01-15T12:00:00Z","quota":"off"});
    let builder = Mock::builder().account(serde_json::from_value(account).expect("an account"));
    let local = builder.local().expect("a mock");
    let busy = local.accounts().get("busy").expect("the account");
    let token = busy.describe().access_token;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for _ in 0..REQUESTS {
            let request = Request::post("/o/api/v3.3/logs")
                .header("authorization", format!("Bearer {token}"))
                .header("content-type", "application/json")
                .body(r#"{"event_category":"device","age":600,"limit":100}"#.into())
                .expect("a request");
            local.answer(request).await.expect("an answer");
            busy.advance(std::time::Duration::from_secs(60));
        }
    });
    bencher.bench_local(|| assert!(busy.verdict().requests > REQUESTS as u64 / 2));
}
