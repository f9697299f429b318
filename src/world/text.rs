//! Renders the sentences of `details`, in the wording of the console.

use super::{
    codes::{AdminEvent, DeviceEvent, WebhookEvent},
    company::World,
    kinds::Status,
    random::{Key, RngStream},
    roster::{Device, Person},
    tracks::EventRef,
};

/// A policy violation, and how it is fixed.
#[derive(Clone, Copy)]
struct Finding {
    category: &'static str,
    wrong: &'static str,
    fix: &'static str,
}

const fn finding(category: &'static str, wrong: &'static str, fix: &'static str) -> Finding {
    Finding { category, wrong, fix }
}

/// Violations of a brief non-compliance, on machines other than phones.
const QUICK: [Finding; 4] = [
    finding("antivirus", "antivirus definitions are out of date", "antivirus definitions were updated"),
    finding("antivirus", "real-time protection is off", "real-time protection was turned on"),
    finding("firewall", "firewall is disabled", "firewall was enabled"),
    finding("antivirus", "the last full scan is more than 7 days old", "a full scan was completed"),
];
/// Violations of a longer non-compliance, on machines other than phones.
const SLOW: [Finding; 4] = [
    finding("patch_management", "critical operating system patches are missing", "missing patches were installed"),
    finding("hard_disk_encryption", "the system disk is not encrypted", "the system disk was encrypted"),
    finding("unclassified_pua", "a vulnerable application is installed", "the vulnerable application was updated"),
    finding("backupclient", "no backup was made in the last 30 days", "a backup was made"),
];
/// Violations on phones.
const PHONE: [Finding; 3] = [
    finding("systemsecurity", "the device is not protected by a passcode", "a passcode was set"),
    finding("osupdate", "the operating system is out of date", "the operating system was updated"),
    finding("systemsecurity", "the screen is not locked within 5 minutes", "the screen lock was set"),
];

const SETTINGS: [&str; 6] = [
    "policy Default: antivirus definitions must be newer than 3 days",
    "policy Windows workstations: disk encryption is required",
    "report interval was set to 4 hours",
    "device timeout was set to 30 days",
    "notification recipients",
    "user authentication: single sign-on was enabled",
];
const RULES: [&str; 3] = ["NON COMPLIANT DEVICES", "Block non-compliant devices", "Monitor cloud storage"];
const ALLOWED: [&str; 3] = ["process backup-agent.exe", "application TeamViewer", "address range 192.0.2.0/24"];
const TICKETS: [&str; 3] = ["Agent does not report", "Question about exemptions", "Device shown twice"];

/// The description of a report, with the policy violation of a device that has one.
pub(crate) fn reported(device: &Device, status: Status, policy: &str, violation: Option<&str>) -> String {
    let name = &device.name;
    let violation = violation.map(|violation| format!(": {violation}")).unwrap_or_default();
    match status {
        Status::Compliant => format!("Device {name} reported: policy {policy} is kept"),
        Status::NonCompliant => format!("Device {name} reported: policy {policy} is not kept{violation}"),
        Status::Exempted => format!("Device {name} reported: exempted from policy {policy}{violation}"),
    }
}

impl World {
    pub(super) fn device_details(&self, event_ref: &EventRef, event: DeviceEvent, device: &Device) -> String {
        let name = &device.name;
        let actor = || name_and_email(&self.actor(event_ref));
        let (key, occurrence) = self.processes.detail(event_ref);
        match event {
            DeviceEvent::AccessGranted => {
                format!("Device {name} was granted access to protected applications after {} verified", device.username)
            }
            DeviceEvent::AccessRevoked => {
                let hours = self.processes.hours_since_start(event_ref);
                format!("Access of device {name} to protected applications was revoked after {hours} hour(s)")
            }
            DeviceEvent::Added => format!(
                "Device {name} was added with {} {} on {}",
                device.agent.product(),
                device.agent_version(event_ref.at),
                device.os
            ),
            DeviceEvent::AddedDuplicateMac => {
                format!("Device {name} was added; its MAC address is used by another device")
            }
            DeviceEvent::ComplianceCheck => format!("Compliance check of device {name} was requested by {}", actor()),
            DeviceEvent::Compliant => {
                format!("Device {name} changed status to compliant: {}", self.finding(key, occurrence, device).fix)
            }
            DeviceEvent::Deleted => format!("Device {name} was deleted by {}", actor()),
            DeviceEvent::DeletedUser => {
                format!("{} was uninstalled from device {name} by {}", device.agent.product(), device.username)
            }
            DeviceEvent::DeletedApi => format!("Device {name} was deleted by OAuth API"),
            DeviceEvent::ExemptAll => {
                let hours = self.processes.exemption_hours(event_ref);
                format!("Device {name} was exempted by {} for {hours} hour(s)", actor())
            }
            DeviceEvent::FetchLog => format!("Log files of device {name} were requested by {}", actor()),
            DeviceEvent::NonCompliant => {
                format!(
                    "Device {name} changed status to non-compliant: {}",
                    self.finding(key, occurrence, device).wrong
                )
            }
            DeviceEvent::ScanThreat => format!("Threat scan of device {name} was requested by {}", actor()),
            DeviceEvent::Unexempt => format!("Exemption of device {name} was removed by {}", actor()),
            DeviceEvent::Unseen => format!("Device {name} was deleted because it was not seen for a long time"),
        }
    }

