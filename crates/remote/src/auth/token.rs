//! The token exchange: what is asked of a token server, and what its answer holds.
//!
//! Spec: [distribution token authentication](https://distribution.github.io/distribution/spec/auth/token/) and its OAuth2
//! form. Which realm may be asked at all is decided before ([`realm`]); who asks, and when, in `auth`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::TryStreamExt;
use gantri_core::error::display_untrusted;
use gantri_core::{ByteStream, Error, ErrorKind, Limits, Result, Retry};
use gantri_spec::wire::Scope;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, USER_AGENT};
use http::{Method, StatusCode};
use serde::Deserialize;
use tokio::time::{Instant, timeout};
use url::Url;
use url::form_urlencoded::Serializer;

use super::credentials::{Credential, Secret};
use crate::http::policy::{Admitted, Purpose, Speaker, Supplier, outbound_policy};
use crate::http::url::Redacted;
use crate::http::{Body, Destination};
use crate::transport::{Paced, Sent, is_passing, retry_after, said, said_by_the_spec};

/// A token, and when it must no longer be used.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) value: Secret,
    pub(super) expires: Instant,
    /// An identity token that replaces the one it was got for.
    pub(super) renewed: Option<Secret>,
}

impl Token {
    pub(super) fn is_fresh(&self) -> bool {
        Instant::now() < self.expires
    }
}

/// Asks token servers.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) http: Paced,
    pub(super) limits: Arc<Limits>,
    pub(super) supplier: Arc<Supplier>,
    pub(super) user_agent: HeaderValue,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub(super) realm: &'a Admitted,
    pub(super) service: Option<&'a str>,
    pub(super) scope: &'a Scope,
    /// What of it the registry has just asked for: it stands in front, for some servers read no further.
    pub(super) needed: Option<&'a Scope>,
    pub(super) credential: &'a Credential,
}

/// A token server, if a registry may send us there (A2).
///
/// # Errors
/// `Protocol`: it is no URL, or one that may not be opened.
pub(super) fn realm(supplier: &Supplier, realm: &str) -> Result<Admitted> {
    let refused = |why: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Protocol, format!("token server of {} refused: {why}", Redacted(&supplier.origin)))
    };
    let url = Url::parse(realm).map_err(|error| refused(&error))?;
    let shown = Redacted(&url).to_string();
    outbound_policy(Purpose::Realm, supplier, supplier.speaker(), url)
        .map_err(|why| refused(&format_args!("{shown}: {why}")))
}

impl Exchange {
    /// Gets a token.
    ///
    /// # Errors
    /// `Unauthorized` or `Denied` if the token server refuses, with its reason; `Protocol` if its answer is none; else why
    /// it could not be asked.
    pub(super) async fn token(&self, wish: Wish<'_>) -> Result<Token> {
        let shown = Redacted(&wish.realm.url).to_string();
        self.ask(wish).await.map_err(|error| {
            if wish.scope.is_empty() {
                error.during(format_args!("token from {shown}"))
            } else {
                error.during(format_args!("token from {shown} for {}", display_untrusted(&wish.scope.to_string())))
            }
        })
    }

    async fn ask(&self, wish: Wish<'_>) -> Result<Token> {
        let sent = wish.credential;
        let Credential::IdentityToken(identity) = sent else { return self.send(get(wish)?).await?.token(sent) };
        let posted = self.send(post(wish, identity)).await?;
        match posted.status.as_u16() {
            // Servers that know only the older form: GCR's first, GitLab.
            404 | 405 => self.send(get(wish)?).await?.token(sent),
            // Others that know only that (Artifactory, ACR in some roles), or an identity that is really refused: which of
            // the two, the older form tells. What was said first says more about why.
            400 | 401 => {
                let got = self.send(get(wish)?).await?;
                if got.status.is_success() { got.token(sent) } else { posted.token(sent) }
            }
            _ => posted.token(sent),
        }
    }

