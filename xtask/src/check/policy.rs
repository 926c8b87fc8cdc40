//! Licences and bans, as `deny.toml` states them, held against what `cargo metadata` found.
//!
//! It reads the same file as cargo-deny does and knows the few keys that are used there. Advisories are cargo-deny's.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use spdx::{Expression, LicenseReq, ParseMode};

use super::deps::{Graph, Package};
use crate::tool::{Result, workspace_root};

#[derive(Deserialize)]
pub(super) struct Policy {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    #[serde(default)]
    reason: String,
    /// Only a second version of it is banned.
    #[serde(default)]
    deny_multiple_versions: bool,
}

impl Policy {
    pub(super) fn read() -> Result<Self> {
        let path = workspace_root().join("deny.toml");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("read {}: {error}", path.display()))?;
        toml::from_str(&text).map_err(|error| format!("read {}: {error}", path.display()))
    }

    /// Every package that the policy does not admit.
    pub(super) fn faults(&self, graph: &Graph) -> Vec<String> {
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for package in &graph.packages {
            versions.entry(&package.name).or_default().push(&package.version);
        }
        let bans = self.bans.deny.iter().filter_map(|ban| ban.fault(versions.get(ban.name.as_str())?));
        let licenses = graph.packages.iter().filter_map(|package| self.license_fault(package));
        bans.chain(licenses).collect()
    }

    fn license_fault(&self, package: &Package) -> Option<String> {
        let Package { name, license, .. } = package;
        let license = license.as_deref().unwrap_or("none stated");
        let admitted = Expression::parse_mode(license, ParseMode::LAX)
            .is_ok_and(|expression| expression.evaluate(|wanted| self.allows(wanted)));
        (!admitted).then(|| format!("{name}: licence {license} is not allowed by deny.toml"))
    }

    fn allows(&self, wanted: &LicenseReq) -> bool {
        self.licenses.allow.contains(&wanted.to_string())
    }
}

impl Ban {
    fn fault(&self, versions: &[&str]) -> Option<String> {
        let Self { name, reason, .. } = self;
        if !self.deny_multiple_versions {
            return Some(format!("{name} is banned: {reason}"));
        }
        (versions.len() > 1).then(|| format!("{name} is there more than once: {}", versions.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(packages: &[(&str, &str, &str)]) -> Vec<String> {
        let packages: Vec<_> = packages
            .iter()
            .map(|(name, version, license)| {
                serde_json::json!({"name": name, "version": version, "license": license, "id": name, "dependencies": []})
            })
            .collect();
        let graph = serde_json::json!({"packages": packages, "workspace_members": []});
        Policy::read().unwrap().faults(&serde_json::from_value(graph).unwrap())
    }

    #[test]
    fn banned_crates_and_second_versions_are_faults() {
        assert_eq!(faults(&[("openssl", "1.0.0", "MIT")]).len(), 1);
        assert_eq!(faults(&[("hyper", "1.0.0", "MIT")]).len(), 0);
        assert_eq!(faults(&[("hyper", "1.0.0", "MIT"), ("hyper", "0.14.0", "MIT")]).len(), 1);
        assert_eq!(faults(&[("syn", "2.0.0", "MIT"), ("syn", "3.0.0", "MIT")]).len(), 0);
    }

    #[test]
    fn a_licence_must_be_allowed_in_every_part_that_binds() {
        let table = [
            ("MIT OR Apache-2.0", 0),
            ("MIT/Apache-2.0", 0),
            ("GPL-3.0-only OR MIT", 0),
            ("GPL-3.0-only", 1),
            ("MIT AND GPL-3.0-only", 1),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", 0),
            ("Apache-2.0 WITH LLVM-exception", 0),
            ("none stated", 1),
            ("", 1),
        ];
        for (license, expected) in table {
            assert_eq!(faults(&[("x", "1.0.0", license)]).len(), expected, "{license}");
        }
    }
}
