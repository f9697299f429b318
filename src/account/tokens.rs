//! Access tokens, refresh tokens and authorization codes of one account.
//!
//! An access token is valid for a time on the account's clock, twelve hours by default. The account remembers expired
//! and revoked tokens, so that it can report an expired token as expired, and record requests with either in its
//! journal. Tokens that no account has issued leave no trace.
//!
//! All accounts of a server share an index of the owners of tokens.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::{Mutex, MutexGuard, RwLock};

use super::profile::{ClientRefreshToken, Profile, RefreshTokenUse, TokenReissue};
use crate::world::{Millis, World};

/// The lifetime of an authorization code, in milliseconds.
const CODE_LIFE_MS: i64 = 600_000;
/// The maximum number of remembered tokens with an expiry, and of authorization codes; the oldest are dropped first.
/// There is at most one refresh token for each grant.
const MAX_ISSUED: usize = 1_000;

/// The name of the owning account for each token.
#[derive(Debug, Default)]
pub(crate) struct TokenIndex(RwLock<HashMap<Arc<str>, Arc<str>>>);

/// The validity of an access token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Validity {
    Valid(Arc<str>),
    Expired,
    Unknown,
}

/// The grant that a token is issued for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Grant {
    /// Client credentials.
    Client,
    /// A person's consent, with a refresh token.
    Person,
}

/// A token as the client receives it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Issued {
    pub(crate) access: Arc<str>,
    pub(crate) refresh: Option<Arc<str>>,
    pub(crate) expires_in_seconds: i64,
}

/// The tokens of one account, see the module.
#[derive(Debug)]
pub(crate) struct Tokens {
    owner: Arc<str>,
    /// Separates the generated tokens of this account from those of another account with the same seed.
    seed: u64,
    index: Arc<TokenIndex>,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// The number of generated tokens and codes.
    generated: u64,
    known: HashMap<Arc<str>, TokenState>,
    /// The tokens in `known` that were added with an expiry, oldest first.
    order: VecDeque<Arc<str>>,
    /// The last token of each grant.
    current: [Option<Current>; 2],
    codes: VecDeque<Code>,
    /// The epoch of the account.
    epoch: u64,
    /// The account is deleted. A request in flight must not add tokens to the index.
    is_closed: bool,
}

/// The state of an access token.
#[derive(Clone, Copy, Debug)]
enum TokenState {
    /// An initial token without an expiry.
    Endless,
    /// Valid until an instant.
    Until(Millis),
    /// Revoked.
    Revoked,
}