    pub(super) fn admin_details(&self, event_ref: &EventRef, event: AdminEvent, admin: &Person) -> String {
        let (key, occurrence) = self.processes.detail(event_ref);
        let key = key.stream(RngStream::Console).sub(event as u64);
        let admin = name_and_email(admin);
        match event {
            AdminEvent::CacChange => format!("Access rule {} was changed by {admin}", key.pick(occurrence, &RULES)),
            AdminEvent::Config => format!("Configuration was changed by {admin}: {}", key.pick(occurrence, &SETTINGS)),
            AdminEvent::FailedAuth => format!("{admin} failed to log on: wrong password"),
            AdminEvent::Login => format!("{admin} logged on to the console"),
            AdminEvent::RevMobileCode => format!("Registration code for mobile devices was revoked by {admin}"),
            AdminEvent::SubmitTicket => {
                format!("Support ticket \"{}\" was submitted by {admin}", key.pick(occurrence, &TICKETS))
            }
            AdminEvent::Whitelist => {
                format!("Whitelist was changed by {admin}: {} added", key.pick(occurrence, &ALLOWED))
            }
            AdminEvent::ChangedPassword => format!("Password was changed by {admin}"),
        }
    }

    #[expect(clippy::unused_self, reason = "one of a family of methods")]
    /// The text of a notification; the number of the attempt counts from 0.
    pub(crate) fn webhook_details(&self, event: WebhookEvent, device: &Device, attempt: u8) -> String {
        let what = match event {
            WebhookEvent::Added => "was added",
            WebhookEvent::Deleted => "was deleted",
            WebhookEvent::StatusChangedToCompliant => "changed status to compliant",
            WebhookEvent::StatusChangedToExempted => "changed status to exempted",
            WebhookEvent::StatusChangedToNonCompliant => "changed status to non-compliant",
        };
        let name = &device.name;
        match attempt {
            0 => format!("Notification: device {name} {what}"),
            nth => format!("Notification, attempt {}: device {name} {what}", nth + 1),
        }
    }

    pub(super) fn report_details(
        &self,
        device: &Device,
        status: Status,
        policy: &str,
        noncompliance: Option<(Key, u64)>,
    ) -> String {
        let wrong = noncompliance.map(|(key, occurrence)| self.finding(key, occurrence, device).wrong);
        reported(device, status, policy, wrong)
    }

    /// The category and the text of the policy violation of a non-compliance, as reports name it.
    pub(super) fn violation(&self, key: Key, occurrence: u64, device: &Device) -> (&'static str, &'static str) {
        let Finding { category, wrong, .. } = self.finding(key, occurrence, device);
        (category, wrong)
    }

    /// The policy violation of a non-compliance. It is the same at the beginning and at the end.
    fn finding(&self, key: Key, occurrence: u64, device: &Device) -> Finding {
        let key = key.stream(RngStream::Detail);
        match device.machine {
            "phone" => key.pick(occurrence, &PHONE),
            _ if device.place.is_some_and(|place| self.processes.is_brief(place.slot, occurrence)) => {
                key.pick(occurrence, &QUICK)
            }
            _ => key.pick(occurrence, &SLOW),
        }
    }
}

fn name_and_email(person: &Person) -> String {
    format!("{} ({})", person.name, person.email)
}
