//! One account.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;

#[cfg(feature = "check")]
use super::watch::{Moment, Watch};
use super::{
    config::AccountConfig,
    description::{Description, MadeToken, QuotaDescription},
    devices::EffectsCache,
    error::{CreateAccountError, MintTokenError},
    exemptions::Exemptions,
    fault::{FaultError, FaultRule, FaultStatus, Faults},
    injected::InjectedEvents,
    journal::{Journal, Requests},
    profile::Profile,
    quota::{Bucket, Quota, QuotaChange},
    settings::{AccountChange, NewToken, Settings},
    shared::Shared,
    tokens::Tokens,
    webhook::Webhook,
};
use crate::{
    api_name::ApiName,
    clock::{Clock, Start},
    world::{Millis, World, WorldConfig},
};

/// The number of searches of one account that run at once. Further searches wait.
const MAX_SEARCHES: usize = 2;

/// The state of one account, with the operations of the control surface on it.
#[derive(Debug)]
pub struct Account {
    pub(super) name: Arc<str>,
    pub(super) initial: Settings,
    pub(super) config: RwLock<Arc<AccountConfig>>,
    pub(super) clock: Clock,
    pub(crate) tokens: Tokens,
    pub(crate) quota: Quota,
    pub(crate) faults: Faults,
    pub(crate) injected: InjectedEvents,
    /// What the injected events change in the list of devices.
    pub(crate) effects: EffectsCache,
    pub(crate) webhook: Webhook,
    /// The lock serializes actions, which look at the state of a device before they change it.
    pub(super) exemptions: Mutex<Exemptions>,
    pub(crate) journal: Journal,
    /// Permits for searches, which compute longer than other requests.
    pub(crate) searches: Arc<Semaphore>,
    pub(crate) shared: Arc<Shared>,
    /// The number of requests of this account that are in flight.
    in_flight: AtomicU32,
    #[cfg(feature = "check")]
    pub(crate) watch: Watch,
    /// The number of resets. Requests of an earlier epoch do not change the state of the current one.
    epoch: AtomicU64,
    /// The use number of the last request to this account, see `Accounts`.
    last_use: AtomicU64,
}

impl Account {
    /// Creates an account that shares state with the other accounts of a server.
    ///
    /// # Errors
    ///
    /// An error if another account has one of the tokens, or if a setting, a token or a fault rule is invalid.
    pub(crate) fn new(settings: Settings, shared: Arc<Shared>) -> Result<Self, CreateAccountError> {
        let name: Arc<str> = settings.name.as_str().into();
        let account = Self {
            clock: Clock::new(settings.start),
            tokens: Tokens::new(name.clone(), settings.client_id.as_str(), settings.world.seed, shared.tokens.clone()),
            quota: Quota::new(settings.quota),
            faults: Faults::default(),
            injected: InjectedEvents::default(),
            effects: EffectsCache::default(),
            webhook: Webhook::default(),
            exemptions: Mutex::default(),
            journal: Journal::new(settings.journal, shared.journals.clone()),
            searches: Arc::new(Semaphore::new(MAX_SEARCHES)),
            config: RwLock::new(Arc::new(AccountConfig::new(settings.clone()))),
            initial: settings,
            shared,
            name,
            in_flight: AtomicU32::new(0),
            #[cfg(feature = "check")]
            watch: Watch::default(),
            epoch: AtomicU64::new(0),
            last_use: AtomicU64::new(0),
        };
        if let Err(why) = account.apply_initial(0) {
            account.tokens.close();
            return Err(why);
        }
        Ok(account)
    }

