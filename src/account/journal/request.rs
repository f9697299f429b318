//! One request, as the journal stores it.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::super::{config::AccountConfig, fault::Entries, listing::PageQuery, quota::QuotaStatus};
use crate::{api_name::ApiName, clock::Instant, world::Millis};

/// One request and its result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    /// The number of the request, from 1 since the last reset.
    pub number: u64,
    /// The time at which the request arrived.
    pub at: Instant,
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The API, if the path belongs to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiName>,
    /// The access token of the request, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The parameters in the query and in the body; secrets are masked.
    pub parameters: Parameters,
    /// The status of the response; `None` if the connection ended without one.
    pub status: Option<u16>,
    /// The number of entries, if the response is a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// The state of the quota bucket after the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaStatus>,
    /// The name of the fault rule that was applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// The end of the request.
    pub outcome: Outcome,
    /// The number of bytes of the response body that the server passed to the connection.
    pub bytes_sent: u64,
    /// The fields and values that the API ignores, where the profile asks for them (`ignored_input`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored: Option<Vec<String>>,
    /// The page that the request asked for, if its parameters are valid.
    #[serde(skip)]
    pub(crate) page: Option<Box<RequestedPage>>,
    /// The time until the response, in microseconds of the machine's time.
    pub duration_us: u64,
    /// The place in the order of arrival.
    #[serde(skip)]
    pub(crate) arrival: u64,
    /// The number of the last request that had ended when this one arrived. The client can know the results up to this one
    /// only.
    #[serde(skip)]
    pub(crate) arrived_after: u64,
    /// How a fault changed the response.
    #[serde(skip)]
    pub(crate) change: ResponseChange,
    /// Whether the account's clock stood still, so that the client's waits do not show.
    #[serde(skip)]
    pub(crate) is_frozen: bool,
    /// The hash of the access token: short tokens are masked as one.
    #[serde(skip)]
    pub(crate) token_hash: Option<u64>,
    /// Whether the quota refused the request.
    #[serde(skip)]
    pub(crate) is_over_quota: bool,
    /// The token of the response, if it has one.
    #[serde(skip)]
    pub(crate) token_life: Option<TokenLife>,
    /// Whether the API refused what a client can learn only from the refusal.
    #[serde(skip)]
    pub(crate) is_unforeseeable: bool,
}

/// The life of an issued token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TokenLife {
    pub(crate) expires_at: Millis,
    /// How long a new token lives. The issued one may be older.
    pub(crate) life_ms: i64,
}

/// The end of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Outcome {
    /// The whole response was passed to the connection.
    Completed,
    /// The same, and its status is 4xx or 5xx.
    Refused,
    /// A fault ended the connection before the response was complete.
    Cut,
    /// The client disconnected before the response was complete.
    Abandoned,
}

/// The page that a request asked for. The events of the page can be computed again from it.
#[derive(Clone, Debug)]
pub(crate) struct RequestedPage {
    pub(crate) query: PageQuery,
    /// The configuration of the account at that time.
    pub(crate) config: Arc<AccountConfig>,
}

impl PartialEq for RequestedPage {
    fn eq(&self, other: &Self) -> bool {
        self.query == other.query
    }
}

/// How a fault changed a response.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct ResponseChange {
    /// The response is not that of the API, is incomplete, or cannot be read.
    pub(crate) is_broken: bool,
    /// The entries of the page changed.
    pub(crate) entries: Option<Entries>,
    /// The page token is that of the request, so the client cannot get any further with it.
    pub(crate) is_token_repeated: bool,
    /// The content type is another one. The body is intact, but a client may refuse it.
    pub(crate) is_type_changed: bool,
}

/// The parameters of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    /// The pairs of the query and of a form, decoded.
    pub(crate) pairs: Vec<(String, String)>,
    /// The JSON body, masked.
    pub(crate) body: Option<Box<str>>,
}

impl Parameters {
    /// The value of a parameter in the query, in the form or in the JSON body.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value> {
        let pair = self.pairs.iter().find(|(known, _)| known == name);
        pair.map(|(_, value)| Value::from(value.as_str())).or_else(|| self.json()?.get(name).cloned())
    }

    /// Whether the query or the form has a parameter.
    pub(crate) fn has_pair(&self, name: &str) -> bool {
        self.pairs.iter().any(|(known, _)| known == name)
    }

    /// The body, if it is JSON.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(self.body.as_deref()?).ok()
    }

    fn bytes(&self) -> usize {
        let pairs: usize = self.pairs.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
        pairs + self.body.as_ref().map_or(0, |body| body.len())
    }
}

/// Serializes an object: the pairs, then the fields of the body. A field of the body replaces a pair of the same name.
/// A body that is not an object becomes the field `body`.
impl Serialize for Parameters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all: Map<String, Value> = Map::new();
        for (name, value) in &self.pairs {
            all.entry(name.clone()).or_insert_with(|| Value::from(value.as_str()));
        }
        match (self.json(), &self.body) {
            (Some(Value::Object(fields)), _) => all.extend(fields),
            (Some(other), _) => drop(all.insert("body".to_owned(), other)),
            (None, Some(text)) => drop(all.insert("body".to_owned(), Value::from(&**text))),
            (None, None) => {}
        }
        all.serialize(serializer)
    }
}

impl Request {
    /// The page that the client received as a whole response, with the change of its entries.
    pub(crate) fn delivered(&self) -> Option<&RequestedPage> {
        self.is_whole_200().then_some(self.page.as_deref())?
    }

    /// Whether the client received a whole response with status 200.
    pub(crate) fn is_whole_200(&self) -> bool {
        self.status == Some(200) && self.outcome == Outcome::Completed && !self.change.is_broken
    }

    /// The approximate size in memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let texts = [Some(&self.method), Some(&self.path), self.token.as_ref(), self.fault.as_ref()];
        let page = self
            .page
            .as_ref()
            .map_or(0, |page| size_of::<RequestedPage>() + page.query.filter.search.as_ref().map_or(0, String::len));
        let ignored = self.ignored.iter().flatten().map(|text| text.len() + size_of::<String>()).sum::<usize>();
        size_of::<Self>()
            + page
            + ignored
            + texts.into_iter().flatten().map(String::len).sum::<usize>()
            + self.parameters.bytes()
    }
}
