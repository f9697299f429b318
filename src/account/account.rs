//! One account.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::RwLock;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::{
    config::AccountConfig,
    error::{CreateAccountError, MintTokenError},
    fault::{FaultError, FaultRule, FaultStatus, Faults},
    injected::{InjectError, Injected, InjectedEvents, NewEvent},
    journal::{Journal, Requests},
    profile::Profile,
    quota::{self, Bucket, Quota, QuotaChange, QuotaSettings},
    settings::{AccountChange, NewToken, Settings},
    shared::Shared,
    tokens::Tokens,
    truth::{TrueEvent, Truth},
};
use crate::{
    clock::{Clock, ClockReading, Start},
    world::{Category, Filter, Millis, Window, World, WorldConfig},
};

/// How many searches of an account run at once; others wait.
const MAX_SEARCHES: usize = 2;

/// What one account owns, and the verbs of the control surface for it.
#[derive(Debug)]
pub struct Account {
    pub(super) name: Arc<str>,
    pub(super) initial: Settings,
    config: RwLock<Arc<AccountConfig>>,
    clock: Clock,
    pub(crate) tokens: Tokens,
    pub(crate) quota: Quota,
    pub(crate) faults: Faults,
    pub(crate) injected: InjectedEvents,
    pub(crate) journal: Journal,
    /// Places for searches: they compute for longer than other requests.
    pub(crate) searches: Arc<Semaphore>,
    pub(crate) shared: Arc<Shared>,
    /// How many of its requests are under way.
    in_flight: AtomicU32,
    /// How often it began anew. What a request of a former epoch still does is nothing to this one.
    epoch: AtomicU64,
    /// The number of the server's request that used it last.
    last_use: AtomicU64,
}

/// What can be said of an account.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Description {
    /// Names it on the control surface.
    pub name: String,
    /// Decides its whole history.
    pub seed: u64,
    /// How many devices its company has at a time.
    pub devices: u32,
    /// How many days back its history can be read.
    pub retention_days: u32,
    /// How many seconds its events take to become visible.
    pub lag: String,
    /// The access token that is valid from the start.
    pub access_token: String,
    /// Names the client that asks for tokens.
    pub client_id: String,
    /// Proves it.
    pub client_secret: String,
    /// Where a browser may be sent back to after consent, besides loopback addresses.
    pub redirect_uris: Vec<String>,
    /// Its time.
    pub clock: ClockReading,
    /// How its requests are counted.
    pub quota: QuotaDescription,
    /// Which reading it follows of what is assumed.
    pub profile: Profile,
}

/// What can be said of a quota.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct QuotaDescription {
    /// How requests are counted.
    #[serde(flatten)]
    pub settings: QuotaSettings,
    /// What a 429 says in `Retry-After`: the profile's key of that name.
    pub retry_after: quota::RetryAfter,
}

/// A token that was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MadeToken {
    /// The token.
    pub token: String,
    /// When it expires.
    pub expires_at: Millis,
}

impl Account {
    /// Makes an account beside others of a server.
    ///
    /// # Errors
    ///
    /// When one of its tokens is another account's, or one of its faults cannot be followed.
    pub(crate) fn new(settings: Settings, shared: Arc<Shared>) -> Result<Self, CreateAccountError> {
        let name: Arc<str> = settings.name.as_str().into();
        let account = Self {
            clock: Clock::new(settings.start),
            tokens: Tokens::new(name.clone(), settings.client_id.as_str(), settings.world.seed, shared.tokens.clone()),
            quota: Quota::new(settings.quota),
            faults: Faults::default(),
            injected: InjectedEvents::default(),
            journal: Journal::new(settings.journal, shared.journals.clone()),
            searches: Arc::new(Semaphore::new(MAX_SEARCHES)),
            config: RwLock::new(Arc::new(AccountConfig::new(settings.clone()))),
            initial: settings,
            shared,
            name,
            in_flight: AtomicU32::new(0),
            epoch: AtomicU64::new(0),
            last_use: AtomicU64::new(0),
        };
        if let Err(why) = account.apply_initial(0) {
            account.tokens.close();
            return Err(why);
        }
        Ok(account)
    }

