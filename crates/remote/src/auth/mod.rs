//! Authorization, learned from challenges.
//!
//! Nothing is sent before the registry has asked (A12), and nothing is asked of it first: no ping. The first 401 tells the
//! scheme, and for tokens the realm; from then on every request is authorized ahead. At most one fresh authorization and one
//! replay for each request (A8) is the transport's rule.

mod cache;
mod credentials;
mod demand;
mod token;
mod turn;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gantri_core::{Error, ErrorKind, Limits, Result};
use gantri_spec::wire::{Challenge, Scope};
use gantri_spec::{Host, RepositoryName};
use http::header::HeaderValue;
use url::Url;

use self::cache::{Key, TokenCache};
pub use self::credentials::{Credential, Credentials, FirstCredentials, Secret};
use self::demand::Demand;
use self::token::{Exchange, Token, Wish, basic, bearer};
use self::turn::Turn;
use crate::builder::PlainHttp;
use crate::http::policy::{AddressClass, Supplier, literal_class};
use crate::http::url::{Redacted, same_host_and_port};
use crate::transport::Paced;

/// Knows how to be let in at one registry.
#[derive(Debug)]
pub(crate) struct Authorizer {
    host: Host,
    supplier: Arc<Supplier>,
    plain_http: PlainHttp,
    credentials: Arc<dyn Credentials>,
    exchange: Exchange,
    tokens: TokenCache,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the registry asked for last.
    demand: Option<Demand>,
    /// What the provider gave last, until it is refused: for the host, or for each repository that it knows apart.
    credentials: HashMap<Option<RepositoryName>, Credential>,
    /// Who asks the provider, and who waits for that.
    lookups: HashMap<Option<RepositoryName>, Arc<Turn>>,
}

/// What comes with a demand that was just made.
#[derive(Debug, Default)]
struct Question {
    /// The scope that it names.
    named: Scope,
    /// Whether a credential was looked up for it already.
    looked_up: bool,
}

/// Who asks, and the repository that this was looked up for; `None` if the whole host knows them by that.
#[derive(Debug)]
struct Asker {
    within: Option<RepositoryName>,
    credential: Credential,
    /// Whether this was known from an earlier request, and may have been renewed by whoever provides it since then.
    known: bool,
}

/// A request goes on with so many credentials at the most, each of them got by another request while it waited.
const MANY_ROUNDS: usize = 8;

/// Credentials of so many repositories are kept; more are looked up again.
const MANY_REPOSITORIES: usize = 256;

/// Whether another try may be authorized better.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Learned {
    Something,
    Nothing,
}

impl Authorizer {
    pub(crate) fn new(
        host: Host,
        supplier: Arc<Supplier>,
        plain_http: PlainHttp,
        credentials: Arc<dyn Credentials>,
        http: Paced,
        limits: Arc<Limits>,
        user_agent: HeaderValue,
    ) -> Self {
        let exchange = Exchange { http, limits, supplier: Arc::clone(&supplier), user_agent };
        let (tokens, state) = (TokenCache::default(), Mutex::default());
        Self { host, supplier, plain_http, credentials, exchange, tokens, state }
    }

    /// Whether the registry has asked who we are.
    pub(crate) fn was_challenged(&self) -> bool {
        self.with(|state| state.demand.is_some())
    }

    /// The `Authorization` for a request that needs this scope; `None` as long as the registry has not asked.
    ///
    /// # Errors
    /// `Credentials` if they can't be looked up; why a token could not be had.
    pub(crate) async fn header(&self, scope: &Scope) -> Result<Option<HeaderValue>> {
        let Some(demand) = self.with(|state| state.demand.clone()) else { return Ok(None) };
        self.authorization(&demand, scope, &Question::default(), None).await
    }

    /// Takes in what a registry asked for after `spent` was sent, and gets what it takes.
    ///
    /// # Errors
    /// `Credentials` if they can't be looked up or may not be sent; why a token could not be had.
    pub(crate) async fn learn(
        &self,
        challenges: &[Challenge],
        scope: &Scope,
        spent: Option<&HeaderValue>,
    ) -> Result<Learned> {
        let Some((demand, question)) = self.demand(challenges, scope).await? else { return Ok(Learned::Nothing) };
        self.with(|state| state.demand = Some(demand.clone()));
        self.replace(&demand, scope, &question, spent).await
    }

    /// Gets something else than `spent`, which has expired, as the registry says of it without asking anew (ECR).
    ///
    /// # Errors
    /// As [`learn`](Self::learn).
    pub(crate) async fn renew(&self, scope: &Scope, spent: &HeaderValue) -> Result<Learned> {
        let Some(demand) = self.with(|state| state.demand.clone()) else { return Ok(Learned::Nothing) };
        self.replace(&demand, scope, &Question::default(), Some(spent)).await
    }

