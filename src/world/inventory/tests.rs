//! The inventory agrees with the devices one by one, and with the device log.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{DeviceCounts, DeviceState, Identifier, Inventory};
use crate::world::{
    ACCOUNT_MADE, Category, DeviceEvent, Filter, Lag, Millis, Order, Record, Status, Window, World, WorldConfig,
    tracks::DeviceRef,
};

const DAY_MS: i64 = 86_400_000;

fn world(seed: u64, devices: u32) -> World {
    World::new(WorldConfig { seed, devices, lag: Lag::NONE, webhook_since: None })
}

/// All devices that are in the account, by examining each slot.
fn all_devices(world: &World, inventory: Inventory<'_>) -> Vec<DeviceRef> {
    let slots = 0..u64::from(world.config().devices);
    let generations = |slot| {
        let newest = world.processes.current(slot, inventory.now);
        [newest.generation.checked_sub(1), Some(newest.generation)].into_iter().flatten()
    };
    slots
        .flat_map(|slot| generations(slot).map(move |generation| DeviceRef { slot, generation }))
        .filter(|device| inventory.has(*device))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 60 } else { 200 }))]

    #[test]
    fn the_list_has_each_device_once_and_every_device_is_found_by_what_identifies_it(
        seed: u64, devices in 0_u32..400, day in 0_i64..6000, ms in 0..DAY_MS,
    ) {
        let world = world(seed, devices);
        let inventory = world.inventory(Millis(ACCOUNT_MADE.0 + day * DAY_MS + ms));
        let mut all = all_devices(&world, inventory);
        prop_assert_eq!(inventory.len(), all.len() as u64);
        let mut listed: Vec<DeviceRef> = (0..inventory.len()).filter_map(|place| inventory.at_place(place)).collect();
        for (place, device) in (0..).zip(&listed) {
            let state = inventory.state(*device);
            prop_assert_eq!(inventory.place_of(&state.device), Some(place));
            prop_assert_eq!(inventory.find(Identifier::Id(&state.device.id)), Some(*device));
            prop_assert_eq!(inventory.find(Identifier::Hostname(&state.device.name)), Some(*device));
            let found = inventory.find(Identifier::MacAddress(&world.mac_addresses(&state.device)[0]));
            prop_assert!(found.is_some_and(|found| found.slot == device.slot && found.generation >= device.generation));
        }
        prop_assert_eq!(inventory.at_place(inventory.len()), None);
        let key = |device: &DeviceRef| (device.slot, device.generation);
        listed.sort_unstable_by_key(key);
        all.sort_unstable_by_key(key);
        prop_assert_eq!(listed, all);
    }

    #[test]
    fn pages_by_enrolment_have_each_device_once_in_order(
        seed: u64, devices in 1_u32..400, day in 0_i64..6000, ms in 0..DAY_MS, take in 1_usize..60,
    ) {
        let world = world(seed, devices);
        let inventory = world.inventory(Millis(ACCOUNT_MADE.0 + day * DAY_MS + ms));
        let mut expected: Vec<(Millis, DeviceRef)> =
            all_devices(&world, inventory).into_iter().map(|device| (world.processes.enrolled_at(device), device)).collect();
        let mut listed: Vec<(Millis, DeviceRef)> = Vec::new();
        let mut cursor = None;
        loop {
            let page = inventory.after(cursor, take);
            let Some((last, _)) = page.last() else { break };
            prop_assert!(cursor < Some(*last));
            cursor = Some(*last);
            listed.extend(page.into_iter().map(|(cursor, device)| (cursor.at, device)));
        }
        prop_assert!(listed.is_sorted_by_key(|(at, _)| *at));
        let key = |(at, device): &(Millis, DeviceRef)| (*at, device.slot, device.generation);
        expected.sort_unstable_by_key(key);
        listed.sort_unstable_by_key(key);
        prop_assert_eq!(listed, expected);
    }

    #[test]
    fn counts_equal_a_count_over_the_devices(seed: u64, devices in 0_u32..400, day in 0_i64..6000, ms in 0..DAY_MS) {
        let world = world(seed, devices);
        let inventory = world.inventory(Millis(ACCOUNT_MADE.0 + day * DAY_MS + ms));
        let mut counted = DeviceCounts::default();
        for device in all_devices(&world, inventory) {
            let DeviceState { status, severity, .. } = inventory.state(device);
            *counted.of(status, severity) += 1;
        }
        prop_assert_eq!(inventory.counts(), counted);
    }

    #[test]
    fn the_inventory_is_what_the_device_log_says(seed: u64, devices in 1_u32..12, day in 0_i64..1500, ms in 0..DAY_MS) {
        let world = world(seed, devices);
        let now = Millis(ACCOUNT_MADE.0 + day * DAY_MS + ms);
        let inventory = world.inventory(now);
        let events = world.select(Category::Device, Window { from: ACCOUNT_MADE, to: now }, Filter::default());
        // The enrolment, the status and the time of its last change, by device id.
        let mut known: HashMap<String, (Millis, Status, Option<Millis>)> = HashMap::new();
        for event in events.page(0, usize::MAX, Order::OldestFirst) {
            let Record::Device(record) = world.render(&event) else { unreachable!("a device event") };
            let changed = |status| (status, Some(record.at));
            let (status, at) = match record.event {
                DeviceEvent::Added | DeviceEvent::AddedDuplicateMac => {
                    known.insert(record.device.id.clone(), (record.at, Status::Compliant, None));
                    continue;
                }
                DeviceEvent::Deleted | DeviceEvent::DeletedUser | DeviceEvent::DeletedApi | DeviceEvent::Unseen => {
                    prop_assert!(known.remove(&record.device.id).is_some(), "{} left before it came", record.device.id);
                    continue;
                }
                DeviceEvent::Compliant => changed(Status::Compliant),
                DeviceEvent::NonCompliant | DeviceEvent::Unexempt => changed(Status::NonCompliant),
                DeviceEvent::ExemptAll => changed(Status::Exempted),
                _ => continue,
            };
            let entry = known.get_mut(&record.device.id);
            prop_assert!(entry.is_some(), "{} changes its status and is not there", record.device.id);
            if let Some(entry) = entry {
                (entry.1, entry.2) = (status, at);
            }
        }
        for device in all_devices(&world, inventory) {
            let state = inventory.state(device);
            let logged = known.remove(&state.device.id);
            prop_assert_eq!(Some((state.enrolled_at, state.status, inventory.last_change(&state.device))), logged);
        }
        prop_assert!(known.is_empty(), "in the log, but not in the account: {:?}", known);
    }

    #[test]
    fn the_last_report_is_the_newest_of_the_log(seed: u64, devices in 1_u32..30, day in 4_i64..1500, ms in 0..DAY_MS) {
        let world = world(seed, devices);
        let now = Millis(ACCOUNT_MADE.0 + day * DAY_MS + ms);
        let inventory = world.inventory(now);
        let weeks = Window { from: Millis(now.0 - 60 * DAY_MS), to: now };
        let events = world.select(Category::DeviceReport, weeks, Filter::default());
        let mut newest: HashMap<String, (Millis, String)> = HashMap::new();
        for event in events.page(0, usize::MAX, Order::OldestFirst) {
            let Record::Report(report) = world.render(&event) else { unreachable!("a report") };
            newest.insert(report.device.id.clone(), (report.last_seen, report.public_ip));
        }
        for device in all_devices(&world, inventory) {
            let device = inventory.state(device).device;
            prop_assert_eq!(inventory.last_seen(&device), newest.get(&device.id).cloned());
        }
    }
}