    /// Puts in what the account begins with.
    fn apply_initial(&self, epoch: u64) -> Result<(), CreateAccountError> {
        let Settings { access_token, tokens, faults, start, profile, .. } = &self.initial;
        let began = match start {
            Start::System => self.clock.now(),
            Start::Frozen(at) | Start::Scaled(at, _) => *at,
        };
        // Whatever becomes of the tokens, the faults are those of the beginning.
        let faulty = self.faults.replace(faults.clone()).map(drop);
        let first = (access_token.as_str().into(), None);
        let named = tokens.iter().enumerate().filter_map(|(nth, new)| Some((nth, new.token.as_ref()?, new)));
        let mut kept: Vec<(Arc<str>, Option<Millis>)> = vec![first];
        for (nth, token, new) in named {
            if kept.iter().any(|(known, _)| **known == *token.as_str()) {
                let why = format!("tokens[{nth}].token must be unique, another token of this account is {token}");
                return Err(CreateAccountError::Invalid(why));
            }
            let end = self
                .end_of(new, began, profile)
                .map_err(|why| CreateAccountError::Invalid(format!("tokens[{nth}].{why}")))?;
            kept.push((token.as_str().into(), Some(end)));
        }
        if let Err(nth) = self.tokens.begin(&kept, epoch) {
            let which = if nth == 0 { "access_token".to_owned() } else { format!("tokens[{}].token", nth - 1) };
            return Err(CreateAccountError::TokenTaken(which));
        }
        for (nth, new) in tokens.iter().enumerate().filter(|(_, new)| new.token.is_none()) {
            let end = self
                .end_of(new, began, profile)
                .map_err(|why| CreateAccountError::Invalid(format!("tokens[{nth}].{why}")))?;
            self.tokens.mint(end);
        }
        faulty.map_err(|why| CreateAccountError::Invalid(format!("faults[{}]: {}", why.nth, why.alone())))
    }

    /// Names it on the control surface.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The account's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The account's company, as it is now.
    #[must_use]
    pub fn world(&self) -> Arc<World> {
        self.world_of(self.config().settings.world)
    }

    pub(crate) fn world_of(&self, world: WorldConfig) -> Arc<World> {
        self.shared.worlds.of(world)
    }

    /// What it is.
    #[must_use]
    pub fn describe(&self) -> Description {
        let config = self.config();
        let Settings { world, access_token, client_id, client_secret, redirect_uris, retention_days, profile, .. } =
            &config.settings;
        Description {
            name: self.name.to_string(),
            seed: world.seed,
            devices: world.devices,
            retention_days: *retention_days,
            lag: world.lag.to_string(),
            access_token: access_token.to_string(),
            client_id: client_id.to_string(),
            client_secret: client_secret.to_string(),
            redirect_uris: redirect_uris.iter().map(ToString::to_string).collect(),
            clock: self.clock.reading(),
            quota: self.quota(),
            profile: profile.clone(),
        }
    }

    /// Changes what it is made of. Requests that are under way are answered by what it was.
    pub fn change(&self, change: AccountChange) {
        let mut config = self.config.write();
        let settings = config.settings.changed(change);
        self.quota.change(settings.quota);
        *config = Arc::new(AccountConfig::new(settings));
    }

    /// Makes it what it was when it was made: clock, quota, profile, tokens, faults, added events, journal.
    pub fn reset(&self) {
        let mut config = self.config.write();
        let epoch = self.epoch.fetch_add(1, Ordering::SeqCst) + 1;
        *config = Arc::new(AccountConfig::new(self.initial.clone()));
        self.quota.reset(self.initial.quota);
        self.injected.reset();
        self.clock.reset(self.initial.start, epoch);
        self.journal.reset(epoch);
        // It went well when the account was made. Meanwhile another one may have taken one of the tokens: it keeps it.
        let _ = self.apply_initial(epoch);
        drop(config);
    }

    /// Turns the clock forward, and tells what it then shows.
    pub fn advance(&self, by: Duration) -> Millis {
        self.clock.advance(by)
    }

    /// Makes a token. Without a time to live it lives as long as the account's tokens do.
    ///
    /// # Errors
    ///
    /// When the time is out of range, or when the token is another account's.
    pub fn mint_token(&self, new: &NewToken) -> Result<MadeToken, MintTokenError> {
        self.make_token(new, self.clock.now(), self.config().profile())
    }

    fn make_token(&self, new: &NewToken, now: Millis, profile: &Profile) -> Result<MadeToken, MintTokenError> {
        let end = self.end_of(new, now, profile).map_err(MintTokenError::Invalid)?;
        let token: Arc<str> = match &new.token {
            None => self.tokens.mint(end),
            Some(token) => {
                let token: Arc<str> = token.as_str().into();
                if !self.tokens.add(&token, end) {
                    return Err(MintTokenError::Taken);
                }
                token
            }
        };
        Ok(MadeToken { token: token.to_string(), expires_at: end })
    }

    #[expect(clippy::unused_self, reason = "one of a family of methods")]
    fn end_of(&self, new: &NewToken, now: Millis, profile: &Profile) -> Result<Millis, String> {
        let life_ms = i64::from(profile.token_life_seconds.get()) * 1000;
        Ok(new.end(now)?.unwrap_or(Millis(now.0 + life_ms)))
    }