    async fn replace(
        &self,
        demand: &Demand,
        scope: &Scope,
        question: &Question,
        spent: Option<&HeaderValue>,
    ) -> Result<Learned> {
        let within = self.within(scope);
        if let Some(spent) = spent {
            self.forget_refused(demand, within.as_ref(), spent);
        }
        let token = spent.and_then(spent_token);
        if let Some(token) = &token {
            self.tokens.discard(token);
        }
        let header = self.authorization(demand, scope, question, token.as_ref()).await?;
        Ok(if header.is_none() || header.as_ref() == spent { Learned::Nothing } else { Learned::Something })
    }

    /// What this demand is met with, other than `spent`; `None` if we have nothing to meet it.
    async fn authorization(
        &self,
        demand: &Demand,
        scope: &Scope,
        question: &Question,
        spent: Option<&Secret>,
    ) -> Result<Option<HeaderValue>> {
        let mut asker = self.asker(demand, self.within(scope)).await?;
        let (mut rounds, mut is_new) = (1, question.looked_up || !asker.known);
        loop {
            let (realm, service) = match (demand, &asker.credential) {
                (_, Credential::Bearer(token)) => return bearer(token).map(Some),
                (Demand::Basic, Credential::Basic { username, password }) => {
                    return basic(username, password).map(Some);
                }
                (Demand::Basic, _) => return Ok(None),
                (Demand::Bearer { realm, service }, _) => (realm, service.as_deref()),
            };
            let wish = Wish { realm, service, scope, needed: None, credential: &asker.credential };
            let error = match self.token(wish, &question.named, asker.within.as_ref(), spent).await {
                Ok(token) => return bearer(&token.value).map(Some),
                Err(error) => error,
            };
            if error.kind() != ErrorKind::Unauthorized {
                return Err(error);
            }
            self.forget(&asker);
            // Another request may have got another one by now; whoever provides it may know one, and is asked once.
            let is_kept = self.with(|state| state.find(asker.within.as_ref()).is_some());
            if rounds == MANY_ROUNDS || (is_new && !is_kept) {
                return Err(error);
            }
            let again = self.asker(demand, asker.within).await?;
            if again.credential == asker.credential {
                return Err(error);
            }
            (rounds, is_new, asker) = (rounds + 1, is_new || !again.known, again);
        }
    }

    /// What the registry names may be more than we wish for, or less: both together will do, unless the token server gives
    /// nobody that much.
    async fn token(
        &self,
        wish: Wish<'_>,
        named: &Scope,
        within: Option<&RepositoryName>,
        spent: Option<&Secret>,
    ) -> Result<Token> {
        let both = wish.scope.union(named);
        let got = self.token_for(Wish { scope: &both, needed: Some(named), ..wish }, within, spent).await;
        match got {
            Err(error) if both != *wish.scope && is_refusal(&error) => {
                self.token_for(wish, within, spent).await.map_err(|_| error)
            }
            got => got,
        }
    }

    /// From the cache, or the token server.
    async fn token_for(
        &self,
        wish: Wish<'_>,
        within: Option<&RepositoryName>,
        spent: Option<&Secret>,
    ) -> Result<Token> {
        let key = key(wish, within);
        if let (None, Some(token)) = (spent, self.tokens.find(&key)) {
            return Ok(token);
        }
        let token = self.tokens.renew(&key, spent, || self.exchange.token(wish)).await?;
        if let (Some(renewed), Credential::IdentityToken(_)) = (&token.renewed, wish.credential) {
            self.keep_credential(within.cloned(), Credential::IdentityToken(renewed.clone()));
        }
        Ok(token)
    }

