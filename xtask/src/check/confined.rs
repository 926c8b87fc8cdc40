//! Who may touch files: the walls that a list of disallowed methods can't draw, since they run between crates.

use super::source::Source;
use crate::tool::Result;

/// Source below these paths never opens a file.
const NO_FILES: &[&str] =
    &["crates/spec/src", "crates/core/src", "crates/remote/src", "crates/server/src", "crates/gantri/src"];

/// ... but here it does: the configuration files of the ecosystem, and uploads that outlive their process.
const EXCEPT: &[&str] = &["crates/gantri/src/config", "crates/gantri/src/uploads.rs"];

const FILES: [&str; 3] = ["std::fs", "tokio::fs", "rustix::fs"];

/// Every line that opens a file where none is to be opened.
pub(super) fn faults() -> Result<Vec<String>> {
    let sources = Source::all()?;
    Ok(sources.iter().filter(|source| is_confined(source)).flat_map(in_source).collect())
}

fn is_confined(source: &Source) -> bool {
    let below = |paths: &[&str]| paths.iter().any(|path| source.path.starts_with(path));
    below(NO_FILES) && !below(EXCEPT)
}

fn in_source(source: &Source) -> Vec<String> {
    let touches = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        FILES.iter().any(|module| code.contains(module))
    };
    let lines = source.lines().into_iter().filter(|(_, line)| touches(line));
    lines
        .map(|(number, line)| format!("{}:{number}: files are not for here: {}", source.path.display(), line.trim()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn files_are_touched_only_where_files_live() {
        let table = [
            ("crates/core/src/x.rs", "use std::fs::File;", 1),
            ("crates/core/src/x.rs", "// not std::fs", 0),
            ("crates/store/src/x.rs", "use std::fs::File;", 0),
            ("crates/gantri/src/x.rs", "    tokio::fs::read(path).await", 1),
            ("crates/gantri/src/config/docker.rs", "    tokio::fs::read(path).await", 0),
            ("crates/core/src/x.rs", "#[cfg(test)]\nuse std::fs;\n", 0),
        ];
        for (path, text, expected) in table {
            let source = Source { path: PathBuf::from(path), text: text.to_owned() };
            let found = if is_confined(&source) { in_source(&source).len() } else { 0 };
            assert_eq!(found, expected, "{path}: {text}");
        }
    }
}
