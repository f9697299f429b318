//! The accounts of a server, with lookup by name, by token and by client id.
//!
//! `default` always exists. The control surface creates further accounts. A token or a client id that begins with
//! `sandbox-` creates an implicit account of that name. When there are too many implicit accounts, the server deletes
//! the least recently used one.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::{RwLock, RwLockReadGuard};

use super::{
    account::Account,
    error::CreateAccountError,
    settings::{MAX_TOKENS, NewAccount, SANDBOX, Settings},
    shared::Shared,
};

/// The maximum number of created accounts besides `default`. Beyond it, creation fails until some are deleted.
pub(crate) const MAX_ACCOUNTS: usize = 20_000;
/// The maximum number of implicit accounts. Beyond it, a new one replaces the least recently used one.
pub(crate) const MAX_IMPLICIT: usize = 10_000;
/// The name of the account that always exists.
pub(crate) const DEFAULT: &str = "default";

/// The accounts of a server, see the module.
#[derive(Debug)]
pub struct Accounts {
    shared: Arc<Shared>,
    default: Arc<Account>,
    table: RwLock<Table>,
    /// Counts account uses; orders the implicit accounts by their last use.
    uses: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    by_name: BTreeMap<Arc<str>, Arc<Account>>,
    by_client: HashMap<String, Arc<Account>>,
    /// The implicit accounts, each with the number of an earlier use, which is not always the last one.
    implicit: BTreeSet<(u64, Arc<str>)>,
    /// The number of names that were generated for accounts created without a name.
    unnamed: u64,
}

/// The sizes of everything that has a limit, for the metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Sizes {
    /// Created accounts, including `default`.
    pub(crate) accounts: usize,
    /// Implicit accounts.
    pub(crate) sandboxes: usize,
    /// Access tokens in the index.
    pub(crate) tokens: usize,
    /// Bytes in all journals.
    pub(crate) journal_bytes: usize,
    /// Bytes in the page cache.
    pub(crate) page_bytes: usize,
    /// Cached worlds.
    pub(crate) worlds: usize,
}

impl Accounts {
    /// Creates the accounts of a server; these settings are those of `default`.
    ///
    /// # Errors
    ///
    /// An error if one of the tokens or fault rules is invalid.
    pub fn new(default: Settings) -> Result<Self, CreateAccountError> {
        let shared = Arc::new(Shared::default());
        let default = Arc::new(Account::new(default, shared.clone())?);
        let mut table = Table::default();
        table.insert(default.clone());
        Ok(Self { shared, default, table: RwLock::new(table), uses: AtomicU64::new(0) })
    }

    /// The account `default`.
    #[must_use]
    pub fn default_account(&self) -> &Arc<Account> {
        &self.default
    }

