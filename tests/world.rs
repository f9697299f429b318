//! Property tests of a company's history, over seeds, fleets and instants.

use std::collections::{HashMap, HashSet};

use opswat_mock::world::{
    Action, AdminEvent, Category, DeviceEvent, Event, Filter, Lag, Millis, Order, Record, Status, WebhookEvent, Window,
    World, WorldConfig,
};
use proptest::prelude::*;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const ACCOUNT_CREATED: i64 = 1_380_873_600_000;
const YEAR_2100: i64 = 4_102_444_800_000;

fn world(seed: u64, devices: u32) -> World {
    World::new(WorldConfig { seed, devices, lag: Lag::NONE, webhook_since: None })
}

fn window(from: i64, length: i64) -> Window {
    Window { from: Millis(from), to: Millis(from + length - 1) }
}

fn read(world: &World, category: Category, window: Window) -> Vec<Event> {
    world.select(category, window, Filter::default()).page(0, usize::MAX, Order::OldestFirst)
}

fn records(world: &World, category: Category, window: Window) -> Vec<Record> {
    read(world, category, window).iter().map(|event| world.render(event)).collect()
}

fn instants() -> impl Strategy<Value = i64> {
    prop_oneof![1 => Just(ACCOUNT_CREATED), 9 => ACCOUNT_CREATED..YEAR_2100]
}

