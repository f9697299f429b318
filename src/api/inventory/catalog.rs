//! Groups, policies, products and configuration.

use std::collections::BTreeMap;

use axum::response::Response;
use serde::Serialize;

use super::{
    super::{
        body::{Fields, Json},
        context::Authenticated,
        error::ApiError,
        ignored,
    },
    answer,
    request::{self, GROUPS, LONG_LISTS, NumberedPage},
    vulnerabilities::{self, Cve},
};
use crate::world::{PRODUCTS, Product, Risk, World};

#[derive(Serialize)]
struct GroupRow {
    group_id: String,
    group_name: &'static str,
    policy_id: String,
    policy_name: &'static str,
}

/// The categories of the policy by their names, each with its rules by their names (D).
#[derive(Serialize)]
struct Policy {
    policy: BTreeMap<&'static str, PolicyCategory>,
}

#[derive(Serialize)]
struct PolicyCategory {
    #[serde(flatten)]
    rules: BTreeMap<&'static str, PolicyRule>,
    apply_to: AppliesTo,
}

#[derive(Serialize)]
struct PolicyRule {
    desc: &'static str,
    alert: u8,
    critical: u8,
    remediation: u8,
}

#[derive(Serialize)]
struct AppliesTo {
    laptop: u8,
    desktop: u8,
    server: u8,
    vm: u8,
}

#[derive(Serialize)]
struct Configuration {
    #[serde(skip_serializing_if = "Option::is_none")]
    regcode: Option<String>,
    #[serde(rename = "cross-domain-api", skip_serializing_if = "Option::is_none")]
    cross_domain: Option<CrossDomain>,
}

#[derive(Serialize)]
struct CrossDomain {
    enabled: u8,
    port: u16,
}

/// The rules of the policy: category, name, description, and whether a violation is critical.
const RULES: [(&str, &str, &str, u8); 6] = [
    ("Antivirus", "Definitions", "Antivirus definitions are up to date", 0),
    ("Antivirus", "Real_Time_Protection", "Real-time protection is on", 0),
    ("Firewall", "Enabled", "A firewall is enabled", 0),
    ("Hard_Disk_Encryption", "System_Disk", "The system disk is encrypted", 1),
    ("Patch_Management", "Missing_Patches", "No critical patches are missing", 1),
    ("Backup", "Last_Backup", "A backup was made in the last 30 days", 1),
];

#[derive(Serialize)]
struct App {
    category_id: &'static str,
    product_id: i64,
    name: &'static str,
    vendor: &'static str,
    version: String,
    number_of_devices: u64,
    number_of_cves: usize,
}

#[derive(Serialize)]
struct AppDetails {
    product_id: i64,
    name: &'static str,
    vendor: &'static str,
    version: String,
    total_devices: u64,
    total_cves: usize,
    total_critical: usize,
    total_important: usize,
    total_moderate: usize,
    total_low: usize,
    total_unknown: usize,
    /// If the request asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    cves: Option<Vec<Cve>>,
}

/// Returns the groups of devices, an array.
pub(super) async fn groups(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    const ORDER: &str = "asc or desc";
    let context = &caller.context;
    // All fields sort by name: no two groups have the same one (A for the other fields).
    let order = match fields.get("sort") {
        None => None,
        Some(Json::Object(sort)) => sort.get("order"),
        Some(Json::List(list)) if list.is_empty() => None,
        Some(other) => return Err(ApiError::invalid("sort", "an object", other)),
    };
    let is_descending = match order {
        None => false,
        Some(Json::Text(order)) if order == "asc" => false,
        Some(Json::Text(order)) if order == "desc" => true,
        Some(other) => return Err(ApiError::invalid("sort.order", ORDER, other)),
    };
    let search = fields.text("search", "a text")?.map(|text| text.to_lowercase());
    let page = NumberedPage::read(&fields, GROUPS)?;
    ignored::check(context, || ignored::unknown_fields(&fields, "", &["limit", "page", "search", "sort"]))?;
    let mut all = world_of(&caller).groups();
    all.retain(|group| search.as_ref().is_none_or(|text| group.name.to_lowercase().contains(text.as_str())));
    all.sort_unstable_by_key(|group| group.name);
    if is_descending {
        all.reverse();
    }
    let rows = all.into_iter().map(|group| GroupRow {
        group_id: group.id,
        group_name: group.name,
        policy_id: group.policy.id,
        policy_name: group.policy.name,
    });
    let found = page.of(rows);
    page.check(&found, context)?;
    answer::json(&found)
}

