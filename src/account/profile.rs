//! The profile: which reading of an assumed behaviour (A) an account follows.
//!
//! Some behaviour of the service is not documented; `docs/explanation/fidelity.md` lists it. Where it can matter to a client, a
//! profile key selects a reading. The first value of each key is the default: what the mock assumes.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::quota::RetryAfter;
use crate::world::Order;

/// Declares the keys: their types, their values, and the table of both.
macro_rules! profile {
    ($($(#[$doc:meta])* $key:ident: $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? },)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
            pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }
        )+

        /// The profile, see the module. The default is what the mock assumes.
        #[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Profile {
            $($(#[$doc])* pub $key: $name,)+
            /// The form of `Retry-After` on a 429. The quota setting `retry_after` is the same key.
            pub retry_after: RetryAfter,
            /// Whether the quota counts requests that are rejected with 400, 406, 413 or 415.
            pub quota_counts_refused: bool,
            /// The lifetime of an access token, in seconds.
            pub token_life_seconds: NonZeroU32,
            /// The lifetime of a page token, in seconds from the first page; 0 means no expiry.
            pub page_token_life_seconds: u32,
        }

        impl Default for Profile {
            fn default() -> Self {
                Self {
                    $($key: $name::default(),)+
                    retry_after: RetryAfter::Off,
                    quota_counts_refused: true,
                    token_life_seconds: NonZeroU32::new(43_200).expect("twelve hours are not 0"),
                    page_token_life_seconds: 0,
                }
            }
        }

        impl Profile {
            /// All keys with their values, the default first. For a number, the second value is its range.
            pub const KEYS: &[(&str, &[&str])] = &[
                $((stringify!($key), &[$($text),+]),)+
                ("retry_after", &["off", "seconds", "http-date"]),
                ("quota_counts_refused", &["true", "false"]),
                ("token_life_seconds", &["43200", "from 1"]),
                ("page_token_life_seconds", &["0", "from 0"]),
            ];
        }
    };
}

profile! {
    /// The response of v2 and v3 for a page without entries.
    empty_page: EmptyPage {
        /// 413 (D).
        #[default]
        Refused = "413",
        /// 200 with an empty list.
        Empty = "200",
    },
    /// The response of v3.3 after the last page.
    after_last_page: AfterLastPage {
        /// 200 with no entries and an empty token (A).
        #[default]
        Empty = "empty",
        /// 413.
        Refused = "413",
    },
    /// The order of entries.
    order: PageOrder {
        /// Newest first (A).
        #[default]
        Descending = "desc",
        /// Oldest first.
        Ascending = "asc",
    },
    /// Whether the window of v3.3 includes an entry at exactly `end_time`.
    window_end: WindowEnd {
        /// Included (A).
        #[default]
        Inclusive = "inclusive",
        /// Excluded.
        Exclusive = "exclusive",
    },
    /// The response of v3.3 when `start_time` is after `end_time`.
    reversed_window: ReversedWindow {
        /// 400 (A).
        #[default]
        Refused = "400",
        /// An empty result.
        Empty = "empty",
    },
    /// The response of v3.3 to a filter that the category does not have.
    inapplicable_filter: InapplicableFilter {
        /// The filter is ignored (A).
        #[default]
        Ignored = "ignore",
        /// 400.
        Refused = "reject",
    },
    /// The response when there is more data than `limit`.
    more_than_limit: MoreThanLimit {
        /// Further pages (D, C).
        #[default]
        Paged = "page",
        /// 406, the literal reading of the guidelines.
        Refused = "406",
    },
    /// Which `limit` applies when a request has both a `limit` and a page token.
    limit_with_token: LimitWithToken {
        /// The one in the request (A).
        #[default]
        Given = "given",
        /// The one of the first page.
        First = "first",
    },
    /// The unit of `X-RateLimit-Reset-Time`.
    reset_time: ResetTime {
        /// Seconds since 1970 (A).
        #[default]
        Epoch = "epoch",
        /// Seconds from now.
        Left = "seconds",
    },
    /// The content of `details`.
    details: Details {
        /// Sentences in the style of the console (A).
        #[default]
        Console = "console",
        /// Only the label of the console.
        Label = "label",
        /// Empty.
        Empty = "empty",
    },
    /// The time zone of days in v2 and of dates and times in v3.
    time_zone: TimeZone {
        /// UTC (A).
        #[default]
        Utc = "utc",
        /// The time zone of the company.
        Account = "account",
    },
    /// The format of the hour in an activity's `timestamp`.
    activity_hour: ActivityHour {
        /// Without a leading zero (A).
        #[default]
        Short = "short",
        /// Two digits.
        Padded = "padded",
    },
    /// The response of the token endpoint to a client whose token is still valid.
    token_reissue: TokenReissue {
        /// The same token (A).
        #[default]
        Same = "same",
        /// A new token.
        New = "new",
    },
    /// Whether the grant `client_credentials` returns a refresh token.
    client_refresh_token: ClientRefreshToken {
        /// No refresh token (A).
        #[default]
        Absent = "absent",
        /// A refresh token.
        Given = "given",
    },
    /// How often a refresh token can be used.
    refresh_token_use: RefreshTokenUse {
        /// Any number of times (A).
        #[default]
        Many = "many",
        /// Once: each use returns a new refresh token.
        Once = "once",
    },
    /// The handling of input that the API ignores: unknown names, and values that are meant otherwise.
    ignored_input: IgnoredInput {
        /// It is ignored (C).
        #[default]
        Ignored = "ignore",
        /// It is ignored, and named in the journal and in the verdict.
        Flagged = "flag",
        /// 400.
        Refused = "reject",
    },
    /// The handling of a value of the wrong JSON type.
    wrong_types: WrongTypes {
        /// 400 (A).
        #[default]
        Refused = "reject",
        /// Conversion between strings and numbers where possible.
        Converted = "convert",
    },
    /// Which value applies when a query has a parameter twice.
    repeated_parameter: RepeatedParameter {
        /// The first (A).
        #[default]
        First = "first",
        /// The last.
        Last = "last",
    },
    /// The form of requests to and responses of the logs v3.
    v3_logs_shape: V3LogsShape {
        /// A request with `event_category` or `token` is one of v3.2 (C). Any other one gets an object with `logs` (A).
        #[default]
        ByRequest = "by-request",
        /// Always an object with `logs` (A).
        Object = "object",
        /// Always an array with one such object (C).
        List = "list",
    },
    /// Whether the JSON content type includes the charset.
    charset: Charset {
        /// `application/json;charset=UTF-8` (A).
        #[default]
        Named = "utf-8",
        /// `application/json`.
        Absent = "none",
    },
}

impl From<PageOrder> for Order {
    fn from(order: PageOrder) -> Self {
        match order {
            PageOrder::Descending => Self::NewestFirst,
            PageOrder::Ascending => Self::OldestFirst,
        }
    }
}

/// The codes of device events.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) enum EventCodes {
    /// Those of v3.3.
    #[default]
    Current,
    /// Those of the versions before v3.3: `deleted_api` is returned as `deleted` (A).
    Earlier,
}