fn fleets() -> impl Strategy<Value = u32> {
    prop_oneof![0_u32..5, 5_u32..150, Just(100_u32)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_window_has_the_events_of_its_halves_in_order(seed: u64, devices in fleets(), from in instants(), hours in 1_i64..200, cut in 0_i64..200) {
        let world = world(seed, devices);
        let cut = cut.min(hours);
        for category in Category::ALL {
            let whole = read(&world, category, window(from, hours * HOUR));
            let mut halves = read(&world, category, window(from, cut * HOUR));
            halves.extend(read(&world, category, window(from + cut * HOUR, (hours - cut) * HOUR)));
            prop_assert_eq!(&whole, &halves);
            prop_assert!(whole.is_sorted_by_key(Event::at));
            prop_assert!(whole.iter().all(|event| event.at() >= Millis(from) && event.at() < Millis(from + hours * HOUR)));
        }
    }

    #[test]
    fn pages_of_any_size_cover_the_window_in_both_orders(seed: u64, devices in fleets(), from in instants(), size in 1_usize..40) {
        let world = world(seed, devices);
        for category in Category::ALL {
            let selection = world.select(category, window(from, 30 * HOUR), Filter::default());
            let mut whole = selection.page(0, usize::MAX, Order::OldestFirst);
            prop_assert_eq!(whole.len() as u64, selection.count());
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let pages: Vec<Event> =
                    (0..=selection.count()).step_by(size).flat_map(|skip| selection.page(skip, size, order)).collect();
                prop_assert_eq!(&pages, &whole);
                whole.reverse();
            }
        }
    }

    #[test]
    fn a_filter_selects_exactly_the_given_kinds(seed: u64, devices in fleets(), from in instants(), kinds in 0_u64..1 << 15) {
        let world = world(seed, devices);
        let week = window(from, 3 * DAY);
        let all = read(&world, Category::Device, week);
        let wanted: Vec<Event> = all
            .into_iter()
            .filter(|event| matches!(world.render(event), Record::Device(entry) if kinds >> (entry.event as u8) & 1 == 1))
            .collect();
        let selection = world.select(Category::Device, week, Filter { kinds: Some(kinds), ..Filter::default() });
        prop_assert_eq!(selection.page(0, usize::MAX, Order::OldestFirst), wanted);
    }

    /// A device is added at most once, leaves at most once, and has no events before or after.
    #[test]
    fn a_device_is_added_once_and_leaves_once(seed: u64, devices in 1_u32..40, from in instants()) {
        let world = world(seed, devices);
        let mut lifecycles: HashMap<String, (Vec<i64>, Vec<i64>, i64, i64)> = HashMap::new();
        for category in [Category::Device, Category::DeviceReport, Category::Activity] {
            for entry in records(&world, category, window(from, 150 * DAY)) {
                let (at, device, event) = match entry {
                    Record::Device(entry) => (entry.at.0, entry.device.id.clone(), Some(entry.event)),
                    Record::Report(entry) => (entry.at.0, entry.device.id.clone(), None),
                    Record::Activity(entry) => (entry.at.0, entry.device.id.clone(), None),
                    _ => unreachable!("record of another category"),
                };
                let (added, left, first, last) = lifecycles.entry(device).or_insert((vec![], vec![], i64::MAX, 0));
                match event {
                    Some(DeviceEvent::Added | DeviceEvent::AddedDuplicateMac) => added.push(at),
                    Some(DeviceEvent::Deleted | DeviceEvent::DeletedUser | DeviceEvent::DeletedApi | DeviceEvent::Unseen) => {
                        left.push(at);
                    }
                    _ => (*first, *last) = ((*first).min(at), (*last).max(at)),
                }
            }
        }
        for (id, (added, left, first, last)) in lifecycles {
            prop_assert!(added.len() <= 1 && left.len() <= 1, "{} was added {:?}, left {:?}", id, added, left);
            prop_assert!(added.iter().all(|&at| at <= first), "{} has events before it was added", id);
            prop_assert!(left.iter().all(|&at| at >= last), "{} has events after it left", id);
            if let ([added], [left]) = (added.as_slice(), left.as_slice()) {
                prop_assert!(left - added > 14 * DAY, "{} lived {} days", id, (left - added) / DAY);
            }
        }
    }

    /// Status changes alternate, and each record with a status has the status of the last change.
    #[test]
    fn a_status_matches_the_last_status_change(seed: u64, devices in 1_u32..120, from in instants()) {
        let world = world(seed, devices);
        let span = window(from, 16 * DAY);
        let mut entries: Vec<(i64, u8, Record)> = Vec::new();
        for (rank, category) in (0..).zip([Category::Device, Category::DeviceReport, Category::Activity]) {
            for entry in records(&world, category, span) {
                let at = match &entry {
                    Record::Device(entry) => entry.at.0,
                    Record::Report(entry) => entry.at.0,
                    Record::Activity(entry) => entry.at.0,
                    _ => unreachable!("record of another category"),
                };
                entries.push((at, rank, entry));
            }
        }
        entries.sort_by_key(|(at, rank, _)| (*at, *rank));
        // The last known state of each device: (compliant, exempted), `None` before the first change in the window.
        let mut known: HashMap<String, (Option<bool>, Option<bool>)> = HashMap::new();
        for (at, _, entry) in entries {
            let (id, status) = match entry {
                Record::Device(entry) => {
                    let (compliant, exempt) = known.entry(entry.device.id.clone()).or_default();
                    match entry.event {
                        DeviceEvent::Compliant => {
                            prop_assert_ne!(*compliant, Some(true), "{}: compliant twice in a row", entry.details);
                            *compliant = Some(true);
                        }
                        DeviceEvent::NonCompliant => {
                            prop_assert_ne!(*compliant, Some(false), "{}: non-compliant twice in a row", entry.details);
                            *compliant = Some(false);
                        }
                        DeviceEvent::ExemptAll => {
                            prop_assert_ne!(*exempt, Some(true));
                            *exempt = Some(true);
                        }
                        DeviceEvent::Unexempt => {
                            prop_assert_ne!(*exempt, Some(false));
                            *exempt = Some(false);
                        }
                        DeviceEvent::Added | DeviceEvent::AddedDuplicateMac => {
                            (*compliant, *exempt) = (Some(true), Some(false));
                        }
                        _ => {}
                    }
                    continue;
                }
                Record::Report(entry) => (entry.device.id.clone(), entry.status),
                Record::Activity(entry) => {
                    let status = entry.device_status;
                    let fits = match entry.action {
                        Action::Blocked | Action::MonitoredBlock => status == Status::NonCompliant,
                        Action::MonitoredAllow => status != Status::NonCompliant,
                        Action::Allowed => status != Status::NonCompliant || entry.access_rule == "ALL DEVICES",
                    };
                    prop_assert!(fits, "{:?} under {} while {:?} at {}", entry.action, entry.access_rule, status, at);
                    (entry.device.id.clone(), status)
                }
                _ => unreachable!("record of another category"),
            };
            match (status, known.get(&id).copied().unwrap_or_default()) {
                (Status::Exempted, (compliant, exempt)) => {
                    prop_assert!(exempt != Some(false) && compliant != Some(true), "{} at {}", id, at);
                }
                (Status::Compliant, (compliant, _)) => prop_assert_ne!(compliant, Some(false), "{} at {}", id, at),
                (Status::NonCompliant, (compliant, exempt)) => {
                    prop_assert!(compliant != Some(true) && exempt != Some(true), "{} at {}", id, at);
                }
            }
        }
    }

    /// An administrator who acts on a device has logged in within the preceding twelve hours.
    #[test]
    fn an_admin_action_follows_a_login_of_the_administrator(seed: u64, devices in 1_u32..120, from in instants()) {
        let world = world(seed, devices);
        let logins: HashSet<(String, i64)> = records(&world, Category::Admin, window(from, 11 * DAY))
            .into_iter()
            .filter_map(|entry| match entry {
                Record::Admin(entry) if entry.event == AdminEvent::Login => Some((entry.admin.email, entry.at.0)),
                _ => None,
            })
            .collect();
        for entry in records(&world, Category::Device, window(from + DAY, 10 * DAY)) {
            let Record::Device(entry) = entry else { unreachable!("record of another category") };
            let acts = [
                DeviceEvent::Deleted,
                DeviceEvent::ExemptAll,
                DeviceEvent::Unexempt,
                DeviceEvent::FetchLog,
                DeviceEvent::ScanThreat,
                DeviceEvent::ComplianceCheck,
            ];
            if acts.contains(&entry.event) {
                let logged_in = logins.iter().any(|(email, at)| {
                    entry.details.contains(email.as_str()) && (entry.at.0 - 12 * HOUR..entry.at.0).contains(at)
                });
                prop_assert!(logged_in, "the administrator in '{}' had not logged in", entry.details);
            }
        }
    }

    /// A notification about each relevant change follows within five seconds, and each first attempt has such a change
    /// as its cause.
    #[test]
    fn a_notification_follows_each_change(seed: u64, devices in 1_u32..120, from in instants()) {
        let world = world(seed, devices);
        let mut changes: Vec<(String, WebhookEvent, i64)> = records(&world, Category::Device, window(from, 5 * DAY))
            .into_iter()
            .filter_map(|entry| {
                let Record::Device(entry) = entry else { unreachable!("record of another category") };
                let event = match entry.event {
                    DeviceEvent::Added | DeviceEvent::AddedDuplicateMac => WebhookEvent::Added,
                    DeviceEvent::Deleted | DeviceEvent::DeletedApi | DeviceEvent::DeletedUser | DeviceEvent::Unseen => {
                        WebhookEvent::Deleted
                    }
                    DeviceEvent::Compliant => WebhookEvent::StatusChangedToCompliant,
                    DeviceEvent::NonCompliant => WebhookEvent::StatusChangedToNonCompliant,
                    DeviceEvent::ExemptAll => WebhookEvent::StatusChangedToExempted,
                    _ => return None,
                };
                Some((entry.device.id.clone(), event, entry.at.0))
            })
            .collect();
        let first_attempts: Vec<(String, WebhookEvent, i64)> = records(&world, Category::Webhook, window(from, 5 * DAY + 5000))
            .into_iter()
            .filter_map(|entry| {
                let Record::Webhook(entry) = entry else { unreachable!("record of another category") };
                (!entry.details.contains("attempt")).then_some((entry.device.id.clone(), entry.event, entry.at.0))
            })
            .collect();
        for (id, event, at) in first_attempts {
            let cause = changes.iter().position(|(of, kind, when)| *of == id && *kind == event && (0..=5000).contains(&(at - when)));
            match cause {
                Some(cause) => drop(changes.swap_remove(cause)),
                None => prop_assert!(at < from + 5000 || at >= from + 5 * DAY, "{:?} of {} at {} has no cause", event, id, at),
            }
        }
        prop_assert_eq!(changes, vec![]);
    }
}

