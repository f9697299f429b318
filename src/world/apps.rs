//! The applications of the company and their access rules.

use super::{codes::Action, kinds::Status, tracks::Process};

/// Applications that every device may access.
pub(super) const OPEN_APPS: [&str; 4] = ["Zoom", "Confluence", "Workday", "ServiceNow"];
pub(super) const OPEN_RULE: &str = "ALL DEVICES";
/// Applications that block non-compliant devices, each with its access rule.
pub(super) const GUARDED_APPS: [(&str, &str); 5] = [
    ("Salesforce", "NON COMPLIANT DEVICES"),
    ("Slack", "Block non-compliant devices"),
    ("Office 365", "NON COMPLIANT DEVICES"),
    ("GitHub", "Block non-compliant devices"),
    ("AWS Console", "NON COMPLIANT DEVICES"),
];
/// Applications whose rule only monitors accesses, each with its access rule.
pub(super) const WATCHED_APPS: [(&str, &str); 3] =
    [("Dropbox", "Monitor cloud storage"), ("Box", "Monitor cloud storage"), ("Google Workspace", "Monitor mail")];

/// All texts that an activity of a process can contain, except those of its device: applications, rules, statuses.
pub(super) fn words(process: Process, action: Action) -> Vec<&'static str> {
    let apps: Vec<&str> = match action {
        _ if process == Process::Browse => OPEN_APPS.into_iter().chain([OPEN_RULE]).collect(),
        Action::Allowed | Action::Blocked => GUARDED_APPS.into_iter().flat_map(|(app, rule)| [app, rule]).collect(),
        Action::MonitoredAllow | Action::MonitoredBlock => {
            WATCHED_APPS.into_iter().flat_map(|(app, rule)| [app, rule]).collect()
        }
    };
    let statuses: &[Status] = match action {
        Action::Blocked | Action::MonitoredBlock => &[Status::NonCompliant],
        _ => &[Status::Compliant, Status::NonCompliant, Status::Exempted],
    };
    apps.into_iter().chain(statuses.iter().map(|status| status.label())).collect()
}
