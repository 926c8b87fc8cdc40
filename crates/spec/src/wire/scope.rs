//! [`Scope`]: what a token allows, as token servers and challenges write it.
//!
//! `repository:library/alpine:pull,push registry:catalog:*` is a set of resources, each with a set of actions. This
//! file reads it, joins and compares it and prints it in one canonical order, so that it can key a cache. Which
//! scope a request needs is said by [`Endpoint::scope`](super::Endpoint::scope).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::RepositoryName;
use crate::text::{Fault, invalid};

/// A set of actions on a set of resources. Equal sets are equal and print alike, however they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    resources: BTreeMap<Resource, BTreeSet<String>>,
    /// Entries of another shape, which some token servers use; carried, and equal only to themselves.
    opaque: BTreeSet<String>,
}

/// `repository`, with its class if there is one (`repository(plugin)`), and `library/alpine`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Resource {
    kind: String,
    name: String,
}

impl Scope {
    /// Reading from a repository.
    pub fn pull(repo: &RepositoryName) -> Self {
        Self::repository(repo, &["pull"])
    }

    /// Reading from all repositories there are.
    pub fn pull_all() -> Self {
        Self::default().with("repository", "*", &["pull"])
    }

    /// Writing to a repository, which needs reading as well.
    pub fn push(repo: &RepositoryName) -> Self {
        Self::repository(repo, &["pull", "push"])
    }

    /// Deleting from a repository.
    pub fn delete(repo: &RepositoryName) -> Self {
        Self::repository(repo, &["delete"])
    }

    /// Listing the repositories of a registry.
    pub fn catalog() -> Self {
        Self::default().with("registry", "catalog", &["*"])
    }

    /// Everything that either of the two allows.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        for (resource, actions) in &other.resources {
            all.resources.entry(resource.clone()).or_default().extend(actions.iter().cloned());
        }
        all.opaque.extend(other.opaque.iter().cloned());
        all
    }

    /// Whether this allows all that `other` asks for. The action `*` allows every action on its resource.
    pub fn contains(&self, other: &Self) -> bool {
        let allows = |(resource, wanted): (&Resource, &BTreeSet<String>)| {
            self.resources.get(resource).is_some_and(|held| held.contains("*") || held.is_superset(wanted))
        };
        self.opaque.is_superset(&other.opaque) && other.resources.iter().all(allows)
    }

    /// What of this somebody may have: every action for which `allows`, asked with the kind and the name of its resource,
    /// says so. Entries of another shape are nobody's to grant.
    #[must_use]
    pub fn granted(&self, mut allows: impl FnMut(&str, &str, &str) -> bool) -> Self {
        let mut granted = Self::default();
        for (resource, actions) in &self.resources {
            let held: Vec<&str> = actions
                .iter()
                .map(String::as_str)
                .filter(|action| allows(&resource.kind, &resource.name, action))
                .collect();
            if !held.is_empty() {
                granted = granted.with(&resource.kind, &resource.name, &held);
            }
        }
        granted
    }

    /// The repository that this is about: the one that is written to if there are several, as where a blob is mounted from
    /// another. `None` if it is about none, or no one can tell.
    pub fn target(&self) -> Option<RepositoryName> {
        let repositories = || self.resources.iter().filter(|(resource, _)| resource.kind == "repository");
        let written = || repositories().filter(|(_, actions)| actions.contains("push"));
        let mut targets =
            if written().next().is_some() { written().collect() } else { repositories().collect::<Vec<_>>() };
        let (resource, _) = targets.pop().filter(|_| targets.is_empty())?;
        resource.name.parse().ok()
    }

    /// Whether this allows nothing, as is enough for a version check.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.opaque.is_empty()
    }

    /// Each resource with its actions, as one entry of the canonical form, in its order: those that allow more than reading
    /// first. A token request takes one `scope` parameter for each, and some servers read only the first.
    pub fn iter(&self) -> impl Iterator<Item = String> + '_ {
        self.iter_from(None)
    }

    /// The same entries, those for the resources that `needed` names in front.
    pub fn iter_from<'a>(&'a self, needed: Option<&Self>) -> impl Iterator<Item = String> + 'a {
        let mut resources: Vec<_> = self.resources.iter().collect();
        let reads = |actions: &BTreeSet<String>| actions.iter().all(|action| action == "pull");
        // The order among equals stays.
        resources.sort_by_key(|(resource, actions)| {
            let needed = needed.is_some_and(|needed| needed.resources.contains_key(resource));
            (!needed, reads(actions))
        });
        let resources = resources.into_iter().map(|(resource, actions)| {
            let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
            format!("{}:{}:{}", resource.kind, resource.name, actions.join(","))
        });
        resources.chain(self.opaque.iter().cloned())
    }

    fn repository(repo: &RepositoryName, actions: &[&str]) -> Self {
        Self::default().with("repository", repo.as_str(), actions)
    }

    fn with(mut self, kind: &str, name: &str, actions: &[&str]) -> Self {
        let resource = Resource { kind: kind.to_owned(), name: name.to_owned() };
        let actions = actions.iter().filter(|action| !action.is_empty());
        self.resources.entry(resource).or_default().extend(actions.map(|action| (*action).to_owned()));
        self
    }

    fn with_entry(mut self, entry: &str) -> Self {
        if let Some((kind, name, actions)) = split(entry) {
            let actions: Vec<&str> = actions.split(',').collect();
            return self.with(kind, name, &actions);
        }
        self.opaque.insert(entry.to_owned());
        self
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    /// Reads entries between spaces. Only characters that RFC 6749 has no place for are refused (A17).
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let forbidden = |c: char| !matches!(c, ' '..='~') || c == '"' || c == '\\';
        if let Some(offset) = text.find(forbidden) {
            return Err(InvalidScope::new(text, Fault::at(offset, "a scope is of printable ASCII without quotes")));
        }
        Ok(text.split(' ').filter(|entry| !entry.is_empty()).fold(Self::default(), Self::with_entry))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, entry) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            f.write_str(&entry)?;
        }
        Ok(())
    }
}

