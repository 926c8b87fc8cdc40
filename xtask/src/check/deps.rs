//! Which crate may depend on which: the plan of `ARCHITECTURE.md` as a table, held against `cargo metadata`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::tool::{Result, command, run, workspace_root};

/// Every package of the workspace, planned ones too, and those of ours that it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("gantri-spec", &[]),
    ("gantri-core", &["gantri-spec"]),
    ("gantri-remote", &["gantri-core", "gantri-spec"]),
    ("gantri-store", &["gantri-core", "gantri-spec"]),
    ("gantri-image", &["gantri-core", "gantri-spec"]),
    ("gantri-server", &["gantri-core", "gantri-spec"]),
    ("gantri", &["gantri-core", "gantri-image", "gantri-remote", "gantri-server", "gantri-spec", "gantri-store"]),
    ("gantri-cli", &["gantri", "gantri-server"]),
    ("gantri-ratls", &[]),
    ("gantri-islet", &["gantri", "gantri-ratls"]),
    ("test-support", &["gantri-core", "gantri-server", "gantri-spec"]),
    (
        "fuzz-bodies",
        &[
            "gantri-core",
            "gantri-image",
            "gantri-remote",
            "gantri-server",
            "gantri-spec",
            "gantri-store",
            "test-support",
        ],
    ),
    ("xtask", &["gantri-spec"]),
];

/// What a package must do without, because its place in the house is to know nothing of it.
const WITHOUT: &[(&str, &[&str])] = &[
    ("gantri-spec", &["async-trait", "futures-util", "hyper", "rustix", "tempfile", "tokio", "tracing"]),
    ("gantri-core", &["flate2", "hyper", "hyper-util", "rustix", "rustls", "tar-core", "tempfile", "zstd"]),
    ("gantri-store", &["http", "hyper", "hyper-util", "rustls", "url"]),
    ("gantri-image", &["http", "hyper", "hyper-util", "rustls", "url"]),
    ("gantri-server", &["flate2", "hyper-rustls", "rustls", "tempfile", "zstd"]),
    ("gantri-remote", &["flate2", "rustix", "tar-core", "tempfile", "zstd"]),
    ("gantri-cli", &["http", "hyper", "hyper-util", "rustls"]),
];

/// Harnesses, which any test may use.
const TEST_SUPPORT: &str = "test-support";

/// What `cargo metadata` says, as far as it is needed.
#[derive(Deserialize)]
pub(super) struct Graph {
    /// Ours and theirs, for all platforms and features.
    pub(super) packages: Vec<Package>,
    workspace_members: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: Option<String>,
    id: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

impl Graph {
    pub(super) fn read() -> Result<Self> {
        let mut metadata = command("cargo", ["metadata", "--format-version", "1", "--all-features", "--locked"]);
        let json = run(metadata.current_dir(workspace_root()))?;
        serde_json::from_slice(&json).map_err(|error| format!("read cargo metadata: {error}"))
    }

    /// The packages of the workspace.
    pub(super) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }
}

/// Every arrow that the plan does not have.
pub(super) fn arrows(graph: &Graph) -> Vec<String> {
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let mut faults = Vec::new();
    for package in graph.members() {
        let name = package.name.as_str();
        let Some(arrows) = allowed.get(name) else {
            faults.push(format!("{name} is not in the plan (xtask/src/check/deps.rs)"));
            continue;
        };
        let without = WITHOUT.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, without)| without);
        for dependency in &package.dependencies {
            let (to, for_tests) = (dependency.name.as_str(), dependency.kind.as_deref() == Some("dev"));
            let ours = allowed.contains_key(to);
            let planned = arrows.contains(&to) || (for_tests && [name, TEST_SUPPORT].contains(&to));
            if ours && !planned {
                faults.push(format!("{name} -> {to}: no such arrow in the plan"));
            }
            if !for_tests && without.contains(&to) {
                faults.push(format!("{name} -> {to}: has no business there"));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(name: &str, dependency: &str, kind: Option<&str>) -> Graph {
        let dependency = Dependency { name: dependency.to_owned(), kind: kind.map(str::to_owned) };
        let package = Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: None,
            id: name.to_owned(),
            dependencies: vec![dependency],
        };
        Graph { packages: vec![package], workspace_members: vec![name.to_owned()] }
    }

    #[test]
    fn an_arrow_that_is_not_planned_is_a_fault() {
        let table = [
            ("gantri-core", "gantri-spec", None, 0),
            ("gantri-spec", "gantri-core", None, 1),
            ("gantri-spec", "gantri-core", Some("dev"), 1),
            ("gantri-image", "gantri-store", Some("dev"), 1),
            ("gantri-image", "test-support", Some("dev"), 0),
            ("gantri-image", "test-support", None, 1),
            ("gantri-core", "gantri-core", Some("dev"), 0),
            ("gantri-image", "hyper", None, 1),
            ("gantri-image", "hyper", Some("dev"), 0),
            ("gantri-remote", "hyper", None, 0),
            ("gantri-extra", "serde", None, 1),
        ];
        for (name, to, kind, faults) in table {
            assert_eq!(arrows(&graph(name, to, kind)).len(), faults, "{name} -> {to} {kind:?}");
        }
    }

    #[test]
    fn no_planned_arrow_leads_back_up() {
        for (level, (name, arrows)) in ARROWS.iter().enumerate() {
            for to in *arrows {
                let below = ARROWS[..level].iter().any(|(known, _)| known == to);
                assert!(below, "{name} -> {to}: the table is ordered from the ground up");
            }
        }
    }
}
