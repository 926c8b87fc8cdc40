//! The changeset rules by example (T11, T12); `model.rs` looks for what these forget.

use std::os::unix::fs::MetadataExt;

use super::sandbox::{RESOLVERS, Sandbox};
use crate::unpack::tarball::{Header, Tarball};

type Make = fn(Tarball) -> Tarball;

/// The names that are there after these layers.
fn names(layers: &[Tarball]) -> Vec<String> {
    let layers: Vec<Vec<u8>> = layers.iter().map(|layer| layer.clone().finish()).collect();
    let mut names = RESOLVERS.map(|resolver| {
        let sandbox = Sandbox::new(resolver);
        sandbox.unpack(&layers).unwrap();
        sandbox.names()
    });
    assert_eq!(names[0], names[1]);
    std::mem::take(&mut names[0])
}

fn lower() -> Tarball {
    Tarball::new().dir("d").file("d/a", "1").dir("d/sub").file("d/sub/b", "2").file("f", "3")
}

#[test]
fn a_whiteout_hides_files_and_whole_directories() {
    assert_eq!(names(&[lower(), Tarball::new().file(".wh.f", "")]), ["d", "d/a", "d/sub", "d/sub/b"]);
    assert_eq!(names(&[lower(), Tarball::new().file(".wh.d", "")]), ["f"]);
    assert_eq!(names(&[lower(), Tarball::new().file("d/.wh.sub", "")]), ["d", "d/a", "f"]);
}

#[test]
fn a_whiteout_of_what_is_not_there_is_nothing() {
    let all = ["d", "d/a", "d/sub", "d/sub/b", "f"];
    for name in [".wh.none", "d/.wh.none", "none/.wh.none", "f/.wh.none", "none/.wh..wh..opq", "f/.wh..wh..opq"] {
        assert_eq!(names(&[lower(), Tarball::new().file(name, "")]), all, "{name}");
    }
}

/// As AUFS wrote them: hard links to one empty file.
#[test]
fn a_whiteout_may_be_of_any_type() {
    let links = Tarball::new().hard_link(".wh.f", ".wh..wh.aufs").symlink("d/.wh.a", "x");
    assert_eq!(names(&[lower(), links]), ["d", "d/sub", "d/sub/b"]);
}

#[test]
fn notes_of_aufs_are_passed_over() {
    let notes = Tarball::new().file(".wh..wh.aufs", "").dir(".wh..wh.plnk").file(".wh..wh.plnk/1.2", "");
    assert_eq!(names(&[notes.file("g", "")]), ["g"]);
}

#[test]
fn a_whiteout_leaves_what_its_own_layer_brings_whatever_the_order() {
    let file = |archive: Tarball| archive.file("f", "new");
    let hide = |archive: Tarball| archive.file(".wh.f", "");
    let all = ["d", "d/a", "d/sub", "d/sub/b", "f"];
    assert_eq!(names(&[lower(), hide(file(Tarball::new()))]), all);
    assert_eq!(names(&[lower(), file(hide(Tarball::new()))]), all);
    // A directory that is hidden and brought anew holds only what is new.
    let directory = |archive: Tarball| archive.dir("d").file("d/new", "");
    let hide = |archive: Tarball| archive.file(".wh.d", "");
    assert_eq!(names(&[lower(), hide(directory(Tarball::new()))]), ["d", "d/new", "f"]);
    assert_eq!(names(&[lower(), directory(hide(Tarball::new()))]), ["d", "d/new", "f"]);
    // Also where the directory has no entry of its own.
    assert_eq!(
        names(&[lower(), Tarball::new().file("d/sub/new", "").file(".wh.d", "")]),
        ["d", "d/sub", "d/sub/new", "f"]
    );
}

#[test]
fn an_opaque_directory_keeps_what_its_own_layer_brings_whatever_the_order() {
    let bring = |archive: Tarball| archive.file("d/new", "").file("d/sub/new", "");
    let opaque = |archive: Tarball| archive.file("d/.wh..wh..opq", "");
    let expected = ["d", "d/new", "d/sub", "d/sub/new", "f"];
    assert_eq!(names(&[lower(), opaque(bring(Tarball::new()))]), expected);
    assert_eq!(names(&[lower(), bring(opaque(Tarball::new()))]), expected);
    let amid = opaque(Tarball::new().file("d/new", "")).file("d/sub/new", "");
    assert_eq!(names(&[lower(), amid]), expected);
}

#[test]
fn an_opaque_root_hides_all_lower_layers() {
    assert_eq!(names(&[lower(), Tarball::new().file("new", "").file(".wh..wh..opq", "")]), ["new"]);
}

#[test]
fn an_opaque_directory_hides_each_lower_layer_only_once() {
    let twice = Tarball::new().file("d/.wh..wh..opq", "").file("d/x", "").file("d/.wh..wh..opq", "").file("d/y", "");
    assert_eq!(names(&[lower(), twice]), ["d", "d/x", "d/y", "f"]);
    assert_eq!(
        names(&[lower(), Tarball::new().file("d/x", ""), Tarball::new().file("d/.wh..wh..opq", "")]),
        ["d", "f"]
    );
}

/// What a directory without an entry got in a lower layer is hidden with it.
#[test]
fn a_hidden_directory_that_is_only_passed_through_gets_default_metadata() {
    for resolver in RESOLVERS {
        let sandbox = Sandbox::new(resolver);
        let lower = Tarball::new().dir("d").entry(&Header::new(b'5', "d/sub").mode(0o700), "").file("d/sub/a", "");
        let upper = Tarball::new().file("d/sub/new", "").file("d/.wh..wh..opq", "");
        sandbox.unpack(&[lower.finish(), upper.finish()]).unwrap();
        assert_eq!(sandbox.listing()["d/sub"], "dir 755");
    }
}

