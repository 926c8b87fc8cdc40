//! [`Challenge`]: what a `WWW-Authenticate` header asks for (RFC 9110, section 11).
//!
//! The header is the registry's, so anything may stand in it: parsing takes what can be understood, leaves the rest
//! and never fails (A17). Whether a realm may be visited at all (A2) is for the client's authorization to decide.

use std::fmt;

use super::Scope;

/// One challenge: a scheme with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    scheme: Scheme,
    /// Names in lower case; the first of equal names counts.
    params: Vec<(String, String)>,
    /// The opaque word that stands instead of parameters.
    token68: Option<String>,
}

/// How a challenge wants to be met.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// User name and password.
    Basic,
    /// A token from the realm.
    Bearer,
    /// Any other, in lower case.
    Other(String),
}

impl Challenge {
    /// Asks for a user name and a password.
    pub fn basic(realm: &str) -> Self {
        Self::new(Scheme::Basic).with_param("realm", realm)
    }

    /// Asks for a token, to be had for `service` at the URL `realm`.
    pub fn bearer(realm: &str, service: &str) -> Self {
        Self::new(Scheme::Bearer).with_param("realm", realm).with_param("service", service)
    }

    /// Adds the scope that the token must have.
    #[must_use]
    pub fn with_scope(self, scope: &Scope) -> Self {
        self.with_param("scope", &scope.to_string())
    }

    /// The same challenge for another scope.
    #[must_use]
    pub fn for_scope(mut self, scope: &Scope) -> Self {
        self.params.retain(|(name, _)| name != "scope");
        self.with_scope(scope)
    }

    /// Adds why the token that was sent does not do (RFC 6750: `invalid_token`, `insufficient_scope`).
    #[must_use]
    pub fn with_error(self, error: &str) -> Self {
        self.with_param("error", error)
    }

    /// All challenges of all `WWW-Authenticate` headers of an answer, in order.
    pub fn parse_all<'a>(values: impl IntoIterator<Item = &'a str>) -> Vec<Self> {
        let mut challenges = Vec::new();
        for value in values {
            parse(value, &mut challenges);
        }
        challenges
    }

    /// How it wants to be met.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The value of a parameter; its name is given in lower case.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Where to get a token, or what the password is for. Not to be trusted (A2).
    pub fn realm(&self) -> Option<&str> {
        self.param("realm")
    }

    /// The name of the registry at its token server.
    pub fn service(&self) -> Option<&str> {
        self.param("service")
    }

    /// What the token must allow; `None` if nothing is said, or nothing that is a scope.
    pub fn scope(&self) -> Option<Scope> {
        self.param("scope")?.parse().ok()
    }

    /// Why the credentials that were sent do not do.
    pub fn error(&self) -> Option<&str> {
        self.param("error")
    }

    fn new(scheme: Scheme) -> Self {
        Self { scheme, params: Vec::new(), token68: None }
    }

    fn with_param(mut self, name: &str, value: &str) -> Self {
        self.add_param(name, value.to_owned());
        self
    }

    fn add_param(&mut self, name: &str, value: String) {
        let name = name.to_ascii_lowercase();
        if self.token68.is_none() && self.param(&name).is_none() {
            self.params.push((name, value));
        }
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.scheme)?;
        if let Some(token) = &self.token68 {
            write!(f, " {token}")?;
        }
        for (position, (name, value)) in self.params.iter().enumerate() {
            let separator = if position == 0 { " " } else { "," };
            write!(f, "{separator}{name}=\"")?;
            // No control character leaves this crate in a header (A17).
            for c in value.chars().filter(|c| !c.is_control()) {
                let escape = if matches!(c, '"' | '\\') { "\\" } else { "" };
                write!(f, "{escape}{c}")?;
            }
            f.write_str("\"")?;
        }
        Ok(())
    }
}

impl From<&str> for Scheme {
    fn from(name: &str) -> Self {
        match name.to_ascii_lowercase() {
            name if name == "basic" => Self::Basic,
            name if name == "bearer" => Self::Bearer,
            name => Self::Other(name),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic => "Basic",
            Self::Bearer => "Bearer",
            Self::Other(name) => name,
        })
    }
}

/// A word followed by `=` is a parameter of the challenge before it; any other word starts a challenge.
fn parse(value: &str, challenges: &mut Vec<Challenge>) {
    let first = challenges.len();
    let mut rest = value;
    while let Some(start) = rest.find(is_token) {
        let (word, after) = token(&rest[start..]);
        if let Some(after) = after.trim_start().strip_prefix('=') {
            let (value, after) = parameter(after.trim_start());
            // A parameter ahead of any scheme belongs to nothing.
            if let Some(challenge) = challenges.get_mut(first..).and_then(<[_]>::last_mut) {
                challenge.add_param(word, value);
            }
            rest = after;
        } else {
            let mut challenge = Challenge::new(word.into());
            rest = after;
            if let Some((token, after)) = token68(after) {
                challenge.token68 = Some(token.to_owned());
                rest = after;
            }
            challenges.push(challenge);
        }
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn token(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_token(c)).unwrap_or(text.len()))
}

