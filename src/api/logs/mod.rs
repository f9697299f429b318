//! `POST /o/api/v3.1/logs`, `/o/api/v3.2/logs` and `/o/api/v3.3/logs`: the events of one category in a window, newest first.
//!
//! A version is a [`Version`]: a description of what sets it apart.

mod query;
mod version;

use axum::response::Response;

pub(super) use self::{
    query::{DEFAULT_AGE_SECONDS, LogsQuery, MAX_AGE_SECONDS, query},
    version::{Paging, V3_1, V3_2, V3_3, Version},
};
use super::{
    body::Fields,
    context::{Authenticated, RequestContext},
    error::ApiError,
    page::{self, Rows},
    page_token,
};
use crate::{
    account::{
        listing::PageStart,
        profile::{AfterLastPage, EmptyPage, EventCodes, RowFormat},
    },
    world::Category,
};

/// Returns a page.
pub(super) async fn list(version: &Version, caller: Authenticated, fields: Fields) -> Result<Response, ApiError> {
    let context = &caller.context;
    let query = query(version, &fields, context)?;
    let rows = page::rows(&query.page, row_format(version.codes, query.category, context), context).await?;
    match query.number {
        Some(number) if rows.count == 0 && context.config.profile().empty_page == EmptyPage::Refused => {
            Err(ApiError::NothingOnPage { page: number.get() })
        }
        Some(_) => Ok(rows.response(r#"{"data":["#, "]}")),
        None => {
            let next = next_token(&query, &rows, &caller)?;
            Ok(rows.response(r#"{"data":["#, format!(r#"],"token":"{next}"}}"#)))
        }
    }
}

/// Only rows of devices depend on the version, so that the versions share all other rows of the page cache.
fn row_format(codes: EventCodes, category: Category, context: &RequestContext) -> RowFormat {
    let codes = if category == Category::Device { codes } else { EventCodes::Current };
    RowFormat { codes, ..context.config.row_format }
}

/// The `token` of a page. It is never empty on a page with data, not even on the last one: a client that receives data and
/// an empty token starts over endlessly (C). The page after the last one has no data and an empty token (A; profile
/// `after_last_page`).
fn next_token(query: &LogsQuery, rows: &Rows, caller: &Authenticated) -> Result<String, ApiError> {
    let context = &caller.context;
    if rows.count == 0 {
        return match context.config.profile().after_last_page {
            AfterLastPage::Refused => Err(ApiError::AfterLastPage),
            AfterLastPage::Empty => Ok(String::new()),
        };
    }
    let repeats_token = caller.fault.as_ref().is_some_and(|fault| fault.repeat_page_token);
    let next = match query.page.begin {
        PageStart::At(begin) if repeats_token => {
            context.recorder.change(|change| change.is_token_repeated = true);
            begin
        }
        _ => rows.end,
    };
    Ok(page_token::seal(query.category, &query.page, next, &context.config))
}
