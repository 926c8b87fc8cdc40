//! Layers that try to reach what is not theirs (T1 to T5). Whether they are refused or contained, nothing beside the root may
//! change, not even a time.

use std::fs;

use gantri_core::ErrorKind;

use super::sandbox::{RESOLVERS, Sandbox};
use crate::unpack::tarball::{Header, Tarball};

/// Unpacks with both resolvers; each must end alike and leave the neighbours alone.
fn contained(layers: &[Vec<u8>], check: impl Fn(&Sandbox, Result<(), (ErrorKind, String)>)) {
    let mut ends = Vec::new();
    for resolver in RESOLVERS {
        let sandbox = Sandbox::new(resolver);
        let before = sandbox.neighbours();
        let outcome = sandbox.unpack(layers).map(drop).map_err(|error| (error.kind(), error.to_string()));
        assert_eq!(sandbox.neighbours(), before, "{resolver:?}");
        ends.push((outcome.clone().map_err(|(kind, _)| kind), sandbox.listing()));
        check(&sandbox, outcome);
    }
    assert_eq!(ends[0], ends[1]);
}

fn refused(layers: &[Vec<u8>], rule: &str) {
    contained(layers, |_, outcome| {
        let (kind, message) = outcome.expect_err(rule);
        assert_eq!(kind, ErrorKind::LayerInvalid, "{message}");
        assert!(message.contains(rule), "{message}");
    });
}

/// (T1) As a file, a directory, a link, a whiteout, and what a hard link points to.
#[test]
fn climbing_names_touch_nothing_whatever_the_entry_is() {
    let names = [
        "../x",
        "../../x",
        "a/../../x",
        "/../x",
        "//../x",
        "./../x",
        "a/..",
        "..",
        "../",
        "../outside/canary",
        "/../../../../../../../../tmp/x",
        "a/b/../../../x",
        "...//../x",
    ];
    for name in names {
        refused(&[Tarball::new().file(name, "").finish()], "climbs");
        refused(&[Tarball::new().dir(name).finish()], "climbs");
        refused(&[Tarball::new().symlink(name, "/").finish()], "climbs");
        refused(&[Tarball::new().hard_link(name, "f").finish()], "climbs");
        refused(&[Tarball::new().entry(&Header::new(b'6', name), "").finish()], "climbs");
        refused(&[Tarball::new().file("f", "").hard_link("h", name).finish()], "climbs");
        refused(&[Tarball::new().pax(&[("path", name.as_bytes())]).file("f", "").finish()], "climbs");
        refused(&[Tarball::new().long(b'L', name).file("f", "").finish()], "climbs");
    }
    for name in ["../.wh.x", "../.wh..wh..opq", "../outside/.wh.canary"] {
        refused(&[Tarball::new().file(name, "").finish()], "climbs");
    }
}

#[test]
fn absolute_names_are_taken_from_the_root() {
    contained(&[Tarball::new().file("/etc/passwd", "ours").dir("//d//e/").finish()], |sandbox, outcome| {
        outcome.unwrap();
        assert_eq!(sandbox.read("etc/passwd"), "ours");
        assert_eq!(sandbox.names(), ["d", "d/e", "etc", "etc/passwd"]);
    });
}

#[test]
fn odd_names_are_kept_as_they_are() {
    let names = ["C:\\x", "..\\x", "a\nb", "-rf", " ", "é", "%2e%2e", "..x"];
    let archive = names.iter().fold(Tarball::new(), |archive, name| archive.file(name, "")).finish();
    contained(&[archive], |sandbox, outcome| {
        outcome.unwrap();
        let mut expected = names.map(str::to_owned).to_vec();
        expected.sort();
        assert_eq!(sandbox.names(), expected);
    });
}

/// (T2) By an absolute, a relative, a chained and a magic link, of this layer or one below.
#[test]
fn writing_through_a_link_stays_in_the_root() {
    let targets = [
        "../outside",
        "/../outside",
        "../../../../../../../../tmp",
        "/",
        "..",
        "../../..",
        "./.././../outside",
        "/proc/self/cwd",
        "/proc/self/root",
        "/proc/self/fd/3",
    ];
    for target in targets {
        let attack = |archive: Tarball| {
            archive.file("l/canary", "evil").dir("l/etc").file("l/etc/passwd", "evil").symlink("l/link", "x")
        };
        let one = vec![attack(Tarball::new().symlink("l", target)).finish()];
        let two = vec![Tarball::new().symlink("l", target).finish(), attack(Tarball::new()).finish()];
        let chained = vec![
            Tarball::new().symlink("first", "second").symlink("second", target).symlink("l", "./first/.").finish(),
            attack(Tarball::new()).finish(),
        ];
        for layers in [one, two, chained] {
            contained(&layers, |sandbox, outcome| {
                outcome.unwrap();
                let landed = target.trim_start_matches(['/', '.']);
                let landed = if landed.is_empty() { "canary".to_owned() } else { format!("{landed}/canary") };
                assert_eq!(sandbox.read(&landed), "evil");
            });
        }
    }
}

