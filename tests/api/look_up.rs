//! How tests ask for devices and the account.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{Mock, TOKEN};

pub(crate) const ACCOUNT_V2: &str = "/o/api/v2/account";
pub(crate) const ACCOUNT_V3_1: &str = "/o/api/v3.1/account";
pub(crate) const ACTION: &str = "/o/api/v3.2/devices/action";
pub(crate) const DETAILS: &str = "/o/api/v3.4/devices/detail";
pub(crate) const DEVICES_V3_4: &str = "/o/api/v3.4/devices";

impl Mock {
    pub(crate) async fn look_up(&self, path: &str) -> Value {
        let joint = if path.contains('?') { '&' } else { '?' };
        self.get(&format!("{path}{joint}access_token={TOKEN}")).await.ok()
    }

    pub(crate) async fn ask(&self, path: &str, body: Value) -> Value {
        self.post(path, body.to_string()).await.ok()
    }

    /// All devices, in the order of enrolment.
    pub(crate) async fn devices(&self, limit: u64) -> Vec<Value> {
        let (mut all, mut token) = (Vec::new(), json!(""));
        loop {
            let page = self.ask(DEVICES_V3_4, json!({"limit":limit,"token":token})).await;
            all.extend(page["devices"].as_array().expect("devices").clone());
            token = page["next_token"].clone();
            if token == "" {
                return all;
            }
        }
    }

    pub(crate) async fn details(&self, id: &str) -> Value {
        self.ask(DETAILS, json!({"ids":[id],"verbose":{"categories":1}})).await[0].clone()
    }
}

pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no text {field} in {value}"))
}

pub(crate) fn numbers(account: &Value, field: &str) -> BTreeMap<String, u64> {
    let by = if field.ends_with("status") { "status" } else { "severity" };
    let rows = account[field].as_array().expect("rows").iter();
    rows.map(|row| (text(row, by).to_owned(), row["number_of_devices"].as_u64().expect("a number")))
        .filter(|(_, number)| *number > 0)
        .collect()
}

pub(crate) fn count<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    items.into_iter().for_each(|item| *counts.entry(item).or_default() += 1);
    counts
}
