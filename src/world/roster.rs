//! Who and what a company consists of: its name, its people, its devices.
//!
//! Nothing here is stored. A person is a slot in the fleet, a device is a place and a generation; their names follow
//! from the seed. A person keeps the place when the device is replaced.

use std::borrow::Cow;

use fake::{
    Fake,
    faker::name::en::{FirstName, LastName},
};

use super::{
    kinds::AgentType,
    random::{Key, Permutation, RngStream, mix},
    time::{ACCOUNT_MADE, Millis},
    tracks::DeviceRef,
};

/// Somebody who works for the company.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Person {
    /// First and last name.
    pub name: String,
    /// The account by which the person logs in to devices.
    pub username: String,
    /// The address, in a domain that is reserved for examples.
    pub email: String,
}

/// A machine that runs an agent.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its hostname.
    pub name: String,
    /// Its hardware id: capitals and digits, or 32 hexadecimal digits.
    pub id: String,
    /// The account under which the agent runs.
    pub username: String,
    /// The address of whoever sits at it.
    pub email: String,
    /// The group it belongs to.
    pub group: Cow<'static, str>,
    /// The agent that it runs.
    pub agent: AgentType,
    /// Its operating system.
    pub os: &'static str,
    /// What kind of machine it is.
    pub machine: &'static str,
    /// Where it is in the fleet.
    pub(super) slot: u64,
}

/// Names that hostnames are made with: what comes before the serial part, for each kind of machine.
const LAPTOPS: [(&str, &str); 5] =
    [("LT", "Windows 11"), ("LT", "Windows 10"), ("LTES", "Windows 11"), ("MB-", "macOS"), ("NB-", "Ubuntu")];
const DESKTOPS: [(&str, &str); 3] = [("DT", "Windows 11"), ("W8", "Windows 10"), ("TEST-", "Windows 10")];
const PHONES: [(&str, &str); 2] = [("PH-", "Android"), ("IP-", "iOS")];
const VIRTUAL: [(&str, &str); 2] = [("VM-", "Windows 11"), ("VDI", "Windows 10")];
const CONTROLLERS: [(&str, &str); 2] = [("DC-", "Windows Server 2022"), ("DC-", "Windows Server 2019")];

const GROUPS: [&str; 8] =
    ["Default", "Default", "Engineering", "Finance", "Sales", "Human Resources", "Operations", "Group only firewall"];
const POLICIES: [&str; 4] = ["Default", "Windows workstations", "Domain controllers", "Mobile devices"];

/// The alphabet of hostnames and ids.
const DIGITS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
/// How many serial parts of five characters there are.
const SERIALS: u64 = 36 * 36 * 36 * 36 * 36;

/// One company's people and devices.
#[derive(Clone, Debug)]
pub(super) struct Roster {
    name: String,
    domain: String,
    devices: u64,
    /// The first slot of the fleet that is a domain controller.
    controllers_from: u64,
    admins: u64,
    people: Key,
    admin_people: Key,
    machines: Key,
    ids: Key,
    serials: Permutation,
}

/// So many administrators hardly ever share a name.
const FEW_ADMINS: u64 = 20;

/// The time zones that companies have their offices in, in hours ahead of UTC.
const ZONES: [i64; 9] = [-8, -7, -6, -5, -3, 0, 1, 2, 9];

impl Roster {
    pub(super) fn new(seed: u64, devices: u64) -> Self {
        let company: &str = LastName().fake_with_rng(&mut Key::new(seed, RngStream::Company).draws(0));
        let trade = Key::new(seed, RngStream::Company)
            .pick(1, &["Logistics", "Health", "Energy", "Foods", "Systems", "Insurance", "Media", "Motors"]);
        Self {
            name: format!("{company} {trade}"),
            domain: format!("{}-{}.example", plain(company), trade.to_ascii_lowercase()),
            devices,
            controllers_from: devices - devices / 25,
            // About one administrator for fifty devices, and at least two: there are administrators without devices too. Not
            // fewer than devices that begin to noncompliance in one block, so that nobody sees to two of them.
            admins: (devices.div_ceil(48)).max(2),
            people: Key::new(seed, RngStream::Person),
            admin_people: Key::new(seed, RngStream::Admin),
            machines: Key::new(seed, RngStream::Device),
            ids: Key::new(seed, RngStream::DeviceId),
            serials: Permutation::new(Key::new(seed, RngStream::Hostname), SERIALS),
        }
    }

    /// The time zone of a seed's company, in hours ahead of UTC.
    pub(super) fn zone_hours(seed: u64) -> i64 {
        Key::new(seed, RngStream::Company).pick(2, &ZONES)
    }

    pub(super) fn company(&self) -> &str {
        &self.name
    }

    pub(super) fn admins(&self) -> u64 {
        self.admins
    }

    pub(super) fn controllers_from(&self) -> u64 {
        self.controllers_from
    }

    /// An administrator. Where there are many, the number of each is in the email, so that no two have one.
    pub(super) fn admin(&self, index: u64) -> Person {
        let mut admin = self.named(self.admin_people, index);
        if self.admins > FEW_ADMINS {
            admin.username = format!("{}{}", admin.username, index + 1);
            admin.email = format!("{}@{}", admin.username, self.domain);
        }
        admin
    }

    /// Who sits at a slot of the fleet.
    pub(super) fn person(&self, slot: u64) -> Person {
        self.named(self.people, slot)
    }