    /// Applies the initial tokens and faults.
    fn apply_initial(&self, epoch: u64) -> Result<(), CreateAccountError> {
        let Settings { access_token, tokens, faults, start, profile, .. } = &self.initial;
        let start_time = match start {
            Start::System => self.clock.now(),
            Start::Frozen(at) | Start::Scaled(at, _) => *at,
        };
        // Faults and events are applied first, so that a rejected token does not prevent their reset.
        let fault_result = self.faults.replace(faults.clone()).map(drop);
        let event_result = self.inject_initial(start_time);
        let mut named: Vec<(Arc<str>, Option<Millis>)> = vec![(access_token.as_str().into(), None)];
        // The index in the request of each further named token.
        let mut indices = Vec::new();
        let mut unnamed = Vec::new();
        for (nth, new) in tokens.iter().enumerate() {
            let invalid = |why: String| CreateAccountError::Invalid(format!("tokens[{nth}].{why}"));
            let expiry = new.expiry(start_time, profile).map_err(invalid)?;
            match &new.token {
                None => unnamed.push(expiry),
                Some(token) if named.iter().any(|(known, _)| **known == *token.as_str()) => {
                    return Err(invalid(format!("token must be unique, another token of this account is {token}")));
                }
                Some(token) => {
                    named.push((token.as_str().into(), Some(expiry)));
                    indices.push(nth);
                }
            }
        }
        let begun = self.tokens.begin(&named, epoch);
        for expiry in unnamed {
            self.tokens.mint(expiry);
        }
        begun.map_err(|taken| {
            let index = taken.checked_sub(1).map(|nth| indices[nth]);
            let which = index.map_or_else(|| "access_token".to_owned(), |nth| format!("tokens[{nth}].token"));
            CreateAccountError::TokenTaken(which)
        })?;
        event_result.map_err(CreateAccountError::Invalid)?;
        fault_result.map_err(|why| CreateAccountError::Invalid(format!("faults[{}]: {}", why.nth, why.alone())))
    }

    /// The name of the account on the control surface.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The account's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The account's company in its current configuration.
    #[must_use]
    pub fn world(&self) -> Arc<World> {
        self.world_of(self.config().settings.world)
    }

    pub(crate) fn world_of(&self, world: WorldConfig) -> Arc<World> {
        self.shared.worlds.of(world)
    }

    /// The properties of the account.
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

    /// Changes the settings. Requests in flight keep the configuration that they started with.
    pub fn change(&self, change: AccountChange) {
        let mut config = self.config.write();
        let settings = config.settings.changed(change);
        self.quota.change(settings.quota);
        *config = Arc::new(AccountConfig::new(settings));
        drop(config);
        // Another history has other notifications.
        self.webhook.events_changed();
    }

    /// Resets clock, quota, settings, tokens, faults, injected events and journal to their initial state.
    pub fn reset(&self) {
        // An action in progress ends first; a later one of the old epoch has no effect.
        let mut exemptions = self.exemptions.lock();
        *exemptions = Exemptions::default();
        let mut config = self.config.write();
        let epoch = self.epoch.fetch_add(1, Ordering::SeqCst) + 1;
        *config = Arc::new(AccountConfig::new(self.initial.clone()));
        self.quota.reset(self.initial.quota);
        // In this order, so that a delivery in progress is not stored after the reset.
        self.webhook.reset();
        self.injected.reset();
        self.clock.reset(self.initial.start, epoch);
        self.journal.reset(epoch);
        // This can only fail if another account has taken one of the tokens since. That account keeps the token.
        let _ = self.apply_initial(epoch);
        drop(config);
    }

    /// Advances the clock, and returns the new time.
    pub fn advance(&self, by: Duration) -> Millis {
        self.clock.advance(by)
    }

    /// Creates a token. Without `expires_in`, the profile key `token_life_seconds` decides its lifetime.
    ///
    /// # Errors
    ///
    /// An error if `expires_in` is out of range, or if another account has the token.
    pub fn mint_token(&self, new: &NewToken) -> Result<MadeToken, MintTokenError> {
        self.create_token(new, self.clock.now(), self.config().profile())
    }

