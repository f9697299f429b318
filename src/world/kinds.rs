//! The enumerations of the history: categories, event codes, statuses, severities, actions, agent types.
//!
//! A code is the value in the API, a label is the text in the console.

/// One of the five categories of events that the APIs return.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Category {
    /// Events of devices.
    Device = 0,
    /// Actions of administrators.
    Admin = 1,
    /// Notifications that the company's webhook receives.
    Webhook = 2,
    /// Reports that devices send about themselves.
    DeviceReport = 3,
    /// Accesses of devices to applications.
    Activity = 4,
}

impl Category {
    /// All categories.
    pub const ALL: [Self; 5] = [Self::Device, Self::Admin, Self::Webhook, Self::DeviceReport, Self::Activity];

    /// The name of the category in the v3.3 API; `activity` for activities, which v3.3 does not have.
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

    /// The codes of the category's events. For an activity, these are the actions; a report has one code.
    #[must_use]
    pub fn event_codes(self) -> Vec<&'static str> {
        match self {
            Self::Device => DeviceEvent::ALL.map(DeviceEvent::code).to_vec(),
            Self::Admin => AdminEvent::ALL.map(AdminEvent::code).to_vec(),
            Self::Webhook => WebhookEvent::ALL.map(WebhookEvent::code).to_vec(),
            Self::DeviceReport => vec!["device_report"],
            Self::Activity => Action::ALL.map(Action::code).to_vec(),
        }
    }

    /// The bits of some event codes of the category in [`Filter::kinds`](super::Filter::kinds); codes that the category
    /// does not have have none.
    #[must_use]
    pub fn kinds(self, codes: &[&str]) -> u64 {
        let is_wanted = |(_, code): &(usize, &str)| codes.contains(code);
        self.event_codes().into_iter().enumerate().filter(is_wanted).fold(0, |bits, (nth, _)| bits | self.kind(nth))
    }

    /// The bit of the category's code with an index.
    pub(crate) const fn kind(self, nth: usize) -> u64 {
        let before = match self {
            Self::Device => 0,
            Self::Admin => DeviceEvent::ALL.len(),
            Self::Webhook => DeviceEvent::ALL.len() + AdminEvent::ALL.len(),
            Self::DeviceReport => DeviceEvent::ALL.len() + AdminEvent::ALL.len() + WebhookEvent::ALL.len(),
            Self::Activity => DeviceEvent::ALL.len() + AdminEvent::ALL.len() + WebhookEvent::ALL.len() + 1,
        };
        1 << (before + nth)
    }

    /// The category with this name in the API.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.code() == code)
    }
}

/// Categories whose events a query returns together, in one order.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Categories(u8);

impl Categories {
    /// Events of devices and of administrators, as `POST /o/api/v3/logs` returns them.
    pub const DEVICE_AND_ADMIN: Self = Self(1 << Category::Device as u8 | 1 << Category::Admin as u8);

    /// Whether a category is one of them.
    #[must_use]
    pub const fn contains(self, category: Category) -> bool {
        self.0 >> category as u8 & 1 == 1
    }

    /// The categories.
    pub fn iter(self) -> impl Iterator<Item = Category> {
        Category::ALL.into_iter().filter(move |category| self.contains(*category))
    }

    /// The category, if it is only one.
    #[must_use]
    pub fn single(self) -> Option<Category> {
        if self.0.is_power_of_two() { self.iter().next() } else { None }
    }
}

impl From<Category> for Categories {
    fn from(category: Category) -> Self {
        Self(1 << category as u8)
    }
}

/// The kind of event of a track. It determines the category.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Device(DeviceEvent),
    Admin(AdminEvent),
    Webhook(WebhookEvent),
    Report,
    Access(Action),
    /// Has no record. Other tracks are echoes of its events.
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

    /// The bit of this kind in [`Filter::kinds`](super::Filter::kinds).
    pub(super) const fn bit(self) -> u64 {
        match self {
            Self::Device(event) => Category::Device.kind(event as usize),
            Self::Admin(event) => Category::Admin.kind(event as usize),
            Self::Webhook(event) => Category::Webhook.kind(event as usize),
            Self::Report => Category::DeviceReport.kind(0),
            Self::Access(action) => Category::Activity.kind(action as usize),
            Self::Silent => 0,
        }
    }
}

/// The compliance status of a device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// The device meets the company's policy.
    Compliant,
    /// The device violates the policy.
    NonCompliant,
    /// The device violates the policy, and an administrator has exempted it for a limited time.
    Exempted,
}

impl Status {
    /// The label in the console, which is also the value in the API's activities.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Compliant => "Compliant",
            Self::NonCompliant => "Non-compliant",
            Self::Exempted => "Exempted",
        }
    }

    /// The value in the API's device reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Compliant => "compliant",
            Self::NonCompliant => "non-compliant",
            Self::Exempted => "exempted",
        }
    }
}

