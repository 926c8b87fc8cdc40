//! Keys of `auths` and `credHelpers`: what they speak of, and which of several that fit is meant.
//!
//! A key is a host, a URL of a registry's API, or a host and the beginning of a repository's name; only the last kind speaks
//! of less than a host. Which key wins agrees with containers, and with docker where containers leaves it open.

use std::cmp::Reverse;

use gantri_spec::{Host, RepositoryName};

/// Docker Hub's credentials stand under a URL of its first API.
pub(super) const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Where docker keeps the parts of a login to the hub in a browser, which are no credential.
const HUB_PARTS: [&str; 2] = ["/access-token", "/refresh-token"];

/// What a key speaks of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Key {
    pub(super) host: Host,
    /// The repository, or the namespace; `None` is the whole host.
    pub(super) path: Option<RepositoryName>,
    form: Form,
}

/// How a key is written; the best first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Form {
    /// As we would write it.
    Canonical,
    /// The URL that docker has for its hub.
    Hub,
    /// Another name or spelling of the host.
    Alias,
    Https,
    Http,
}

/// How well a key fits; the best is the least.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Rank(Reverse<usize>, Form);

impl Key {
    /// What a key speaks of; `None` if it is of no kind that anybody looks for.
    pub(super) fn parse(key: &str) -> Option<Self> {
        let (rest, form) = match (key.strip_prefix("https://"), key.strip_prefix("http://")) {
            (Some(rest), _) => (rest, Some(Form::Https)),
            (_, Some(rest)) => (rest, Some(Form::Http)),
            _ => (key, None),
        };
        let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path));
        let spelled = host;
        let host: Host = host.parse().ok()?;
        if host.is_docker_hub() && HUB_PARTS.iter().any(|part| key.ends_with(part)) {
            return None;
        }
        let is_api = form.is_some() || path.is_empty() || matches!(path, "v1/" | "v2/");
        let path = if is_api { None } else { Some(path.strip_suffix('/').unwrap_or(path).parse().ok()?) };
        let form = match form {
            _ if key == HUB_KEY => Form::Hub,
            Some(form) => form,
            None if spelled == host.as_str() && !key.ends_with('/') => Form::Canonical,
            None => Form::Alias,
        };
        Some(Self { host, path, form })
    }

    /// The host, if the key speaks of all of it.
    pub(super) fn whole_host(self) -> Option<Host> {
        if self.path.is_none() { Some(self.host) } else { None }
    }

    /// Whether this is a key for exactly these repositories, or for the host as a whole.
    pub(super) fn is_for(&self, host: &Host, path: Option<&RepositoryName>) -> bool {
        self.host == *host && self.path.as_ref() == path
    }

    /// How well it fits; `None` if it does not.
    pub(super) fn rank(&self, host: &Host, repository: Option<&RepositoryName>) -> Option<Rank> {
        if self.host != *host {
            return None;
        }
        let Some(path) = &self.path else { return Some(Rank(Reverse(0), self.form)) };
        let rest = repository?.as_str().strip_prefix(path.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then(|| Rank(Reverse(path.as_str().len()), self.form))
    }
}

/// What the general helper is asked about: the host, or docker's URL for its hub.
pub(super) fn server(host: &Host) -> &str {
    if host.is_docker_hub() { HUB_KEY } else { host.as_str() }
}

/// What the helper that stands under a key is asked about. Docker names its hub by the URL there, containers by its host.
pub(super) fn server_of(key: &str, host: &Host) -> String {
    let server = if key.contains("://") { server(host) } else { host.as_str() };
    server.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way to write a key, and what it speaks of.
    #[test]
    fn keys_are_hosts_urls_and_namespaces() {
        let cases = [
            ("ghcr.io", Some("ghcr.io")),
            ("GHCR.io", Some("ghcr.io")),
            ("ghcr.io/", Some("ghcr.io")),
            ("https://ghcr.io", Some("ghcr.io")),
            ("http://ghcr.io", Some("ghcr.io")),
            ("https://ghcr.io/v1/", Some("ghcr.io")),
            ("https://ghcr.io/v2/", Some("ghcr.io")),
            ("https://ghcr.io/v2/token", Some("ghcr.io")),
            ("ghcr.io/v1/", Some("ghcr.io")),
            ("ghcr.io/v2/", Some("ghcr.io")),
            ("ghcr.io:443", Some("ghcr.io:443")),
            ("localhost:5000", Some("localhost:5000")),
            ("[::1]:5000", Some("[::1]:5000")),
            ("10.0.0.1", Some("10.0.0.1")),
            ("docker.io", Some("docker.io")),
            ("index.docker.io", Some("docker.io")),
            ("registry-1.docker.io", Some("docker.io")),
            ("https://index.docker.io/v1/", Some("docker.io")),
            ("index.docker.io/v1/", Some("docker.io")),
            // Docker keeps these beside its credential.
            ("https://index.docker.io/v1/access-token", None),
            ("https://index.docker.io/v1/refresh-token", None),
            ("quay.io/team", Some("quay.io team")),
            ("quay.io/team/", Some("quay.io team")),
            ("quay.io/team/app", Some("quay.io team/app")),
            ("quay.io/v2", Some("quay.io v2")),
            ("docker.io/library/alpine", Some("docker.io library/alpine")),
            ("localhost:5000/a", Some("localhost:5000 a")),
            ("quay.io/Team", None),
            ("quay.io/team:tag", None),
            ("quay.io//team", None),
            ("quay.io/../x", None),
            ("*.example.com", None),
            ("user@ghcr.io", None),
            ("", None),
            ("/", None),
            ("https://", None),
        ];
        for (key, expected) in cases {
            let found = Key::parse(key).map(|key| match &key.path {
                Some(path) => format!("{} {path}", key.host),
                None => key.host.to_string(),
            });
            assert_eq!(found.as_deref(), expected, "{key:?}");
        }
    }

    /// The longest key wins, and of a host's own the one that is written as we would.
    #[test]
    fn the_longest_key_wins_then_the_plainest() {
        let best_first = [
            "docker.io/library/alpine",
            "docker.io/library",
            "docker.io",
            "https://index.docker.io/v1/",
            "index.docker.io",
            "https://docker.io",
            "http://docker.io",
        ];
        let host = Host::docker_hub();
        let repository: RepositoryName = "library/alpine".parse().unwrap();
        let ranks: Vec<Rank> =
            best_first.iter().map(|key| Key::parse(key).unwrap().rank(&host, Some(&repository)).unwrap()).collect();
        assert!(ranks.is_sorted() && ranks.windows(2).all(|pair| pair[0] != pair[1]), "{ranks:?}");
    }

    /// A15: names are compared part by part, never letter by letter.
    #[test]
    fn a_namespace_is_no_prefix() {
        let key = Key::parse("quay.io/team/app").unwrap();
        let fits = |host: &str, name: &str| key.rank(&host.parse().unwrap(), Some(&name.parse().unwrap())).is_some();
        for name in ["team/app", "team/app/sub", "team/app/a/b"] {
            assert!(fits("quay.io", name), "{name}");
        }
        for name in ["team/apple", "team/app-2", "team/app.x", "team", "team/ap", "a/team/app", "app", "teams/app"] {
            assert!(!fits("quay.io", name), "{name}");
        }
        assert!(!fits("quay.io:443", "team/app") && !fits("xquay.io", "team/app"));
        assert!(key.rank(&"quay.io".parse().unwrap(), None).is_none());
    }
}
