//! The profile: which reading of an assumed behaviour (A) an account follows.
//!
//! Nobody outside knows some things that the service does; `docs/fidelity.md` lists them. Where a client could care, a key
//! of the profile chooses between what the mock assumes, which is each key's first value, and the other reading.

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

        /// See the module. The default is what the mock assumes.
        #[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Profile {
            $($(#[$doc])* pub $key: $name,)+
            /// What a 429 says in `Retry-After`. The quota's setting of that name is the same.
            pub retry_after: RetryAfter,
            /// Whether a request that is refused with 400, 406, 413 or 415 is counted by the quota.
            pub quota_counts_refused: bool,
            /// How many seconds a token lives from its issue.
            pub token_life_seconds: NonZeroU32,
            /// How many seconds a page token lives from its first page; 0 is for ever.
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
            /// Every key and what it may be, the default first. A number may be any that the second word says.
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
    /// What v2 and v3 say when there is nothing to return on a page.
    empty_page: EmptyPage {
        /// 413 (D).
        #[default]
        Refused = "413",
        /// 200 and an empty list.
        Empty = "200",
    },
    /// What v3.3 says after the last page.
    after_last_page: AfterLastPage {
        /// 200, no entries and an empty token (A).
        #[default]
        Empty = "empty",
        /// 413.
        Refused = "413",
    },
    /// How entries are ordered.
    order: PageOrder {
        /// Newest first (A).
        #[default]
        Descending = "desc",
        /// Oldest first.
        Ascending = "asc",
    },
    /// Whether an entry of just `end_time` is in the window of v3.3.
    window_end: WindowEnd {
        /// It is (A).
        #[default]
        Inclusive = "inclusive",
        /// It is not.
        Exclusive = "exclusive",
    },
    /// What v3.3 says when `start_time` is after `end_time`.
    reversed_window: ReversedWindow {
        /// 400 (A).
        #[default]
        Refused = "400",
        /// There is nothing in the window.
        Empty = "empty",
    },
    /// What v3.3 makes of a filter that the category does not have.
    inapplicable_filter: InapplicableFilter {
        /// It is not looked at (A).
        #[default]
        Ignored = "ignore",
        /// 400.
        Refused = "reject",
    },
    /// What happens when there is more data than `limit`.
    more_than_limit: MoreThanLimit {
        /// It goes on further pages (D, C).
        #[default]
        Paged = "page",
        /// 406, as the pages of the guidelines read literally.
        Refused = "406",
    },
    /// Which `limit` counts when one is sent beside a page token.
    limit_with_token: LimitWithToken {
        /// The one that is sent (A).
        #[default]
        Given = "given",
        /// That of the first page.
        First = "first",
    },
    /// What `X-RateLimit-Reset-Time` counts.
    reset_time: ResetTime {
        /// Seconds since 1970 (A).
        #[default]
        Epoch = "epoch",
        /// Seconds from now.
        Left = "seconds",
    },
    /// What `details` say.
    details: Details {
        /// Sentences in the words of the console (A).
        #[default]
        Console = "console",
        /// The console's label alone.
        Label = "label",
        /// Nothing.
        Empty = "empty",
    },
    /// The time zone of v2's days and of v3's dates and times.
    time_zone: TimeZone {
        /// UTC (A).
        #[default]
        Utc = "utc",
        /// The company's.
        Account = "account",
    },
    /// How the hour of an activity's `timestamp` is written.
    activity_hour: ActivityHour {
        /// Without a leading zero (A).
        #[default]
        Short = "short",
        /// In two digits.
        Padded = "padded",
    },
    /// What the token service gives to a client whose token still lives.
    token_reissue: TokenReissue {
        /// The same token (A).
        #[default]
        Same = "same",
        /// A new one.
        New = "new",
    },
    /// Whether `client_credentials` come with a refresh token.
    client_refresh_token: ClientRefreshToken {
        /// They do not (A).
        #[default]
        Absent = "absent",
        /// They do.
        Given = "given",
    },
    /// How often a refresh token can be used.
    refresh_token_use: RefreshTokenUse {
        /// Again and again (A).
        #[default]
        Many = "many",
        /// Once: each use gives a new one.
        Once = "once",
    },
    /// What a value of the wrong JSON type is.
    wrong_types: WrongTypes {
        /// 400 (A).
        #[default]
        Refused = "reject",
        /// Converted, where a text holds a number or a number stands for a text.
        Converted = "convert",
    },
    /// Which one counts of a parameter that is twice in a query.
    repeated_parameter: RepeatedParameter {
        /// The first (A).
        #[default]
        First = "first",
        /// The last.
        Last = "last",
    },
    /// Whether the content type of JSON names its charset.
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

/// How rows are written where the profile leaves a choice.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct RowFormat {
    pub(crate) details: Details,
    pub(crate) hour: ActivityHour,
    pub(crate) zone_hours: i64,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn value_of(text: &str) -> Value {
        text.parse::<bool>().map_or_else(|_| json!(text), Value::from)
    }

    #[test]
    fn every_key_takes_its_values_and_no_other() {
        let default = serde_json::to_value(Profile::default()).expect("a profile has a form");
        assert_eq!(default.as_object().map(serde_json::Map::len), Some(Profile::KEYS.len()));
        for (key, values) in Profile::KEYS {
            let is_number = values[1].starts_with("from ");
            let first =
                if is_number { json!(values[0].parse::<u32>().expect("a number")) } else { value_of(values[0]) };
            assert_eq!(default[key], first, "{key}: the first value is the default");
            for value in values.iter().filter(|_| !is_number) {
                let read: Profile = serde_json::from_value(json!({*key: value_of(value)})).expect(value);
                assert_eq!(serde_json::to_value(read).expect("a form")[key], value_of(value));
            }
            for wrong in [json!("nothing of the kind"), json!(-1), json!(null), json!([])] {
                assert!(serde_json::from_value::<Profile>(json!({*key: wrong})).is_err(), "{key}: {wrong}");
            }
        }
        assert!(serde_json::from_value::<Profile>(json!({"oder": "asc"})).is_err());
    }
}
