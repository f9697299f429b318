//! The vocabulary of the history: categories, event codes, statuses, severities, agents.
//!
//! Codes are the API's words, labels the console's.

/// One of the five sequences of events that the APIs tell.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Category {
    /// What happens to devices.
    Device = 0,
    /// What administrators do.
    Admin = 1,
    /// What the company's webhook was rendered.
    Webhook = 2,
    /// What devices report of themselves.
    DeviceReport = 3,
    /// Which applications devices access.
    Activity = 4,
}

impl Category {
    /// All categories.
    pub const ALL: [Self; 5] = [Self::Device, Self::Admin, Self::Webhook, Self::DeviceReport, Self::Activity];

    /// The name of the category: as v3.3 has it, and `activity`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Admin => "admin",
            Self::Webhook => "webhook",
            Self::DeviceReport => "device_report",
            Self::Activity => "activity",
        }
    }
}

/// What kind of event a track tells. Its category follows from it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Device(DeviceEvent),
    Admin(AdminEvent),
    Webhook(WebhookEvent),
    Report,
    Access(Action),
    /// Nothing is rendered of it; others are its echoes.
    Silent,
}

impl Kind {
    pub(super) fn category(self) -> Option<Category> {
        match self {
            Self::Device(_) => Some(Category::Device),
            Self::Admin(_) => Some(Category::Admin),
            Self::Webhook(_) => Some(Category::Webhook),
            Self::Report => Some(Category::DeviceReport),
            Self::Access(_) => Some(Category::Activity),
            Self::Silent => None,
        }
    }

    /// The place of this kind in the list of its category's codes.
    pub(super) fn ordinal(self) -> u8 {
        match self {
            Self::Device(event) => event as u8,
            Self::Admin(event) => event as u8,
            Self::Webhook(event) => event as u8,
            Self::Report | Self::Silent => 0,
            Self::Access(action) => action as u8,
        }
    }
}

/// Whether a device keeps the company's policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// It keeps it.
    Compliant,
    /// It does not.
    NonCompliant,
    /// It does not, and an administrator has excused it for a while.
    Exempted,
}

impl Status {
    /// The console's word for it, which the API's activities use.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Compliant => "Compliant",
            Self::NonCompliant => "Non-compliant",
            Self::Exempted => "Exempted",
        }
    }

    /// The API's word for it in device reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Compliant => "compliant",
            Self::NonCompliant => "non-compliant",
            Self::Exempted => "exempted",
        }
    }
}

/// What can happen to a device; the `event` of the API's `device` category.
///
/// The discriminants are places in [`ALL`](Self::ALL).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeviceEvent {
    /// An administrator or a user opened protected applications to it for a while.
    AccessGranted,
    /// That ended.
    AccessRevoked,
    /// It joined the account.
    Added,
    /// It joined, with a MAC address that another device has too.
    AddedDuplicateMac,
    /// An administrator asked it to check its compliance.
    ComplianceCheck,
    /// It keeps the policy again.
    Compliant,
    /// An administrator removed it.
    Deleted,
    /// Its user removed the agent.
    DeletedUser,
    /// Another program removed it, through the API.
    DeletedApi,
    /// An administrator excused it from all of the policy.
    ExemptAll,
    /// An administrator fetched its log files.
    FetchLog,
    /// It does not keep the policy any more.
    NonCompliant,
    /// An administrator had it scanned.
    ScanThreat,
    /// An administrator ended its exemption.
    Unexempt,
    /// It was not seen for long and was removed.
    Unseen,
}

impl DeviceEvent {
    /// All of them, in the order of the API's documentation.
    pub const ALL: [Self; 15] = [
        Self::AccessGranted,
        Self::AccessRevoked,
        Self::Added,
        Self::AddedDuplicateMac,
        Self::ComplianceCheck,
        Self::Compliant,
        Self::Deleted,
        Self::DeletedUser,
        Self::DeletedApi,
        Self::ExemptAll,
        Self::FetchLog,
        Self::NonCompliant,
        Self::ScanThreat,
        Self::Unexempt,
        Self::Unseen,
    ];

    /// The code by which `POST /o/api/v3.3/logs` names and filters it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::AccessGranted => "access_granted",
            Self::AccessRevoked => "access_revoked",
            Self::Added => "added",
            Self::AddedDuplicateMac => "added_duplicate_mac",
            Self::ComplianceCheck => "compliance_check",
            Self::Compliant => "compliant",
            Self::Deleted => "deleted",
            Self::DeletedUser => "deleted_user",
            Self::DeletedApi => "deleted_api",
            Self::ExemptAll => "exempt_all",
            Self::FetchLog => "fetch_log",
            Self::NonCompliant => "noncompliant",
            Self::ScanThreat => "scan_threat",
            Self::Unexempt => "unexempt",
            Self::Unseen => "unseen",
        }
    }

    /// The words by which the console and `GET /o/api/v2/logs` describe it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::AccessGranted => "Access granted",
            Self::AccessRevoked => "Access revoked",
            Self::Added => "Installed",
            Self::AddedDuplicateMac => "Installed with a duplicate MAC address",
            Self::ComplianceCheck => "Compliance check requested",
            Self::Compliant => "Changed status to compliant",
            Self::Deleted => "Deleted by an administrator",
            Self::DeletedUser => "Uninstalled by a user",
            Self::DeletedApi => "Deleted by API",
            Self::ExemptAll => "Exempted",
            Self::FetchLog => "Log files fetched",
            Self::NonCompliant => "Changed status to non-compliant",
            Self::ScanThreat => "Threat scan requested",
            Self::Unexempt => "Exemption removed",
            Self::Unseen => "Deleted as unseen",
        }
    }
}