#[test]
fn no_two_equal_events_of_a_device_or_administrator_coincide() {
    // The largest fleet has the most administrators at the same time.
    for (seed, days) in [(1, 4), (2, 4)] {
        let world = world(seed, 100_000);
        let mut seen = HashSet::new();
        for entry in records(&world, Category::Admin, window(1_768_435_200_000, days * DAY)) {
            let Record::Admin(entry) = entry else { unreachable!("record of another category") };
            let identity = (entry.at, entry.admin.email, entry.event.code());
            assert!(seen.insert(identity.clone()), "{identity:?} occurs twice with seed {seed}");
        }
        assert!(seen.len() > 20_000, "{}", seen.len());
    }
    for seed in [1, 2] {
        let world = world(seed, 1000);
        for category in Category::ALL {
            let entries = records(&world, category, window(1_768_435_200_000, 4 * DAY));
            let mut seen = HashSet::new();
            for entry in &entries {
                let identity = match entry {
                    Record::Device(entry) => (entry.at, entry.device.id.clone(), entry.event.code().to_owned()),
                    Record::Admin(entry) => (entry.at, entry.admin.email.clone(), entry.event.code().to_owned()),
                    Record::Webhook(entry) => (entry.at, entry.device.id.clone(), entry.event.code().to_owned()),
                    Record::Report(entry) => (entry.at, entry.device.id.clone(), String::new()),
                    Record::Activity(entry) => (entry.at, entry.device.id.clone(), entry.app_name.to_string()),
                    other => panic!("a category without an identity: {other:?}"),
                };
                assert!(seen.insert(identity.clone()), "{identity:?} occurs twice with seed {seed}");
            }
        }
    }
}