/// An access token and its refresh token.
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
    /// The number of tokens in the index.
    pub(super) fn len(&self) -> usize {
        self.0.read().len()
    }

    pub(super) fn owner(&self, token: &str) -> Option<Arc<str>> {
        self.0.read().get(token).cloned()
    }

    /// Registers a token for an account. Returns `false` if another account has it.
    fn claim(&self, token: &Arc<str>, owner: &Arc<str>) -> bool {
        let mut owners = self.0.write();
        owners.entry(token.clone()).or_insert_with(|| owner.clone()) == owner
    }

    /// Removes the tokens that belong to this owner.
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
    /// The tokens of an account that has none yet. The generated tokens derive from `seed`, `owner` and `client_id`.
    pub(super) fn new(owner: Arc<str>, client_id: &str, seed: u64, index: Arc<TokenIndex>) -> Self {
        let bytes = owner.bytes().chain(client_id.bytes());
        let seed = bytes.fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
        Self { owner, seed, index, table: Mutex::default() }
    }

    /// Starts an epoch of the account with these tokens, each valid until an instant or without an expiry, and removes
    /// the tokens of the previous epoch. A token that is in both epochs stays in the index throughout. An error is the
    /// index of the first token that another account has; the other tokens are valid then.
    pub(super) fn begin(&self, tokens: &[(Arc<str>, Option<Millis>)], epoch: u64) -> Result<(), usize> {
        let mut table = self.table();
        if table.is_closed {
            return Ok(());
        }
        let previous = std::mem::replace(&mut *table, Table { epoch, ..Table::default() });
        let mut taken = None;
        for (nth, (token, until)) in tokens.iter().enumerate() {
            let is_own = self.remember(&mut table, token.clone(), until.map_or(TokenState::Endless, TokenState::Until));
            if !is_own {
                taken = taken.or(Some(nth));
            }
        }
        self.index.forget(previous.known.keys().filter(|token| !table.known.contains_key(*token)), &self.owner);
        taken.map_or(Ok(()), Err)
    }

    /// Adds a given token, valid until an instant. Returns `false` if another account has it.
    pub(super) fn add(&self, token: &Arc<str>, until: Millis) -> bool {
        let mut table = self.table();
        if let Some(known) = table.known.get_mut(token) {
            *known = TokenState::Until(until);
            return true;
        }
        self.remember(&mut table, token.clone(), TokenState::Until(until))
    }

    /// Mints a token, valid until an instant.
    pub(super) fn mint(&self, until: Millis) -> Arc<str> {
        self.mint_access(&mut self.table(), until)
    }

    /// The validity of a token at an instant.
    pub(crate) fn validity(&self, token: &str, now: Millis) -> Validity {
        match self.table().known.get_key_value(token) {
            Some((token, TokenState::Endless)) => Validity::Valid(token.clone()),
            Some((token, TokenState::Until(end))) if now < *end => Validity::Valid(token.clone()),
            Some((_, TokenState::Until(_))) => Validity::Expired,
            Some((_, TokenState::Revoked)) | None => Validity::Unknown,
        }
    }

    /// Expires a token now. A request of an earlier epoch has no effect.
    pub(crate) fn expire(&self, token: &str, now: Millis, epoch: u64) {
        let mut table = self.table();
        if table.epoch == epoch {
            table.end(token, TokenState::Until(now));
        }
    }

    /// Revokes a token, which is unknown to clients from then on. Returns `false` if it was unknown already.
    pub(super) fn revoke(&self, token: &str) -> bool {
        self.table().end(token, TokenState::Revoked)
    }

    /// Expires all valid tokens that have an expiry, and returns their number. The initial access token has none.
    pub(super) fn expire_issued(&self, now: Millis) -> usize {
        let mut table = self.table();
        let states = table.known.values_mut().filter(|state| matches!(state, TokenState::Until(end) if now < *end));
        states.map(|state| *state = TokenState::Until(now)).count()
    }

    /// Issues a token for a grant: the current one with its remaining lifetime, or a new one.
    pub(crate) fn issue(&self, grant: Grant, profile: &Profile, now: Millis) -> Issued {
        let mut table = self.table();
        let reusable = table.current[grant as usize].clone().and_then(|current| {
            let end = table.expiry_of(&current.access)?;
            (now < end && profile.token_reissue == TokenReissue::Same).then_some((current, end))
        });
        if let Some((current, end)) = reusable {
            return issued(&current, end, now);
        }
        // The account has one person who consents, and that person has one refresh token.
        let known = table.current[grant as usize].as_ref().and_then(|current| current.refresh.clone());
        let has_refresh = grant == Grant::Person || profile.client_refresh_token == ClientRefreshToken::Given;
        let refresh = has_refresh.then(|| known.unwrap_or_else(|| self.generate(&mut table)));
        self.renew(&mut table, grant, refresh, profile, now)
    }

    /// Exchanges a refresh token for a new access token. The previous access token becomes invalid.
    pub(crate) fn refresh(&self, refresh: &str, profile: &Profile, now: Millis) -> Option<Issued> {
        let mut table = self.table();
        let grant = [Grant::Person, Grant::Client].into_iter().find(|grant| {
            let current = table.current[*grant as usize].as_ref();
            current.and_then(|current| current.refresh.as_deref()) == Some(refresh)
        })?;
        let Current { access, refresh: known } = table.current[grant as usize].clone()?;
        if let Some(state) = table.known.get_mut(&access) {
            *state = TokenState::Revoked;
        }
        let refresh = match profile.refresh_token_use {
            RefreshTokenUse::Many => known,
            RefreshTokenUse::Once => Some(self.generate(&mut table)),
        };
        Some(self.renew(&mut table, grant, refresh, profile, now))
    }

    /// Creates an authorization code of six characters, for one use.
    pub(crate) fn make_code(&self, redirect_uri: &str, now: Millis) -> String {
        const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut table = self.table();
        let mut bits = self.bits(&mut table);
        let text: String = (0..6)
            .map(|_| {
                // The remainder is below 62.
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

    /// Redeems an authorization code, and returns the redirect address that it was created for. Returns `None` if the
    /// code is unknown, used or expired.
    pub(crate) fn redeem(&self, code: &str, now: Millis) -> Option<String> {
        let mut table = self.table();
        let place = table.codes.iter().position(|known| known.text == code)?;
        let known = table.codes.remove(place)?;
        (now < known.until).then_some(known.redirect_uri)
    }

    /// Removes all tokens and accepts no more. The account is deleted, and a new account may have the same tokens.
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
        let access = self.mint_access(table, end);
        let current = Current { access, refresh };
        let issued = issued(&current, end, now);
        table.current[grant as usize] = Some(current);
        issued
    }

    /// Generates an access token that no other account has.
    fn mint_access(&self, table: &mut Table, until: Millis) -> Arc<str> {
        loop {
            let token = self.generate(table);
            // Two accounts can generate the same tokens; then this account generates another one.
            if table.is_closed || self.remember(table, token.clone(), TokenState::Until(until)) {
                return token;
            }
        }
    }

    /// Adds a token. Returns `false` if another account has it, or if the account is deleted.
    fn remember(&self, table: &mut Table, token: Arc<str>, state: TokenState) -> bool {
        if table.is_closed || !self.index.claim(&token, &self.owner) {
            return false;
        }
        if let TokenState::Until(_) = state {
            if table.order.len() == MAX_ISSUED
                && let Some(oldest) = table.order.pop_front()
            {
                table.known.remove(&oldest);
                self.index.forget([&oldest].into_iter(), &self.owner);
            }
            table.order.push_back(token.clone());
        }
        table.known.insert(token, state);
        true
    }

    /// Generates a token in the form of a random UUID. The same account generates the same tokens in every run.
    fn generate(&self, table: &mut Table) -> Arc<str> {
        let bits = self.bits(table);
        // Version 4, variant 1: a random UUID as in RFC 9562.
        let bits = bits & !(0xF << 76) | 0x4 << 76;
        let bits = bits & !(0x3 << 62) | 0x2 << 62;
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]).into()
    }

    fn bits(&self, table: &mut Table) -> u128 {
        table.generated += 1;
        World::token_bits(self.seed, table.generated)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock()
    }
}

impl Table {
    /// Ends the validity of a token. Returns `false` if it is unknown or revoked.
    fn end(&mut self, token: &str, end: TokenState) -> bool {
        match self.known.get_mut(token) {
            None | Some(TokenState::Revoked) => false,
            // An expired token keeps its expiry.
            Some(TokenState::Until(until)) if matches!(end, TokenState::Until(now) if *until <= now) => true,
            Some(state) => {
                *state = end;
                true
            }
        }
    }

    /// The expiry of a token, if it has one.
    fn expiry_of(&self, token: &str) -> Option<Millis> {
        match self.known.get(token)? {
            TokenState::Until(end) => Some(*end),
            TokenState::Endless | TokenState::Revoked => None,
        }
    }
}

fn issued(current: &Current, end: Millis, now: Millis) -> Issued {
    // Whole seconds that remain, counted like the upstream sample: 43199 at the time of issue.
    let expires_in_seconds = (end.0 - now.0 - 1) / 1000;
    Issued { access: current.access.clone(), refresh: current.refresh.clone(), expires_in_seconds }
}