    /// Takes a token back. `false` when the account does not know it.
    pub fn revoke_token(&self, token: &str) -> bool {
        self.tokens.revoke(token)
    }

    /// Lets all tokens expire that were issued, and tells how many there were. The one of the beginning stays.
    pub fn expire_tokens(&self) -> usize {
        self.tokens.expire_issued(self.clock.now())
    }

    /// How requests are counted.
    #[must_use]
    pub fn quota(&self) -> QuotaDescription {
        let retry_after = self.config().settings.profile.retry_after;
        QuotaDescription { settings: self.quota.settings(), retry_after }
    }

    /// The buckets from which something was taken and that are not full again.
    #[must_use]
    pub fn buckets(&self) -> Vec<Bucket> {
        self.quota.buckets(self.clock.now())
    }

    /// Changes how requests are counted. Buckets are full then, unless nothing changes.
    pub fn set_quota(&self, quota: QuotaChange) {
        self.change(AccountChange { quota: Some(quota), ..AccountChange::default() });
    }

    /// The faults, in their order.
    #[must_use]
    pub fn faults(&self) -> Vec<FaultStatus> {
        self.faults.list()
    }

    /// Adds faults behind the others.
    ///
    /// # Errors
    ///
    /// When one of them cannot be followed; none is added then.
    pub fn add_faults(&self, rules: Vec<FaultRule>) -> Result<Vec<FaultStatus>, FaultError> {
        self.faults.add(rules)
    }

    /// Puts faults in the place of the others.
    ///
    /// # Errors
    ///
    /// When one of them cannot be followed; the others stay then.
    pub fn replace_faults(&self, rules: Vec<FaultRule>) -> Result<Vec<FaultStatus>, FaultError> {
        self.faults.replace(rules)
    }

    /// Forgets all faults, or the one of a name, and tells how many there were.
    pub fn forget_faults(&self, name: Option<&str>) -> usize {
        self.faults.forget(name)
    }

    /// Adds events to the history, all or none.
    ///
    /// # Errors
    ///
    /// The place of the event that cannot be added, and why.
    pub fn inject(&self, events: &[NewEvent]) -> Result<Vec<Arc<Injected>>, (usize, InjectError)> {
        self.injected.add(&self.world(), events, self.clock.now())
    }

    /// Forgets all events that were added, and tells how many there were.
    pub fn forget_events(&self) -> usize {
        self.injected.forget()
    }

    /// The truth of a window, both ends included, oldest first: what happened in it, whether or not it can be seen yet.
    pub fn truth(&self, category: Category, window: Window) -> impl Iterator<Item = TrueEvent> + use<> {
        let added = self.injected.select(category, window, &Filter::default(), Millis(i64::MAX), None);
        Truth::new(self.world(), added, category, window)
    }

    /// Up to `limit` requests of the journal after the one of a number; from the first, after 0.
    #[must_use]
    pub fn requests(&self, after: u64, limit: usize) -> Requests {
        self.journal.after(after, limit, usize::MAX)
    }

    /// Shows the number of the last request whenever one is noted.
    pub(crate) fn subscribe(&self) -> tokio::sync::watch::Receiver<u64> {
        self.journal.subscribe()
    }

    /// The account as it is now.
    pub(crate) fn config(&self) -> Arc<AccountConfig> {
        self.config.read().clone()
    }

    /// The epoch that the account is in.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// A request comes in, unless so many are under way already.
    pub(crate) fn begin_request(self: &Arc<Self>, most: u32) -> Option<InFlightGuard> {
        let is_free = |in_flight: u32| (in_flight < most).then(|| in_flight + 1);
        let entered = self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_free);
        entered.ok().map(|_| InFlightGuard(self.clone()))
    }

    /// Ends what is under way: the account is gone.
    pub(crate) fn close(&self) {
        self.tokens.close();
        self.journal.close();
        self.clock.close();
    }

    pub(crate) fn use_now(&self, number: u64) {
        self.last_use.store(number, Ordering::Relaxed);
    }

    pub(crate) fn last_use(&self) -> u64 {
        self.last_use.load(Ordering::Relaxed)
    }
}

/// A request of an account that is under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlightGuard(Arc<Account>);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_and_the_quota_change_together() {
        let account = Account::new(Settings::default(), Arc::default()).expect("an account");
        let change = |json: &str| serde_json::from_str::<QuotaChange>(json).expect("a change");
        account.set_quota(change(r#"{"requests":3,"retry_after":"seconds"}"#));
        account.set_quota(change(r#"{"per_seconds":9}"#));
        let config = account.config();
        assert_eq!((config.settings.quota.requests.get(), config.settings.quota.per_seconds.get()), (3, 9));
        assert_eq!(config.settings.quota, account.quota.settings());
        assert_eq!(account.quota().retry_after, quota::RetryAfter::Seconds);
    }
}
