//! Takes out of a message what differs from run to run.

/// The message with `HOST` for each loopback address, `D1`, `D2`, ... for the digests in the order of their appearance, and
/// `*` for the random part of temporary names.
pub fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut digests: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(digest) = word(rest, "sha256:", |c| c.is_ascii_hexdigit()).filter(|word| word.len() == 7 + 64) {
            let known = digests.iter().position(|known| *known == digest);
            let index = known.unwrap_or_else(|| {
                digests.push(digest);
                digests.len() - 1
            });
            masked.push('D');
            masked.push_str(&(index + 1).to_string());
            rest = &rest[digest.len()..];
        } else if let Some(host) = word(rest, "127.0.0.1:", |c| c.is_ascii_digit()) {
            masked.push_str("HOST");
            rest = &rest[host.len()..];
        } else if let Some(name) = word(rest, ".gantri-", |c| c.is_ascii_alphanumeric() || c == '-') {
            masked.push_str(".gantri-*");
            rest = &rest[name.len()..];
        } else {
            masked.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    masked
}

/// The prefix and all that follows of its kind.
fn word<'a>(text: &'a str, prefix: &str, belongs: impl Fn(char) -> bool) -> Option<&'a str> {
    let rest = text.strip_prefix(prefix)?;
    let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
    (end > 0).then(|| &text[..prefix.len() + end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_masked() {
        let [one, two] = ["a", "b"].map(|digit| format!("sha256:{}", digit.repeat(64)));
        let text = format!("pull 127.0.0.1:4711/a@{one}: {two}, not {one}: x/.gantri-0a1b: sha256:abc");
        assert_eq!(mask(&text), "pull HOST/a@D1: D2, not D1: x/.gantri-*: sha256:abc");
    }
}