/// What an administrator can do; the `event` of the API's `admin` category.
///
/// The discriminants are places in [`ALL`](Self::ALL).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AdminEvent {
    /// Changed the rules of conditional access.
    CacChange,
    /// Changed a setting.
    Config,
    /// Gave a wrong password.
    FailedAuth,
    /// Logged in to the console.
    Login,
    /// Revoked the code by which phones join.
    RevMobileCode,
    /// Wrote to the vendor's support.
    SubmitTicket,
    /// Put something on a list of what is allowed.
    Whitelist,
    /// Changed the own password.
    ChangedPassword,
}

impl AdminEvent {
    /// All of them, in the order of the API's documentation.
    pub const ALL: [Self; 8] = [
        Self::CacChange,
        Self::Config,
        Self::FailedAuth,
        Self::Login,
        Self::RevMobileCode,
        Self::SubmitTicket,
        Self::Whitelist,
        Self::ChangedPassword,
    ];

    /// The code by which `POST /o/api/v3.3/logs` names and filters it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::CacChange => "cac_change",
            Self::Config => "config",
            Self::FailedAuth => "failed_auth",
            Self::Login => "login",
            Self::RevMobileCode => "rev_mobile_code",
            Self::SubmitTicket => "submit_ticket",
            Self::Whitelist => "whitelist",
            Self::ChangedPassword => "changed_password",
        }
    }

    /// The words by which the console and `GET /o/api/v2/logs` describe it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::CacChange => "Access Rule Change",
            Self::Config => "Configuration Change",
            Self::FailedAuth => "Admin Failed Authentication",
            Self::Login => "Admin Logged On",
            Self::RevMobileCode => "Mobile Code Revoked",
            Self::SubmitTicket => "Support Ticket Submitted",
            Self::Whitelist => "Whitelist Change",
            Self::ChangedPassword => "Password Changed",
        }
    }
}

/// What a webhook is rendered; the `event` of the API's `webhook` category.
///
/// The discriminants are places in [`ALL`](Self::ALL).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WebhookEvent {
    /// A device joined the account.
    Added,
    /// A device left it, in whatever way.
    Deleted,
    /// A device keeps the policy again.
    StatusChangedToCompliant,
    /// A device was excused from the policy.
    StatusChangedToExempted,
    /// A device does not keep the policy any more.
    StatusChangedToNonCompliant,
}

impl WebhookEvent {
    /// All of them, in the order of the API's documentation.
    pub const ALL: [Self; 5] = [
        Self::Added,
        Self::Deleted,
        Self::StatusChangedToCompliant,
        Self::StatusChangedToExempted,
        Self::StatusChangedToNonCompliant,
    ];

    /// The code by which `POST /o/api/v3.3/logs` names and filters it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Deleted => "deleted",
            Self::StatusChangedToCompliant => "status_changed_to_compliant",
            Self::StatusChangedToExempted => "status_changed_to_exempted",
            Self::StatusChangedToNonCompliant => "status_changed_to_non_compliant",
        }
    }
}

/// How bad the worst finding of a report is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// Something must be done at once.
    Critical,
    /// Something should be done.
    Warning,
    /// Nothing was found.
    NoIssue,
}

impl Severity {
    /// The word that the API has for it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::NoIssue => "no_issue",
        }
    }
}

/// What the rules made of an access.
///
/// The discriminants are places in [`ALL`](Self::ALL).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// It was let through.
    Allowed,
    /// It was stopped.
    Blocked,
    /// It was let through, and would be stopped if the rule were enforced.
    MonitoredBlock,
    /// It was let through under a rule that only watches.
    MonitoredAllow,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Allowed, Self::Blocked, Self::MonitoredBlock, Self::MonitoredAllow];

    /// The code by which `POST /o/api/v3/activities` names and filters it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Blocked => "blocked",
            Self::MonitoredBlock => "monitored_block",
            Self::MonitoredAllow => "monitored_allow",
        }
    }
}

/// The kind of agent that a device runs; the numbers are the API's `agent_types`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AgentType {
    /// MetaDefender Endpoint, on a machine that people or services use.
    Endpoint = 0,
    /// OPSWAT Domain Controller Client, on a domain controller.
    DomainController = 2,
}

impl AgentType {
    /// The name of the product.
    #[must_use]
    pub const fn product(self) -> &'static str {
        match self {
            Self::Endpoint => "MetaDefender Endpoint",
            Self::DomainController => "OPSWAT Domain Controller Client",
        }
    }
}