/// (T2) As deep as the kernel follows, and one deeper.
#[test]
fn chains_of_links_end_where_the_kernels_do() {
    for length in [1, 2, 39, 40, 41, 100] {
        let archive = (0..length).fold(Tarball::new().dir("d"), |archive, index| {
            let target = if index == 0 { "d".to_owned() } else { format!("l{}", index - 1) };
            archive.symlink(format!("l{index}"), target)
        });
        let last = format!("l{}/f", length - 1);
        contained(&[archive.file(&last, "x").finish()], |sandbox, outcome| match outcome {
            Ok(()) => {
                assert!(length <= 40);
                assert_eq!(sandbox.read("d/f"), "x");
            }
            Err((kind, message)) => {
                assert!(length > 40 && kind == ErrorKind::LayerInvalid, "{length}: {message}");
            }
        });
    }
}

#[test]
fn links_in_circles_are_refused() {
    refused(&[Tarball::new().symlink("l", "l").file("l/f", "").finish()], "symbolic links");
    refused(&[Tarball::new().symlink("a", "b").symlink("b", "a").file("a/f", "").finish()], "symbolic links");
    refused(&[Tarball::new().symlink("l", "l/l/l").dir("l/d").finish()], "symbolic links");
    refused(&[Tarball::new().symlink("l", "/l").file("l/.wh.x", "").finish()], "symbolic links");
}

/// (T9) Long targets full of `..` are cut off, not walked to their end again and again.
#[test]
fn links_that_cost_too_much_to_resolve_are_refused() {
    let deep = "d/".repeat(1000);
    let target = format!("{deep}{}", "../d/".repeat(400));
    refused(
        &[Tarball::new().dir("x").pax(&[("linkpath", target.as_bytes())]).symlink("l", "").file("l/f", "").finish()],
        "steps",
    );
}

/// (T2) A link to nowhere leads to a directory made in the root, as with containerd and umoci.
#[test]
fn dangling_links_are_filled_in_within_the_root() {
    contained(&[Tarball::new().symlink("l", "/no/where").file("l/f", "x").finish()], |sandbox, outcome| {
        outcome.unwrap();
        assert_eq!(sandbox.read("no/where/f"), "x");
    });
}

/// (T2) A link at the very place of an entry is replaced, not followed.
#[test]
fn an_entry_over_a_link_replaces_the_link() {
    let lower = Tarball::new()
        .symlink("f", "../outside/canary")
        .symlink("d", "../outside")
        .symlink("s", "../outside/canary")
        .symlink("h", "../outside/canary")
        .symlink("p", "../outside/canary")
        .finish();
    let upper = Tarball::new()
        .file("f", "ours")
        .dir("d")
        .symlink("s", "f")
        .hard_link("h", "f")
        .entry(&Header::new(b'6', "p"), "")
        .finish();
    contained(&[lower, upper], |sandbox, outcome| {
        outcome.unwrap();
        assert_eq!(sandbox.read("f"), "ours");
        assert_eq!(sandbox.read("h"), "ours");
        assert!(sandbox.stat("d").is_dir() && sandbox.stat("s").is_symlink());
        assert_eq!(sandbox.listing()["p"], "fifo 644");
    });
}

/// (T3) The root is what all else is relative to.
#[test]
fn the_root_can_only_be_a_directory() {
    for name in [".", "./", "/", "//", "/.", "././"] {
        for flag in [b'1', b'2', b'3', b'4', b'6', b'0', b'7'] {
            if flag == b'0' && name.ends_with('/') {
                // With its slash this is a directory, as it always was.
                continue;
            }
            let archive = Tarball::new().entry(&Header::new(flag, name).link("../outside"), "");
            refused(&[archive.file("canary", "evil").finish()], "root of the tree can only be a directory");
        }
        contained(&[Tarball::new().entry(&Header::new(b'5', name).mode(0o711), "").finish()], |sandbox, outcome| {
            outcome.unwrap();
            assert_eq!(sandbox.listing()[""], "dir 711");
        });
    }
    for flag in [b'0', b'1', b'2', b'5', b'6'] {
        refused(&[Tarball::new().entry(&Header::new(flag, "").link("x"), "").finish()], "empty");
    }
}

