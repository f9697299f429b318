//! Administrator events: what the people who run the account do in the console.

use super::{
    EventRef, Millis, World,
    random::{Permutation, RngStream},
    roster::Person,
};

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

/// One event of an administrator.
#[derive(Clone, Debug)]
pub struct AdminRecord {
    /// When it happened.
    pub at: Millis,
    /// What happened.
    pub event: AdminEvent,
    /// The same in a sentence.
    pub details: String,
    /// Who did it.
    pub admin: Person,
}

impl World {
    pub(super) fn admin_record(&self, event_ref: &EventRef, event: AdminEvent) -> AdminRecord {
        // A login before an act is that of whoever acts; the rest belongs to an administrator's own day.
        let admin = match self.timeline.acting_admin(event_ref) {
            Some(acting_admin) => self.roster.admin(acting_admin),
            None => self.actor(event_ref),
        };
        let details = self.admin_details(event_ref, event, &admin);
        AdminRecord { at: event_ref.at, event, details, admin }
    }

    /// The administrator who acts on a device in a process.
    pub(super) fn actor(&self, event_ref: &EventRef) -> Person {
        let (key, occurrence) = self.timeline.detail(event_ref);
        // In turn, in an order of the schedule's own: whoever acts does not act again until all others have.
        let admins = self.roster.admins();
        self.roster.admin(Permutation::new(key.stream(RngStream::Admin), admins).forward(occurrence % admins))
    }
}