/// An event of a device; the `event` of the API's `device` category.
///
/// The discriminants are indexes into [`ALL`](Self::ALL).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DeviceEvent {
    /// An administrator or a user granted the device access to protected applications for a limited time.
    AccessGranted,
    /// The granted access ended.
    AccessRevoked,
    /// The device joined the account.
    Added,
    /// The device joined the account, with the MAC address of another device.
    AddedDuplicateMac,
    /// An administrator requested a compliance check of the device.
    ComplianceCheck,
    /// The device became compliant.
    Compliant,
    /// An administrator removed the device.
    Deleted,
    /// The user of the device removed the agent.
    DeletedUser,
    /// Another program removed the device through the API.
    DeletedApi,
    /// An administrator exempted the device from the whole policy.
    ExemptAll,
    /// An administrator fetched the log files of the device.
    FetchLog,
    /// The device became non-compliant.
    NonCompliant,
    /// An administrator requested a threat scan of the device.
    ScanThreat,
    /// An administrator ended the exemption of the device.
    Unexempt,
    /// The device was not seen for a long time and was removed.
    Unseen,
}

impl DeviceEvent {
    /// All values, in the order of the API's documentation.
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

    /// Whether the device joins the account.
    pub(crate) const fn is_arrival(self) -> bool {
        matches!(self, Self::Added | Self::AddedDuplicateMac)
    }

    /// Whether the device leaves the account.
    pub(crate) const fn is_departure(self) -> bool {
        matches!(self, Self::Deleted | Self::DeletedUser | Self::DeletedApi | Self::Unseen)
    }

    /// What a receiver is notified of when this happens.
    pub(crate) const fn notification(self) -> Option<WebhookEvent> {
        match self {
            Self::Compliant => Some(WebhookEvent::StatusChangedToCompliant),
            Self::NonCompliant => Some(WebhookEvent::StatusChangedToNonCompliant),
            Self::ExemptAll => Some(WebhookEvent::StatusChangedToExempted),
            event if event.is_arrival() => Some(WebhookEvent::Added),
            event if event.is_departure() => Some(WebhookEvent::Deleted),
            _ => None,
        }
    }

    /// The code that `POST /o/api/v3.3/logs` returns and accepts as a filter.
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

    /// The text that the console and `GET /o/api/v2/logs` show.
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

/// An event of an administrator; the `event` of the API's `admin` category.
///
/// The discriminants are indexes into [`ALL`](Self::ALL).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AdminEvent {
    /// The administrator changed the rules of conditional access.
    CacChange,
    /// The administrator changed a setting.
    Config,
    /// A login failed because of a wrong password.
    FailedAuth,
    /// The administrator logged in to the console.
    Login,
    /// The administrator revoked the registration code for mobile devices.
    RevMobileCode,
    /// The administrator submitted a ticket to the vendor's support.
    SubmitTicket,
    /// The administrator added an item to an allow list.
    Whitelist,
    /// The administrator changed their own password.
    ChangedPassword,
}

impl AdminEvent {
    /// All values, in the order of the API's documentation.
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

    /// The code that `POST /o/api/v3.3/logs` returns and accepts as a filter.
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

    /// The text that the console and `GET /o/api/v2/logs` show.
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

/// A notification to the webhook; the `event` of the API's `webhook` category.
///
/// The discriminants are indexes into [`ALL`](Self::ALL).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum WebhookEvent {
    /// A device joined the account.
    Added,
    /// A device left the account, for any reason.
    Deleted,
    /// A device became compliant.
    StatusChangedToCompliant,
    /// A device was exempted from the policy.
    StatusChangedToExempted,
    /// A device became non-compliant.
    StatusChangedToNonCompliant,
}

impl WebhookEvent {
    /// All values, in the order of the API's documentation.
    pub const ALL: [Self; 5] = [
        Self::Added,
        Self::Deleted,
        Self::StatusChangedToCompliant,
        Self::StatusChangedToExempted,
        Self::StatusChangedToNonCompliant,
    ];

    /// The code that `POST /o/api/v3.3/logs` returns and accepts as a filter.
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

/// The severity of the worst finding in a report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// A finding needs action at once.
    Critical,
    /// A finding needs action.
    Warning,
    /// There is no finding.
    NoIssue,
}

impl Severity {
    /// The value in the API.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::NoIssue => "no_issue",
        }
    }
}

/// The decision of the access rules on an access.
///
/// The discriminants are indexes into [`ALL`](Self::ALL).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// The access was allowed.
    Allowed,
    /// The access was blocked.
    Blocked,
    /// The access was allowed, but would be blocked if the rule were enforced.
    MonitoredBlock,
    /// The access was allowed under a rule that only monitors.
    MonitoredAllow,
}

impl Action {
    /// All values.
    pub const ALL: [Self; 4] = [Self::Allowed, Self::Blocked, Self::MonitoredBlock, Self::MonitoredAllow];

    /// The code that `POST /o/api/v3/activities` returns and accepts as a filter.
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

/// The type of agent on a device. The numbers are the API's `agent_types`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
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
