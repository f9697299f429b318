//! What the account's pages show about the company itself: its owner, its licence, its groups and policies.

use super::{
    codes::AdminEvent,
    company::World,
    kinds::Kind,
    random::{Key, RngStream},
    roster::{POLICIES, Person, Roster},
    time::Millis,
    tracks::Process,
};

/// A group of devices.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) name: &'static str,
    pub(crate) policy: Policy,
}

/// A policy that devices must keep.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) id: String,
    pub(crate) name: &'static str,
}

/// The characters of a licence key.
const KEY_CHARACTERS: [char; 32] = [
    'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'J', 'K', 'L', 'M', 'N', 'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y',
    'Z', '2', '3', '4', '5', '6', '7', '8', '9',
];

impl World {
    /// The administrator who owns the account.
    pub(crate) fn owner(&self) -> Person {
        self.admin(0)
    }

    /// The time of the last daily login of the owner; `None` before the first one.
    pub(crate) fn owner_login(&self, now: Millis) -> Option<Millis> {
        let is_daily_login = |track: &super::tracks::Track| {
            track.process == Process::AdminDay && track.kind == Kind::Admin(AdminEvent::Login)
        };
        let (track, spec) = self.processes.tracks().find(|(_, track)| is_daily_login(track))?;
        let schedule = &self.processes.schedules[spec.schedule];
        let (rounds, _) = schedule.occurrences_of(0, self.processes.after(now).working_hours);
        // A login is some milliseconds off its occurrence, so the last one can be in the future.
        let logins = (0..rounds).rev().take(2).map(|round| self.processes.at(track, schedule.occurrence_of(0, round)));
        logins.into_iter().find(|at| *at <= now)
    }

    /// The number of devices that the licence allows: more than the company ever has at once.
    pub(crate) fn devices_allowed(&self) -> u64 {
        (u64::from(self.config.devices) * 5 / 4).div_ceil(100).max(1) * 100
    }

    pub(crate) fn license_key(&self) -> String {
        self.key_text(0, 5)
    }

    /// The code with which devices register.
    pub(crate) fn registration_code(&self) -> String {
        self.key_text(1, 4)
    }

    /// Groups of five characters.
    fn key_text(&self, nth: u64, groups: u64) -> String {
        let key = Key::new(self.config.seed, RngStream::AccountId).sub(nth);
        let group = |nth: u64| (0..5).map(|place| key.pick(5 * nth + place, &KEY_CHARACTERS)).collect::<String>();
        (0..groups).map(group).collect::<Vec<_>>().join("-")
    }

    pub(crate) fn groups(&self) -> Vec<Group> {
        let group = |(nth, (name, policy)): (u64, (&'static str, usize))| Group {
            id: self.object_id(2, nth),
            name,
            policy: self.policies().swap_remove(policy),
        };
        (0..).zip(Roster::groups()).map(group).collect()
    }

    /// The policy that applies to a device.
    pub(crate) fn policy_of(&self, device: &super::roster::Device) -> &'static str {
        self.roster.policy(device)
    }

    pub(crate) fn policies(&self) -> Vec<Policy> {
        (0..).zip(POLICIES).map(|(nth, name)| Policy { id: self.object_id(3, nth), name }).collect()
    }

    /// 24 hexadecimal digits.
    fn object_id(&self, kind: u64, nth: u64) -> String {
        let key = Key::new(self.config.seed, RngStream::AccountId).sub(kind);
        format!("{:08x}{:016x}", key.at(2 * nth) >> 32, key.at(2 * nth + 1))
    }
}