#[test]
fn every_code_occurs_within_a_month() {
    let world = world(1, 100);
    let month = window(1_767_225_600_000, 31 * DAY);
    let mut codes: HashMap<Category, HashSet<&str>> = HashMap::new();
    for category in Category::ALL {
        for entry in records(&world, category, month) {
            codes.entry(category).or_default().insert(match entry {
                Record::Device(entry) => entry.event.code(),
                Record::Admin(entry) => entry.event.code(),
                Record::Webhook(entry) => entry.event.code(),
                Record::Report(entry) => entry.severity.code(),
                Record::Activity(entry) => entry.action.code(),
                other => panic!("a category without codes: {other:?}"),
            });
        }
    }
    let found: Vec<usize> = Category::ALL.iter().map(|category| codes[category].len()).collect();
    assert_eq!(found, [15, 8, 5, 3, 4], "{codes:?}");
}

#[test]
fn most_devices_are_compliant_most_of_the_time() {
    for (seed, devices) in [(1, 100), (2, 1000), (3, 37)] {
        let world = world(seed, devices);
        let reports = records(&world, Category::DeviceReport, window(1_768_435_200_000, 14 * DAY));
        let compliant = reports
            .iter()
            .filter(|entry| matches!(entry, Record::Report(report) if report.status == Status::Compliant))
            .count();
        let percent = compliant * 100 / reports.len();
        assert!((85..=95).contains(&percent), "{percent} % compliant with seed {seed}");
    }
}

#[test]
fn different_seeds_have_different_histories_even_for_one_device() {
    let history = |seed| -> Vec<DeviceEvent> {
        let entries = records(&world(seed, 1), Category::Device, window(1_768_435_200_000, 200 * DAY));
        entries
            .into_iter()
            .filter_map(|entry| if let Record::Device(entry) = entry { Some(entry.event) } else { None })
            .collect()
    };
    let histories = [1, 2, 3, 4].map(history);
    for (nth, history) in histories.iter().enumerate() {
        assert!(
            histories[..nth].iter().all(|other| other != history),
            "seed {} has the history of another seed",
            nth + 1
        );
        // The sequence of events is not periodic: it differs from itself, shifted by any period.
        for period in 1..history.len() / 2 {
            assert_ne!(
                history[..history.len() - period],
                history[period..],
                "the history of seed {} is periodic",
                nth + 1
            );
        }
    }
}

