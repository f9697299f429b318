//! The devices that are in the account at an instant: how many, which one is the n-th, and their state.
//!
//! A device is in the account from its enrolment to its departure. The replaced and the new device of a slot are both in
//! the account for some days. Nothing here examines the whole fleet: the schedules give the device at a place of the
//! list, the next devices after an enrolment, and all counts.

mod enrolment;
mod list;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    enrolment::EnrolmentCursor,
    list::Inventory,
    state::{DeviceCounts, DeviceState, Identifier, Violation},
};