    /// The account with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Account>> {
        self.table().by_name.get(name).cloned()
    }

    /// Up to `limit` accounts with names greater than `after`, ordered by name.
    #[must_use]
    pub fn list(&self, after: &str, limit: usize) -> Vec<Arc<Account>> {
        let table = self.table();
        let later = table.by_name.range::<str, _>((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded));
        later.take(limit).map(|(_, account)| account.clone()).collect()
    }

    /// The number of accounts.
    #[must_use]
    pub fn count(&self) -> usize {
        self.table().by_name.len()
    }

    /// The sizes of everything that has a limit.
    pub(crate) fn sizes(&self) -> Sizes {
        let table = self.table();
        let (all, sandboxes) = (table.by_name.len(), table.implicit.len());
        drop(table);
        Sizes {
            accounts: all - sandboxes,
            sandboxes,
            tokens: self.shared.tokens.len(),
            journal_bytes: self.shared.journals.bytes(),
            page_bytes: self.shared.pages.bytes(),
            worlds: self.shared.worlds.len(),
        }
    }

    /// Closes all journal streams, which would otherwise stay open as long as the accounts exist.
    pub(crate) fn close_streams(&self) {
        for account in self.table().by_name.values() {
            account.journal.close();
        }
    }

    /// Creates an account.
    ///
    /// # Errors
    ///
    /// An error if another account has the name, the client id or one of the tokens, if a value is invalid, or if there
    /// are too many accounts.
    pub fn make(&self, new: NewAccount) -> Result<Arc<Account>, CreateAccountError> {
        if new.tokens.len() > MAX_TOKENS {
            return Err(CreateAccountError::Invalid(format!(
                "tokens must be at most {MAX_TOKENS}, got {}",
                new.tokens.len()
            )));
        }
        if new.scenario.is_some() {
            return Err(CreateAccountError::Invalid("scenario is not in this build".to_owned()));
        }
        let mut table = self.table.write();
        let created = table.by_name.len() - table.implicit.len();
        if created > MAX_ACCOUNTS {
            return Err(CreateAccountError::TooMany(MAX_ACCOUNTS));
        }
        let name = match &new.name {
            Some(name) => name.clone(),
            None => table.free_name(),
        };
        self.insert_new(&mut table, self.default.initial.of(new, name))
    }

    fn insert_new(&self, table: &mut Table, settings: Settings) -> Result<Arc<Account>, CreateAccountError> {
        let (name, client_id) = (settings.name.as_str(), settings.client_id.as_str());
        if table.by_name.contains_key(name) {
            return Err(CreateAccountError::NameTaken(name.to_owned()));
        }
        if table.by_client.contains_key(client_id) {
            return Err(CreateAccountError::ClientTaken(client_id.to_owned()));
        }
        let account = Arc::new(Account::new(settings, self.shared.clone())?);
        table.insert(account.clone());
        Ok(account)
    }

    /// Deletes an account with its tokens and its client. Returns `false` if there is no account with this name.
    ///
    /// # Errors
    ///
    /// An error if the account is `default`.
    pub fn drop_account(&self, name: &str) -> Result<bool, CreateAccountError> {
        if name == DEFAULT {
            return Err(CreateAccountError::Default);
        }
        let mut table = self.table.write();
        // A linear scan, but deletions are rare, and only implicit accounts are in this set.
        if name.starts_with(SANDBOX) {
            table.implicit.retain(|(_, existing)| **existing != *name);
        }
        Ok(table.remove(name))
    }

    /// The owner of a token. A token that begins with `sandbox-` creates an account.
    pub(crate) fn of_token(&self, token: &str) -> Option<Arc<Account>> {
        match self.shared.tokens.owner(token) {
            Some(owner) if *owner == *DEFAULT => Some(self.default.clone()),
            Some(owner) => self.get(&owner).inspect(|account| self.record_use(account)),
            None => self.implicit(token),
        }
    }

    /// The owner of a client id. A client id that begins with `sandbox-` creates an account.
    pub(crate) fn of_client(&self, client_id: &str) -> Option<Arc<Account>> {
        let existing = self.table().by_client.get(client_id).cloned();
        existing.inspect(|account| self.record_use(account)).or_else(|| self.implicit(client_id))
    }

    fn record_use(&self, account: &Account) {
        account.use_now(self.uses.fetch_add(1, Ordering::Relaxed) + 1);
    }

    /// Creates or finds the implicit account of a name.
    fn implicit(&self, name: &str) -> Option<Arc<Account>> {
        let name = name.starts_with(SANDBOX).then(|| name.parse().ok()).flatten()?;
        let mut table = self.table.write();
        let settings = self.default.initial.of(NewAccount::default(), name);
        if let Some(existing) = table.by_name.get(settings.name.as_str()) {
            // Another request may have created it in the meantime. An account that was created explicitly may have
            // other credentials; then this token or client id does not belong to it.
            let Settings { access_token, client_id, .. } = &existing.initial;
            let is_own = *access_token == settings.access_token && *client_id == settings.client_id;
            return is_own.then(|| existing.clone());
        }
        let account = self.insert_new(&mut table, settings).ok()?;
        self.record_use(&account);
        table.implicit.insert((account.last_use(), account.name.clone()));
        if table.implicit.len() > MAX_IMPLICIT {
            table.evict_least_recently_used();
        }
        Some(account)
    }

    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read()
    }
}

impl Table {
    fn insert(&mut self, account: Arc<Account>) {
        self.by_client.insert(account.initial.client_id.to_string(), account.clone());
        self.by_name.insert(account.name.clone(), account);
    }

    fn remove(&mut self, name: &str) -> bool {
        let Some(account) = self.by_name.remove(name) else { return false };
        self.by_client.remove(account.initial.client_id.as_str());
        account.close();
        true
    }

    /// Deletes the least recently used implicit account.
    fn evict_least_recently_used(&mut self) {
        while let Some((recorded_use, name)) = self.implicit.pop_first() {
            // The account may have been used again since; then it goes back into the set with its last use.
            let last_use = self.by_name.get(&name).map_or(recorded_use, |account| account.last_use());
            if last_use == recorded_use {
                self.remove(&name);
                return;
            }
            self.implicit.insert((last_use, name));
        }
    }

    fn free_name(&mut self) -> super::settings::Name {
        loop {
            self.unnamed += 1;
            let name = format!("account-{}", self.unnamed);
            if !self.by_name.contains_key(name.as_str()) && !self.by_client.contains_key(&name) {
                return name.parse().expect("letters, a dash and digits");
            }
        }
    }
}

/// Ends the deliveries of all accounts, which would outlive the server.
impl Drop for Accounts {
    fn drop(&mut self) {
        for account in self.table.get_mut().by_name.values() {
            account.webhook.close();
        }
    }
}
