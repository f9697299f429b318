//! The control surface under `/_mock`: what a test asks of the mock itself.
//!
//! One file a noun. JSON goes in and comes out; refusals are problem details (RFC 9457). No clock, quota or fault of an
//! account touches it, and its journal does not mention it.

mod accounts;
mod body;
mod clock;
mod events;
mod faults;
mod guard;
mod health;
mod metrics;
mod openapi;
mod problem;
mod quota;
mod requests;
mod tokens;

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRef, FromRequestParts, Path},
    http::request::Parts,
    middleware::from_fn_with_state,
    routing::{any, delete, get, post},
};

use tower_http::catch_panic::CatchPanicLayer;

pub(crate) use self::guard::Access;
use self::problem::Problem;
use crate::{
    account::{Account, Accounts},
    api::Panicked,
    bodies::Bodies,
    limits::Limits,
    metrics::Metrics,
};

/// What the handlers work on.
#[derive(Clone, Debug)]
struct Control {
    accounts: Arc<Accounts>,
    access: Access,
    bodies: Arc<Bodies>,
    metrics: Arc<Metrics>,
}

impl FromRef<Control> for Arc<Accounts> {
    fn from_ref(control: &Control) -> Self {
        control.accounts.clone()
    }
}

impl FromRef<Control> for Access {
    fn from_ref(control: &Control) -> Self {
        control.access.clone()
    }
}

/// Everything under `/_mock`.
pub(crate) fn router(accounts: Arc<Accounts>, access: Access, limits: &Limits, metrics: &Arc<Metrics>) -> Router {
    measured(surface(accounts, access, limits, metrics), metrics)
}

fn surface(accounts: Arc<Accounts>, access: Access, limits: &Limits, metrics: &Arc<Metrics>) -> Router {
    let bodies = Arc::new(Bodies::new(body::MAX_BODY_BYTES, limits.body_seconds));
    let state = Control { accounts, access, bodies, metrics: metrics.clone() };
    let control = Router::new()
        .route("/openapi.json", get(openapi::show))
        .route("/metrics", get(metrics::show))
        .route("/accounts", get(accounts::list).post(accounts::make))
        .route("/accounts/{account}", get(accounts::show).patch(accounts::change).delete(accounts::drop_account))
        .route("/accounts/{account}/reset", post(accounts::reset))
        .route("/accounts/{account}/clock", get(clock::show).put(clock::turn))
        .route("/accounts/{account}/clock/advance", post(clock::advance))
        .route("/accounts/{account}/tokens", post(tokens::mint))
        .route("/accounts/{account}/tokens/expire", post(tokens::expire))
        .route("/accounts/{account}/tokens/{token}", delete(tokens::revoke))
        .route("/accounts/{account}/quota", get(quota::show).put(quota::change))
        .route("/accounts/{account}/events", get(events::list).post(events::add).delete(events::forget))
        .route(
            "/accounts/{account}/faults",
            get(faults::list).put(faults::replace).post(faults::add).delete(faults::forget_all),
        )
        .route("/accounts/{account}/faults/{fault}", delete(faults::forget))
        .route("/accounts/{account}/requests", get(requests::list))
        .route("/accounts/{account}/requests/stream", get(requests::stream))
        .layer(from_fn_with_state(state.clone(), guard::check))
        .with_state(state)
        .layer(CatchPanicLayer::custom(Panicked { metrics: metrics.clone(), answer: problem::panicked }))
        .merge(health_alone())
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::method_not_allowed);
    Router::new().nest("/_mock", control).route("/_mock/", any(problem::no_such_path))
}

/// The same where nothing else is.
pub(crate) fn alone(accounts: Arc<Accounts>, access: Access, limits: &Limits, metrics: &Arc<Metrics>) -> Router {
    measured(surface(accounts, access, limits, metrics).fallback(problem::no_such_path), metrics)
}

/// What is there when the control surface is somewhere else or nowhere: whether the server answers is no secret.
pub(crate) fn health_only(metrics: &Arc<Metrics>) -> Router {
    measured(Router::new().nest("/_mock", health_alone()), metrics)
}

fn measured(routes: Router, metrics: &Arc<Metrics>) -> Router {
    routes.layer(from_fn_with_state(metrics.clone(), metrics::measure))
}

fn health_alone() -> Router {
    Router::new().route("/health", get(health::show)).method_not_allowed_fallback(problem::method_not_allowed)
}

/// The account that the path names.
struct Named(Arc<Account>);

impl FromRequestParts<Control> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, control: &Control) -> Result<Self, Problem> {
        let name = part_of_path(parts, "account").await?;
        control.accounts.get(&name).map(Self).ok_or_else(|| Problem::not_found(format!("There is no account {name}")))
    }
}

/// What the path names besides the account.
struct Item(String);

impl FromRequestParts<Control> for Item {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Control) -> Result<Self, Problem> {
        let Ok(Path(names)) = Path::<Vec<(String, String)>>::from_request_parts(parts, &()).await else {
            return Err(Problem::invalid("The path is not UTF-8 when its escapes are decoded"));
        };
        let last = names.into_iter().next_back().map(|(_, value)| value);
        last.map(Self).ok_or_else(|| Problem::invalid("The path is not complete"))
    }
}

async fn part_of_path(parts: &mut Parts, wanted: &str) -> Result<String, Problem> {
    let names = Path::<Vec<(String, String)>>::from_request_parts(parts, &()).await;
    let Ok(Path(names)) = names else {
        return Err(Problem::invalid("The path is not UTF-8 when its escapes are decoded"));
    };
    let found = names.into_iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    found.ok_or_else(|| Problem::invalid("The path is not complete"))
}
