//! What the versions of the logs API differ in.

use super::super::limits::Limits;
use crate::{account::profile::EventCodes, world::Category};

/// One version.
#[derive(Debug)]
pub(in crate::api) struct Version {
    /// The values of `event_category`, and the same as a text.
    pub(in crate::api) categories: &'static [Category],
    pub(super) categories_wanted: &'static str,
    pub(in crate::api) limits: Limits,
    pub(in crate::api) paging: Paging,
    pub(in crate::api) codes: EventCodes,
}

/// How a client asks for a further page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::api) enum Paging {
    /// By its number, in `page`.
    Number,
    /// By the `token` of the page before.
    Token,
}

/// v3.1 (2021): no device reports, and pages by number (D).
pub(in crate::api) const V3_1: Version = Version {
    categories: &[Category::Device, Category::Admin, Category::Webhook],
    categories_wanted: "device, admin or webhook",
    limits: Limits { max: 50, default: 20 },
    paging: Paging::Number,
    codes: EventCodes::Earlier,
};

/// v3.2 (2021): device reports, and pages by token (D).
pub(in crate::api) const V3_2: Version = Version {
    categories: &[Category::Device, Category::Admin, Category::Webhook, Category::DeviceReport],
    categories_wanted: "device, admin, webhook or device_report",
    limits: Limits { max: 100, default: 20 },
    paging: Paging::Token,
    codes: EventCodes::Earlier,
};

/// v3.3 (2023): the code `deleted_api` (D).
pub(in crate::api) const V3_3: Version = Version { codes: EventCodes::Current, ..V3_2 };
