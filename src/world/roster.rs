//! The name, the people and the devices of a company.
//!
//! Nothing here is stored. A person is identified by a slot of the fleet, a device by a slot and a generation. Their
//! names follow from the seed. A person keeps the slot when its device is replaced.

use std::borrow::Cow;

use fake::{
    Fake,
    faker::name::en::{FirstName, LastName},
};

use super::{
    kinds::AgentType,
    random::{Key, Permutation, RngStream, mix},
    time::{ACCOUNT_MADE, MONTH_MS, Millis},
    tracks::DeviceRef,
};

/// A person who works for the company.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Person {
    /// First and last name.
    pub name: String,
    /// The account name with which the person logs in to devices.
    pub username: String,
    /// The email address, in a domain that is reserved for examples.
    pub email: String,
}

/// A machine with an agent.
#[derive(Clone, Debug)]
pub struct Device {
    /// The hostname.
    pub name: String,
    /// The hardware id: uppercase letters and digits, or 32 hexadecimal digits.
    pub id: String,
    /// The account under which the agent runs.
    pub username: String,
    /// The email address of the user of the device.
    pub email: String,
    /// The group of the device.
    pub group: Cow<'static, str>,
    /// The type of the agent.
    pub agent: AgentType,
    /// The operating system.
    pub os: &'static str,
    /// The machine type, such as `laptop`.
    pub machine: &'static str,
    /// The place in the fleet; `None` for a device outside of it.
    pub(super) place: Option<DeviceRef>,
}

/// For each machine type: hostname prefixes and operating systems. A serial part follows the prefix.
const LAPTOPS: [(&str, &str); 5] =
    [("LT", "Windows 11"), ("LT", "Windows 10"), ("LTES", "Windows 11"), ("MB-", "macOS"), ("NB-", "Ubuntu")];
const DESKTOPS: [(&str, &str); 3] = [("DT", "Windows 11"), ("W8", "Windows 10"), ("TEST-", "Windows 10")];
const PHONES: [(&str, &str); 2] = [("PH-", "Android"), ("IP-", "iOS")];
const VIRTUAL: [(&str, &str); 2] = [("VM-", "Windows 11"), ("VDI", "Windows 10")];
const CONTROLLERS: [(&str, &str); 2] = [("DC-", "Windows Server 2022"), ("DC-", "Windows Server 2019")];

const GROUPS: [&str; 8] =
    ["Default", "Default", "Engineering", "Finance", "Sales", "Human Resources", "Operations", "Group only firewall"];
pub(super) const POLICIES: [&str; 4] = ["Default", "Windows workstations", "Domain controllers", "Mobile devices"];

/// The alphabet of hostnames and ids.
const DIGITS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
/// The length of the serial part of a hostname, and the number of serial parts.
const SERIAL_DIGITS: usize = 5;
const SERIALS: u64 = 36_u64.pow(5);
/// The number of digits of an id for the number of its device, and the number of values that they have.
const ID_DIGITS: usize = 10;
const IDS: u64 = 36_u64.pow(10);

/// More generations than a slot of the fleet has until the end of time: there are fewer than six in a year.
const MAX_GENERATIONS: u64 = 4_096;

/// The number of MAC addresses, which have five free bytes.
const MAC_ADDRESSES: u64 = 1 << 40;

/// The people and devices of one company.
#[derive(Clone, Debug)]
pub(super) struct Roster {
    name: String,
    domain: String,
    devices: u64,
    /// The first slot of the fleet with a domain controller.
    controllers_from: u64,
    admins: u64,
    people: Key,
    admin_people: Key,
    machines: Key,
    ids: Permutation,
    /// The digits of an id that follow the permuted number.
    id_rests: Key,
    serials: Permutation,
    mac_addresses: Permutation,
}

/// Up to this number of administrators, two of them rarely have the same name.
const FEW_ADMINS: u64 = 20;

/// The possible time zones of a company, in hours ahead of UTC.
const ZONES: [i64; 9] = [-8, -7, -6, -5, -3, 0, 1, 2, 9];

