//! Many repositories below one directory: which sub-directory is which, and which there are.

use std::borrow::Cow;

use gantri_core::{Error, Limits, Result};
use gantri_spec::RepositoryName;

use super::scratch::BLOBS;
use super::{index, lock};
use crate::dir::Dir;

/// The directory of a repository, if there is one. It need not be a layout yet.
pub(super) fn find(root: &Dir, repo: &RepositoryName) -> Result<Option<Dir>> {
    let mut dir = root.clone();
    for component in repo.as_str().split('/') {
        match dir.dir(&to_dir_name(component))? {
            Some(next) => dir = next,
            None => return Ok(None),
        }
    }
    Ok(Some(dir))
}

/// The directory of a repository, made if it is new. It becomes a layout when something is stored in it.
pub(super) fn make(root: &Dir, repo: &RepositoryName) -> Result<Dir> {
    let mut dir = root.clone();
    for component in repo.as_str().split('/') {
        dir = dir.make_dir(&to_dir_name(component))?;
    }
    Ok(dir)
}

/// All repositories behind `after`, in lexical order: `a-b` comes before `a/b`, which is why they are all gathered first.
///
/// # Errors
/// `LimitExceeded` at [`Limits::list_items`]; `Io`.
pub(super) fn list(root: &Dir, limits: &Limits, after: Option<&RepositoryName>) -> Result<Vec<RepositoryName>> {
    let mut found = Vec::new();
    let mut open = vec![(root.clone(), String::new())];
    while let Some((dir, prefix)) = open.pop() {
        for name in dir.dir_names()? {
            let Some(component) = to_component(&name) else { continue };
            let path = format!("{prefix}{component}");
            // What is no name of a repository has none below it either: this also bounds the depth.
            let Ok(repo) = path.parse::<RepositoryName>() else { continue };
            let Some(below) = dir.dir(&name)? else { continue };
            if index::is_layout(&below)? && after.is_none_or(|after| repo > *after) {
                found.push(repo);
            }
            open.push((below, path + "/"));
        }
        if found.len() as u64 > limits.list_items {
            return Err(Error::limit(format_args!("list {}", root.path().display()), "list_items", limits.list_items));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// A layout's own names can't be those of a repository below it: such a component gets a mark in front that no
/// component has.
fn to_dir_name(component: &str) -> Cow<'_, str> {
    if TAKEN.contains(&component) { Cow::Owned(format!("{ESCAPE}{component}")) } else { Cow::Borrowed(component) }
}

fn to_component(dir_name: &str) -> Option<&str> {
    match dir_name.strip_prefix(ESCAPE) {
        Some(escaped) => TAKEN.contains(&escaped).then_some(escaped),
        None => (!TAKEN.contains(&dir_name)).then_some(dir_name),
    }
}

/// Names that mean something in an image layout.
const TAKEN: [&str; 4] = [BLOBS, index::INDEX, lock::NAME, index::MARK];
/// No component of a repository's name begins like this.
const ESCAPE: char = '_';
