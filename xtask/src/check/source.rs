//! Our source files, and which of their lines are for tests only.
//!
//! Reads by indentation, which rustfmt makes reliable and the `fmt` step holds up: a block ends at the first line that
//! is as far in as its beginning and closes.

use std::path::{Path, PathBuf};

use crate::tool::{Result, workspace_root};

/// A file of source, path below the root of the tree.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Source {
    /// Every file below `crates/*/src` and `xtask/src` that is not a test as a whole.
    pub(super) fn all() -> Result<Vec<Self>> {
        let root = workspace_root();
        let mut roots = vec![root.join("xtask/src")];
        roots.extend(entries(&root.join("crates"))?.into_iter().map(|dir| dir.join("src")));
        let mut files = Vec::new();
        for dir in roots {
            collect(&dir, &mut files)?;
        }
        files.into_iter().map(|path| Self::read(&root, &path)).collect()
    }

    fn read(root: &Path, path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("read {}: {error}", path.display()))?;
        Ok(Self { path: path.strip_prefix(root).unwrap_or(path).to_owned(), text })
    }

    /// The lines that are not for tests only, each with its number.
    pub(super) fn lines(&self) -> Vec<(usize, &str)> {
        let mut kept = Vec::new();
        let mut lines = self.text.lines().enumerate();
        while let Some((at, line)) = lines.next() {
            if line.trim_start() != "#[cfg(test)]" {
                kept.push((at + 1, line));
                continue;
            }
            let Some((_, item)) = lines.by_ref().find(|(_, line)| !line.trim_start().starts_with("#[")) else { break };
            if !ends_at_once(item) {
                let _ = lines.by_ref().find(|(_, line)| closes(line, indent(item)));
            }
        }
        kept
    }
}

/// How far in a line stands.
pub(super) fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Whether the line ends a block that began `depth` in.
pub(super) fn closes(line: &str, depth: usize) -> bool {
    indent(line) == depth && line.trim_start().starts_with('}')
}

/// Whether the item that begins here also ends here.
pub(super) fn ends_at_once(line: &str) -> bool {
    line.ends_with(';') || line.ends_with('}')
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result {
    for path in entries(dir)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests.rs" {
            files.push(path);
        }
    }
    Ok(())
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error: std::io::Error| format!("list {}: {error}", dir.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_tests_only_do_not_count() {
        let text = "\
use a;
#[cfg(test)]
mod more;
fn f() {
}
#[cfg(test)]
#[expect(x, reason = \"y\")]
mod tests {
    fn g() {
    }
}
fn h() {}
";
        let source = Source { path: PathBuf::new(), text: text.to_owned() };
        let kept: Vec<_> = source.lines().into_iter().map(|(number, _)| number).collect();
        assert_eq!(kept, [1, 4, 5, 12]);
    }
}
