//! The cost of a page by its position in the window, by the size of the fleet and by the length of the history. Each
//! iteration selects, finds and renders the events without a cache.
//!
//! `cargo bench --bench place`

use divan::{Bencher, black_box};
use opswat_mock::world::{Category, Filter, Lag, Millis, Order, Record, Window, World, WorldConfig};

const NOW: i64 = 1_768_478_400_000;
const DAY: i64 = 86_400_000;
const PAGE: usize = 100;

fn main() {
    divan::main();
}

fn page(world: &World, category: Category, days: i64, number: u64) -> usize {
    let window = Window { from: Millis(NOW - days * DAY), to: Millis(NOW) };
    let selection = world.select(category, window, Filter::default());
    let events = selection.page((number - 1) * PAGE as u64, PAGE, Order::NewestFirst);
    assert_eq!(events.len(), PAGE, "a full page");
    for event in &events {
        black_box(world.render(event));
    }
    events.len()
}

/// Page 1, 100 and 20 000 of one window: 10 000 devices, ten years.
#[divan::bench(args = [1, 100, 20_000])]
fn by_place(bencher: Bencher, number: u64) {
    let world = World::new(WorldConfig { seed: 1, devices: 10_000, lag: Lag::NONE, webhook_since: None });
    bencher.bench_local(|| page(&world, Category::Device, 3650, number));
}

/// The first page of thirty days.
#[divan::bench(args = [100, 10_000, 100_000])]
fn by_fleet(bencher: Bencher, devices: u32) {
    let world = World::new(WorldConfig { seed: 1, devices, lag: Lag::NONE, webhook_since: None });
    bencher.bench_local(|| page(&world, Category::Device, 30, 1));
}

/// Like [`by_fleet`], for the webhook category, whose events derive from other events.
#[divan::bench(args = [100, 10_000, 100_000])]
fn by_fleet_of_the_webhook(bencher: Bencher, devices: u32) {
    let world = World::new(WorldConfig { seed: 1, devices, lag: Lag::NONE, webhook_since: None });
    bencher.bench_local(|| page(&world, Category::Webhook, 30, 1));
}

/// The first page of a search for one device in thirty days of reports. The search examines every device, and reads the
/// history of one.
#[divan::bench(args = [100, 10_000, 100_000])]
fn search_by_fleet(bencher: Bencher, devices: u32) {
    let world = World::new(WorldConfig { seed: 1, devices, lag: Lag::NONE, webhook_since: None });
    let window = Window { from: Millis(NOW - 30 * DAY), to: Millis(NOW) };
    let newest = world.select(Category::DeviceReport, window, Filter::default()).page(0, 1, Order::NewestFirst);
    let Record::Report(report) = world.render(&newest[0]) else { unreachable!("of another category") };
    let filter = Filter { search: Some(report.device.name.clone()), ..Filter::default() };
    bencher.bench_local(|| {
        let found = world.select(Category::DeviceReport, window, filter.clone()).page(0, PAGE, Order::NewestFirst);
        assert!(!found.is_empty());
        found
    });
}

/// The tenth page with the default number of devices.
#[divan::bench(args = [30, 365, 3650])]
fn by_days_of_history(bencher: Bencher, days: i64) {
    let world = World::new(WorldConfig { seed: 1, devices: 100, lag: Lag::NONE, webhook_since: None });
    bencher.bench_local(|| page(&world, Category::Device, days, 10));
}

/// The first page of thirty days, per category in the order of [`Category::ALL`].
#[divan::bench(args = 0..Category::ALL.len())]
fn by_stream(bencher: Bencher, category: usize) {
    let world = World::new(WorldConfig { seed: 1, devices: 1000, lag: Lag::NONE, webhook_since: None });
    bencher.bench_local(|| page(&world, Category::ALL[category], 30, 1));
}

/// The creation of a world and its first page: the cost of a cold start.
#[divan::bench(args = [100, 100_000])]
fn from_nothing(bencher: Bencher, devices: u32) {
    bencher.bench_local(|| {
        page(
            &World::new(WorldConfig { seed: 1, devices, lag: Lag::NONE, webhook_since: None }),
            Category::Device,
            30,
            1,
        )
    });
}

/// What a connector looks up, through the router of a mock with 100,000 devices: a list by number and by enrolment, the
/// details of fifty devices, and the account.
mod look_ups {
    use std::{cell::RefCell, sync::LazyLock};

    use bytes::Bytes;
    use divan::Bencher;
    use http::Request;
    use opswat_mock::{Local, Mock};
    use serde_json::{Value, json};
    use tokio::runtime::Runtime;

    thread_local! {
        static RUNTIME: RefCell<Runtime> =
            RefCell::new(tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"));
    }

    static MOCK: LazyLock<Local> = LazyLock::new(|| {
        let mock = Mock::builder().now("2026-01-15T12:00:00Z").devices(100_000).without_quota();
        mock.local().expect("a mock")
    });

    fn ask(path: &str, body: &Value) -> Value {
        let request = Request::post(path)
            .header("authorization", format!("Bearer {}", opswat_mock::account::settings::DOCUMENTED_TOKEN))
            .header("content-type", "application/json")
            .body(Bytes::from(body.to_string()))
            .expect("a request");
        let answer = RUNTIME.with_borrow(|runtime| runtime.block_on(MOCK.answer(request))).expect("an answer");
        assert_eq!(answer.status(), 200, "{:?}", answer.body());
        serde_json::from_slice(answer.body()).expect("JSON")
    }

    #[divan::bench(args = [1, 2000])]
    fn devices_by_page(bencher: Bencher, page: u32) {
        bencher.bench_local(|| ask("/o/api/v3.3/devices", &json!({ "limit": 50, "page": page })));
    }

    /// The page after so many pages in the order of enrolment.
    #[divan::bench(args = [0, 20, 1999])]
    fn devices_by_enrolment(bencher: Bencher, pages: u32) {
        let next = |token: &Value| ask("/o/api/v3.4/devices", &json!({ "limit": 50, "token": token }));
        let token = (0..pages).fold(json!(""), |token, _| next(&token)["next_token"].clone());
        bencher.bench_local(|| next(&token));
    }

    #[divan::bench]
    fn details_of_50(bencher: Bencher) {
        let page = ask("/o/api/v3.3/devices", &json!({ "limit": 50 }));
        let ids: Vec<&Value> = page.as_array().expect("devices").iter().map(|device| &device["device_id"]).collect();
        let body = json!({ "ids": ids, "verbose": { "categories": 1 } });
        bencher.bench_local(|| ask("/o/api/v3.4/devices/detail", &body));
    }

    #[divan::bench]
    fn account(bencher: Bencher) {
        bencher.bench_local(|| ask("/o/api/v3.2/account", &json!({})));
    }

    #[divan::bench]
    fn vulnerabilities(bencher: Bencher) {
        bencher.bench_local(|| ask("/o/api/v3/cves", &json!({})));
    }
}