    /// Sends, following redirects only within the token server's origin (A3): a secret never reaches another.
    async fn send(&self, form: Form) -> Result<Answered> {
        let mut at = form.at.clone();
        for _ in 0..=self.limits.redirects {
            let answered = self.send_once(&at, &form).await?;
            if !answered.status.is_redirection() {
                return Ok(answered);
            }
            let refused = |why: &dyn std::fmt::Display| {
                Error::new(ErrorKind::Protocol, format!("redirect refused: {why}")).with_status(answered.status)
            };
            let location = answered.headers.get(LOCATION).and_then(|location| location.to_str().ok());
            let to = location.and_then(|to| at.url.join(to).ok()).ok_or_else(|| refused(&"no location"))?;
            if form.method != Method::GET {
                return Err(refused(&"a secret is not posted twice"));
            }
            let from = Speaker { url: &at.url, outside: false };
            at = outbound_policy(Purpose::RealmRedirect, &self.supplier, from, to).map_err(|why| refused(&why))?;
        }
        Err(Error::limit("redirects of the token server", "redirects", self.limits.redirects))
    }

    async fn send_once(&self, at: &Admitted, form: &Form) -> Result<Answered> {
        let mut request = http::Request::builder()
            .method(form.method.clone())
            .uri(at.url.as_str())
            .extension(form.destination(at))
            .body(Body::bytes(form.body.clone()))
            .map_err(|error| Error::new(ErrorKind::Protocol, "token request").with_source(error))?;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, self.user_agent.clone());
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(authorization) = &form.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        if form.method == Method::POST {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        }
        let (head, body) = self.http.send(&at.url, request).await?.into_parts();
        let body = async {
            // A refusal stays one however long its page is: that is read as far as anybody wants to know.
            Ok(if head.status.is_success() {
                gather(body, self.limits.token_body).await?
            } else {
                beginning(body, self.limits.token_body).await
            })
        };
        let body = match timeout(self.limits.first_byte, body).await {
            Ok(body) => body?,
            Err(_) => return Err(Error::new(ErrorKind::Timeout, "answer not whole in time")),
        };
        Ok(Answered { status: head.status, headers: head.headers, body })
    }
}

/// What one request to a token server carries.
struct Form {
    at: Admitted,
    method: Method,
    authorization: Option<HeaderValue>,
    body: Bytes,
}

impl Form {
    /// Where it may arrive. The user's word that secrets may travel in the clear is about the registry's network, whatever
    /// address a name resolves to (A12).
    fn destination(&self, at: &Admitted) -> Destination {
        let secret = self.authorization.is_some() || !self.body.is_empty();
        match at.destination {
            Destination::Foreign if secret && at.url.scheme() == "http" => Destination::Beside,
            destination => destination,
        }
    }
}

/// The older form: everything in the query, the password in a header. One `scope` for each resource.
fn get(wish: Wish<'_>) -> Result<Form> {
    let mut at = wish.realm.clone();
    // Built by the URL type alone: whatever the registry put into service and scope stays a value (A17).
    let mut query = at.url.query_pairs_mut();
    if let Some(service) = wish.service {
        query.append_pair("service", service);
    }
    for entry in wish.scope.iter_from(wish.needed) {
        query.append_pair("scope", &entry);
    }
    drop(query);
    if at.url.query() == Some("") {
        at.url.set_query(None);
    }
    Ok(Form { at, method: Method::GET, authorization: authorization(wish.credential)?, body: Bytes::new() })
}

fn authorization(credential: &Credential) -> Result<Option<HeaderValue>> {
    Ok(match credential {
        Credential::Basic { username, password } => Some(basic(username, password)?),
        // The name that docker itself gives to an identity token.
        Credential::IdentityToken(token) => Some(basic("<token>", token)?),
        Credential::Anonymous | Credential::Bearer(_) => None,
    })
}

/// The OAuth2 form: everything in the body.
fn post(wish: Wish<'_>, identity: &Secret) -> Form {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token");
    form.append_pair("client_id", "gantri");
    if let Some(service) = wish.service {
        form.append_pair("service", service);
    }
    if !wish.scope.is_empty() {
        form.append_pair("scope", &wish.scope.iter_from(wish.needed).collect::<Vec<_>>().join(" "));
    }
    form.append_pair("refresh_token", identity.expose());
    Form { at: wish.realm.clone(), method: Method::POST, authorization: None, body: form.finish().into() }
}

/// The `Authorization` of a user name and password.
pub(super) fn basic(username: &str, password: &Secret) -> Result<HeaderValue> {
    if username.contains(':') {
        return Err(Error::new(ErrorKind::Credentials, "a user name with a colon can't be sent"));
    }
    let pair = Secret::new(format!("{username}:{}", password.expose()));
    sensitive(&Secret::new(format!("Basic {}", BASE64_STANDARD.encode(pair.expose()))))
}

