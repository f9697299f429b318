//! Access tokens, refresh tokens and codes of one account.
//!
//! A token is valid for twelve hours of the account's clock. Issued ones are remembered after they expired, so that a
//! client is told which of the two is wrong; tokens that nobody issued leave no trace.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use super::Settings;
use crate::world::{Millis, World};

/// How long a token lives: 12 h.
const LIFE_MS: i64 = 43_200_000;
/// How long a code can be redeemed.
const CODE_LIFE_MS: i64 = 600_000;
/// How many issued tokens, and how many codes, are remembered; the oldest go first. Of refresh tokens there is one.
const MAX_ISSUED: usize = 1_000;

/// What an access token is worth.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    Valid(Arc<str>),
    Expired,
    Unknown,
}

/// By what right a token is issued.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Grant {
    /// The client's own right.
    Client,
    /// A person's consent; can be renewed with a refresh token.
    Person,
}

/// A token as its client sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Issued {
    pub(crate) access: Arc<str>,
    pub(crate) refresh: Option<Arc<str>>,
    pub(crate) expires_in_seconds: i64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Tokens {
    configured: Arc<str>,
    /// Distinguishes the tokens of this account from those of another with the same seed.
    seed: u64,
    issued: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// How many names were made up, over all kinds.
    made: u64,
    expiry: HashMap<Arc<str>, Millis>,
    /// The keys of `expiry`, oldest first.
    order: VecDeque<Arc<str>>,
    /// The last token of each grant.
    current: [Option<Current>; 2],
    codes: VecDeque<Code>,
}

/// A token, and the refresh token that belongs to it.
#[derive(Clone, Debug)]
struct Current {
    access: Arc<str>,
    refresh: Option<Arc<str>>,
}

#[derive(Debug)]
struct Code {
    text: String,
    redirect_uri: String,
    until: Millis,
}

impl Tokens {
    pub(super) fn new(settings: &Settings) -> Self {
        let bytes = settings.name.bytes().chain(settings.client_id.bytes());
        let seed =
            bytes.fold(settings.shape.seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
        Self { configured: settings.access_token.as_str().into(), seed, issued: Mutex::default() }
    }

    /// What a token is worth at an instant.
    pub(crate) fn standing(&self, token: &str, now: Millis) -> Standing {
        if token == &*self.configured {
            return Standing::Valid(self.configured.clone());
        }
        match self.table().expiry.get_key_value(token) {
            Some((token, &expiry)) if now < expiry => Standing::Valid(token.clone()),
            Some(_) => Standing::Expired,
            None => Standing::Unknown,
        }
    }

    /// The token of a grant: the one that lives, with the time that is left to it, or a new one.
    pub(crate) fn issue(&self, grant: Grant, now: Millis) -> Issued {
        let mut table = self.table();
        if let Some(current) = &table.current[grant as usize]
            && let Some(&expiry) = table.expiry.get(&current.access)
            && now < expiry
        {
            return issued(current, expiry, now);
        }
        // The account has one person who consents, and that person has one refresh token.
        let known = table.current[grant as usize].as_ref().and_then(|current| current.refresh.clone());
        let refresh = (grant == Grant::Person).then(|| known.unwrap_or_else(|| self.make_up(&mut table)));
        self.renew(&mut table, grant, refresh, now)
    }

    /// A new access token for a refresh token, which stays valid; the former access token does not.
    pub(crate) fn refresh(&self, refresh: &str, now: Millis) -> Option<Issued> {
        let mut table = self.table();
        let Current { access, refresh: known } = table.current[Grant::Person as usize].clone()?;
        let refresh = known.filter(|known| **known == *refresh)?;
        table.expiry.remove(&access);
        table.order.retain(|issued| *issued != access);
        Some(self.renew(&mut table, Grant::Person, Some(refresh), now))
    }

    /// A code of six characters that can be redeemed once.
    pub(crate) fn make_code(&self, redirect_uri: &str, now: Millis) -> String {
        const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut table = self.table();
        let mut bits = self.bits(&mut table);
        let text: String = (0..6)
            .map(|_| {
                // Below 62 by the remainder.
                let index = (bits % 62) as usize;
                bits /= 62;
                char::from(ALPHABET[index])
            })
            .collect();
        if table.codes.len() == MAX_ISSUED {
            table.codes.pop_front();
        }
        let (redirect_uri, until) = (redirect_uri.to_owned(), Millis(now.0 + CODE_LIFE_MS));
        table.codes.push_back(Code { text: text.clone(), redirect_uri, until });
        text
    }

    /// Uses a code up. `None` when nobody has it, or it was used, or it is too old; otherwise the address to which it
    /// was sent.
    pub(crate) fn redeem(&self, code: &str, now: Millis) -> Option<String> {
        let mut table = self.table();
        let place = table.codes.iter().position(|known| known.text == code)?;
        let known = table.codes.remove(place)?;
        (now < known.until).then_some(known.redirect_uri)
    }

    fn renew(&self, table: &mut Table, grant: Grant, refresh: Option<Arc<str>>, now: Millis) -> Issued {
        let access = self.make_up(table);
        let expiry = Millis(now.0 + LIFE_MS);
        if table.order.len() == MAX_ISSUED
            && let Some(oldest) = table.order.pop_front()
        {
            table.expiry.remove(&oldest);
        }
        table.order.push_back(access.clone());
        table.expiry.insert(access.clone(), expiry);
        let current = Current { access, refresh };
        let issued = issued(&current, expiry, now);
        table.current[grant as usize] = Some(current);
        issued
    }

    /// A name in the form of a random UUID. The same account makes up the same names in every run.
    fn make_up(&self, table: &mut Table) -> Arc<str> {
        let bits = self.bits(table);
        // Version 4, variant 1, as RFC 9562 marks random ones.
        let bits = bits & !(0xF << 76) | 0x4 << 76;
        let bits = bits & !(0x3 << 62) | 0x2 << 62;
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]).into()
    }

    fn bits(&self, table: &mut Table) -> u128 {
        table.made += 1;
        World::token_bits(self.seed, table.made)
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn issued(current: &Current, expiry: Millis, now: Millis) -> Issued {
    // Whole seconds that are surely left, as upstream's sample counts them: 43199 at the moment of issue.
    let expires_in_seconds = (expiry.0 - now.0 - 1) / 1000;
    Issued { access: current.access.clone(), refresh: current.refresh.clone(), expires_in_seconds }
}