/// What the fields of a row say: the choices of the profile and of the version of the API.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct RowFormat {
    pub(crate) details: Details,
    pub(crate) hour: ActivityHour,
    pub(crate) zone_hours: i64,
    pub(crate) codes: EventCodes,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn value_of(text: &str) -> Value {
        text.parse::<bool>().map_or_else(|_| json!(text), Value::from)
    }

    #[test]
    fn every_key_accepts_only_its_values() {
        let default = serde_json::to_value(Profile::default()).expect("a profile serializes");
        assert_eq!(default.as_object().map(serde_json::Map::len), Some(Profile::KEYS.len()));
        for (key, values) in Profile::KEYS {
            let is_number = values[1].starts_with("from ");
            let first =
                if is_number { json!(values[0].parse::<u32>().expect("a number")) } else { value_of(values[0]) };
            assert_eq!(default[key], first, "{key}: the first value is the default");
            for value in values.iter().filter(|_| !is_number) {
                let read: Profile = serde_json::from_value(json!({*key: value_of(value)})).expect(value);
                assert_eq!(serde_json::to_value(read).expect("a profile serializes")[key], value_of(value));
            }
            for wrong in [json!("nothing of the kind"), json!(-1), json!(null), json!([])] {
                assert!(serde_json::from_value::<Profile>(json!({*key: wrong})).is_err(), "{key}: {wrong}");
            }
        }
        assert!(serde_json::from_value::<Profile>(json!({"oder": "asc"})).is_err());
    }
}
