//! Request lines: what a server understands of them, a client would have said (R2).

use std::path::{Component, Path};

use gantri_spec::wire::Endpoint;
use http::Method;

use crate::{can_be_shown, text};

/// A method and a target, as in `GET /v2/a/tags/list?n=1`.
pub fn route(data: &[u8]) {
    let Some((method, target)) = text(data).and_then(|text| text.split_once(' ')) else { return };
    let Ok(method) = method.parse::<Method>() else { return };
    let endpoint = match parse(&method, target) {
        Ok(endpoint) => endpoint,
        Err(error) => {
            assert!(error.status().is_client_error(), "{error}");
            return can_be_shown(&error);
        }
    };
    let said = endpoint.target();
    assert!(said.starts_with("/v2/") && said.bytes().all(|byte| byte.is_ascii_graphic()), "{said:?}");
    assert_eq!(parse(&endpoint.method(), &said), Ok(endpoint.clone()), "{said}");
    assert_eq!(endpoint.scope().to_string().parse(), Ok(endpoint.scope()));
    let path = said.split('?').next().unwrap_or_default();
    let is_plain = |component: Component<'_>| matches!(component, Component::RootDir | Component::Normal(_));
    assert!(Path::new(path).components().all(is_plain) && !path.contains("/./"), "{path}");
    if let Some(repo) = endpoint.repository() {
        assert!(path.starts_with(&format!("/v2/{repo}/")), "{path}");
    }
}

fn parse(method: &Method, target: &str) -> Result<Endpoint, gantri_spec::wire::EndpointError> {
    match target.split_once('?') {
        Some((path, query)) => Endpoint::parse(method, path, Some(query)),
        None => Endpoint::parse(method, target, None),
    }
}
