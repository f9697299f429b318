//! The accounts of a server: who they are, which token and which client is whose.
//!
//! `default` is there from the start. Others are made by whoever controls the server; or by themselves, when a client shows
//! a token or a client id that begins with `sandbox-`: such an account has that name, and when there are too many the one
//! that was not used for the longest time goes.

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

/// How many accounts can be made; more are refused until some are dropped.
pub(crate) const MAX_ACCOUNTS: usize = 20_000;
/// How many accounts make themselves; more take the place of those that were not used for the longest time.
pub(crate) const MAX_IMPLICIT: usize = 10_000;
/// The name of the account that is there from the start.
pub(crate) const DEFAULT: &str = "default";

/// See the module.
#[derive(Debug)]
pub struct Accounts {
    shared: Arc<Shared>,
    default: Arc<Account>,
    table: RwLock<Table>,
    /// Counts the uses of accounts that made themselves.
    uses: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    by_name: BTreeMap<Arc<str>, Arc<Account>>,
    by_client: HashMap<String, Arc<Account>>,
    /// Those that made themselves, by a use of each, which may not be its last.
    implicit: BTreeSet<(u64, Arc<str>)>,
    /// How many were made without a name.
    unnamed: u64,
}

/// How much there is of what has limits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Sizes {
    /// Accounts that were made, `default` among them.
    pub(crate) accounts: usize,
    /// Accounts that made themselves.
    pub(crate) sandboxes: usize,
    /// Access tokens that are known.
    pub(crate) tokens: usize,
    /// Bytes of all journals.
    pub(crate) journal_bytes: usize,
    /// Bytes of ready pages.
    pub(crate) page_bytes: usize,
    /// Worlds that are kept.
    pub(crate) worlds: usize,
}

impl Accounts {
    /// The accounts of a server, whose `default` is made from these settings.
    ///
    /// # Errors
    ///
    /// When one of its tokens or faults is wrong.
    pub fn new(default: Settings) -> Result<Self, CreateAccountError> {
        let shared = Arc::new(Shared::default());
        let default = Arc::new(Account::new(default, shared.clone())?);
        let mut table = Table::default();
        table.insert(default.clone());
        Ok(Self { shared, default, table: RwLock::new(table), uses: AtomicU64::new(0) })
    }

    /// The account that is there from the start.
    #[must_use]
    pub fn default_account(&self) -> &Arc<Account> {
        &self.default
    }

    /// The account of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Account>> {
        self.table().by_name.get(name).cloned()
    }

    /// Up to `limit` accounts whose names come after one, in the order of names.
    #[must_use]
    pub fn list(&self, after: &str, limit: usize) -> Vec<Arc<Account>> {
        let table = self.table();
        let later = table.by_name.range::<str, _>((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded));
        later.take(limit).map(|(_, account)| account.clone()).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.table().by_name.len()
    }

    /// How much there is of what has limits.
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

    /// Ends what would go on for as long as the accounts do: those who follow a journal are told that there is no more.
    pub(crate) fn close_streams(&self) {
        for account in self.table().by_name.values() {
            account.journal.close();
        }
    }

    /// Makes an account.
    ///
    /// # Errors
    ///
    /// When its name, its client id or one of its tokens is another's, or when what is asked for is wrong.
    pub fn make(&self, new: NewAccount) -> Result<Arc<Account>, CreateAccountError> {
        if new.tokens.len() > MAX_TOKENS {
            return Err(CreateAccountError::Invalid(format!(
                "tokens must be at most {MAX_TOKENS}, got {}",
                new.tokens.len()
            )));
        }
        let mut table = self.table.write();
        let made = table.by_name.len() - table.implicit.len();
        if made > MAX_ACCOUNTS {
            return Err(CreateAccountError::TooMany(MAX_ACCOUNTS));
        }
        let name = match &new.name {
            Some(name) => name.clone(),
            None => table.free_name(),
        };
        self.make_in(&mut table, self.default.initial.of(new, name))
    }

    fn make_in(&self, table: &mut Table, settings: Settings) -> Result<Arc<Account>, CreateAccountError> {
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

    /// Drops an account: its tokens and its client are unknown from now on. `false` when there is none of the name.
    ///
    /// # Errors
    ///
    /// When it is `default`.
    pub fn drop_account(&self, name: &str) -> Result<bool, CreateAccountError> {
        if name == DEFAULT {
            return Err(CreateAccountError::Default);
        }
        let mut table = self.table.write();
        // Few are dropped by name, and only those that made themselves stand here.
        if name.starts_with(SANDBOX) {
            table.implicit.retain(|(_, known)| **known != *name);
        }
        Ok(table.remove(name))
    }

    /// Whose a token is. One that begins with `sandbox-` makes an account.
    pub(crate) fn of_token(&self, token: &str) -> Option<Arc<Account>> {
        match self.shared.tokens.owner(token) {
            Some(owner) if *owner == *DEFAULT => Some(self.default.clone()),
            Some(owner) => self.get(&owner).inspect(|account| self.note_use(account)),
            None => self.implicit(token),
        }
    }

    /// Whose a client is. An id that begins with `sandbox-` makes an account.
    pub(crate) fn of_client(&self, client_id: &str) -> Option<Arc<Account>> {
        let known = self.table().by_client.get(client_id).cloned();
        known.inspect(|account| self.note_use(account)).or_else(|| self.implicit(client_id))
    }

    fn note_use(&self, account: &Account) {
        account.use_now(self.uses.fetch_add(1, Ordering::Relaxed) + 1);
    }

    /// The account that makes itself because somebody uses its name.
    fn implicit(&self, name: &str) -> Option<Arc<Account>> {
        let name = name.starts_with(SANDBOX).then(|| name.parse().ok()).flatten()?;
        let mut table = self.table.write();
        let settings = self.default.initial.of(NewAccount::default(), name);
        if let Some(known) = table.by_name.get(settings.name.as_str()) {
            // Somebody else may have used it first just now. One that was made by hand may have other credentials: then
            // these are nobody's.
            let Settings { access_token, client_id, .. } = &known.initial;
            let is_own = *access_token == settings.access_token && *client_id == settings.client_id;
            return is_own.then(|| known.clone());
        }
        let account = self.make_in(&mut table, settings).ok()?;
        self.note_use(&account);
        table.implicit.insert((account.last_use(), account.name.clone()));
        if table.implicit.len() > MAX_IMPLICIT {
            table.drop_longest_unused();
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

    /// Drops the one that made itself and was not used for the longest time.
    fn drop_longest_unused(&mut self) {
        while let Some((noted, name)) = self.implicit.pop_first() {
            // Since it was noted, it may have been used: then it goes to where it belongs.
            let last_use = self.by_name.get(&name).map_or(noted, |account| account.last_use());
            if last_use == noted {
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
