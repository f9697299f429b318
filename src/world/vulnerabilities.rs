//! The products on the devices of the company, and their known vulnerabilities.
//!
//! Each month has its own vulnerabilities. A device has those that belong to the severity of its policy violation, so
//! that devices are counted by their vulnerabilities without examining them. All products and numbers are invented; no
//! real vulnerability has a number from 9,000,000 on.

use super::{
    company::World,
    inventory::DeviceState,
    kinds::{Severity, Status},
    random::{Key, RngStream},
    time::{ACCOUNT_MADE, MONTH_MS, Millis},
};

/// A product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    pub(crate) id: i64,
    pub(crate) name: &'static str,
    pub(crate) vendor: &'static str,
    pub(crate) category: &'static str,
}

const fn product(id: i64, name: &'static str, vendor: &'static str, category: &'static str) -> Product {
    Product { id, name, vendor, category }
}

/// The products, which every device has.
pub(crate) const PRODUCTS: [Product; 6] = [
    product(1001, "Larkspur Browser", "Larkspur Foundation", "browser"),
    product(1002, "Halcyon Reader", "Halcyon Software", "document_viewer"),
    product(1003, "Quillmark Office", "Quillmark", "office"),
    product(1004, "Tessera Archiver", "Tessera Tools", "archiver"),
    product(1005, "Orbit Meetings", "Orbit Communications", "recording_web_meeting"),
    product(1006, "Beacon Remote", "Beacon Systems", "remote_control"),
];

/// The severity of a vulnerability.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Risk {
    Critical,
    Important,
    Moderate,
}

impl Risk {
    /// The value in the API.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Important => "important",
            Self::Moderate => "moderate",
        }
    }

    /// The worst vulnerability of the devices with a status and a severity.
    pub(crate) const fn worst(status: Status, severity: Severity) -> Option<Self> {
        match (status, severity) {
            (Status::Compliant, _) => None,
            (Status::Exempted, _) => Some(Self::Important),
            (Status::NonCompliant, Severity::Critical) => Some(Self::Critical),
            (Status::NonCompliant, _) => Some(Self::Moderate),
        }
    }

    /// Whether a device whose worst vulnerability is this one has those of another severity.
    pub(crate) fn includes(self, other: Self) -> bool {
        self == other || other == Self::Moderate
    }
}

/// A vulnerability of a product.
#[derive(Clone, Debug)]
pub(crate) struct Vulnerability {
    pub(crate) id: String,
    pub(crate) risk: Risk,
    pub(crate) product: Product,
    pub(crate) published_at: Millis,
    pub(crate) updated_at: Millis,
    /// The number of the weakness in the list of common weaknesses.
    pub(crate) weakness: u16,
    /// The score, in tenths.
    pub(crate) score_tenths: u16,
    /// The version that fixes it.
    pub(crate) fixed_in: String,
}

/// The numbers of vulnerabilities of each severity in a month.
const NUMBERS: [(Risk, u64, u16); 3] = [(Risk::Critical, 3, 90), (Risk::Important, 4, 70), (Risk::Moderate, 5, 40)];
const WEAKNESSES: [u16; 6] = [20, 79, 119, 125, 416, 787];
const DAY_MS: i64 = 86_400_000;

impl World {
    /// The vulnerabilities that are known at an instant, the most severe first.
    pub(crate) fn vulnerabilities(&self, at: Millis) -> Vec<Vulnerability> {
        let month = months(at);
        let key = Key::new(self.config.seed, RngStream::Vulnerability).sub(month);
        let all = NUMBERS.into_iter().flat_map(|(risk, number, least)| (0..number).map(move |_| (risk, least)));
        let vulnerability = |(nth, (risk, least)): (u64, (Risk, u16))| {
            let published_at = Millis(start(month).0 - DAY_MS * (20 + key.sub(0).below(nth, 40)).cast_signed());
            let updated_at = Millis(start(month).0 - DAY_MS * key.sub(1).below(nth, 20).cast_signed());
            // Twelve numbers for each month; the permutation of a month keeps them distinct.
            let number = 9_000_000 + (month * 12 + nth) * 7 % 999_983;
            Vulnerability {
                id: format!("CVE-{}-{number}", year(published_at)),
                risk,
                product: key.sub(2).pick(nth, &PRODUCTS),
                published_at,
                updated_at,
                weakness: key.sub(3).pick(nth, &WEAKNESSES),
                // Below 20 tenths.
                score_tenths: least
                    + u16::try_from(key.sub(4).below(nth, if least < 90 { 20 } else { 9 })).unwrap_or(0),
                fixed_in: version(month + 1),
            }
        };
        (0..).zip(all).map(vulnerability).collect()
    }

    /// The version of the products at an instant.
    pub(crate) fn product_version(at: Millis) -> String {
        version(months(at))
    }
}

impl DeviceState {
    /// The worst vulnerability of the device.
    pub(crate) fn risk(&self) -> Option<Risk> {
        Risk::worst(self.status, self.severity)
    }
}

fn months(at: Millis) -> u64 {
    u64::try_from((at.0 - ACCOUNT_MADE.0) / MONTH_MS).unwrap_or(0)
}

fn start(month: u64) -> Millis {
    Millis(ACCOUNT_MADE.0 + month.cast_signed() * MONTH_MS)
}

fn version(month: u64) -> String {
    format!("{}.{}", 4 + month / 12, month % 12)
}

/// The calendar year of an instant, to about a day.
fn year(at: Millis) -> i64 {
    const YEAR_MS: i64 = 31_556_952_000;
    1970 + at.0.div_euclid(YEAR_MS)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::world::{Lag, WorldConfig};

    #[test]
    fn vulnerabilities_of_all_months_have_different_numbers_and_come_from_the_past() {
        let world = World::new(WorldConfig { seed: 1, devices: 1, lag: Lag::NONE, webhook_since: None });
        let mut ids = HashSet::new();
        for month in 0..400 {
            let at = Millis(start(month).0 + 5);
            for found in world.vulnerabilities(at) {
                assert!(found.published_at < found.updated_at && found.updated_at <= at, "{found:?}");
                assert!((40..=100).contains(&found.score_tenths), "{found:?}");
                assert!(ids.insert(found.id.clone()), "{} twice", found.id);
            }
        }
    }
}
