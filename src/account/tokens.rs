//! Access tokens, refresh tokens and codes of one account.
//!
//! A token is valid for some time of the account's clock, twelve hours unless the account says otherwise. Tokens are
//! remembered after they expired or were revoked, so that a client is told which of the two is wrong and its request is
//! found in the account's journal; tokens that nobody issued leave no trace.
//!
//! Whose a token is stands in an index that all accounts of a server share.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::{Mutex, MutexGuard, RwLock};

use super::profile::{ClientRefreshToken, Profile, RefreshTokenUse, TokenReissue};
use crate::world::{Millis, World};

/// How long a code can be redeemed.
const CODE_LIFE_MS: i64 = 600_000;
/// How many issued tokens, and how many codes, are remembered; the oldest go first. Of refresh tokens there are two: one of
/// each grant.
const MAX_ISSUED: usize = 1_000;

/// Whose token it is, by the name of the account.
#[derive(Debug, Default)]
pub(crate) struct TokenIndex(RwLock<HashMap<Arc<str>, Arc<str>>>);

/// What an access token is worth.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Validity {
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
    owner: Arc<str>,
    /// Distinguishes the tokens of this account from those of another with the same seed.
    seed: u64,
    index: Arc<TokenIndex>,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// How many names were made up, over all kinds.
    made: u64,
    known: HashMap<Arc<str>, Life>,
    /// Those of `known` that were issued, oldest first.
    order: VecDeque<Arc<str>>,
    /// The last token of each grant.
    current: [Option<Current>; 2],
    codes: VecDeque<Code>,
    /// Which epoch of the account it is of.
    epoch: u64,
    /// The account is gone; a request that is still under way leaves nothing in the index.
    is_closed: bool,
}

/// What is known of an access token.
#[derive(Clone, Copy, Debug)]
enum Life {
    /// It was there from the beginning, and does not expire by itself.
    Endless,
    /// It expires at an instant.
    Until(Millis),
    /// It was taken back.
    Revoked,
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

impl TokenIndex {
    /// How many tokens are somebody's.
    pub(super) fn len(&self) -> usize {
        self.0.read().len()
    }

    pub(super) fn owner(&self, token: &str) -> Option<Arc<str>> {
        self.0.read().get(token).cloned()
    }

    /// Whether the token is there for an account: it is not when it is another's.
    fn claim(&self, token: &Arc<str>, owner: &Arc<str>) -> bool {
        let mut owners = self.0.write();
        owners.entry(token.clone()).or_insert_with(|| owner.clone()) == owner
    }

    /// Forgets tokens of an owner; those of others stay.
    fn forget<'a>(&self, tokens: impl Iterator<Item = &'a Arc<str>>, owner: &Arc<str>) {
        let mut owners = self.0.write();
        for token in tokens {
            if owners.get(token) == Some(owner) {
                owners.remove(token);
            }
        }
    }
}

impl Tokens {
    /// The tokens of an account that has none yet. `seed` decides the names that it will make up.
    pub(super) fn new(owner: Arc<str>, client_id: &str, seed: u64, index: Arc<TokenIndex>) -> Self {
        let bytes = owner.bytes().chain(client_id.bytes());
        let seed = bytes.fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
        Self { owner, seed, index, table: Mutex::default() }
    }

    /// Begins a epoch of the account, with tokens that are valid for ever or until an instant; what was issued in a former
    /// epoch is forgotten. At no moment is one of these unknown that was known before. An error names the place of the first
    /// one that is another account's; the others are valid then.
    pub(super) fn begin(&self, tokens: &[(Arc<str>, Option<Millis>)], epoch: u64) -> Result<(), usize> {
        let mut table = self.table();
        if table.is_closed {
            return Ok(());
        }
        let former = std::mem::replace(&mut *table, Table { epoch, ..Table::default() });
        let mut taken = None;
        for (nth, (token, until)) in tokens.iter().enumerate() {
            let is_own = self.remember(&mut table, token.clone(), until.map_or(Life::Endless, Life::Until));
            if !is_own {
                taken = taken.or(Some(nth));
            }
        }
        self.index.forget(former.known.keys().filter(|token| !table.known.contains_key(*token)), &self.owner);
        taken.map_or(Ok(()), Err)
    }

    /// Makes a token of a given name valid until an instant. `false` when it is another account's.
    pub(super) fn add(&self, token: &Arc<str>, until: Millis) -> bool {
        let mut table = self.table();
        if let Some(known) = table.known.get_mut(token) {
            *known = Life::Until(until);
            return true;
        }
        self.remember(&mut table, token.clone(), Life::Until(until))
    }

    /// Issues a token of a made-up name.
    pub(super) fn mint(&self, until: Millis) -> Arc<str> {
        self.make_up_access(&mut self.table(), until)
    }

    /// What a token is worth at an instant.
    pub(crate) fn validity(&self, token: &str, now: Millis) -> Validity {
        match self.table().known.get_key_value(token) {
            Some((token, Life::Endless)) => Validity::Valid(token.clone()),
            Some((token, Life::Until(end))) if now < *end => Validity::Valid(token.clone()),
            Some((_, Life::Until(_))) => Validity::Expired,
            Some((_, Life::Revoked)) | None => Validity::Unknown,
        }
    }