/// (T4) The working directory of the tests, the crate, holds all of these names.
#[test]
fn hard_links_reach_only_what_the_tree_holds() {
    assert!(fs::exists("Cargo.toml").unwrap() && fs::exists("src/lib.rs").unwrap(), "bait");
    let outside = std::env::temp_dir();
    let bait = [
        "Cargo.toml",
        "./Cargo.toml",
        "/Cargo.toml",
        "src/lib.rs",
        "/etc/passwd",
        "etc/passwd",
        "/proc/self/exe",
        "nothing",
        outside.to_str().unwrap(),
    ];
    for target in bait {
        refused(&[Tarball::new().hard_link("h", target).finish()], "which is not there");
    }
    // By way of a link to a directory outside, and of a link to a file outside.
    let links = Tarball::new().symlink("l", "../outside").symlink("c", "../outside/canary");
    refused(&[links.clone().hard_link("h", "l/canary").finish()], "which is not there");
    contained(&[links.hard_link("h", "c").finish()], |sandbox, outcome| {
        outcome.unwrap();
        assert_eq!(sandbox.listing()["h"], "link ../outside/canary");
    });
}

#[test]
fn hard_links_to_directories_and_the_root_are_refused() {
    refused(&[Tarball::new().dir("d").hard_link("h", "d").finish()], "which is a directory");
    refused(&[Tarball::new().dir("d").hard_link("h", "d/").finish()], "which is a directory");
    refused(&[Tarball::new().hard_link("h", "/").finish()], "hard link to the root");
    refused(&[Tarball::new().hard_link("h", "").finish()], "empty");
}

#[test]
fn a_hard_link_onto_itself_must_be_there() {
    refused(&[Tarball::new().hard_link("h", "h").finish()], "to itself, which is not there");
    refused(&[Tarball::new().dir("h").hard_link("h", "h").finish()], "to itself, which is a directory");
}

#[test]
fn a_hard_link_onto_itself_changes_nothing() {
    let archive = Tarball::new().file("d/f", "x").symlink("l", "d").hard_link("d/f", "d/f").hard_link("l/f", "d/f");
    contained(&[archive.finish()], |sandbox, outcome| {
        outcome.unwrap();
        assert_eq!(sandbox.read("d/f"), "x");
    });
}

/// (T5) What is kept for a directory must not be spent on what stands there later.
#[test]
fn late_metadata_of_a_directory_does_not_follow_a_link_in_its_place() {
    let directory = |name: &str| Header::new(b'5', name).mode(0o777).mtime(12345);
    let lower = Tarball::new().entry(&directory("d"), "").entry(&directory("d/etc"), "").finish();
    for target in ["../outside", "/../outside", "other"] {
        let swapped = Tarball::new().dir("other").symlink("d", target).finish();
        contained(&[lower.clone(), swapped], |sandbox, outcome| {
            outcome.unwrap();
            assert_eq!(sandbox.listing()["other"], "dir 755");
        });
    }
    let same_layer = Tarball::new().entry(&directory("d"), "").symlink("d", "../outside").finish();
    contained(&[same_layer], |_, outcome| outcome.unwrap());
}

/// (T5) Links are given their own owner and times.
#[test]
fn metadata_of_a_link_is_the_links_own() {
    let archive = Tarball::new().entry(&Header::new(b'2', "l").link("../outside/canary").mode(0o777).mtime(4242), "");
    contained(&[archive.finish()], |sandbox, outcome| {
        outcome.unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::mtime(&sandbox.stat("l")), 4242);
    });
}

/// (T11) Whiteouts climb no more than anything else.
#[test]
fn whiteouts_stay_in_the_root() {
    let lower = Tarball::new().symlink("l", "../outside").symlink("abs", "/etc").file("etc/passwd", "ours").finish();
    let upper = Tarball::new()
        .file("l/.wh.canary", "")
        .file("l/.wh..wh..opq", "")
        .file("abs/.wh.passwd", "")
        .file("absent/.wh.x", "")
        .file("absent/.wh..wh..opq", "")
        .finish();
    contained(&[lower, upper], |sandbox, outcome| {
        outcome.unwrap();
        assert_eq!(sandbox.names(), ["abs", "etc", "l"]);
    });
    for name in [".wh.", ".wh..", ".wh...", "d/.wh..", "d/.wh..."] {
        refused(&[Tarball::new().file(name, "").finish()], "names no plain file");
    }
}

/// (T17) Names that later steps look up are resolved in the root, too.
#[test]
fn paths_through_a_files_name_are_refused() {
    let archive = Tarball::new().file("f", "x").file("f/g", "");
    refused(&[archive.finish()], "\"f\" is in its path and no directory");
    let archive = Tarball::new().file("f", "x").symlink("l", "f").file("l/g", "");
    refused(&[archive.finish()], "\"f\" is in its path and no directory");
}
