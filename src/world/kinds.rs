//! The enumerations of the history: categories, kinds of events, statuses, severities, agent types.

use super::codes::{Action, AdminEvent, DeviceEvent, WebhookEvent};

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
