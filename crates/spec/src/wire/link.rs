//! `Link` headers (RFC 8288), as far as paging needs them: the one with `rel=next`.
//!
//! The target is given as it stands. It may be relative, or lead to another host (A6): resolving it and deciding
//! whether to follow is the client's.

/// The target of the first link whose relation is `next`, exactly as the header spells it.
///
/// Takes the values of all `Link` headers in order; a value may hold several links. A malformed link ends the value
/// it stands in, without a complaint: paging then stops there.
pub fn next<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<String> {
    values.into_iter().find_map(next_in)
}

/// The value of a `Link` header that leads to `target`, which must be percent-encoded already.
pub fn format_next(target: &str) -> String {
    format!("<{target}>; rel=\"next\"")
}

fn next_in(value: &str) -> Option<String> {
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        let (target, after) = rest.strip_prefix('<')?.split_once('>')?;
        let (relation, after) = parameters(after);
        if relation.is_some_and(|relation| is_next(&relation)) {
            return Some(target.trim().to_owned());
        }
        rest = after;
    }
}

fn is_next(relation: &str) -> bool {
    relation.split_ascii_whitespace().any(|one| one.eq_ignore_ascii_case("next"))
}

/// Reads `; name=value` up to the comma that ends the link; gives the first `rel` and what follows the link.
fn parameters(mut rest: &str) -> (Option<String>, &str) {
    let mut relation = None;
    loop {
        rest = rest.trim_start();
        let Some(after) = rest.strip_prefix(';') else {
            // Rubbish between a link and its comma belongs to no link.
            return (relation, rest.find(',').map_or("", |at| &rest[at..]));
        };
        let end = after.find([';', ',', '=']).unwrap_or(after.len());
        let name = after[..end].trim();
        rest = &after[end..];
        if let Some(after) = rest.strip_prefix('=') {
            let (value, after) = value(after.trim_start());
            if relation.is_none() && name.eq_ignore_ascii_case("rel") {
                relation = Some(value);
            }
            rest = after;
        }
    }
}

/// A token or a quoted string, and what follows it.
fn value(text: &str) -> (String, &str) {
    if let Some(quoted) = text.strip_prefix('"') {
        return super::quoted_string(quoted);
    }
    let end = text.find([';', ',']).unwrap_or(text.len());
    (text[..end].trim().to_owned(), &text[end..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_next_link_is_found_however_it_is_written() {
        let table: &[(&[&str], Option<&str>)] = &[
            (&[r#"</v2/a/tags/list?n=2&last=b>; rel="next""#], Some("/v2/a/tags/list?n=2&last=b")),
            (&["<?last=b>; rel=next"], Some("?last=b")),
            (&[r#"<https://other.example/x>;REL="NEXT""#], Some("https://other.example/x")),
            (&[r#"</p>; rel="prev", </n>; rel="next""#], Some("/n")),
            (&["</p>; rel=prev", "</n>; rel=next"], Some("/n")),
            (&[r#"</n>; rel="prev next""#], Some("/n")),
            (&[r#"</n>; title="a, b; \"c\" <d>"; rel="next""#], Some("/n")),
            (&["</n>; crossorigin; rel = next"], Some("/n")),
            (&[r#"</a,b;c>; rel="next""#], Some("/a,b;c")),
            (&[r#" , , </n> ; rel="next""#], Some("/n")),
            (&["</a> rubbish, </n>; rel=next"], Some("/n")),
            // Only the first rel of a link counts (RFC 8288, section 3.3).
            (&["</n>; rel=prev; rel=next"], None),
            (&[r#"</n>; rel="nextish""#], None),
            (&[r#"</n>; title="next""#], None),
            (&["</n>"], None),
            (&["/n; rel=next"], None),
            (&["</n; rel=next"], None),
            (&[""], None),
            (&[], None),
        ];
        for (values, expected) in table {
            assert_eq!(next(values.iter().copied()).as_deref(), *expected, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn a_link_that_we_print_is_found(target in "[!-;=?-~]{1,40}") {
            prop_assert_eq!(next([format_next(&target).as_str()]), Some(target));
        }

        #[test]
        fn no_header_makes_it_panic(text in r#"([<>;,="\\ ]|rel|next|.){0,40}"#) {
            let _ = next([text.as_str()]);
        }
    }
}
