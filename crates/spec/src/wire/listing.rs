//! The bodies of listings: `tags/list` and `_catalog`.
//!
//! Entries stay strings: one odd entry must not make the page, or the pages after it, unreadable. Turning them into
//! [`Tag`](crate::Tag)s and [`RepositoryName`](crate::RepositoryName)s is the client's.

use serde::{Deserialize, Serialize};

use crate::lenient;

/// The body of `GET /v2/<name>/tags/list` (end-8).
#[expect(clippy::exhaustive_structs, reason = "closed by the spec")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagList {
    /// The repository, as the registry names it.
    #[serde(default)]
    pub name: String,
    /// Its tags, in the registry's order; `null` and absence are an empty list (M10).
    #[serde(default, deserialize_with = "lenient::null_is_default")]
    pub tags: Vec<String>,
}

/// The body of `GET /v2/_catalog`. Not in the OCI spec; distribution and most others have it.
#[expect(clippy::exhaustive_structs, reason = "closed by custom")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryList {
    /// The repositories, in the registry's order; `null` and absence are an empty list (M10).
    #[serde(default, deserialize_with = "lenient::null_is_default")]
    pub repositories: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m10_a_null_list_is_an_empty_one() {
        let table = [
            (r#"{"name":"a","tags":["x","y"]}"#, Some(vec!["x", "y"])),
            (r#"{"name":"a","tags":null}"#, Some(vec![])),
            (r#"{"name":"a"}"#, Some(vec![])),
            (r#"{"tags":["not a tag!"],"unheard":{"of":1}}"#, Some(vec!["not a tag!"])),
            (r#"{"tags":[]} trailing"#, None),
            (r#"{"tags":[],"tags":["x"]}"#, None),
            (r#"{"tags":"x"}"#, None),
            ("<html>", None),
        ];
        for (body, expected) in table {
            let read = serde_json::from_str::<TagList>(body).ok().map(|list| list.tags);
            let expected = expected.map(|tags| tags.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(read, expected, "{body}");
        }
        let none: RepositoryList = serde_json::from_str(r#"{"repositories":null}"#).unwrap();
        assert!(none.repositories.is_empty());
    }

    #[test]
    fn an_empty_listing_is_written_as_an_empty_list() {
        let list = TagList { name: "a".to_owned(), tags: vec![] };
        assert_eq!(serde_json::to_string(&list).unwrap(), r#"{"name":"a","tags":[]}"#);
        let list = RepositoryList::default();
        assert_eq!(serde_json::to_string(&list).unwrap(), r#"{"repositories":[]}"#);
    }
}