impl Roster {
    pub(super) fn new(seed: u64, devices: u64) -> Self {
        let company: &str = LastName().fake_with_rng(&mut Key::new(seed, RngStream::Company).draws(0));
        let industry = Key::new(seed, RngStream::Company)
            .pick(1, &["Logistics", "Health", "Energy", "Foods", "Systems", "Insurance", "Media", "Motors"]);
        Self {
            name: format!("{company} {industry}"),
            domain: format!("{}-{}.example", plain(company), industry.to_ascii_lowercase()),
            devices,
            controllers_from: devices - devices / 25,
            // One administrator per 48 devices, and at least two, also without devices. In one block, at most that many
            // non-compliances begin, so each can have its own administrator.
            admins: (devices.div_ceil(48)).max(2),
            people: Key::new(seed, RngStream::Person),
            admin_people: Key::new(seed, RngStream::Admin),
            machines: Key::new(seed, RngStream::Device),
            ids: Permutation::new(Key::new(seed, RngStream::DeviceId), IDS),
            id_rests: Key::new(seed, RngStream::DeviceId).stream(RngStream::Detail),
            serials: Permutation::new(Key::new(seed, RngStream::Hostname), SERIALS),
            mac_addresses: Permutation::new(Key::new(seed, RngStream::MacAddress), MAC_ADDRESSES),
        }
    }

    /// The UTC offset of the company of a seed, in hours.
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

    /// An administrator. With more than [`FEW_ADMINS`] administrators, the username and the email contain the number,
    /// so that they are unique.
    pub(super) fn admin(&self, index: u64) -> Person {
        let mut admin = self.named(self.admin_people, index);
        if self.admins > FEW_ADMINS {
            admin.username = format!("{}{}", admin.username, index + 1);
            admin.email = format!("{}@{}", admin.username, self.domain);
        }
        admin
    }

