//! Text searches and visibility lag, compared with a full scan of the window.

use opswat_mock::world::{Category, Event, Filter, Lag, Millis, Order, Record, Window, World, WorldConfig};
use proptest::prelude::*;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const ACCOUNT_CREATED: i64 = 1_380_873_600_000;
const YEAR_2100: i64 = 4_102_444_800_000;

/// The search fields of a record.
fn fields(entry: Record) -> Vec<String> {
    match entry {
        Record::Device(entry) => vec![entry.device.name.clone(), entry.device.id.clone()],
        Record::Webhook(entry) => vec![entry.device.name.clone(), entry.device.id.clone()],
        Record::Report(entry) => vec![entry.device.name.clone(), entry.device.id.clone()],
        Record::Activity(entry) => vec![
            entry.device.name.clone(),
            entry.device.id.clone(),
            entry.device.group.to_string(),
            entry.app_user,
            entry.app_name.to_string(),
            entry.access_rule.to_string(),
            entry.device_status.label().to_owned(),
        ],
        other => panic!("a record without search fields: {other:?}"),
    }
}

fn searched() -> impl Strategy<Value = Category> {
    prop::sample::select(vec![Category::Device, Category::Webhook, Category::DeviceReport, Category::Activity])
}

fn search(text: &str) -> Filter {
    Filter { search: Some(text.to_owned()), ..Filter::default() }
}

fn reversed(mut events: Vec<Event>) -> Vec<Event> {
    events.reverse();
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// A search for a substring of a field of an event returns the same events as a full scan of the window.
    #[test]
    fn a_search_finds_what_a_full_scan_finds(
        seed: u64,
        devices in 1_u32..200,
        from in ACCOUNT_CREATED..YEAR_2100,
        hours in 1_i64..100,
        category in searched(),
        of: prop::sample::Index,
        field: prop::sample::Index,
        start: prop::sample::Index,
        length: prop::sample::Index,
        size in 1_usize..60,
        lag in prop_oneof![Just(Lag::NONE), Just("0..3600".parse().expect("a lag"))],
    ) {
        let world = World::new(WorldConfig { seed, devices, lag, webhook_since: None });
        let window = Window { from: Millis(from), to: Millis(from + hours * HOUR) };
        let all = world.select_seen(category, window, Filter::default(), window.to).page(0, usize::MAX, Order::NewestFirst);
        prop_assume!(!all.is_empty());
        let of = fields(world.render(&all[of.index(all.len())]));
        let field = &of[field.index(of.len())];
        let start = start.index(field.len());
        let text = &field[start..=start + length.index(field.len() - start)].to_lowercase();
        let has = |event: &&Event| fields(world.render(event)).iter().any(|field| field.to_lowercase().contains(text));
        let expected: Vec<Event> = all.iter().filter(has).copied().collect();

        let selection = world.select_seen(category, window, search(text), window.to);
        prop_assert_eq!(selection.count(), expected.len() as u64);
        prop_assert_eq!(selection.page(0, usize::MAX, Order::OldestFirst), reversed(expected.clone()));
        let (mut read, mut pages) = (0, Vec::new());
        loop {
            let found = selection.after(read, size, Order::NewestFirst);
            prop_assert!(found.events.is_empty() || found.read > read);
            if found.events.is_empty() {
                break;
            }
            read = found.read;
            pages.extend(found.events);
        }
        prop_assert_eq!(&pages, &expected, "search for {} in pages of {}", text, size);
        // Pages by number, near and far; each one searches from the beginning.
        for skip in [0, size, expected.len() / 2, expected.len().saturating_sub(1), expected.len()] {
            let page: Vec<Event> = expected.iter().skip(skip).take(size).copied().collect();
            prop_assert_eq!(selection.page(skip as u64, size, Order::NewestFirst), page, "{} after {}", text, skip);
        }
    }

    /// A selection returns exactly the events that are visible at `seen_at`.
    #[test]
    fn an_event_is_visible_after_its_lag(
        seed: u64,
        devices in 0_u32..150,
        from in ACCOUNT_CREATED..YEAR_2100,
        (least, more) in (0_u32..1000, 0_u32..2600),
        waited in 0_i64..4000,
        size in 1_usize..60,
    ) {
        let lag: Lag = format!("{least}..{}", least + more).parse().expect("a lag");
        let world = World::new(WorldConfig { seed, devices, lag, webhook_since: None });
        let without_lag = World::new(WorldConfig { seed, devices, lag: Lag::NONE, webhook_since: None });
        let window = Window { from: Millis(from), to: Millis(from + 20 * HOUR) };
        let seen_at = Millis(window.to.0 + waited * 1000);
        for category in Category::ALL {
            let all = world.select(category, window, Filter::default()).page(0, usize::MAX, Order::NewestFirst);
            prop_assert_eq!(&all, &without_lag.select(category, window, Filter::default()).page(0, usize::MAX, Order::NewestFirst));
            for event in &all {
                let delay_ms = world.visible_at(event).0 - event.at().0;
                prop_assert!(delay_ms >= i64::from(least) * 1000 && delay_ms <= i64::from(least + more) * 1000, "{delay_ms}");
                prop_assert_eq!(without_lag.visible_at(event), event.at());
            }
            let expected: Vec<Event> = all.into_iter().filter(|event| world.visible_at(event) <= seen_at).collect();
            let seen = world.select_seen(category, window, Filter::default(), seen_at);
            prop_assert_eq!(seen.count(), expected.len() as u64);
            for order in [Order::NewestFirst, Order::OldestFirst] {
                let pages: Vec<Event> =
                    (0..=expected.len()).step_by(size).flat_map(|skip| seen.page(skip as u64, size, order)).collect();
                prop_assert_eq!(pages, if order == Order::NewestFirst { expected.clone() } else { reversed(expected.clone()) });
            }
        }
    }
}

/// A search for an exact device name is fast in a large fleet, because it does not read the events of other devices.
#[test]
fn a_search_finds_one_device_of_a_large_fleet() {
    let world = World::new(WorldConfig { seed: 1, devices: 100_000, lag: Lag::NONE, webhook_since: None });
    let month = Window { from: Millis(1_768_435_200_000 - 30 * DAY), to: Millis(1_768_435_200_000) };
    let newest = world.select(Category::DeviceReport, month, Filter::default()).page(12_345, 1, Order::NewestFirst);
    let Record::Report(report) = world.render(&newest[0]) else { panic!("record of another category") };
    let found = world.select(Category::DeviceReport, month, search(&report.device.name)).page(
        0,
        usize::MAX,
        Order::NewestFirst,
    );
    assert!((40..140).contains(&found.len()), "{} reports in a month", found.len());
    assert!(found.contains(&newest[0]));
    for event in found {
        assert!(matches!(world.render(&event), Record::Report(other) if other.device.id == report.device.id));
    }
}