#[test]
fn a_fleet_keeps_its_size() {
    for (seed, devices) in [(1, 100_u32), (2, 1000), (3, 60)] {
        let world = world(seed, devices);
        let mut alive: i64 = 0;
        let mut largest = 0;
        let mut smallest = i64::MAX;
        let years = window(ACCOUNT_CREATED, 3 * 365 * DAY);
        let lifecycles = Filter { kinds: Some(kinds(&LIFECYCLE_EVENTS)), ..Filter::default() };
        for event in world.select(Category::Device, years, lifecycles).page(0, usize::MAX, Order::OldestFirst) {
            let Record::Device(entry) = world.render(&event) else { unreachable!("record of another category") };
            let joins = matches!(entry.event, DeviceEvent::Added | DeviceEvent::AddedDuplicateMac);
            alive += if joins { 1 } else { -1 };
            if event.at().0 > ACCOUNT_CREATED + 7 * DAY {
                (smallest, largest) = (smallest.min(alive), largest.max(alive));
            }
        }
        let devices = i64::from(devices);
        assert!(smallest >= devices && largest <= devices + devices / 10 + 2, "{smallest} to {largest} of {devices}");
    }
}

const LIFECYCLE_EVENTS: [DeviceEvent; 6] = [
    DeviceEvent::Added,
    DeviceEvent::AddedDuplicateMac,
    DeviceEvent::Deleted,
    DeviceEvent::DeletedUser,
    DeviceEvent::DeletedApi,
    DeviceEvent::Unseen,
];

fn kinds(events: &[DeviceEvent]) -> u64 {
    Category::Device.kinds(&events.iter().map(|event| event.code()).collect::<Vec<_>>())
}

/// Events are dense in working hours and rare at night and at weekends, in any time zone.
#[test]
fn events_follow_the_working_week() {
    for seed in [1, 2, 3] {
        let world = world(seed, 400);
        // Ten weeks from Monday 2026-01-05, 00:00 UTC.
        let monday = 1_767_571_200_000;
        let mut hours = [0_u32; 168];
        for event in read(&world, Category::Device, window(monday, 70 * DAY)) {
            hours[usize::try_from((event.at().0 - monday) / HOUR % 168).expect("an hour of the week")] += 1;
        }
        // The busiest twelve hours of Wednesday (UTC) have more than 90 % of its events.
        let day = &hours[48..72];
        let busiest: u32 =
            (0..24).map(|start| (0..12).map(|hour| day[(start + hour) % 24]).sum()).max().expect("a maximum");
        let all: u32 = day.iter().sum();
        assert!(busiest * 10 > all * 9, "{busiest} of {all} events in the busiest hours with seed {seed}");
        let weekend: u32 = hours[120..].iter().sum();
        let week: u32 = hours.iter().sum();
        assert!(weekend * 10 < week && weekend > 0, "{weekend} of {week} events at the weekend with seed {seed}");
    }
}

/// A granted access is revoked before the next one is granted.
#[test]
fn a_grant_is_revoked_before_the_next() {
    for (seed, devices) in [(1, 1), (2, 3), (3, 100)] {
        let world = world(seed, devices);
        let wanted = kinds(&[DeviceEvent::AccessGranted, DeviceEvent::AccessRevoked]);
        let filter = Filter { kinds: Some(wanted), ..Filter::default() };
        let mut open: HashMap<String, bool> = HashMap::new();
        for event in world.select(Category::Device, window(ACCOUNT_CREATED, 400 * DAY), filter).page(
            0,
            usize::MAX,
            Order::OldestFirst,
        ) {
            let Record::Device(entry) = world.render(&event) else { unreachable!("record of another category") };
            let granted = entry.event == DeviceEvent::AccessGranted;
            let before = open.insert(entry.device.id.clone(), granted);
            assert_eq!(before.unwrap_or(false), !granted, "{} with seed {seed}", entry.details);
        }
        assert!(!open.is_empty());
    }
}

#[test]
fn a_company_without_devices_still_has_admin_events() {
    let world = world(1, 0);
    let week = window(1_768_435_200_000, 7 * DAY);
    for category in Category::ALL {
        assert_eq!(read(&world, category, week).is_empty(), category != Category::Admin, "{category:?}");
    }
}

#[test]
fn no_event_happens_before_account_creation() {
    let world = world(1, 100);
    for category in Category::ALL {
        assert_eq!(read(&world, category, window(0, ACCOUNT_CREATED)).len(), 0, "{category:?}");
        assert_eq!(read(&world, category, window(i64::MIN / 2, 1000)).len(), 0, "{category:?}");
    }
}