/// Returns the policy of the account: the rules whose violations the logs name, in short.
pub(super) async fn policy(_: Authenticated) -> Result<Response, ApiError> {
    let mut policy: BTreeMap<&'static str, PolicyCategory> = BTreeMap::new();
    for (category, name, desc, critical) in RULES {
        let category = policy.entry(category).or_insert_with(|| PolicyCategory {
            rules: BTreeMap::new(),
            apply_to: AppliesTo { laptop: 1, desktop: 1, server: 1, vm: 1 },
        });
        category.rules.insert(name, PolicyRule { desc, alert: 1, critical, remediation: 1 });
    }
    answer::json(&Policy { policy })
}

/// Returns sections of the configuration.
pub(super) async fn configuration(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    const WANTED: &str = "an array of regcode, cross-domain-api";
    let list = match fields.get("sections") {
        None => return Err(ApiError::Missing { parameter: "sections", wanted: WANTED }),
        Some(Json::List(list)) => list,
        Some(other) => return Err(ApiError::invalid("sections", WANTED, other)),
    };
    let (mut regcode, mut cross_domain) = (None, None);
    for section in list {
        match section {
            Json::Text(name) if name == "regcode" => regcode = Some(world_of(&caller).registration_code()),
            Json::Text(name) if name == "cross-domain-api" => {
                cross_domain = Some(CrossDomain { enabled: 0, port: 11369 });
            }
            other => return Err(ApiError::invalid("sections", WANTED, other)),
        }
    }
    ignored::check(&caller.context, || ignored::unknown_fields(&fields, "", &["sections"]))?;
    answer::json(&Configuration { regcode, cross_domain })
}

/// Returns the products on the devices, an array. Every device has all of them (A).
pub(super) async fn apps(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    let context = &caller.context;
    let page = NumberedPage::read(&fields, LONG_LISTS)?;
    ignored::check(context, || ignored::unknown_fields(&fields, "", &["limit", "page"]))?;
    let found = answer::read(context, |world, devices| {
        let (number_of_devices, all) = (devices.len(), world.vulnerabilities(context.now));
        let app = |product: Product| App {
            category_id: product.category,
            product_id: product.id,
            name: product.name,
            vendor: product.vendor,
            version: World::product_version(context.now),
            number_of_devices,
            number_of_cves: all.iter().filter(|found| found.product.id == product.id).count(),
        };
        page.of(PRODUCTS.map(app))
    });
    page.check(&found, context)?;
    answer::json(&found)
}

/// Returns a product with its vulnerabilities.
pub(super) async fn app_details(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    const PRODUCT: &str = "the product_id of a product";
    let context = &caller.context;
    // The documented type is a text (D), but that of the answers is a number.
    let id = match fields.get("product_id") {
        None => return Err(ApiError::Missing { parameter: "product_id", wanted: PRODUCT }),
        Some(Json::Integer(id)) => *id,
        Some(Json::Text(text)) if text.parse::<i64>().is_ok() => text.parse().unwrap_or_default(),
        Some(other) => return Err(ApiError::invalid("product_id", PRODUCT, other)),
    };
    let version = request::required(&fields, "version", "the version of the product")?;
    let [with_cves] = request::switches(&fields, "verbose", [("cves", "verbose.cves", false)])?;
    ignored::check(context, || ignored::unknown_fields(&fields, "", &["product_id", "version", "verbose"]))?;
    let current = World::product_version(context.now);
    let product = PRODUCTS.into_iter().find(|product| product.id == id && version == current);
    let product = product.ok_or_else(|| ApiError::NoSuchProduct { id, version: version.clone() })?;
    answer::json(&answer::read(context, |world, devices| {
        let found = vulnerabilities::of_product(world, id, context.now);
        let number = |risk: Risk| found.iter().filter(|found| found.risk == risk).count();
        AppDetails {
            product_id: id,
            name: product.name,
            vendor: product.vendor,
            version,
            total_devices: devices.len(),
            total_cves: found.len(),
            total_critical: number(Risk::Critical),
            total_important: number(Risk::Important),
            total_moderate: number(Risk::Moderate),
            total_low: 0,
            total_unknown: 0,
            cves: with_cves.then(|| found.into_iter().map(Cve::new).collect()),
        }
    }))
}

fn world_of(caller: &Authenticated) -> std::sync::Arc<World> {
    caller.context.account.world_of(caller.context.config.settings.world)
}