    fn create_token(&self, new: &NewToken, now: Millis, profile: &Profile) -> Result<MadeToken, MintTokenError> {
        let end = new.expiry(now, profile).map_err(MintTokenError::Invalid)?;
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

    /// Revokes a token. Returns `false` if the account has no such token, or if the token is revoked already.
    pub fn revoke_token(&self, token: &str) -> bool {
        self.tokens.revoke(token)
    }

    /// Expires all valid tokens that have an expiry, and returns their number. The initial access token has none.
    pub fn expire_tokens(&self) -> usize {
        self.tokens.expire_issued(self.clock.now())
    }

    /// The quota settings.
    #[must_use]
    pub fn quota(&self) -> QuotaDescription {
        let retry_after = self.config().settings.profile.retry_after;
        QuotaDescription { settings: self.quota.settings(), retry_after }
    }

    /// The buckets that are not full.
    #[must_use]
    pub fn buckets(&self) -> Vec<Bucket> {
        self.quota.buckets(self.clock.now())
    }

    /// Changes the quota settings. A change of the settings fills all buckets.
    pub fn set_quota(&self, quota: QuotaChange) {
        self.change(AccountChange { quota: Some(quota), ..AccountChange::default() });
    }

    /// Counts requests of another consumer, which uses the account's access token, and returns how many the quota
    /// allowed. With the scope `account` they are taken from what all clients share.
    pub fn take_quota(&self, api: ApiName, requests: u32) -> u32 {
        let (token, now) = (Arc::from(self.initial.access_token.as_str()), self.clock.now());
        let allowed = (0..requests).take_while(|_| matches!(self.quota.take(&token, api.code(), now), Ok(Some(_))));
        u32::try_from(allowed.count()).unwrap_or(requests)
    }

    /// The fault rules, in order.
    #[must_use]
    pub fn faults(&self) -> Vec<FaultStatus> {
        self.faults.list()
    }

    /// Appends fault rules.
    ///
    /// # Errors
    ///
    /// An error if one of the rules is invalid. Then no rule is added.
    pub fn add_faults(&self, rules: Vec<FaultRule>) -> Result<Vec<FaultStatus>, FaultError> {
        self.faults.add(rules)
    }

    /// Replaces all fault rules.
    ///
    /// # Errors
    ///
    /// An error if one of the rules is invalid. Then the existing rules stay.
    pub fn replace_faults(&self, rules: Vec<FaultRule>) -> Result<Vec<FaultStatus>, FaultError> {
        self.faults.replace(rules)
    }

    /// Deletes all fault rules, or the rule with this name. Returns the number of deleted rules.
    pub fn forget_faults(&self, name: Option<&str>) -> usize {
        self.faults.forget(name)
    }

    /// Up to `limit` journal entries with a number greater than `after`.
    #[must_use]
    pub fn requests(&self, after: u64, limit: usize) -> Requests {
        self.journal.after(after, limit, usize::MAX)
    }

    /// A receiver that yields the number of the last journal entry whenever one is added.
    pub(crate) fn subscribe(&self) -> tokio::sync::watch::Receiver<u64> {
        self.journal.subscribe()
    }

    /// The current effective configuration.
    pub(crate) fn config(&self) -> Arc<AccountConfig> {
        self.config.read().clone()
    }

    /// The current epoch.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// A request is refused with 429, and may be repeated after so many seconds.
    #[cfg(feature = "check")]
    pub(crate) fn refused(&self, wait_seconds: u64) {
        let is_alone = self.in_flight.load(Ordering::Relaxed) <= 1;
        self.watch.notify(Moment::Refused { wait_seconds, is_alone });
    }

    /// Registers a request as in flight. Returns `None` if `max_in_flight` requests are in flight already.
    pub(crate) fn begin_request(self: &Arc<Self>, max_in_flight: u32) -> Option<InFlightGuard> {
        #[cfg(feature = "check")]
        self.watch.notify(Moment::Arrived);
        let is_free = |in_flight: u32| (in_flight < max_in_flight).then(|| in_flight + 1);
        let previous = self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_free);
        previous.ok().map(|_| InFlightGuard(self.clone()))
    }

    /// Ends waits and journal streams, and releases the tokens: the account is deleted.
    pub(crate) fn close(&self) {
        self.tokens.close();
        self.journal.close();
        self.webhook.close();
        self.clock.close();
    }

    pub(crate) fn use_now(&self, number: u64) {
        self.last_use.store(number, Ordering::Relaxed);
    }

    pub(crate) fn last_use(&self) -> u64 {
        self.last_use.load(Ordering::Relaxed)
    }
}

/// Counts a request as in flight until the guard is dropped.
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
    fn set_quota_updates_config_and_quota_together() {
        let account = Account::new(Settings::default(), Arc::default()).expect("valid settings");
        let change = |json: &str| serde_json::from_str::<QuotaChange>(json).expect("valid JSON");
        account.set_quota(change(r#"{"requests":3,"retry_after":"seconds"}"#));
        account.set_quota(change(r#"{"per_seconds":9}"#));
        let config = account.config();
        assert_eq!((config.settings.quota.requests.get(), config.settings.quota.per_seconds.get()), (3, 9));
        assert_eq!(config.settings.quota, account.quota.settings());
        assert_eq!(account.quota().retry_after, crate::account::quota::RetryAfter::Seconds);
    }
}
