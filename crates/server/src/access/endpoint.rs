//! The token endpoint: what a request for a token says, and what is answered.

use std::sync::Arc;

use gantri_core::{Error, ErrorKind, Result};
use gantri_spec::wire::{ErrorCode, Scope};
use http::request::Parts;
use http::{Method, StatusCode, header};
use serde::Serialize;

use super::{Access, Action, Asked, Caller, Issued, Over, Permissions, Tokens, Users, Who, refusal};
use crate::respond::{self, Reply, Response, failure};

/// What a client reads of the answer, under both of the names that it goes by.
#[derive(Serialize)]
struct TokenBody<'a> {
    token: &'a str,
    access_token: &'a str,
    expires_in: u64,
}

/// Answers a request for a token. The name of the service, the account and the like change nothing here.
pub(crate) async fn token(access: &dyn Access, url: &str, head: &Parts) -> Response {
    let caller = Caller::of(&head.headers);
    let wanted = match wanted(head) {
        Ok(wanted) => wanted,
        Err(error) => return failure(&error),
    };
    match access.token(Asked { caller: &caller, wanted: &wanted, url }).await {
        None => respond::refusal(StatusCode::NOT_FOUND, ErrorCode::Unsupported, "request: no such endpoint"),
        Some(_) if head.method != Method::GET => {
            respond::refusal(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, "token: by GET alone")
        }
        Some(Issued::Challenged(challenge)) => {
            refusal(ErrorKind::Unauthorized, "token: name or password are wrong", Some(&challenge))
        }
        Some(Issued::Token { token, expires_in }) => {
            let body = TokenBody { token: token.reveal(), access_token: token.reveal(), expires_in };
            let reply = Reply::new(StatusCode::OK).header(header::CACHE_CONTROL, "no-store").json(&body);
            reply.unwrap_or_else(|error| failure(&error))
        }
    }
}

/// All scopes that are asked for, each in a parameter of its own or several in one.
fn wanted(head: &Parts) -> Result<Scope> {
    let query = head.uri.query().unwrap_or_default();
    let scopes = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "scope");
    scopes.map(|(_, scope)| scope.parse::<Scope>()).try_fold(Scope::default(), |all, scope| match scope {
        Ok(scope) => Ok(all.union(&scope)),
        Err(why) => Err(Error::new(ErrorKind::NameInvalid, format!("token: {why}"))),
    })
}

/// Everything to everybody, by token; the access as it was if there are no random bits to sign with.
pub(crate) fn token_dance(otherwise: Arc<dyn Access>) -> Arc<dyn Access> {
    let all = [Action::Pull, Action::Push, Action::Delete];
    let everybody = Permissions::none().allow(Who::Anyone, Over::Everything, &all);
    match Users::parse("").and_then(|nobody| Tokens::new(nobody, everybody)) {
        Ok(tokens) => Arc::new(tokens),
        Err(error) => {
            tracing::warn!(%error, "no tokens, so no token dance");
            otherwise
        }
    }
}
