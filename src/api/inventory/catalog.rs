//! Groups, policies, products and configuration.

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
    request::{self, LISTS, NumberedPage},
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

#[derive(Serialize)]
struct PolicyRow {
    policy_id: String,
    policy_name: &'static str,
}

#[derive(Serialize)]
struct Policies {
    policy: Vec<PolicyRow>,
}

#[derive(Serialize)]
struct Configuration {
    regcode: String,
}

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
    cves: Vec<Cve>,
}

/// Returns the groups of devices, an array.
pub(super) async fn groups(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    const SORT: &str = "asc or desc";
    let context = &caller.context;
    // The vendor documents no order; groups are sorted by name, ascending by default (A).
    let is_descending = match fields.text("sort", SORT)?.as_deref() {
        None | Some("asc" | "") => false,
        Some("desc" | "des") => true,
        Some(other) => return Err(ApiError::invalid("sort", SORT, Json::Text(other.to_owned()))),
    };
    let page = NumberedPage::read(&fields, LISTS)?;
    ignored::check(context, || ignored::unknown_fields(&fields, "", &["limit", "page", "sort"]))?;
    let mut all = world_of(&caller).groups();
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

/// Returns the policies.
pub(super) async fn policy(caller: Authenticated) -> Result<Response, ApiError> {
    let policies = world_of(&caller).policies();
    let rows = policies.into_iter().map(|policy| PolicyRow { policy_id: policy.id, policy_name: policy.name });
    answer::json(&Policies { policy: rows.collect() })
}

/// Returns the code with which devices register. Other sections of the configuration are not emulated.
pub(super) async fn configuration(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    const WANTED: &str = "an array of names of sections, such as regcode";
    let is_text = |value: &Json| matches!(value, Json::Text(_));
    match fields.get("sections") {
        None => return Err(ApiError::Missing { parameter: "sections", wanted: WANTED }),
        Some(Json::List(list)) if list.iter().all(is_text) => {}
        Some(other) => return Err(ApiError::invalid("sections", WANTED, other)),
    }
    ignored::check(&caller.context, || ignored::unknown_fields(&fields, "", &["sections"]))?;
    answer::json(&Configuration { regcode: world_of(&caller).registration_code() })
}

/// Returns the products on the devices, an array. Every device has all of them (A).
pub(super) async fn apps(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    let context = &caller.context;
    let page = NumberedPage::read(&fields, LISTS)?;
    ignored::check(context, || ignored::unknown_fields(&fields, "", &["limit", "page"]))?;
    let found = answer::read(context, |world, devices| {
        let number_of_devices = devices.len();
        let app = |product: Product| App {
            category_id: product.category,
            product_id: product.id,
            name: product.name,
            vendor: product.vendor,
            version: World::product_version(context.now),
            number_of_devices,
            number_of_cves: vulnerabilities::of_product(world, product.id, context.now).len(),
        };
        page.of(PRODUCTS.map(app))
    });
    page.check(&found, context)?;
    answer::json(&found)
}

/// Returns a product with its vulnerabilities.
pub(super) async fn app_details(caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    const PRODUCT: &str = "an integer, the product_id of a product";
    const VERSION: &str = "the version of the product";
    let context = &caller.context;
    let id = fields.integer("product_id", PRODUCT)?;
    let id = id.ok_or(ApiError::Missing { parameter: "product_id", wanted: PRODUCT })?;
    let version = request::required(&fields, "version", VERSION)?;
    ignored::check(context, || ignored::unknown_fields(&fields, "", &["product_id", "version"]))?;
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
            cves: found.into_iter().map(Cve::new).collect(),
        }
    }))
}

fn world_of(caller: &Authenticated) -> std::sync::Arc<World> {
    caller.context.account.world_of(caller.context.config.settings.world)
}
