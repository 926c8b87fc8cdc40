//! `docs/security.md` itself: a test that it names must be there.

use std::fs;
use std::path::Path;

/// The tests that the table names, written `crate::file::test`.
fn named(table: &str) -> Vec<&str> {
    let rows = table.lines().filter(|line| line.starts_with('|'));
    rows.flat_map(|row| row.split('`').skip(1).step_by(2)).filter(|name| name.contains("::")).collect()
}

fn exists(crates: &Path, name: &str) -> bool {
    let path: Vec<&str> = name.split("::").collect();
    let [root, files @ .., test] = path.as_slice() else { return false };
    let module = files.join("/");
    let files = [format!("{module}.rs"), format!("{module}/mod.rs")];
    let places = ["src", "tests"]
        .into_iter()
        .flat_map(|dir| files.each_ref().map(|file| crates.join(root).join(dir).join(file)));
    places.flat_map(fs::read_to_string).any(|source| source.contains(&format!("fn {test}(")))
}

#[test]
fn every_test_that_the_table_names_is_there() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let table = fs::read_to_string(top.join("docs/security.md")).unwrap();
    let named = named(&table);
    assert!(named.len() > 150, "only {} tests found in the table", named.len());
    let missing: Vec<_> = named.into_iter().filter(|name| !exists(&top.join("crates"), name)).collect();
    assert!(missing.is_empty(), "no such test: {missing:#?}");
}
