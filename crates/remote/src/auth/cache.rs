//! Tokens that are still good, and one exchange at a time for each.
//!
//! A token serves only the realm, service, scope and identity it was got for (A9); a wider scope of the same three serves
//! a narrower request. The cache belongs to one registry and is never shared.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gantri_core::{Error, ErrorKind, Result, Retry};
use gantri_spec::wire::Scope;

use super::credentials::{Identity, Secret};
use super::token::Token;

/// What a token is good for.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    pub(super) realm: String,
    pub(super) service: Option<String>,
    pub(super) scope: Scope,
    pub(super) identity: Identity,
}

/// The tokens of one registry.
#[derive(Debug, Default)]
pub(super) struct TokenCache(Mutex<HashMap<Key, Arc<Slot>>>);

#[derive(Debug, Default)]
struct Slot {
    token: Mutex<Option<Token>>,
    /// Held while an exchange is under way; how the last one failed, if it did.
    turn: tokio::sync::Mutex<Option<Failure>>,
}

/// A failed exchange, for those who waited for it.
#[derive(Debug)]
struct Failure {
    kind: ErrorKind,
    retry: Retry,
    what: String,
}

impl TokenCache {
    /// More slots than this are looked through for dead ones when another is made.
    const MANY: usize = 256;

    /// A token that is still good for this, or for more.
    pub(super) fn find(&self, key: &Key) -> Option<Token> {
        let slots = self.lock();
        let exact = slots.get(key).and_then(|slot| slot.fresh());
        exact.or_else(|| {
            let wider = slots.iter().filter(|(held, _)| held.serves(key));
            wider.filter_map(|(_, slot)| slot.fresh()).max_by_key(|token| token.expires)
        })
    }

    /// A token other than `spent`: one that somebody else got meanwhile, or a new one from `exchange`. Whoever asks for the
    /// same while an exchange is under way waits for it and shares its result, good or bad.
    pub(super) async fn renew<F>(
        &self,
        key: &Key,
        spent: Option<&Secret>,
        exchange: impl FnOnce() -> F,
    ) -> Result<Token>
    where
        F: Future<Output = Result<Token>>,
    {
        let slot = self.slot(key);
        let waited = slot.turn.try_lock().is_err();
        let mut failure = slot.turn.lock().await;
        if let Some(token) = slot.fresh().filter(|token| Some(&token.value) != spent) {
            return Ok(token);
        }
        // Whoever had to wait for a turn that failed would only fail again.
        if let (true, Some(failure)) = (waited, &*failure) {
            return Err(failure.again());
        }
        // Until this turn is over it has not failed: dropped half-way, it leaves no verdict to the next.
        *failure = None;
        let outcome = exchange().await;
        *failure = outcome.as_ref().err().map(Failure::of);
        slot.keep(outcome.as_ref().ok().cloned());
        outcome
    }

    /// Forgets a token that the registry no longer takes, wherever it is kept.
    pub(super) fn discard(&self, spent: &Secret) {
        for slot in self.lock().values() {
            let mut token = slot.lock();
            if token.as_ref().is_some_and(|token| token.value == *spent) {
                *token = None;
            }
        }
    }

    fn slot(&self, key: &Key) -> Arc<Slot> {
        let mut slots = self.lock();
        if slots.len() >= Self::MANY && !slots.contains_key(key) {
            // A slot that somebody holds may be filled any moment.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.fresh().is_some());
        }
        Arc::clone(slots.entry(key.clone()).or_default())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    fn serves(&self, wanted: &Self) -> bool {
        self.realm == wanted.realm
            && self.service == wanted.service
            && self.identity == wanted.identity
            && self.scope.contains(&wanted.scope)
    }
}

impl Slot {
    fn fresh(&self) -> Option<Token> {
        self.lock().clone().filter(Token::is_fresh)
    }

    fn keep(&self, token: Option<Token>) {
        *self.lock() = token;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Token>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failure {
    fn of(error: &Error) -> Self {
        Self { kind: error.kind(), retry: error.retry(), what: error.to_string() }
    }

    fn again(&self) -> Error {
        Error::new(self.kind, self.what.clone()).with_retry(self.retry)
    }
}
