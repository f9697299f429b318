//! `/_mock/scenarios`: lists the scenarios that an account can be created with.

use axum::Json;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct List {
    scenarios: Vec<ListedScenario>,
}

#[derive(Serialize)]
struct ListedScenario {
    name: String,
    title: String,
    why: String,
    tags: Vec<String>,
    apis: Vec<String>,
}

/// All scenarios, in the order of a check. A build without scenarios has none.
pub(super) async fn list() -> Json<List> {
    #[cfg(not(feature = "scenarios"))]
    let scenarios = Vec::new();
    #[cfg(feature = "scenarios")]
    let scenarios = crate::scenario::all()
        .iter()
        .map(|one| ListedScenario {
            name: one.name.clone(),
            title: one.title.clone(),
            why: one.why.clone(),
            tags: one.tags.clone(),
            apis: one.apis.iter().map(ToString::to_string).collect(),
        })
        .collect();
    Json(List { scenarios })
}
