//! Tokens that are still good, and one exchange at a time for each.
//!
//! A token serves only the realm, service, scope and identity it was got for (A9); a wider scope of the same three serves
//! a narrower request. The cache belongs to one registry and is never shared.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gantri_core::Result;
use gantri_spec::wire::Scope;

use super::credentials::{Identity, Secret};
use super::token::Token;
use super::turn::Turn;

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
    turn: Turn,
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
        let slot = &*self.slot(key);
        let kept = || slot.fresh().filter(|token| Some(&token.value) != spent);
        let renew = || async {
            let token = exchange().await;
            slot.keep(token.as_ref().ok().cloned());
            token
        };
        slot.turn.take(kept, renew).await
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gantri_core::{Error, ErrorKind};
    use tokio::time::Instant;

    use super::*;
    use crate::auth::Credential;

    fn key(realm: &str, service: Option<&str>, scope: &str, user: &str) -> Key {
        Key {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.parse().unwrap(),
            identity: Credential::basic(user, "p").identity(None),
        }
    }

    fn token(value: &str) -> Token {
        Token { value: value.into(), expires: Instant::now() + Duration::from_mins(1), renewed: None }
    }

    /// A9: one line for each part of the key.
    #[tokio::test]
    async fn a_token_serves_what_it_was_got_for_or_less() {
        const REALM: &str = "https://auth.test/";
        const WIDE: &str = "repository:a/b:pull,push";
        let cache = TokenCache::default();
        cache.renew(&key(REALM, Some("s"), WIDE, "me"), None, || async { Ok(token("t")) }).await.unwrap();
        let cases = [
            ("the same", key(REALM, Some("s"), WIDE, "me"), true),
            ("a narrower scope", key(REALM, Some("s"), "repository:a/b:pull", "me"), true),
            ("a wider scope", key(REALM, Some("s"), "repository:a/b:delete,pull,push", "me"), false),
            ("another repository", key(REALM, Some("s"), "repository:a/c:pull", "me"), false),
            ("another realm", key("https://auth.test/x", Some("s"), WIDE, "me"), false),
            ("another service", key(REALM, Some("x"), WIDE, "me"), false),
            ("no service", key(REALM, None, WIDE, "me"), false),
            ("another user", key(REALM, Some("s"), WIDE, "you"), false),
            ("another user, narrower", key(REALM, Some("s"), "repository:a/b:pull", "you"), false),
        ];
        for (name, key, found) in cases {
            assert_eq!(cache.find(&key).is_some(), found, "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_expired_or_was_refused_is_not_found() {
        let cache = TokenCache::default();
        let key = key("https://auth.test/", None, "repository:a/b:pull", "me");
        cache.renew(&key, None, || async { Ok(token("t")) }).await.unwrap();
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(cache.find(&key).is_none());
        cache.renew(&key, None, || async { Ok(token("u")) }).await.unwrap();
        cache.discard(&"t".into());
        assert!(cache.find(&key).is_some());
        cache.discard(&"u".into());
        assert!(cache.find(&key).is_none());
    }

    /// Tokens that are dead do not pile up.
    #[tokio::test(start_paused = true)]
    async fn dead_slots_are_dropped() {
        let cache = TokenCache::default();
        for number in 0..1_000 {
            let key = key("https://auth.test/", None, &format!("repository:a/{number}:pull"), "me");
            cache.renew(&key, None, || async { Ok(token("t")) }).await.unwrap();
            tokio::time::advance(Duration::from_secs(10)).await;
        }
        assert!(cache.lock().len() <= TokenCache::MANY);
    }

    /// An exchange that is given up in mid-way leaves the turn to the next.
    #[tokio::test(start_paused = true)]
    async fn a_dropped_exchange_holds_nobody_up() {
        let cache = TokenCache::default();
        let key = key("https://auth.test/", None, "repository:a/b:pull", "me");
        let refused = || async { Err(Error::new(ErrorKind::Denied, "no")) };
        assert!(cache.renew(&key, None, refused).await.is_err());
        let (first, second) = tokio::join!(
            tokio::time::timeout(Duration::from_secs(1), cache.renew(&key, None, std::future::pending)),
            cache.renew(&key, None, || async { Ok(token("t")) }),
        );
        assert!(first.is_err());
        assert!(second.is_ok(), "an older failure is not its verdict");
    }
}