    fn named(&self, key: Key, index: u64) -> Person {
        let mut draws = key.draws(index);
        let first: &str = FirstName().fake_with_rng(&mut draws);
        let last: &str = LastName().fake_with_rng(&mut draws);
        let username = format!("{}.{}", plain(first), plain(last));
        Person { name: format!("{first} {last}"), email: format!("{username}@{}", self.domain), username }
    }

    pub(super) fn device(&self, device: DeviceRef) -> Device {
        let slot = device.slot;
        let (machine, (_, os)) = self.machine(device);
        let agent = if slot < self.controllers_from { AgentType::Endpoint } else { AgentType::DomainController };
        let Person { username, email, .. } = self.person(slot);
        let username = if machine == "domain controller" { "svc-opswat".to_owned() } else { username };
        let (name, id, group) = (self.hostname(device), self.device_id(device), self.group(slot).into());
        Device { name, id, username, email, group, agent, os, machine, slot }
    }

    /// The name of a device: what the house calls machines of its kind, and a serial part.
    pub(super) fn hostname(&self, device: DeviceRef) -> String {
        let (_, (prefix, _)) = self.machine(device);
        // Each device has a number of its own, so names are unique while the numbers last: into the 22nd century for the
        // largest fleet.
        let serial = self.serials.forward((device.generation * self.devices + device.slot) % SERIALS);
        format!("{prefix}{}", capitals(serial, 5))
    }

    /// The group that the devices at a slot of the fleet belong to.
    pub(super) fn group(&self, slot: u64) -> &'static str {
        if slot < self.controllers_from { self.machines.sub(1).pick(slot, &GROUPS) } else { "Domain controllers" }
    }

    /// The places of the fleet with short replacements are virtual machines and phones, the others what people sit at.
    fn machine(&self, device: DeviceRef) -> (&'static str, (&'static str, &'static str)) {
        let DeviceRef { slot, generation } = device;
        let key = self.machines.sub(2).sub(generation);
        if slot >= self.controllers_from {
            return ("domain controller", key.pick(slot, &CONTROLLERS));
        }
        match slot % 8 {
            7 => ("vm", key.pick(slot, &VIRTUAL)),
            3 => ("phone", key.pick(slot, &PHONES)),
            2 | 6 => ("desktop", key.pick(slot, &DESKTOPS)),
            _ => ("laptop", key.pick(slot, &LAPTOPS)),
        }
    }

    /// Ten to sixteen capitals and digits, as hardware makers have serial numbers, or 32 hexadecimal digits.
    pub(super) fn device_id(&self, device: DeviceRef) -> String {
        let key = self.ids.sub(device.generation);
        let (high, low) = (key.at(device.slot), key.sub(0).at(device.slot));
        match mix(high) % 8 {
            0 => format!("{high:016x}{low:016x}"),
            1 | 2 => format!("{}{}", capitals(high, 11), capitals(low, 5)),
            _ => capitals(high, 10),
        }
    }

    /// One of the few addresses that a device has been seen at, out of the ranges kept for documentation.
    pub(super) fn address(&self, device: DeviceRef, nth: u64) -> String {
        // Offices share a few addresses; a person at home has an own one, and only what can be carried is there.
        let (machine, _) = self.machine(device);
        let (net, host) = if nth < 3 || matches!(machine, "desktop" | "vm" | "domain controller") {
            ("203.0.113", self.machines.sub(3).below(device.slot % 4, 250) + 1)
        } else {
            let net = self.machines.sub(4).pick(device.slot, &["198.51.100", "192.0.2"]);
            (net, self.machines.sub(5).below(device.slot, 250) + 1)
        };
        format!("{net}.{host}")
    }

    /// The policy that a device is held to.
    #[expect(clippy::unused_self, reason = "policies will differ between companies")]
    pub(super) fn policy(&self, device: &Device) -> &'static str {
        match device.machine {
            "domain controller" => POLICIES[2],
            "phone" => POLICIES[3],
            "desktop" | "laptop" if device.os.starts_with("Windows") => POLICIES[1],
            _ => POLICIES[0],
        }
    }
}

impl Device {
    /// A device that is not of the fleet: somebody made it up.
    #[must_use]
    pub fn invented(name: String, id: String, username: String) -> Self {
        let email = format!("{username}@invented.example");
        let group = GROUPS[0].into();
        Self {
            name,
            id,
            username,
            email,
            group,
            agent: AgentType::Endpoint,
            os: LAPTOPS[0].1,
            machine: "laptop",
            slot: 0,
        }
    }

    /// The version of the agent that the device ran at an instant: a release every month, rolled out over some weeks.
    #[must_use]
    pub fn agent_version(&self, at: Millis) -> String {
        const MONTH: i64 = 2_629_800_000;
        let rolled_out = at.0 - (self.slot % 29).cast_signed() * 86_400_000;
        // Releases are counted from the account's beginning; before, everybody had the first.
        let release = ((rolled_out - ACCOUNT_MADE.0).max(0)) / MONTH;
        match self.agent {
            AgentType::Endpoint => format!("7.6.{release}.0"),
            AgentType::DomainController => format!("10.4.{release}.0"),
        }
    }
}

/// The last `length` digits of a number in capitals and digits.
fn capitals(number: u64, length: usize) -> String {
    let mut rest = number;
    let mut digits = vec![0; length];
    for digit in digits.iter_mut().rev() {
        // Below 36 by the remainder.
        let index = (rest % 36) as usize;
        *digit = DIGITS[index];
        rest /= 36;
    }
    digits.into_iter().map(char::from).collect()
}

/// A name as it stands in an address: lower case, letters only.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphabetic).map(|letter| letter.to_ascii_lowercase()).collect()
}
