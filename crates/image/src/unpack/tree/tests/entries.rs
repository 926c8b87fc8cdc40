//! Entries as they are: parents, sparse files, limits, what an error says.

use std::os::unix::fs::MetadataExt;

use gantri_core::{ErrorKind, Limits};

use super::sandbox::{RESOLVERS, Sandbox};
use crate::unpack::tarball::{Header, Tarball};
use crate::unpack::tree::Resolver;

#[test]
fn missing_parents_are_made_readable_for_all() {
    for resolver in RESOLVERS {
        let sandbox = Sandbox::new(resolver);
        sandbox.unpack(&[Tarball::new().file("a/b/c/f", "x").finish()]).unwrap();
        let listing = sandbox.listing();
        assert_eq!([&listing["a"], &listing["a/b"], &listing["a/b/c"]], ["dir 755"; 3]);
        assert_eq!(listing[""], "dir 755");
    }
}

#[test]
fn the_summary_counts_entries_and_bytes() {
    let sandbox = Sandbox::new(Resolver::detect());
    let layers = [
        Tarball::new().dir("d").file("d/f", "12345").symlink("l", "d").finish(),
        Tarball::new().file("d/.wh.f", "").file("g", "123").finish(),
    ];
    let summary = sandbox.unpack(&layers).unwrap();
    assert_eq!((summary.entries, summary.bytes, summary.notices), (5, 8, vec![]));
}

#[test]
fn contents_larger_than_any_buffer_arrive_whole() {
    let contents: Vec<u8> = (0..3_000_000_u32).map(|index| index.to_le_bytes()[1]).collect();
    let sandbox = Sandbox::new(Resolver::detect());
    sandbox.unpack(&[Tarball::new().file("big", &contents).file("small", "x").finish()]).unwrap();
    assert_eq!(std::fs::read(sandbox.at("big")).unwrap(), contents);
    assert_eq!(sandbox.read("small"), "x");
}

/// (T18)
#[test]
fn sparse_files_keep_their_holes() {
    let size = 64_u64 << 20;
    let records: [(&str, &[u8]); 3] = [
        ("GNU.sparse.name", b"sparse"),
        ("GNU.sparse.size", b"67108864"),
        ("GNU.sparse.map", b"0,5,33554432,3,67108864,0"),
    ];
    for resolver in RESOLVERS {
        let sandbox = Sandbox::new(resolver);
        sandbox.unpack(&[Tarball::new().pax(&records).file("x", "startmid").finish()]).unwrap();
        let stat = sandbox.stat("sparse");
        assert_eq!((stat.len(), stat.mtime()), (size, 1_000_000_000));
        assert!(stat.blocks() * 512 < size / 16, "{} blocks", stat.blocks());
        let contents = std::fs::read(sandbox.at("sparse")).unwrap();
        assert_eq!((&contents[..5], &contents[33_554_432..33_554_435]), (&b"start"[..], &b"mid"[..]));
        assert_eq!(contents.iter().filter(|byte| **byte != 0).count(), 8);
    }
}

/// (T8, T10)
#[test]
fn limits_are_errors_that_name_them() {
    let limited = |set: fn(&mut Limits), archive: Tarball| {
        let mut limits = Limits::default();
        set(&mut limits);
        Sandbox::new(Resolver::detect()).limits(limits).refuses(&[archive.finish()])
    };
    let sparse: [(&str, &[u8]); 3] =
        [("GNU.sparse.name", b"s"), ("GNU.sparse.size", b"9000000000000000000"), ("GNU.sparse.map", b"0,1")];
    let long = "n".repeat(5000);
    let three = || Tarball::new().file("a", "123").file("b", "456").file("c", "789");
    let cases = [
        ("entries", limited(|limits| limits.unpack_entries = 2, three()), "unpack_entries = 2"),
        (
            "directories on the way",
            limited(|limits| limits.unpack_entries = 2, Tarball::new().file("a/b/c", "")),
            "unpack_entries = 2",
        ),
        ("bytes of a layer", limited(|limits| limits.unpack_layer_bytes = 8, three()), "unpack_layer_bytes = 8"),
        ("bytes of an image", limited(|limits| limits.unpack_bytes = 8, three()), "unpack_bytes = 8"),
        ("a sparse bomb", limited(|_| {}, Tarball::new().pax(&sparse).file("x", "1")), "unpack_layer_bytes"),
        ("path", limited(|_| {}, Tarball::new().long(b'L', &long).file("x", "")), "unpack_path = 4096"),
        ("component", limited(|_| {}, Tarball::new().long(b'L', &long[..256]).file("x", "")), "255 bytes"),
        ("link target", limited(|_| {}, Tarball::new().long(b'K', &long).symlink("x", "")), "unpack_path = 4096"),
        (
            "path by link",
            {
                let deep = format!("/{}", "d/".repeat(1500));
                let archive =
                    Tarball::new().long(b'K', &deep).symlink("a", "").long(b'L', format!("a/{deep}x")).file("x", "");
                limited(|_| {}, archive)
            },
            "unpack_path = 4096",
        ),
    ];
    for (name, (kind, message), rule) in cases {
        assert_eq!(kind, ErrorKind::LimitExceeded, "{name}: {message}");
        assert!(message.contains(rule), "{name}: {message}");
    }
}

#[test]
fn limits_are_counted_layer_by_layer_where_they_are_a_layers() {
    let mut limits = Limits::default();
    (limits.unpack_entries, limits.unpack_layer_bytes) = (1, 3);
    let sandbox = Sandbox::new(Resolver::detect()).limits(limits);
    let summary = sandbox.unpack(&[Tarball::new().file("a", "123").finish(), Tarball::new().file("b", "123").finish()]);
    assert_eq!(summary.unwrap().bytes, 6);
}

#[test]
fn an_error_tells_layer_entry_offset_and_rule() {
    let sandbox = Sandbox::new(Resolver::detect());
    let layers = [Tarball::new().finish(), Tarball::new().file("ok", "x").file("\x1b[2J/../x", "").finish()];
    let (kind, message) = sandbox.refuses(&layers);
    assert_eq!(kind, ErrorKind::LayerInvalid);
    assert_eq!(message, "entry \"\\u{1b}[2J/../x\" at byte 1024: its name climbs with `..`");
}

#[test]
fn long_names_and_deep_paths_arrive() {
    let deep = format!("{}f", "d/".repeat(400));
    let long = format!("{}/é日本 {}", "n".repeat(255), "m".repeat(240));
    for resolver in RESOLVERS {
        let sandbox = Sandbox::new(resolver);
        let records: [(&str, &[u8]); 1] = [("path", deep.as_bytes())];
        let archive = Tarball::new().pax(&records).file("x", "deep").long(b'L', &long).file("x", "long").finish();
        sandbox.unpack(&[archive]).unwrap();
        assert_eq!((sandbox.read(&deep), sandbox.read(&long)), ("deep".to_owned(), "long".to_owned()));
    }
}

#[test]
fn the_whole_layer_is_read() {
    let archive = Tarball::new().entry(&Header::new(b'0', "f"), "x").raw([0; 4096]).finish();
    let mut source = archive.as_slice();
    let sandbox = Sandbox::new(Resolver::detect());
    sandbox.tree().apply(&mut source).unwrap();
    assert!(source.is_empty());
}
