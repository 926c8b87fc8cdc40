//! Judges the names of an archive before they touch the disk (T1).
//!
//! The policy: a leading `/` is stripped, empty and `.` components vanish, and any `..`, NUL or empty name refuses the
//! layer. What is left is a plain relative path; the empty one is the root itself. A backslash or a drive letter is an
//! ordinary part of a name here, as it is to the kernel. Symbolic links are `root.rs`'s business.

use gantri_core::error::display_untrusted;
use gantri_core::{Error, ErrorKind, Limits, Result};

/// The longest component that Linux file systems keep.
pub(super) const COMPONENT: usize = 255;

/// Writes the plain form of an archive's name to `plain`.
pub(super) fn normalize(name: &[u8], limits: &Limits, plain: &mut Vec<u8>) -> Result<()> {
    plain.clear();
    if name.is_empty() {
        return Err(refused("its name is empty"));
    }
    if name.len() > limits.unpack_path {
        return Err(Error::limit("a path", "unpack_path", limits.unpack_path));
    }
    if name.contains(&0) {
        return Err(refused("its name holds a NUL"));
    }
    for component in name.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => return Err(refused("its name climbs with `..`")),
            _ if component.len() > COMPONENT => {
                return Err(Error::new(ErrorKind::LimitExceeded, "a component of its name is longer than 255 bytes"));
            }
            _ => join(plain, component),
        }
    }
    Ok(())
}

/// Appends a component to a plain path.
pub(super) fn join(path: &mut Vec<u8>, component: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(component);
}

/// A plain path as the directory and the name in it; the root is the empty name in itself.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

/// Whether `path` is `directory` or lies in it.
pub(super) fn is_within(path: &[u8], directory: &[u8]) -> bool {
    directory.is_empty() || path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// A name from an archive, safe to print and not too long.
pub(super) fn shown(name: &[u8]) -> String {
    const LONGEST: usize = 120;
    let cut = &name[..name.len().min(LONGEST)];
    let text = display_untrusted(&String::from_utf8_lossy(cut));
    if cut.len() < name.len() { format!("\"{text}\"...") } else { format!("\"{text}\"") }
}

fn refused(rule: &str) -> Error {
    Error::new(ErrorKind::LayerInvalid, rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(name: &[u8]) -> Result<String, ErrorKind> {
        let mut plain = Vec::new();
        normalize(name, &Limits::default(), &mut plain).map_err(|error| error.kind())?;
        Ok(String::from_utf8_lossy(&plain).into_owned())
    }

    #[test]
    fn names_become_plain_relative_paths() {
        let cases: [(&str, &str); 22] = [
            ("a", "a"),
            ("a/b/c", "a/b/c"),
            ("a/b/", "a/b"),
            ("./a", "a"),
            ("././a/./b/.", "a/b"),
            ("/a", "a"),
            ("//a", "a"),
            ("///a//b///", "a/b"),
            ("/./a", "a"),
            (".", ""),
            ("./", ""),
            ("/", ""),
            ("//", ""),
            ("/.", ""),
            ("...", "..."),
            ("..a/b..", "..a/b.."),
            ("a/...", "a/..."),
            (" ", " "),
            ("C:\\windows\\x", "C:\\windows\\x"),
            ("..\\x", "..\\x"),
            ("\\\\host\\share", "\\\\host\\share"),
            ("-rf", "-rf"),
        ];
        for (name, expected) in cases {
            assert_eq!(plain(name.as_bytes()).as_deref(), Ok(expected), "{name:?}");
        }
    }

    /// (T1) Every way to write `..` around other components, from every start.
    #[test]
    fn a_climbing_name_is_refused_wherever_the_dots_stand() {
        let heads = ["", "/", "//", "./", "/./", "a/", "/a/", "a/b/", "././", "a//", ".../", " /"];
        let climbs =
            ["..", "../", "../..", "..//..", "./..", "../.", "../x", "..//x", "../../etc/passwd", "../.hidden"];
        let mut count = 0;
        for head in heads {
            for climb in climbs {
                let name = format!("{head}{climb}");
                assert_eq!(plain(name.as_bytes()), Err(ErrorKind::LayerInvalid), "{name:?}");
                count += 1;
            }
        }
        let tails = ["/..", "/../", "/../b", "//..", "/./..", "/.././c"];
        for head in ["a", "/a", "./a", "a/b", "a/b/c/d", "....", "é", "a b"] {
            for tail in tails {
                let name = format!("{head}{tail}");
                assert_eq!(plain(name.as_bytes()), Err(ErrorKind::LayerInvalid), "{name:?}");
                count += 1;
            }
        }
        assert!(count >= 160);
    }

    #[test]
    fn empty_names_and_nuls_are_refused() {
        let names: [&[u8]; 5] = [b"", b"\0", b"a\0b", b"a/\0", b"\0/../x"];
        for name in names {
            assert_eq!(plain(name), Err(ErrorKind::LayerInvalid), "{name:?}");
        }
    }

    #[test]
    fn long_names_and_components_hit_their_limits() {
        assert!(plain("n".repeat(255).as_bytes()).is_ok());
        assert_eq!(plain("n".repeat(256).as_bytes()), Err(ErrorKind::LimitExceeded));
        assert!(plain("d/".repeat(2048).as_bytes()).is_ok());
        assert_eq!(plain("d/".repeat(2049).as_bytes()), Err(ErrorKind::LimitExceeded));
    }

    #[test]
    fn within_means_the_directory_or_below_it() {
        assert!(is_within(b"a", b""));
        assert!(is_within(b"a/b", b"a"));
        assert!(is_within(b"a", b"a"));
        assert!(!is_within(b"ab", b"a"));
        assert!(!is_within(b"a", b"a/b"));
    }

    #[test]
    fn shown_names_are_cut_and_escaped() {
        assert_eq!(shown(b"a\x1b[2J"), "\"a\\u{1b}[2J\"");
        assert!(shown(&[b'x'; 500]).len() < 140);
    }
}
