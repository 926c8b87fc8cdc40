//! The ranking of offered platforms; the rules are told at [`Platform::rank`].

use super::Platform;

/// How well an offered platform serves a want: higher is better. Only ranks for the same want can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    // In order of weight.
    variant: Level,
    os_version: Closeness,
    os_features: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Closeness {
    Unsaid,
    Within,
    Equal,
}

pub(super) fn rank(offered: &Platform, want: &Platform) -> Option<Rank> {
    let (offer, need) = (Machine::of(offered), Machine::of(want));
    if UNKNOWN == offer.os || UNKNOWN == offer.architecture {
        return None;
    }
    if offer.os != need.os || offer.architecture != need.architecture {
        return None;
    }
    Some(Rank {
        variant: rank_variant(&offer, &need)?,
        os_version: rank_os_version(filled(offered.os_version.as_deref()), filled(want.os_version.as_deref()))?,
        os_features: rank_os_features(offered, want)?,
    })
}

fn rank_variant(offer: &Machine, need: &Machine) -> Option<Level> {
    if offer.variant == need.variant {
        return Some(Level::of(&offer.variant).unwrap_or_default());
    }
    if !matches!(offer.architecture.as_str(), "amd64" | "arm" | "arm64") {
        return None;
    }
    let (offered, wanted) = (Level::of(&offer.variant)?, Level::of(&need.variant)?);
    wanted.runs(offered, &need.architecture).then_some(offered)
}

fn rank_os_version(offered: Option<&str>, wanted: Option<&str>) -> Option<Closeness> {
    match (offered, wanted) {
        (Some(offered), Some(wanted)) if offered == wanted => Some(Closeness::Equal),
        (Some(offered), Some(wanted)) => offered.strip_prefix(wanted)?.starts_with('.').then_some(Closeness::Within),
        // Host process containers of Windows say no version and run on all.
        (None, Some(_)) | (_, None) => Some(Closeness::Unsaid),
    }
}

/// An image that uses more of what there is was made more for it; to name a feature twice is not to use more.
fn rank_os_features(offered: &Platform, want: &Platform) -> Option<usize> {
    let had = |feature: &String| want.os_features.contains(feature);
    let used = |feature: &&String| offered.os_features.contains(feature);
    offered.os_features.iter().all(had).then(|| want.os_features.iter().filter(used).count())
}

/// An operating system and machine under their canonical names.
struct Machine {
    os: String,
    architecture: String,
    variant: String,
}

impl Machine {
    fn of(platform: &Platform) -> Self {
        let os = platform.os.to_ascii_lowercase();
        let architecture = platform.architecture.to_ascii_lowercase();
        let variant = platform.variant.as_deref().unwrap_or_default().to_ascii_lowercase();
        let (architecture, alias_variant) = match architecture.as_str() {
            "x86_64" | "x86-64" => ("amd64", ""),
            "i386" | "i486" | "i586" | "i686" => ("386", ""),
            "aarch64" => ("arm64", ""),
            "armhf" => ("arm", "v7"),
            "armel" => ("arm", "v6"),
            architecture => (architecture, ""),
        };
        let variant = match (architecture, variant.as_str()) {
            _ if !alias_variant.is_empty() => alias_variant.to_owned(),
            ("amd64", "") => "v1".to_owned(),
            ("arm64", "") => "v8".to_owned(),
            ("arm", "") => "v7".to_owned(),
            ("386", _) => String::new(),
            ("arm" | "arm64" | "amd64", variant) => canonical_variant(variant),
            (_, variant) => variant.to_owned(),
        };
        let os = if os == "macos" { "darwin".to_owned() } else { os };
        Self { os, architecture: architecture.to_owned(), variant }
    }
}

/// `8`, `v8.0` and `v8` are the same.
fn canonical_variant(variant: &str) -> String {
    let variant = variant.strip_suffix(".0").unwrap_or(variant);
    if variant.starts_with(|first: char| first.is_ascii_digit()) {
        return format!("v{variant}");
    }
    variant.to_owned()
}

/// A numbered variant: `v8.2` is (8, 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Level {
    major: u8,
    minor: u8,
}

impl Level {
    fn of(variant: &str) -> Option<Self> {
        let number = variant.strip_prefix('v')?;
        let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }

    /// Whether a machine of this level runs what is made for another.
    fn runs(self, made_for: Self, architecture: &str) -> bool {
        match (architecture, self.major, made_for.major) {
            // Armv9.x is a superset of Armv8.(x+5), not of later ones.
            ("arm64", 9, 8) => made_for.minor <= self.minor.saturating_add(5),
            ("arm64", machine, made_for_major) if machine != made_for_major => false,
            // Nothing before Armv5 is an image platform.
            ("arm", _, 0..5) => false,
            _ => made_for <= self,
        }
    }
}

fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// What attestations are marked with.
const UNKNOWN: &str = "unknown";
