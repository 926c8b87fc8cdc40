//! Platforms: what an image runs on, how that is written, and which of several offers serves a want best.
//!
//! Matching is in the spirit of containerd's matcher, but never crosses architectures: who asks for `amd64` is never
//! given `386`. It is a pure function of the two platforms, so the same index gives the same choice (M14).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lenient;
use crate::text::{Fault, invalid};

mod rank;

pub use rank::Rank;

/// An operating system and architecture, and what else an image demands of its host.
///
/// Spec: [image index, platform](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md).
/// Its text is `os[(os.version[+os.feature]...)]/architecture[/variant]`, as containerd writes it.
///
/// ```
/// use gantri_spec::Platform;
///
/// let want: Platform = "linux/arm64/v8".parse()?;
/// assert!(Platform::new("linux", "arm64").rank(&want).is_some());
/// # Ok::<(), gantri_spec::InvalidPlatform>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// The architecture, in Go's words: `amd64`, `arm64`.
    #[serde(default, deserialize_with = "lenient::null_is_default")]
    pub architecture: String,
    /// The operating system, in Go's words: `linux`, `windows`.
    #[serde(default, deserialize_with = "lenient::null_is_default")]
    pub os: String,
    /// The version of the operating system, as Windows images need it.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features that the operating system must have.
    #[serde(
        default,
        rename = "os.features",
        deserialize_with = "lenient::null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The variant of the architecture: `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Fields that the spec does not know.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Platform {
    /// Gives a platform of an operating system and an architecture.
    pub fn new(os: impl Into<String>, architecture: impl Into<String>) -> Self {
        Self {
            os: os.into(),
            architecture: architecture.into(),
            variant: None,
            os_version: None,
            os_features: Vec::new(),
            extra: BTreeMap::new(),
        }
    }

    /// Gives the platform that this program runs on, in Go's words.
    pub fn host() -> Self {
        let os = match std::env::consts::OS {
            "macos" => "darwin",
            os => os,
        };
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "x86" => "386",
            "aarch64" => "arm64",
            "loongarch64" => "loong64",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "powerpc64" => "ppc64",
            "mips64" if cfg!(target_endian = "little") => "mips64le",
            "mips" if cfg!(target_endian = "little") => "mipsle",
            architecture => architecture,
        };
        Self::new(os, architecture)
    }

    /// Sets the variant of the architecture.
    pub fn with_variant(self, variant: impl Into<String>) -> Self {
        Self { variant: Some(variant.into()), ..self }
    }

    /// Sets the version of the operating system.
    pub fn with_os_version(self, os_version: impl Into<String>) -> Self {
        Self { os_version: Some(os_version.into()), ..self }
    }

    /// Tells how well this platform, offered by an image, serves the wanted one; `None` if it does not.
    ///
    /// * Operating system and architecture must be equal, by any of their names (`x86_64` is `amd64`).
    /// * The offered variant may be older than the wanted one on `arm`, `arm64` and `amd64`; newer ranks higher. No
    ///   variant means `v7`, `v8`, `v1` there. Elsewhere variants must be equal.
    /// * If a version of the operating system is wanted, the offered one must start with it (`10.0.17763` takes
    ///   `10.0.17763.1999`); equal ranks highest, none offered lowest.
    /// * Every feature of the operating system that the image demands must be in the wanted ones.
    /// * `unknown`, as attestations are marked, matches nothing.
    ///
    /// Offers of equal rank serve equally well: take the first.
    pub fn rank(&self, want: &Self) -> Option<Rank> {
        rank::rank(self, want)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.os)?;
        if self.os_version.is_some() || !self.os_features.is_empty() {
            write!(f, "({}", self.os_version.as_deref().unwrap_or_default())?;
            for feature in &self.os_features {
                write!(f, "+{feature}")?;
            }
            f.write_str(")")?;
        }
        write!(f, "/{}", self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        scan(text).map_err(|fault| InvalidPlatform::new(text, fault))
    }
}

impl TryFrom<&str> for Platform {
    type Error = InvalidPlatform;

    fn try_from(text: &str) -> Result<Self, InvalidPlatform> {
        text.parse()
    }
}

invalid! {
    /// A text that is not a platform.
    InvalidPlatform, "platform"
}

fn scan(text: &str) -> Result<Platform, Fault> {
    let Some((system, machine)) = text.split_once('/') else {
        return Err(Fault::at(text.len(), "a platform has the form os/architecture[/variant]"));
    };
    let (os, os_version, os_features) = scan_system(system)?;
    let base = system.len() + 1;
    let (architecture, variant) = match machine.split_once('/') {
        Some((architecture, variant)) => (architecture, Some(variant)),
        None => (machine, None),
    };
    scan_part(architecture).map_err(|fault| fault.shifted(base))?;
    if let Some(variant) = variant {
        scan_part(variant).map_err(|fault| fault.shifted(base + architecture.len() + 1))?;
    }
    Ok(Platform { os_version, os_features, variant: variant.map(str::to_owned), ..Platform::new(os, architecture) })
}

/// `os` or `os(version+feature...)`.
fn scan_system(system: &str) -> Result<(&str, Option<String>, Vec<String>), Fault> {
    let Some((os, options)) = system.split_once('(') else {
        scan_part(system)?;
        return Ok((system, None, Vec::new()));
    };
    scan_part(os)?;
    let Some(options) = options.strip_suffix(')') else {
        return Err(Fault::at(system.len(), "the version of an os ends with )"));
    };
    let mut base = os.len() + 1;
    let mut parts = Vec::new();
    for (index, part) in options.split('+').enumerate() {
        // `os(+feature)` has no version.
        if index > 0 || !part.is_empty() || !options.contains('+') {
            scan_part(part).map_err(|fault| fault.shifted(base))?;
        }
        base += part.len() + 1;
        parts.push(part.to_owned());
    }
    let features = parts.split_off(1);
    let version = parts.pop().filter(|version| !version.is_empty());
    Ok((os, version, features))
}

/// `[A-Za-z0-9_.-]+`
fn scan_part(part: &str) -> Result<(), Fault> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    match part.bytes().position(|byte| !good(byte)) {
        Some(offset) => Err(Fault::at(offset, "a part of a platform is [A-Za-z0-9_.-]+")),
        None if part.is_empty() => Err(Fault::at(0, "a part of a platform is not empty")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
