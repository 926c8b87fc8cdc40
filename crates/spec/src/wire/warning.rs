//! `Warning` headers, as the distribution spec has them: `299 - "text"`.
//!
//! Other codes and agents are caches' business (RFC 7234) and are left out, as the spec asks. The text is the other side's:
//! whoever shows it makes it harmless first.

use super::quoted_string;

/// The texts of a `Warning` header's value, which may hold several. What does not follow the grammar ends the value it stands
/// in, without a complaint.
pub fn warnings(value: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut rest = value;
    while let Some((warning, after)) = one(rest) {
        texts.extend(warning);
        rest = after;
    }
    texts
}

/// The next warning, its text if it is for whoever reads the spec, and what follows it.
fn one(value: &str) -> Option<(Option<String>, &str)> {
    let value = value.trim_start_matches([',', ' ', '\t']);
    let (code, rest) = value.split_once(' ')?;
    let (agent, rest) = rest.split_once(' ')?;
    let (text, mut rest) = quoted_string(rest.trim_start().strip_prefix('"')?);
    if let Some((_, after)) = rest.trim_start().strip_prefix('"').and_then(|date| date.split_once('"')) {
        rest = after;
    }
    let is_ours = code == "299" && agent == "-" && !text.is_empty();
    Some((is_ours.then_some(text), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_read_and_what_is_none_is_not() {
        let cases: &[(&str, &[&str])] = &[
            (r#"299 - "gone by May""#, &["gone by May"]),
            (r#"299 - "say \"please\" \\o/""#, &[r#"say "please" \o/"#]),
            (r#"299 - "one", 299 - "two""#, &["one", "two"]),
            (r#"299 - "a, b" , 110 cache "stale" "Wed, 21 Oct 2015 07:28:00 GMT", 299 - "c""#, &["a, b", "c"]),
            (r#"110 - "stale""#, &[]),
            (r#"299 registry.test "agent""#, &[]),
            (r#"299 - """#, &[]),
            (r#"299 - "no end"#, &["no end"]),
            ("299 - bare", &[]),
            ("", &[]),
            (r#"299 - "kept", rubbish"#, &["kept"]),
        ];
        for (value, expected) in cases {
            assert_eq!(warnings(value), *expected, "{value}");
        }
    }
}