#[test]
fn a_whiteout_through_a_link_hides_where_the_link_leads() {
    let lower = Tarball::new().file("usr/lib/a", "").file("usr/lib/b", "").symlink("lib", "usr/lib");
    let upper = Tarball::new().file("lib/.wh.a", "").file("lib/c", "");
    assert_eq!(names(&[lower.clone(), upper]), ["lib", "usr", "usr/lib", "usr/lib/b", "usr/lib/c"]);
    // What one name brings, another does not hide in the same layer.
    let upper = Tarball::new().file("usr/lib/a", "new").file("lib/.wh.a", "").file("lib/.wh..wh..opq", "");
    assert_eq!(names(&[lower, upper]), ["lib", "usr", "usr/lib", "usr/lib/a"]);
}

/// (T12) Every kind over every kind.
#[test]
fn an_entry_replaces_whatever_was_there() {
    let kinds: [(&str, Make); 5] = [
        ("file", |archive| archive.file("x", "contents")),
        ("dir", |archive| archive.dir("x").file("x/in", "")),
        ("link", |archive| archive.symlink("x", "y")),
        ("hard link", |archive| archive.file("y", "linked").hard_link("x", "y")),
        ("fifo", |archive| archive.entry(&Header::new(b'6', "x"), "")),
    ];
    for (first, make_first) in kinds {
        for (second, make_second) in kinds {
            for resolver in RESOLVERS {
                let expected = Sandbox::new(resolver);
                expected.unpack(&[make_second(Tarball::new()).finish()]).unwrap();
                let layered = Sandbox::new(resolver);
                layered.unpack(&[make_first(Tarball::new()).finish(), make_second(Tarball::new()).finish()]).unwrap();
                let twice = Sandbox::new(resolver);
                twice.unpack(&[make_second(make_first(Tarball::new())).finish()]).unwrap();
                for sandbox in [layered, twice] {
                    let mut found = sandbox.listing();
                    if second != "hard link" {
                        found.remove("y");
                    }
                    assert_eq!(found, expected.listing(), "{second} over {first}");
                }
            }
        }
    }
}

/// (T12) Layers share inodes by hard link; writing to one name must not change the other.
#[test]
fn overwriting_one_name_of_a_file_leaves_its_others() {
    for resolver in RESOLVERS {
        let sandbox = Sandbox::new(resolver);
        let lower = Tarball::new().file("a", "old").hard_link("b", "a").hard_link("c", "b");
        let upper = Tarball::new().entry(&Header::new(b'0', "b").mode(0o600), "new");
        sandbox.unpack(&[lower.finish(), upper.finish()]).unwrap();
        let listing = sandbox.listing();
        assert_eq!([&listing["a"], &listing["b"], &listing["c"]], ["file 644 old", "file 600 new", "file 644 old"]);
        assert_eq!(sandbox.stat("a").ino(), sandbox.stat("c").ino());
        assert_eq!((sandbox.stat("a").nlink(), sandbox.stat("b").nlink()), (2, 1));
    }
}

#[test]
fn a_directory_over_a_directory_merges_and_the_last_metadata_counts() {
    for resolver in RESOLVERS {
        let sandbox = Sandbox::new(resolver);
        let upper = Tarball::new().entry(&Header::new(b'5', "d").mode(0o1777).mtime(77), "").file("d/new", "");
        sandbox.unpack(&[lower().finish(), upper.finish()]).unwrap();
        assert_eq!(sandbox.names(), ["d", "d/a", "d/new", "d/sub", "d/sub/b", "f"]);
        assert_eq!((sandbox.stat("d").mode() & 0o7777, sandbox.stat("d").mtime()), (0o1777, 77));
    }
}

/// A directory that came back is not the one that was described.
#[test]
fn metadata_of_a_removed_directory_is_not_given_to_its_successor() {
    for resolver in RESOLVERS {
        let sandbox = Sandbox::new(resolver);
        let lower = Tarball::new()
            .entry(&Header::new(b'5', "d").mode(0o700), "")
            .entry(&Header::new(b'5', "d/e").mode(0o700), "")
            .finish();
        let hide = Tarball::new().file(".wh.d", "").finish();
        let upper = Tarball::new().file("d/e/f", "").finish();
        sandbox.unpack(&[lower, hide, upper]).unwrap();
        assert_eq!((&*sandbox.listing()["d"], &*sandbox.listing()["d/e"]), ("dir 755", "dir 755"));
    }
}

/// (T10) What is found by name must not be remembered beyond a change of what the name means.
#[test]
fn a_replaced_directory_is_not_written_to_any_more() {
    for resolver in RESOLVERS {
        let sandbox = Sandbox::new(resolver);
        let archive = Tarball::new()
            .file("d/a", "")
            .symlink("l", "d")
            .file("l/b", "")
            .file("d", "now a file")
            .dir("d")
            .file("d/c", "")
            .dir("e")
            .file("l/d", "")
            .symlink("l", "e")
            .file("l/f", "")
            .finish();
        sandbox.unpack(&[archive]).unwrap();
        assert_eq!(sandbox.names(), ["d", "d/c", "d/d", "e", "e/f", "l"]);
    }
}