    /// The first challenge that we can meet (G39); the first of all where we can meet none.
    async fn demand(&self, challenges: &[Challenge], scope: &Scope) -> Result<Option<(Demand, Question)>> {
        let (mut demands, mut refused) = (Vec::new(), None);
        for challenge in challenges {
            match Demand::of(challenge, &self.supplier) {
                Ok(demand) => demands.extend(demand),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        let (mut chosen, mut looked_up) = (None, false);
        // Nobody is looked up where there is nothing to choose.
        if demands.len() + usize::from(refused.is_some()) > 1 {
            let within = self.within(scope);
            let known = self.with(|state| state.find(within.as_ref()));
            looked_up = known.is_none();
            let credential = match known {
                Some(credential) => credential,
                None => self.look_up(within.as_ref()).await?,
            };
            chosen = demands.iter().position(|(demand, _)| demand.is_met_by(&credential));
        }
        match (chosen, refused) {
            (None, Some(error)) => Err(error),
            (chosen, _) => {
                let demand = demands.into_iter().nth(chosen.unwrap_or_default());
                Ok(demand.map(|(demand, named)| (demand, Question { named, looked_up })))
            }
        }
    }

    /// The repository that a credential is looked up for.
    fn within(&self, scope: &Scope) -> Option<RepositoryName> {
        self.credentials.by_repository(&self.host).then(|| scope.target()).flatten()
    }

    fn keep_credential(&self, within: Option<RepositoryName>, credential: Credential) {
        self.with(|state| {
            if state.credentials.len() >= MANY_REPOSITORIES {
                state.credentials.clear();
            }
            state.credentials.insert(within, credential);
        });
    }

    /// A credential that was refused as it is may have been renewed by whoever provides it: ask again next time, unless
    /// somebody has got another one meanwhile.
    fn forget_refused(&self, demand: &Demand, within: Option<&RepositoryName>, spent: &HeaderValue) {
        self.with(|state| {
            let yields = match (demand, state.find(within)) {
                (Demand::Basic, Some(Credential::Basic { username, password })) => basic(&username, &password).ok(),
                (_, Some(Credential::Bearer(token))) => bearer(&token).ok(),
                _ => None,
            };
            if yields.as_ref() == Some(spent) {
                state.credentials.remove(&within.cloned());
            }
        });
    }

    /// The same for one that a token server refused.
    fn forget(&self, asker: &Asker) {
        self.with(|state| {
            if state.find(asker.within.as_ref()).as_ref() == Some(&asker.credential) {
                state.credentials.remove(&asker.within);
            }
        });
    }

    /// Who asks, as far as it may be said where the demand would have it sent.
    async fn asker(&self, demand: &Demand, within: Option<RepositoryName>) -> Result<Asker> {
        let known = self.with(|state| state.find(within.as_ref()));
        let asker = match known {
            Some(credential) => Asker { within, credential, known: true },
            None => Asker { credential: self.look_up(within.as_ref()).await?, within, known: false },
        };
        self.may_be_sent(demand, &asker.credential)?;
        Ok(asker)
    }

    /// Asks whoever provides them, for one at a time: that may take a process of its own, and serves all who wait for it.
    async fn look_up(&self, within: Option<&RepositoryName>) -> Result<Credential> {
        let turn = self.with(|state| state.turn(within));
        let known = || self.with(|state| state.find(within));
        let look_up = || async {
            let looked_up = self.credentials.credential(&self.host, within).await;
            let credential =
                looked_up.map_err(|error| error.during(format_args!("credentials for {}", self.host.as_str())))?;
            self.keep_credential(within.cloned(), credential.clone());
            Ok(credential)
        };
        turn.take(known, look_up).await
    }

    /// No secret goes out in the clear, but to this machine or where the user said so (A12).
    fn may_be_sent(&self, demand: &Demand, credential: &Credential) -> Result<()> {
        let registry = &self.supplier.origin;
        let to = match demand {
            Demand::Bearer { realm, .. } if !matches!(credential, Credential::Bearer(_)) => &realm.url,
            _ => registry,
        };
        let in_the_clear = [registry, to].into_iter().find(|url| !self.is_private(url));
        match in_the_clear {
            Some(url) if !credential.is_anonymous() => Err(Error::new(
                ErrorKind::Credentials,
                format!("credentials for {} are not sent to {} in the clear", self.host.as_str(), Redacted(url)),
            )
            .with_hint("use https, or say that secrets may travel over plain http to this host")),
            _ => Ok(()),
        }
    }

    /// By the user's word: for the registry, and inside a network for the token server that stands beside it.
    fn is_private(&self, url: &Url) -> bool {
        let class = literal_class(url);
        if url.scheme() == "https" || class == Some(AddressClass::Loopback) {
            return true;
        }
        let side = self.supplier.side.class();
        let beside = || side != AddressClass::Public && class.is_none_or(|class| class == side);
        self.plain_http == PlainHttp::AlwaysWithSecrets
            && (same_host_and_port(url, &self.supplier.origin) || self.supplier.trusts_realm(url) || beside())
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn find(&self, within: Option<&RepositoryName>) -> Option<Credential> {
        self.credentials.get(&within.cloned()).cloned()
    }

    fn turn(&mut self, within: Option<&RepositoryName>) -> Arc<Turn> {
        if self.lookups.len() >= MANY_REPOSITORIES {
            self.lookups.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        Arc::clone(self.lookups.entry(within.cloned()).or_default())
    }
}

/// Whether a token server gives nobody what it was asked for, or not to us.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Denied)
}

fn key(wish: Wish<'_>, within: Option<&RepositoryName>) -> Key {
    Key {
        realm: wish.realm.url.to_string(),
        service: wish.service.map(str::to_owned),
        scope: wish.scope.clone(),
        identity: wish.credential.identity(within),
    }
}

fn spent_token(header: &HeaderValue) -> Option<Secret> {
    header.to_str().ok()?.strip_prefix("Bearer ").map(Secret::from)
}
