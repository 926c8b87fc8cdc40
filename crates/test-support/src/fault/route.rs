//! Which requests a fault is for: an operation or a pattern of method and path, and which of them in their order.

use gantri_spec::wire::Endpoint;
use http::Method;

/// What a client does at a registry. Each is known by the one request that is the heart of it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "the columns of the fault matrix")]
pub enum Operation {
    /// `GET /v2/`.
    Ping,
    /// A request to the token server, whatever method.
    Token,
    /// `HEAD` of a manifest.
    Resolve,
    /// `GET` of a manifest.
    PullManifest,
    /// `GET` of a blob.
    PullBlob,
    /// The `PUT` that brings a blob, or the rest of it.
    PushMonolithic,
    /// A `PATCH`.
    PushChunked,
    /// A `POST` that mounts.
    Mount,
    /// `PUT` of a manifest.
    PushManifest,
    /// A page of tags.
    Tags,
    /// A page of referrers.
    Referrers,
    /// `DELETE` of a manifest, a tag or a blob.
    Delete,
}

impl Operation {
    /// Every operation, in the order of the matrix.
    pub const ALL: [Self; 12] = [
        Self::Ping,
        Self::Token,
        Self::Resolve,
        Self::PullManifest,
        Self::PullBlob,
        Self::PushMonolithic,
        Self::PushChunked,
        Self::Mount,
        Self::PushManifest,
        Self::Tags,
        Self::Referrers,
        Self::Delete,
    ];

    /// How it is called on a command line and in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Token => "token",
            Self::Resolve => "resolve",
            Self::PullManifest => "pull-manifest",
            Self::PullBlob => "pull-blob",
            Self::PushMonolithic => "push-monolithic",
            Self::PushChunked => "push-chunked",
            Self::Mount => "mount",
            Self::PushManifest => "push-manifest",
            Self::Tags => "tags",
            Self::Referrers => "referrers",
            Self::Delete => "delete",
        }
    }

    /// Whether a request is the heart of this.
    fn is(self, method: &str, target: &str) -> bool {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        if self == Self::Token {
            return path.ends_with("/token");
        }
        let Ok(method) = method.parse::<Method>() else { return false };
        let Ok(endpoint) = Endpoint::parse(&method, path, query) else { return false };
        match self {
            Self::Ping => endpoint == Endpoint::Ping,
            Self::Token => false,
            Self::Resolve => matches!(endpoint, Endpoint::ResolveManifest { .. }),
            Self::PullManifest => matches!(endpoint, Endpoint::Manifest { .. }),
            Self::PullBlob => matches!(endpoint, Endpoint::Blob { .. }),
            Self::PushMonolithic => matches!(endpoint, Endpoint::CommitUpload { .. } | Endpoint::PutBlobAtOnce { .. }),
            Self::PushChunked => matches!(endpoint, Endpoint::WriteUpload { .. }),
            Self::Mount => matches!(endpoint, Endpoint::MountBlob { .. }),
            Self::PushManifest => matches!(endpoint, Endpoint::PutManifest { .. }),
            Self::Tags => matches!(endpoint, Endpoint::Tags { .. }),
            Self::Referrers => matches!(endpoint, Endpoint::Referrers { .. }),
            Self::Delete => matches!(endpoint, Endpoint::DeleteManifest { .. } | Endpoint::DeleteBlob { .. }),
        }
    }
}

/// Which requests.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Route {
    /// Whatever comes.
    Any,
    /// The heart of an operation.
    Operation(Operation),
    /// This method (`*` is any) and a path like this, without its query; `*` stands for any text.
    Path(String, String),
}

impl Route {
    /// Whether a request is one of these.
    pub fn is(&self, method: &str, target: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Operation(operation) => operation.is(method, target),
            Self::Path(wanted, pattern) => {
                let path = target.split_once('?').map_or(target, |(path, _)| path);
                (wanted == "*" || wanted.eq_ignore_ascii_case(method)) && fits(pattern, path)
            }
        }
    }
}

impl From<Operation> for Route {
    fn from(operation: Operation) -> Self {
        Self::Operation(operation)
    }
}

impl From<(&str, &str)> for Route {
    fn from((method, pattern): (&str, &str)) -> Self {
        Self::Path(method.to_owned(), pattern.to_owned())
    }
}

/// Which of the requests of a route, counted from 1. Those that a client sends without an authorization and that are
/// answered with a challenge are counted too, unless the proxy was told to look at authorized ones alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "one, some, all")]
pub enum When {
    /// This one.
    Nth(u32),
    /// So many, then all is well.
    First(u32),
    /// Each.
    Always,
}

impl When {
    /// Whether the request of this number is one of them.
    pub fn is(self, number: u32) -> bool {
        match self {
            Self::Nth(nth) => number == nth,
            Self::First(many) => number <= many,
            Self::Always => true,
        }
    }
}

/// Whether `text` is like `pattern`, in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => {
            let Some(after) = text.strip_prefix(start) else { return false };
            (0..=after.len()).any(|at| after.is_char_boundary(at) && fits(rest, &after[at..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_known_by_their_requests() {
        let digest = gantri_spec::Digest::of(b"");
        let cases = [
            ("GET", "/v2/".to_owned(), Operation::Ping),
            ("POST", "/auth/token".to_owned(), Operation::Token),
            ("GET", "/token?scope=x".to_owned(), Operation::Token),
            ("HEAD", "/v2/a/b/manifests/v1".to_owned(), Operation::Resolve),
            ("GET", "/v2/a/b/manifests/v1".to_owned(), Operation::PullManifest),
            ("GET", format!("/v2/a/b/blobs/{digest}"), Operation::PullBlob),
            ("PUT", format!("/v2/a/b/blobs/uploads/1?digest={digest}"), Operation::PushMonolithic),
            ("PATCH", "/v2/a/b/blobs/uploads/1".to_owned(), Operation::PushChunked),
            ("POST", format!("/v2/a/b/blobs/uploads/?mount={digest}&from=c"), Operation::Mount),
            ("PUT", "/v2/a/b/manifests/v1".to_owned(), Operation::PushManifest),
            ("GET", "/v2/a/b/tags/list?n=1".to_owned(), Operation::Tags),
            ("GET", format!("/v2/a/b/referrers/{digest}"), Operation::Referrers),
            ("DELETE", "/v2/a/b/manifests/v1".to_owned(), Operation::Delete),
        ];
        for (method, target, expected) in cases {
            let known: Vec<_> = Operation::ALL.into_iter().filter(|one| one.is(method, &target)).collect();
            assert_eq!(known, [expected], "{method} {target}");
        }
    }

    #[test]
    fn a_pattern_stands_for_paths() {
        let cases = [
            ("/v2/*", "/v2/", true),
            ("/v2/*/blobs/*", "/v2/a/b/blobs/x", true),
            ("/v2/*/blobs/*", "/v2/a/b/manifests/x", false),
            ("*", "", true),
            ("/v2", "/v2/", false),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(Route::from(("*", pattern)).is("GET", &format!("{path}?q=*")), expected, "{pattern} {path}");
        }
        assert!(!Route::from(("PUT", "*")).is("GET", "/"));
    }

    #[test]
    fn requests_are_picked_by_their_number() {
        assert_eq!([1, 2, 3].map(|number| When::Nth(2).is(number)), [false, true, false]);
        assert_eq!([1, 2, 3].map(|number| When::First(2).is(number)), [true, true, false]);
        assert_eq!([1, 2, 3].map(|number| When::Always.is(number)), [true, true, true]);
    }
}
