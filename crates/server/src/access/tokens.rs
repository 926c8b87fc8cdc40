//! Tokens from an endpoint of the server's own.
//!
//! Spec: [distribution token authentication](https://distribution.github.io/distribution/spec/auth/token/). A token says
//! what its holder may do and until when, and is signed with a key that lives as long as the process: nothing has to be
//! kept for it, so nobody can fill the server by asking for many. Clients get a new one when the server has started anew.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use gantri_core::Result;
use gantri_spec::wire::{Challenge, Scope};
use hmac::Mac;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::basic::REALM;
use super::key::Key;
use super::{Access, Asked, Caller, Decision, Issued, Permissions, Secret, Users};

/// Asks for a token with each request, and gives tokens at `/token`.
pub struct Tokens {
    users: Users,
    permissions: Permissions,
    lifetime: Duration,
    key: Key,
    /// Tokens count from here: by a clock that nobody sets.
    epoch: Instant,
}

/// What a token says. Whoever holds it may read it; only the server can have written it.
#[derive(Debug, Deserialize, Serialize)]
struct Claims {
    scope: String,
    /// Milliseconds since the epoch of the server.
    expires: u64,
}

impl Tokens {
    /// These users, who may do this, with tokens that last for 5 minutes.
    ///
    /// # Errors
    /// `Unavailable` if no random key can be had.
    pub fn new(users: Users, permissions: Permissions) -> Result<Self> {
        Ok(Self { users, permissions, lifetime: LIFETIME, key: Key::random()?, epoch: Instant::now() })
    }

    /// The same with tokens that last for another time.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    fn sign(&self, scope: &Scope) -> Option<Secret> {
        let expires = (self.epoch.elapsed() + self.lifetime).as_millis();
        let claims = Claims { scope: scope.to_string(), expires: u64::try_from(expires).ok()? };
        let claims = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims).ok()?);
        let signature = self.key.mac(claims.as_bytes()).finalize().into_bytes();
        Some(format!("{claims}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)).into())
    }

    /// What the token allows, if it is one of ours and still good.
    fn read(&self, token: &Secret) -> Option<Scope> {
        let (claims, signature) = token.reveal().split_once('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.key.mac(claims.as_bytes()).verify_slice(&signature).ok()?;
        let claims: Claims = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        if self.epoch.elapsed().as_millis() >= u128::from(claims.expires) {
            return None;
        }
        claims.scope.parse().ok()
    }
}

#[async_trait]
impl Access for Tokens {
    async fn decide(&self, asked: Asked<'_>) -> Decision {
        let challenge = Challenge::bearer(&format!("{}{TOKEN_PATH}", asked.url), REALM);
        let challenge = if asked.wanted.is_empty() { challenge } else { challenge.with_scope(asked.wanted) };
        let Caller::Bearer(token) = asked.caller else { return Decision::Challenged(challenge) };
        match self.read(token) {
            Some(held) if held.contains(asked.wanted) => Decision::Allowed,
            Some(_) => Decision::Challenged(challenge.with_error("insufficient_scope")),
            None => Decision::Challenged(challenge.with_error("invalid_token")),
        }
    }

    /// Who may have nothing of what is wanted gets a token that is good for nothing, as the spec wants it.
    async fn token(&self, asked: Asked<'_>) -> Option<Issued> {
        let user = match asked.caller {
            Caller::Anonymous => None,
            Caller::Basic { user, password } if self.users.are(user, password).await => Some(user.as_str()),
            _ => return Some(Issued::Challenged(Challenge::basic(REALM))),
        };
        let token = self.sign(&self.permissions.granted(user, asked.wanted))?;
        Some(Issued::Token { token, expires_in: self.lifetime.as_secs() })
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("users", &self.users).field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// Where tokens are to be had.
pub(crate) const TOKEN_PATH: &str = "/token";
/// Long enough for the requests of one job, short enough for a permission that was taken back.
const LIFETIME: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::super::users::tests::users;
    use super::*;

    fn tokens() -> Tokens {
        Tokens::new(users(&["ann"]), Permissions::users()).unwrap()
    }

    fn scope(text: &str) -> Scope {
        text.parse().unwrap()
    }

    async fn decided(tokens: &Tokens, token: &str, wanted: &str) -> String {
        let caller = Caller::Bearer(token.into());
        match tokens.decide(Asked { caller: &caller, wanted: &scope(wanted), url: "http://x" }).await {
            Decision::Allowed => "allowed".to_owned(),
            Decision::Challenged(challenge) => challenge.error().unwrap_or_default().to_owned(),
            Decision::Denied => "denied".to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_good_for_its_scope_and_its_time() {
        let tokens = tokens();
        let token = tokens.sign(&scope("repository:a:pull")).unwrap();
        let token = token.reveal();
        let wide = "repository:a:pull repository:b:pull";
        for (wanted, expected) in [
            ("repository:a:pull", "allowed"),
            ("", "allowed"),
            ("repository:a:pull,push", "insufficient_scope"),
            ("repository:b:pull", "insufficient_scope"),
            (wide, "insufficient_scope"),
        ] {
            assert_eq!(decided(&tokens, token, wanted).await, expected, "{wanted}");
        }
        tokio::time::advance(LIFETIME).await;
        assert_eq!(decided(&tokens, token, "").await, "invalid_token");
    }

    #[tokio::test]
    async fn a_token_that_we_did_not_sign_is_none() {
        let (tokens, other) = (tokens(), tokens());
        let token = tokens.sign(&scope("repository:a:pull")).unwrap();
        let (claims, signature) = token.reveal().split_once('.').unwrap();
        let forged = serde_json::to_vec(&Claims { scope: "repository:a:*".into(), expires: u64::MAX }).unwrap();
        let forged = BASE64_URL_SAFE_NO_PAD.encode(forged);
        let foreign = other.sign(&scope("repository:a:pull")).unwrap();
        for token in [
            format!("{forged}.{signature}"),
            format!("{forged}."),
            format!("{claims}.{}", &signature[1..]),
            format!("{claims}A.{signature}"),
            claims.to_owned(),
            foreign.reveal().to_owned(),
            String::new(),
        ] {
            assert_eq!(decided(&tokens, &token, "repository:a:pull").await, "invalid_token", "{token}");
        }
    }

    #[tokio::test]
    async fn a_token_is_for_as_much_as_may_be_had() {
        let tokens = tokens();
        let wanted = scope("repository:a:pull,push aws");
        let cases = [
            (Caller::Anonymous, Some("")),
            (Caller::Basic { user: "ann".into(), password: "nna".into() }, Some("repository:a:pull,push")),
            (Caller::Basic { user: "ann".into(), password: "ann".into() }, None),
            (Caller::Bearer("x".into()), None),
            (Caller::Unreadable, None),
        ];
        for (caller, expected) in cases {
            let issued = tokens.token(Asked { caller: &caller, wanted: &wanted, url: "" }).await.unwrap();
            let held = match issued {
                Issued::Token { token, .. } => tokens.read(&token),
                Issued::Challenged(_) => None,
            };
            assert_eq!(held, expected.map(scope), "{caller:?}");
        }
    }
}
