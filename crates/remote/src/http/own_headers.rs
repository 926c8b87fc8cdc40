//! Headers of the user's own, for the registry's origin alone: whoever it leads to never sees them, be it storage or a
//! token server elsewhere; and they do not come back with a request that somebody else leads back to the registry (A4).

use std::sync::Arc;

use async_trait::async_trait;
use gantri_core::{ByteStream, Error, ErrorKind, Result};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::{Body, Destination, HttpClient, SendError};
use crate::auth::Secret;

/// Puts headers onto what goes to the registry itself.
#[derive(Debug)]
pub(crate) struct OwnHeaders {
    inner: Arc<dyn HttpClient>,
    /// Marked as sensitive, each of them, so that none is printed (A16).
    headers: HeaderMap,
}

impl OwnHeaders {
    /// The client, with these headers; itself if there are none.
    pub(crate) fn over(inner: Arc<dyn HttpClient>, headers: HeaderMap) -> Arc<dyn HttpClient> {
        if headers.is_empty() { inner } else { Arc::new(Self { inner, headers }) }
    }
}

/// Marks a request to the registry that has been elsewhere on its way, and so is somebody else's choice.
#[derive(Clone, Copy)]
pub(crate) struct LedBack;

#[async_trait]
impl HttpClient for OwnHeaders {
    async fn send(
        &self,
        mut request: http::Request<Body>,
    ) -> std::result::Result<http::Response<ByteStream>, SendError> {
        let led_back = request.extensions().get::<LedBack>().is_some();
        if request.extensions().get() == Some(&Destination::Registry) && !led_back {
            for (name, value) in &self.headers {
                request.headers_mut().append(name, value.clone());
            }
        }
        self.inner.send(request).await
    }
}

/// A header, if it may be the user's.
///
/// # Errors
/// `Config` if it is none, or one that is not his to set. The value is not shown.
pub(crate) fn checked(name: &str, value: &Secret) -> Result<(HeaderName, HeaderValue)> {
    let fault = |what: &str| Error::new(ErrorKind::Config, format!("header {name:?}: {what}"));
    let parsed: HeaderName = name.parse().map_err(|_| fault("no name of a header"))?;
    let mut value = HeaderValue::from_str(value.expose()).map_err(|_| fault("its value can't be sent"))?;
    value.set_sensitive(true);
    if parsed == header::AUTHORIZATION || parsed == header::PROXY_AUTHORIZATION {
        return Err(fault("who asks is said by credentials"));
    }
    if RESERVED.contains(&parsed) {
        return Err(fault("it is part of how HTTP is spoken here, and not to be set"));
    }
    Ok((parsed, value))
}

/// What belongs to one connection, frames a message, or says what is asked for.
const RESERVED: [HeaderName; 18] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::HOST,
    header::IF_RANGE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::RANGE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::USER_AGENT,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_of_the_users_own_is_checked_and_its_value_never_shown() {
        let of = |name, value: &str| checked(name, &value.into());
        assert_eq!(of("X-Gate", "canary").unwrap().0, "x-gate");
        assert!(!format!("{:?}", of("x-gate", "canary")).contains("canary"));
        let refused = [
            ("Authorization", "Basic canary"),
            ("proxy-authorization", "canary"),
            ("Host", "canary"),
            ("TE", "canary"),
            ("transfer-encoding", "canary"),
            ("a b", "canary"),
            ("x", "canary\r\nx: y"),
            ("x", "canary\0"),
            ("", "canary"),
        ];
        for (name, value) in refused {
            let error = of(name, value).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{name}");
            assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
        }
    }
}