    /// Lets a token expire now, for a request that came in a epoch of the account.
    pub(crate) fn expire(&self, token: &str, now: Millis, epoch: u64) {
        let mut table = self.table();
        if table.epoch == epoch {
            table.end(token, Life::Until(now));
        }
    }

    /// Takes a token back: it is then as unknown as one that nobody issued. `false` when it was so before.
    pub(super) fn revoke(&self, token: &str) -> bool {
        self.table().end(token, Life::Revoked)
    }

    /// Lets all tokens expire that were issued, those that are there from the beginning not among them; how many there were.
    pub(super) fn expire_issued(&self, now: Millis) -> usize {
        let mut table = self.table();
        let lives = table.known.values_mut().filter(|epoch| matches!(epoch, Life::Until(end) if now < *end));
        lives.map(|epoch| *epoch = Life::Until(now)).count()
    }

    /// The token of a grant: the one that lives, with the time that is left to it, or a new one.
    pub(crate) fn issue(&self, grant: Grant, profile: &Profile, now: Millis) -> Issued {
        let mut table = self.table();
        let lasting = table.current[grant as usize].clone().and_then(|current| {
            let end = table.end_of(&current.access)?;
            (now < end && profile.token_reissue == TokenReissue::Same).then_some((current, end))
        });
        if let Some((current, end)) = lasting {
            return issued(&current, end, now);
        }
        // The account has one person who consents, and that person has one refresh token.
        let known = table.current[grant as usize].as_ref().and_then(|current| current.refresh.clone());
        let has_refresh = grant == Grant::Person || profile.client_refresh_token == ClientRefreshToken::Given;
        let refresh = has_refresh.then(|| known.unwrap_or_else(|| self.make_up(&mut table)));
        self.renew(&mut table, grant, refresh, profile, now)
    }

    /// A new access token for a refresh token; the former access token is not valid any more.
    pub(crate) fn refresh(&self, refresh: &str, profile: &Profile, now: Millis) -> Option<Issued> {
        let mut table = self.table();
        let grant = [Grant::Person, Grant::Client].into_iter().find(|grant| {
            let current = table.current[*grant as usize].as_ref();
            current.and_then(|current| current.refresh.as_deref()) == Some(refresh)
        })?;
        let Current { access, refresh: known } = table.current[grant as usize].clone()?;
        if let Some(epoch) = table.known.get_mut(&access) {
            *epoch = Life::Revoked;
        }
        let refresh = match profile.refresh_token_use {
            RefreshTokenUse::Many => known,
            RefreshTokenUse::Once => Some(self.make_up(&mut table)),
        };
        Some(self.renew(&mut table, grant, refresh, profile, now))
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

    /// Forgets all, for ever: the account is gone, and another one of its name may have the same tokens.
    pub(super) fn close(&self) {
        let mut table = self.table();
        self.index.forget(table.known.keys(), &self.owner);
        *table = Table { is_closed: true, ..Table::default() };
    }

    fn renew(
        &self,
        table: &mut Table,
        grant: Grant,
        refresh: Option<Arc<str>>,
        profile: &Profile,
        now: Millis,
    ) -> Issued {
        let end = Millis(now.0 + i64::from(profile.token_life_seconds.get()) * 1000);
        let access = self.make_up_access(table, end);
        let current = Current { access, refresh };
        let issued = issued(&current, end, now);
        table.current[grant as usize] = Some(current);
        issued
    }

    /// An access token that is nobody else's.
    fn make_up_access(&self, table: &mut Table, until: Millis) -> Arc<str> {
        loop {
            let token = self.make_up(table);
            // Two accounts can be made so that they make up the same names; then the next one is taken.
            if table.is_closed || self.remember(table, token.clone(), Life::Until(until)) {
                return token;
            }
        }
    }

    /// Makes a token known; `false` when it is another account's, or when the account is gone.
    fn remember(&self, table: &mut Table, token: Arc<str>, epoch: Life) -> bool {
        if table.is_closed || !self.index.claim(&token, &self.owner) {
            return false;
        }
        if let Life::Until(_) = epoch {
            if table.order.len() == MAX_ISSUED
                && let Some(oldest) = table.order.pop_front()
            {
                table.known.remove(&oldest);
                self.index.forget([&oldest].into_iter(), &self.owner);
            }
            table.order.push_back(token.clone());
        }
        table.known.insert(token, epoch);
        true
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

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock()
    }
}

impl Table {
    /// Ends the epoch of a token; `false` when it is not known, or was taken back.
    fn end(&mut self, token: &str, end: Life) -> bool {
        match self.known.get_mut(token) {
            None | Some(Life::Revoked) => false,
            // What has expired stays so.
            Some(Life::Until(until)) if matches!(end, Life::Until(now) if *until <= now) => true,
            Some(epoch) => {
                *epoch = end;
                true
            }
        }
    }

    /// When a token ends that lives.
    fn end_of(&self, token: &str) -> Option<Millis> {
        match self.known.get(token)? {
            Life::Until(end) => Some(*end),
            Life::Endless | Life::Revoked => None,
        }
    }
}

fn issued(current: &Current, end: Millis, now: Millis) -> Issued {
    // Whole seconds that are surely left, as upstream's sample counts them: 43199 at the moment of issue.
    let expires_in_seconds = (end.0 - now.0 - 1) / 1000;
    Issued { access: current.access.clone(), refresh: current.refresh.clone(), expires_in_seconds }
}
