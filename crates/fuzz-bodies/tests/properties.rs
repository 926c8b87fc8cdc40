//! The body of every fuzz target under a property runner: each file of its corpus, what small changes make of these, and
//! any bytes at all. A file that libFuzzer found is added to the corpus and holds from then on.
#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;

/// Declares a test for each target, and how many inputs it makes up. Those that touch a disk make few.
macro_rules! targets {
    ($($name:ident: $cases:literal,)*) => {
        $(
            #[test]
            fn $name() {
                hold(stringify!($name), $cases, fuzz_bodies::$name);
            }
        )*

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

targets! {
    answers: 1000,
    archive: 200,
    challenge: 4000,
    compressed: 100,
    config: 2000,
    descriptor: 2000,
    digest: 4000,
    error_body: 4000,
    host: 4000,
    index: 1000,
    layers: 100,
    layout: 100,
    link: 4000,
    listing: 4000,
    manifest: 1000,
    platform: 4000,
    range: 4000,
    reference: 4000,
    requests: 500,
    retry_after: 1000,
    route: 4000,
    scope: 4000,
    tar: 100,
    token: 1000,
    upload: 500,
}

/// What is tested here, built for libFuzzer and given a corpus is the same list, and the corpora stay small.
#[test]
fn each_target_has_a_body_a_program_and_a_corpus() {
    let expected: BTreeSet<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    for dir in ["fuzz_targets", "corpus"] {
        let found: BTreeSet<String> = files(&fuzz().join(dir)).iter().map(stem).collect();
        assert_eq!(found, expected, "fuzz/{dir}");
    }
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let mut bytes = 0;
    for name in NAMES {
        assert!(manifest.contains(&format!("\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n")), "{name}");
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name}");
        bytes += corpus.iter().map(Vec::len).sum::<usize>();
    }
    assert!(bytes < 5 << 20, "the corpora have {bytes} bytes together");
}

fn hold(name: &str, cases: u32, body: fn(&[u8])) {
    let corpus = corpus(name);
    for file in &corpus {
        body(file);
    }
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let changed = (select(corpus.clone()), vec(change(corpus), 1..6))
        .prop_map(|(file, changes)| changes.iter().fold(file, |bytes, change| change.apply(bytes)));
    let bytes = prop_oneof![1 => vec(any::<u8>(), 0..300), 1 => ".{0,100}".prop_map(String::into_bytes), 6 => changed];
    let outcome = TestRunner::new(config).run(&bytes, |bytes| {
        body(&bytes);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{name}: {error}");
    }
}

/// A change as libFuzzer makes them.
#[derive(Clone, Debug)]
enum Change {
    Replace(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    /// From here on, another file from there on.
    Splice(Index, Vec<u8>, Index),
}

fn change(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (at(), vec(any::<u8>(), 1..5)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (at(), 1..9_usize).prop_map(|(at, count)| Change::Remove(at, count)),
        (at(), select(corpus), at()).prop_map(|(at, other, from)| Change::Splice(at, other, from)),
    ]
}

impl Change {
    fn apply(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        // One past the end is a place too.
        let place = |index: &Index, bytes: &[u8]| index.index(bytes.len() + 1);
        match self {
            Self::Replace(at, byte) => {
                let at = place(at, &bytes);
                bytes.splice(at..(at + 1).min(bytes.len()), [*byte]);
            }
            Self::Insert(at, inserted) => {
                let at = place(at, &bytes);
                bytes.splice(at..at, inserted.iter().copied());
            }
            Self::Remove(at, count) => {
                let at = place(at, &bytes);
                bytes.drain(at..(at + count).min(bytes.len()));
            }
            Self::Splice(at, other, from) => {
                bytes.truncate(place(at, &bytes));
                bytes.extend_from_slice(&other[place(from, other)..]);
            }
        }
        bytes
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    files(&fuzz().join("corpus").join(name)).iter().map(|path| fs::read(path).unwrap()).collect()
}

/// The entries of a directory, in order.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}
