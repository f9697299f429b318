//! Parameters that several requests have.

use super::{
    super::{
        body::{Fields, Json},
        context::RequestContext,
        error::ApiError,
        limits::{Limit, Limits, PageNumber},
    },
    answer,
};
use crate::{
    account::{devices::Devices, profile::EmptyPage},
    world::{DeviceState, World},
};

/// The bounds of `limit` of the lists (D).
pub(in crate::api) const LISTS: Limits = Limits { max: 50, default: 20 };
/// Those of the groups, and of the products and the vulnerabilities of all devices (D).
pub(in crate::api) const GROUPS: Limits = Limits { max: 50, default: 10 };
pub(in crate::api) const LONG_LISTS: Limits = Limits { max: 50, default: 50 };
/// The maximum number of ids in a request (D).
pub(super) const MAX_IDS: usize = 50;

/// The page of a list that is asked for by its number.
#[derive(Clone, Copy)]
pub(super) struct NumberedPage {
    number: PageNumber,
    limit: Limit,
}

impl NumberedPage {
    /// Reads `page` and `limit`.
    pub(super) fn read(fields: &Fields, limits: Limits) -> Result<Self, ApiError> {
        // Read in this order: every other error takes precedence over a limit that is too large.
        Ok(Self { number: PageNumber::read(fields)?, limit: limits.read(fields)? })
    }

    pub(super) fn new(number: PageNumber, limit: Limit) -> Self {
        Self { number, limit }
    }

    pub(super) fn skip(self) -> u64 {
        self.number.skip(self.limit)
    }

    pub(super) fn take(self) -> usize {
        self.limit.entries()
    }

    /// The entries of the page.
    pub(super) fn of<T>(self, all: impl IntoIterator<Item = T>) -> Vec<T> {
        all.into_iter().skip(usize::try_from(self.skip()).unwrap_or(usize::MAX)).take(self.take()).collect()
    }

    /// Checks that the page has entries.
    ///
    /// # Errors
    ///
    /// 413 for a page without entries (D; profile `empty_page`).
    pub(super) fn check<T>(self, entries: &[T], context: &RequestContext) -> Result<(), ApiError> {
        if entries.is_empty() && context.config.profile().empty_page == EmptyPage::Refused {
            return Err(ApiError::NothingOnPage { page: self.number.get() });
        }
        Ok(())
    }
}

/// How a request names devices: `opt`.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum IdKind {
    /// By device id or MAC address.
    Device,
    /// By the id that a third party has linked to the device. No third party is emulated, so this is the hostname (A).
    ThirdParty,
}

impl IdKind {
    /// Reads `opt`; 0 by default.
    pub(super) fn read(fields: &Fields) -> Result<Self, ApiError> {
        const WANTED: &str = "0 (device ids or MAC addresses) or 1 (ids of a third party)";
        match fields.integer("opt", WANTED)? {
            None | Some(0) => Ok(Self::Device),
            Some(1) => Ok(Self::ThirdParty),
            Some(other) => Err(ApiError::invalid("opt", WANTED, other)),
        }
    }

    /// Calls `read` with the devices that a request names.
    pub(super) fn with_devices<T>(
        self,
        context: &RequestContext,
        names: &[String],
        read: impl FnOnce(&World, &Devices<'_>) -> T,
    ) -> T {
        match self {
            Self::Device => answer::read_some(context, names, read),
            // The names of devices that only injected events name are not indexed.
            Self::ThirdParty => answer::read(context, read),
        }
    }

    pub(super) fn find(self, id: &str, devices: &Devices<'_>) -> Option<DeviceState> {
        match self {
            Self::Device => devices.with_id(id),
            Self::ThirdParty => devices.with_hostname(id),
        }
    }
}

/// Reads an array of 1 to 50 device ids.
pub(super) fn ids(fields: &Fields, name: &'static str) -> Result<Vec<String>, ApiError> {
    const WANTED: &str = "an array of 1 to 50 device ids";
    let list = match fields.get(name) {
        None => return Err(ApiError::Missing { parameter: name, wanted: WANTED }),
        Some(Json::List(list)) => list,
        Some(other) => return Err(ApiError::invalid(name, WANTED, other)),
    };
    let ids = texts(list, name, WANTED)?;
    if !(1..=MAX_IDS).contains(&ids.len()) {
        return Err(ApiError::invalid(name, WANTED, format_args!("{} ids", ids.len())));
    }
    Ok(ids)
}

/// The texts of an array.
pub(super) fn texts(list: &[Json], name: &'static str, wanted: &'static str) -> Result<Vec<String>, ApiError> {
    let text = |value: &Json| match value {
        Json::Text(text) => Ok(text.clone()),
        other => Err(ApiError::invalid(name, wanted, other)),
    };
    list.iter().map(text).collect()
}

/// Reads `verbose`: 0, the default, or 1.
pub(super) fn is_verbose(fields: &Fields) -> Result<bool, ApiError> {
    match fields.integer("verbose", "0 or 1")? {
        None | Some(0) => Ok(false),
        Some(1) => Ok(true),
        Some(other) => Err(ApiError::invalid("verbose", "0 or 1", other)),
    }
}

/// Reads a text that is required and not empty.
pub(super) fn required(fields: &Fields, name: &'static str, wanted: &'static str) -> Result<String, ApiError> {
    match fields.text(name, wanted)? {
        None => Err(ApiError::Missing { parameter: name, wanted }),
        Some(text) if text.is_empty() => Err(ApiError::invalid(name, wanted, "an empty string")),
        Some(text) => Ok(text.into_owned()),
    }
}

/// Reads an object of switches, each 0 or 1: the name of each one in the object, its parameter in errors, and its default.
pub(super) fn switches<const N: usize>(
    fields: &Fields,
    name: &'static str,
    known: [(&str, &'static str, bool); N],
) -> Result<[bool; N], ApiError> {
    let given = match fields.get(name) {
        None => return Ok(known.map(|(.., default)| default)),
        Some(Json::Object(given)) => given,
        // PHP encodes an empty map as an empty array.
        Some(Json::List(list)) if list.is_empty() => return Ok(known.map(|(.., default)| default)),
        Some(other) => return Err(ApiError::invalid(name, "an object of 0 and 1", other)),
    };
    let mut switches = [false; N];
    for (switch, (name, parameter, default)) in switches.iter_mut().zip(known) {
        *switch = match given.get(name) {
            None => default,
            Some(Json::Integer(0)) => false,
            Some(Json::Integer(1)) => true,
            Some(other) => return Err(ApiError::invalid(parameter, "0 or 1", other)),
        };
    }
    Ok(switches)
}