/// A quoted string or a bare word. Bare words are read up to the comma, for registries leave URLs unquoted.
fn parameter(text: &str) -> (String, &str) {
    if let Some(quoted) = text.strip_prefix('"') {
        return super::quoted_string(quoted);
    }
    let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
    (text[..end].to_owned(), &text[end..])
}

/// The one opaque word that a scheme such as Negotiate takes instead of parameters. It ends at a comma or nowhere,
/// which tells it from `realm=`.
fn token68(after_scheme: &str) -> Option<(&str, &str)> {
    let text = after_scheme.strip_prefix(' ')?.trim_start();
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    let word = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let padding = text[word..].find(|c| c != '=').unwrap_or(text.len() - word);
    let (token, rest) = text.split_at(word + padding);
    let ends = rest.trim_start().is_empty() || rest.trim_start().starts_with(',');
    (word > 0 && ends).then_some((token, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(values: &[&str]) -> Vec<String> {
        Challenge::parse_all(values.iter().copied()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn challenges_are_read_however_they_are_written() {
        let table: &[(&[&str], &[&str])] = &[
            (&[r#"Basic realm="r""#], &[r#"Basic realm="r""#]),
            (
                &[r#"Bearer realm="https://auth/token",service="reg",scope="repository:a:pull,push""#],
                &[r#"Bearer realm="https://auth/token",service="reg",scope="repository:a:pull,push""#],
            ),
            (&[r#"bEARER REALM = "r" , Service=s"#], &[r#"Bearer realm="r",service="s""#]),
            // Several in one header, and several headers.
            (&[r#"Basic realm="a, b", Bearer realm="c""#], &[r#"Basic realm="a, b""#, r#"Bearer realm="c""#]),
            (&["Negotiate, Basic realm=x"], &["negotiate", r#"Basic realm="x""#]),
            (&["Negotiate", r#"Bearer realm="c""#], &["negotiate", r#"Bearer realm="c""#]),
            (&["Negotiate YWJj/+==, Basic"], &["negotiate YWJj/+==", "Basic"]),
            (&["Negotiate YWJj=="], &["negotiate YWJj=="]),
            // Quoted pairs.
            (&[r#"Basic realm="a \"b\" \\ c""#], &[r#"Basic realm="a \"b\" \\ c""#]),
            // URLs that should have been quoted.
            (&["Bearer realm=https://a/t?x=1,service=b:5"], &[r#"Bearer realm="https://a/t?x=1",service="b:5""#]),
            // The first of equal names counts.
            (&[r#"Bearer realm="a",realm="b""#], &[r#"Bearer realm="a""#]),
            // Broken: as much as can be understood.
            (&[r#"Bearer realm="never closed"#], &[r#"Bearer realm="never closed""#]),
            (&[r#"realm="of nothing", Basic realm="b""#], &[r#"Basic realm="b""#]),
            (&[r#"Basic realm="a""#, r#"service="stray""#], &[r#"Basic realm="a""#]),
            (&[r#",,;"" Basic realm="#], &["Basic realm="]),
            (&["", ",", "\"", "\\", "=", "é"], &[]),
        ];
        for (values, expected) in table {
            assert_eq!(shown(values), *expected, "{values:?}");
        }
    }

    #[test]
    fn parameters_are_given_by_name_and_the_scope_as_a_scope() {
        let header = r#"Bearer realm="r",service="s",scope="repository:a:push,pull",error="insufficient_scope""#;
        let challenge = &Challenge::parse_all([header])[0];
        assert_eq!(challenge.scheme(), &Scheme::Bearer);
        assert_eq!(challenge.realm(), Some("r"));
        assert_eq!(challenge.service(), Some("s"));
        assert_eq!(challenge.scope(), "repository:a:pull,push".parse().ok());
        assert_eq!(challenge.error(), Some("insufficient_scope"));
        assert_eq!(challenge.param("absent"), None);
    }

    #[test]
    fn a17_no_control_character_is_printed_into_a_header() {
        let challenge = Challenge::basic("a\r\nSet-Cookie: x\0").with_error("x");
        assert_eq!(challenge.to_string(), r#"Basic realm="aSet-Cookie: x",error="x""#);
    }

    proptest! {
        #[test]
        fn challenges_print_and_parse(texts in prop::collection::vec("[ -~]{0,20}", 4), bearer: bool) {
            let first = Challenge::basic(&texts[0]);
            let second = Challenge::bearer(&texts[1], &texts[2]).with_error(&texts[3]);
            let challenges = if bearer { vec![second, first] } else { vec![first, second] };
            let header = format!("{}, {}", challenges[0], challenges[1]);
            prop_assert_eq!(Challenge::parse_all([header.as_str()]), challenges);
        }

        #[test]
        fn no_header_makes_it_panic_and_what_was_read_prints_and_parses(
            text in r#"([,="\\ ]|Basic|Bearer |realm|[ -~]|.){0,40}"#,
        ) {
            for challenge in Challenge::parse_all([text.as_str()]) {
                let printed = challenge.to_string();
                prop_assert!(!printed.contains(char::is_control));
                let again = Challenge::parse_all([printed.as_str()]);
                prop_assert_eq!(again.len(), 1, "{}", printed);
                prop_assert_eq!(again[0].to_string(), printed);
            }
        }
    }
}