    /// The user at a slot of the fleet.
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
        Device { name, id, username, email, group, agent, os, machine, place: Some(device) }
    }

    /// The hostname of a device: the prefix of its machine type and a serial part.
    pub(super) fn hostname(&self, device: DeviceRef) -> String {
        let (_, (prefix, _)) = self.machine(device);
        // Each device has its own number, so hostnames are unique until the numbers wrap around: in the 22nd century
        // for the largest fleet.
        let serial = self.serials.forward(self.number(device) % SERIALS);
        format!("{prefix}{}", base36(serial, SERIAL_DIGITS))
    }

    /// The group of the devices at a slot of the fleet.
    pub(super) fn group(&self, slot: u64) -> &'static str {
        if slot < self.controllers_from { self.machines.sub(1).pick(slot, &GROUPS) } else { "Domain controllers" }
    }

    /// Machine type, hostname prefix and operating system. Endpoint slots with frequent replacements have virtual
    /// machines and phones, the other endpoint slots have desktops and laptops.
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

    /// Ten or sixteen uppercase letters and digits, like a serial number of a manufacturer, or 32 hexadecimal digits. The
    /// first ten or thirteen digits are the permuted number of the device, so that [`with_id`](Self::with_id) finds it.
    pub(super) fn device_id(&self, device: DeviceRef) -> String {
        let number = self.number(device);
        let permuted = self.ids.forward(number % IDS);
        let rest = |nth: u64| self.id_rests.sub(nth).at(number);
        match mix(rest(0)) % 8 {
            0 => format!("{permuted:013x}{:03x}{:016x}", rest(1) & 0xFFF, rest(2)),
            1 | 2 => format!("{}{}", base36(permuted, ID_DIGITS), base36(rest(1), 6)),
            _ => base36(permuted, ID_DIGITS),
        }
    }

    /// The device with an id, at any instant.
    pub(super) fn with_id(&self, id: &str) -> Option<DeviceRef> {
        let permuted = match id.len() {
            10 | 16 => from_base36(id.get(..ID_DIGITS)?)?,
            32 => u64::from_str_radix(id.get(..13)?, 16).ok()?,
            _ => return None,
        };
        let device = self.numbered((permuted < IDS).then(|| self.ids.backward(permuted))?)?;
        (self.device_id(device) == id).then_some(device)
    }

    /// The devices with a hostname, at any instant. Hostnames are unique until their numbers wrap around.
    pub(super) fn with_hostname(&self, name: &str) -> impl Iterator<Item = DeviceRef> {
        let serial = name.len().checked_sub(SERIAL_DIGITS).and_then(|start| name.get(start..)).and_then(from_base36);
        let first = serial.map(|serial| self.serials.backward(serial));
        let numbers = first.into_iter().flat_map(|first| (0..4).map(move |wraps| first + wraps * SERIALS));
        numbers.filter_map(|number| self.numbered(number)).filter(move |device| self.hostname(*device) == name)
    }

    /// The device that has had a MAC address from the start.
    pub(super) fn with_mac_address(&self, address: &str) -> Option<DeviceRef> {
        let mut bytes =
            address.split([':', '-']).map(|byte| u64::from_str_radix(byte, 16).ok().filter(|_| byte.len() == 2));
        let number = (0..6).try_fold(0, |number, _| Some(number << 8 | bytes.next()??))?;
        let is_own = bytes.next().is_none() && number >> 40 == 0x02;
        let device = self.numbered(self.mac_addresses.backward(is_own.then_some(number & (MAC_ADDRESSES - 1))?) / 2)?;
        self.mac_addresses(device)
            .iter()
            .any(|own| own.eq_ignore_ascii_case(&address.replace('-', ":")))
            .then_some(device)
    }

    /// The number of a device among all devices that the company ever has.
    fn number(&self, device: DeviceRef) -> u64 {
        device.generation * self.devices + device.slot
    }

    /// The device with a number; `None` if the company never has that many.
    fn numbered(&self, number: u64) -> Option<DeviceRef> {
        let generation = number.checked_div(self.devices)?;
        (generation < MAX_GENERATIONS).then(|| DeviceRef { slot: number % self.devices, generation })
    }

    /// The MAC addresses of the network adapters of a device, which no other device has from the start. They are locally
    /// administered, so no manufacturer has them.
    pub(super) fn mac_addresses(&self, device: DeviceRef) -> Vec<String> {
        let adapters = if self.machine(device).0 == "laptop" { 2 } else { 1 };
        let number = self.number(device);
        let address = |adapter: u64| {
            let bytes = self.mac_addresses.forward((2 * number + adapter) % MAC_ADDRESSES).to_be_bytes();
            bytes[3..].iter().fold("02".to_owned(), |address, byte| format!("{address}:{byte:02X}"))
        };
        (0..adapters).map(address).collect()
    }

    /// One of the few public IP addresses of a device, from the ranges reserved for documentation (RFC 5737).
    pub(super) fn address(&self, device: DeviceRef, nth: u64) -> String {
        // Offices share a few addresses. At home, each slot has its own address; only laptops and phones are used
        // there.
        let (machine, _) = self.machine(device);
        let (net, host) = if nth < 3 || matches!(machine, "desktop" | "vm" | "domain controller") {
            ("203.0.113", self.machines.sub(3).below(device.slot % 4, 250) + 1)
        } else {
            let net = self.machines.sub(4).pick(device.slot, &["198.51.100", "192.0.2"]);
            (net, self.machines.sub(5).below(device.slot, 250) + 1)
        };
        format!("{net}.{host}")
    }

    /// The groups of devices, each with the index of its policy in [`POLICIES`].
    pub(super) fn groups() -> impl Iterator<Item = (&'static str, usize)> {
        let endpoints = GROUPS[1..].iter().map(|group| (*group, 0));
        endpoints.chain([("Domain controllers", 2)])
    }

    /// The policy that applies to a device.
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
    /// A device outside the fleet, for injected events.
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
            place: None,
        }
    }

    /// The agent version on the device at an instant. There is a release every month; its rollout takes four weeks.
    #[must_use]
    pub fn agent_version(&self, at: Millis) -> String {
        let slot = self.place.map_or(0, |place| place.slot);
        let rolled_out = at.0 - (slot % 29).cast_signed() * 86_400_000;
        // Releases are counted from the creation of the account. Before that, the release is 0.
        let release = ((rolled_out - ACCOUNT_MADE.0).max(0)) / MONTH_MS;
        match self.agent {
            AgentType::Endpoint => format!("7.6.{release}.0"),
            AgentType::DomainController => format!("10.4.{release}.0"),
        }
    }
}

/// The last `length` base-36 digits of a number, in the alphabet of [`DIGITS`].
fn base36(number: u64, length: usize) -> String {
    let mut rest = number;
    let mut digits = vec![0; length];
    for digit in digits.iter_mut().rev() {
        // Below 36: a remainder of 36.
        let index = (rest % 36) as usize;
        *digit = DIGITS[index];
        rest /= 36;
    }
    digits.into_iter().map(char::from).collect()
}

/// The number that [`base36`] writes as these digits.
fn from_base36(digits: &str) -> Option<u64> {
    let value = |digit: u8| DIGITS.iter().position(|&known| known == digit);
    digits.bytes().try_fold(0, |number, digit| Some(number * 36 + value(digit)? as u64))
}

/// A name in the form that addresses use: lowercase ASCII letters only.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphabetic).map(|letter| letter.to_ascii_lowercase()).collect()
}
