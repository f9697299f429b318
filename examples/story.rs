//! Prints the history of one device over sixty days, from all five categories.
//!
//! `cargo run --release --example story -- [SEED] [HOSTNAME]`; the default is a device with many unusual events.

use std::collections::HashMap;

use opswat_mock::world::{Category, DeviceEvent, Filter, Lag, Millis, Order, Record, Window, World, WorldConfig};

const NOW: i64 = 1_768_478_400_000;
const DAY: i64 = 86_400_000;
const SIXTY_DAYS: Window = Window { from: Millis(NOW - 60 * DAY), to: Millis(NOW) };

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seed = arguments.next().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let world = World::new(WorldConfig { seed, devices: 100, lag: Lag::NONE, webhook_since: None });
    let name = arguments.next().unwrap_or_else(|| most_eventful(&world));
    println!("{name} of {}, sixty days up to 2026-01-15 12:00 UTC\n", world.company());

    let mut lines: Vec<(Millis, String)> = Vec::new();
    let mut routine = [0_usize; 2];
    for category in Category::ALL {
        let search = (category != Category::Admin).then(|| name.clone());
        let filter = Filter { search, ..Filter::default() };
        for event in world.select(category, SIXTY_DAYS, filter).page(0, usize::MAX, Order::OldestFirst) {
            match summarize(&world.render(&event), &name) {
                Summary::Line(line) => lines.push((event.at(), line)),
                Summary::Report => routine[0] += 1,
                Summary::Access => routine[1] += 1,
                Summary::Nothing => {}
            }
        }
    }
    // Only the administrator logins that precede an action on this device.
    let acts: Vec<(Millis, String)> = lines.iter().filter(|(_, line)| line.contains('@')).cloned().collect();
    let logins = world.select(Category::Admin, SIXTY_DAYS, Filter::default()).page(0, usize::MAX, Order::OldestFirst);
    for event in logins {
        let Record::Admin(entry) = world.render(&event) else { continue };
        let leads = |(at, line): &(Millis, String)| {
            line.contains(&entry.admin.email)
                && entry.event.code() == "login"
                && (0..600_000).contains(&(at.0 - entry.at.0))
        };
        if acts.iter().any(leads) {
            lines.push((entry.at, format!("admin    {}", entry.details)));
        }
    }
    lines.sort();
    for (at, line) in &lines {
        let at = jiff::Timestamp::from_millisecond(at.0).expect("an instant of the history");
        println!("{}  {line}", at.strftime("%b %d %a %H:%M:%S"));
    }
    println!("\nand {} reports and {} accesses without anything unusual", routine[0], routine[1]);
}

enum Summary {
    Line(String),
    Report,
    Access,
    Nothing,
}

fn summarize(entry: &Record, name: &str) -> Summary {
    match entry {
        Record::Device(entry) if entry.device.name == name => Summary::Line(format!("device   {}", entry.details)),
        Record::Webhook(entry) if entry.device.name == name => {
            Summary::Line(format!("webhook  {} (answered {})", entry.event.code(), entry.response_code))
        }
        Record::Report(entry) if entry.device.name == name => match entry.severity.code() {
            "critical" => Summary::Line(format!("report   {}", entry.details)),
            _ => Summary::Report,
        },
        Record::Activity(entry) if entry.device.name == name => match entry.action.code() {
            "allowed" | "monitored_allow" => Summary::Access,
            action => Summary::Line(format!("access   {} by \"{}\": {action}", entry.app_name, entry.access_rule)),
        },
        _ => Summary::Nothing,
    }
}

/// The device with the highest weight of device events within the sixty days.
fn most_eventful(world: &World) -> String {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for event in world.select(Category::Device, SIXTY_DAYS, Filter::default()).page(0, usize::MAX, Order::OldestFirst) {
        if let Record::Device(entry) = world.render(&event) {
            let weight = match entry.event {
                DeviceEvent::Added => 40,
                DeviceEvent::Deleted => 30,
                DeviceEvent::ExemptAll => 6,
                _ => 1,
            };
            *counts.entry(entry.device.name.clone()).or_default() += weight;
        }
    }
    let most = counts.into_iter().max_by(|(a, left), (b, right)| left.cmp(right).then(b.cmp(a)));
    most.map(|(name, _)| name).expect("a fleet with events")
}
