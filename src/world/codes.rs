//! The codes of events: of devices, administrators, notifications and accesses.
//!
//! A code is the value in the API, a label is the text in the console.

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
