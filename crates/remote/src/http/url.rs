//! URLs as they may be shown, and compared.

use std::fmt;

use url::Url;

/// A URL fit for errors and logs (A16): user information and query are left out.
pub(crate) struct Redacted<'a>(pub(crate) &'a Url);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path())?;
        if self.0.query().is_some() {
            f.write_str("?..")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Same scheme, host and port, default ports filled in. Hosts differing in a final dot are different.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin().is_tuple() && one.origin() == other.origin()
}

/// Same host and port, whatever the scheme; default ports filled in.
pub(crate) fn same_host_and_port(one: &Url, other: &Url) -> bool {
    one.host_str() == other.host_str() && one.port_or_known_default() == other.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_shown() {
        let url = Url::parse("https://me:canary@cdn.test:8443/a/b?X-Sig=canary&e=canary#canary").unwrap();
        assert_eq!(Redacted(&url).to_string(), "https://cdn.test:8443/a/b?..");
        assert!(!format!("{:?}", Redacted(&url)).contains("canary"));
    }

    #[test]
    fn origins_are_compared_with_their_default_ports() {
        let cases = [
            ("https://a.test/x", "https://a.test:443/y", true),
            ("https://a.test", "http://a.test", false),
            ("https://a.test", "https://a.test:444", false),
            ("https://a.test", "https://A.TEST", true),
            ("https://a.test", "https://a.test.", false),
            ("data:x", "data:x", false),
        ];
        for (one, other, expected) in cases {
            assert_eq!(same_origin(&Url::parse(one).unwrap(), &Url::parse(other).unwrap()), expected, "{one} {other}");
        }
    }
}