/// The `Authorization` of a token.
pub(super) fn bearer(token: &Secret) -> Result<HeaderValue> {
    sensitive(&Secret::new(format!("Bearer {}", token.expose())))
}

fn sensitive(value: &Secret) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(value.expose())
        .map_err(|_| Error::new(ErrorKind::Credentials, "a credential with characters that can't be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn gather(mut body: ByteStream, limit: u64) -> Result<Bytes> {
    let mut gathered = Vec::new();
    while let Some(chunk) = body.try_next().await? {
        if (gathered.len() + chunk.len()) as u64 > limit {
            return Err(Error::limit("answer of the token server", "token_body", limit));
        }
        gathered.extend_from_slice(&chunk);
    }
    Ok(gathered.into())
}

async fn beginning(mut body: ByteStream, limit: u64) -> Bytes {
    let mut gathered = Vec::new();
    while let Ok(Some(chunk)) = body.try_next().await {
        let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(gathered.len());
        gathered.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    gathered.into()
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Option<f64>,
}

/// What the spec assumes if the server says nothing.
const LIFETIME: f64 = 60.0;
/// A token is given up this long before it expires, or when half its life is over, whichever is later (A10).
const MARGIN: Duration = Duration::from_secs(10);
/// Longer is not believed: nothing should hang on a token for more than a day.
const LONGEST: f64 = 86_400.0;

/// The answer of a token server, whole.
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answered {
    fn token(&self, sent: &Credential) -> Result<Token> {
        let status = self.status;
        if !status.is_success() {
            return Err(refusal(self, &Sent::with(authorization(sent)?.as_ref())));
        }
        let no_token =
            |why: &str| Error::new(ErrorKind::Protocol, format!("no token in the answer: {why}")).with_status(status);
        let not_expected = || no_token("not the json that was expected");
        // A list would be read for its fields in their order.
        if self.body.trim_ascii_start().first() != Some(&b'{') {
            return Err(not_expected());
        }
        // What serde has to say may quote the answer, and with it a token.
        let answer: Answer = serde_json::from_slice(&self.body).map_err(|_| not_expected())?;
        let tokens = [answer.access_token, answer.token];
        let value =
            tokens.into_iter().flatten().find(|token| !token.is_empty()).ok_or_else(|| no_token("it names none"))?;
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(no_token("it has characters that can't be sent"));
        }
        // Counted from receipt on a clock that nobody sets; `issued_at` is the other side's clock and is ignored (A10).
        let said = answer.expires_in.filter(|said| said.is_finite() && *said > 0.0).unwrap_or(LIFETIME);
        let lifetime = Duration::from_secs_f64(said.min(LONGEST));
        Ok(Token {
            value: value.into(),
            expires: Instant::now() + lifetime.saturating_sub(MARGIN).max(lifetime / 2),
            renewed: answer.refresh_token.filter(|token| !token.is_empty()).map(Into::into),
        })
    }
}

/// The token server's own reason, in whatever form it gives it, without what it was sent.
fn refusal(answered: &Answered, sent: &Sent) -> Error {
    let Answered { status, headers, body } = answered;
    let error = if let Some(errors) = said_by_the_spec(body, sent) {
        Error::from_wire(*status, Some(errors), "refused")
    } else {
        let what = said(headers, body, sent).map_or_else(|| "refused".to_owned(), |said| format!("refused: {said}"));
        Error::new(kind(*status), what).with_status(*status)
    };
    if !is_passing(*status) {
        return error;
    }
    match retry_after(headers, SystemTime::now()) {
        Some(pause) => error
            .with_retry(Retry::After(pause))
            .with_hint(format!("the token server asks to wait {} seconds", pause.as_secs())),
        None => error.with_retry(Retry::Backoff),
    }
}

fn kind(status: StatusCode) -> ErrorKind {
    match status.as_u16() {
        403 => ErrorKind::Denied,
        429 => ErrorKind::RateLimited,
        408 => ErrorKind::Timeout,
        400..=499 => ErrorKind::Unauthorized,
        500..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Protocol,
    }
}