invalid! {
    /// A scope with a character that can't be in one.
    InvalidScope, "scope"
}

/// Kind, name and actions. The name may hold colons (`localhost:5000/a`), so the outermost two divide.
fn split(entry: &str) -> Option<(&str, &str, &str)> {
    let (kind, rest) = entry.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    (!kind.is_empty() && !name.is_empty()).then_some((kind, name, actions))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope(text: &str) -> Scope {
        text.parse().unwrap()
    }

    #[test]
    fn equal_scopes_print_alike_however_they_were_written() {
        let table = [
            ("", ""),
            ("repository:b/c:push,pull", "repository:b/c:pull,push"),
            ("repository:z:pull  repository:a:pull", "repository:a:pull repository:z:pull"),
            ("repository:a:pull repository:a:push,pull", "repository:a:pull,push"),
            ("repository(plugin):a/b:pull", "repository(plugin):a/b:pull"),
            ("repository:localhost:5000/a:pull", "repository:localhost:5000/a:pull"),
            ("registry:catalog:* aws", "registry:catalog:* aws"),
            ("aws 123 registry:catalog:*", "registry:catalog:* 123 aws"),
            ("repository:a:pull,,push,", "repository:a:pull,push"),
            ("repository:a:", "repository:a:"),
            (":a:pull repository::pull a:b", ":a:pull a:b repository::pull"),
        ];
        for (written, canonical) in table {
            assert_eq!(scope(written).to_string(), canonical, "{written:?}");
            assert_eq!(scope(canonical), scope(written), "{written:?}");
        }
    }

    #[test]
    fn a17_a_scope_with_characters_that_could_break_out_is_refused() {
        for (text, offset) in [("a:b:\r\nX: y", 4), ("a\0", 1), ("a:\"b\":c", 2), ("\\", 0), ("a:b:é", 4)] {
            assert_eq!(text.parse::<Scope>().unwrap_err().offset(), offset, "{text:?}");
        }
    }

    #[test]
    fn the_target_of_a_scope_is_the_one_repository_it_writes_to_or_names() {
        let table = [
            ("", None),
            ("registry:catalog:*", None),
            ("repository:a:pull", Some("a")),
            ("repository:a:pull registry:catalog:*", Some("a")),
            ("repository:z/from:pull repository:a:pull,push", Some("a")),
            ("repository:a/from:pull repository:z:pull,push", Some("z")),
            ("repository:a:pull repository:b:pull", None),
            ("repository:a:push repository:b:push", None),
            ("repository(plugin):a:pull", None),
            ("repository:*:pull", None),
        ];
        for (text, expected) in table {
            let target = text.parse::<Scope>().unwrap().target();
            assert_eq!(target.as_ref().map(RepositoryName::as_str), expected, "{text}");
        }
    }

    #[test]
    fn a_wider_scope_contains_a_narrower_one_and_never_the_reverse() {
        let table = [
            ("repository:a:pull,push", "repository:a:pull", true),
            ("repository:a:pull", "repository:a:pull,push", false),
            ("repository:a:pull", "repository:b:pull", false),
            ("repository:a:*", "repository:a:delete", true),
            ("repository:a:pull", "repository:a:*", false),
            ("repository(plugin):a:pull", "repository:a:pull", false),
            ("repository:a:pull repository:b:pull", "repository:b:pull", true),
            ("repository:a:pull", "", true),
            ("", "repository:a:pull", false),
            ("aws", "aws", true),
            ("repository:a:*", "aws", false),
        ];
        for (held, wanted, expected) in table {
            assert_eq!(scope(held).contains(&scope(wanted)), expected, "{held:?} for {wanted:?}");
        }
    }

    #[test]
    fn a_mount_asks_for_both_repositories_one_entry_each() {
        let (to, from) = ("b/to".parse().unwrap(), "a/from".parse().unwrap());
        let both = Scope::push(&to).union(&Scope::pull(&from));
        assert_eq!(both.iter().collect::<Vec<_>>(), ["repository:b/to:pull,push", "repository:a/from:pull"]);
        let needed: Vec<_> = both.iter_from(Some(&Scope::pull(&from))).collect();
        assert_eq!(needed, ["repository:a/from:pull", "repository:b/to:pull,push"]);
        assert_eq!(Scope::catalog().to_string(), "registry:catalog:*");
        assert_eq!(Scope::delete(&to).to_string(), "repository:b/to:delete");
        assert!(Scope::default().is_empty() && !both.is_empty());
    }

    #[test]
    fn granted_is_what_somebody_may_have_of_what_was_asked_for() {
        let wanted = scope("repository:a:pull,push repository:b:push registry:catalog:* aws");
        let readers = wanted.granted(|kind, _, action| kind == "repository" && action == "pull");
        assert_eq!(readers, scope("repository:a:pull"));
        assert_eq!(
            wanted.granted(|_, _, _| true),
            scope("repository:a:pull,push repository:b:push registry:catalog:*")
        );
        assert!(wanted.granted(|_, _, _| false).is_empty());
    }

    fn any_scope() -> impl Strategy<Value = Scope> {
        let entry = r"[a-z]{1,5}(\([a-z]{1,4}\))?:[a-z:/]{1,6}:(pull|push|\*|,){0,4}|[a-z0-9:]{1,6}";
        prop::collection::vec(entry, 0..5).prop_map(|entries| scope(&entries.join(" ")))
    }

    proptest! {
        #[test]
        fn scopes_print_and_parse(scope in any_scope()) {
            prop_assert_eq!(scope.to_string().parse(), Ok(scope));
        }

        #[test]
        fn a_union_contains_both(one in any_scope(), other in any_scope()) {
            let both = one.union(&other);
            prop_assert!(both.contains(&one) && both.contains(&other));
            prop_assert_eq!(&both, &other.union(&one));
            prop_assert_eq!(both.union(&one), both);
        }

        #[test]
        fn any_text_is_a_scope_or_refused(text in ".{0,60}") {
            if let Ok(scope) = text.parse::<Scope>() {
                prop_assert_eq!(scope.to_string().parse(), Ok(scope));
            }
        }
    }
}
