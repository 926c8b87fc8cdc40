//! `docs/parity.md` itself: a test that it names must be there.

use std::fs;
use std::path::{Path, PathBuf};

/// The tests that the table names, written `crate::file::test`, in the last column of its rows.
fn named(table: &str) -> Vec<&str> {
    let rows = table.lines().filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.trim_end_matches(['|', ' ']).rsplit('|').next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).filter(|name| name.contains("::")).collect()
}

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The source files that `crate::file` may mean.
fn files(path: &[&str]) -> Vec<PathBuf> {
    let (root, file) = (crates().join(path[0]), path[1..].join("/"));
    ["src", "tests"].iter().map(|dir| root.join(dir).join(format!("{file}.rs"))).collect()
}

fn exists(name: &str) -> bool {
    let path: Vec<&str> = name.split("::").collect();
    let Some((test, file)) = path.split_last().filter(|(_, file)| file.len() > 1) else { return false };
    let function = format!("fn {test}(");
    files(file).iter().any(|file| fs::read_to_string(file).is_ok_and(|text| text.contains(&function)))
}

#[test]
fn every_test_that_the_table_names_is_there() {
    let table = fs::read_to_string(crates().parent().unwrap().join("docs/parity.md")).unwrap();
    let named = named(&table);
    assert!(named.len() > 100, "only {} tests found in the table", named.len());
    let missing: Vec<_> = named.into_iter().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "no such test: {missing:#?}");
}
