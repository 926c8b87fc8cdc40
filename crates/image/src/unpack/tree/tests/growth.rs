//! Work grows with the archive and not faster (T9), and depth costs neither stack nor handles (T10). Counted, not timed.

use super::sandbox::Sandbox;
use crate::unpack::tarball::Tarball;
use crate::unpack::tree::Resolver;

/// The layers of an archive of this many parts.
type Shape<'a> = &'a dyn Fn(usize) -> Vec<Vec<u8>>;

fn visited(layers: &[Vec<u8>]) -> u64 {
    let sandbox = Sandbox::new(Resolver::detect());
    let mut tree = sandbox.tree();
    for layer in layers {
        tree.apply(&mut layer.as_slice()).unwrap();
    }
    tree.visited
}

fn repeated(count: usize, add: impl Fn(Tarball, usize) -> Tarball) -> Tarball {
    (0..count).fold(Tarball::new(), add)
}

#[test]
fn hiding_and_replacing_is_linear_in_the_archive() {
    let files =
        |count, directory: &str| repeated(count, |archive, index| archive.file(format!("{directory}/{index}"), ""));
    let shapes: [(&str, Shape<'_>); 6] = [
        ("a whiteout for each file", &|count| {
            let hide = repeated(count, |archive, index| archive.file(format!("d/.wh.{index}"), ""));
            vec![files(count, "d").finish(), hide.finish()]
        }),
        ("one directory made opaque again and again", &|count| {
            let hide = repeated(count, |archive, _| archive.file("d/.wh..wh..opq", ""));
            vec![files(count, "d").finish(), files(count, "d").raw(hide.unfinished()).finish()]
        }),
        ("opaque after every file", &|count| {
            let layer = repeated(count, |archive, index| {
                archive.file(format!("d/{index}"), "").file("d/.wh..wh..opq", "").file(".wh.d", "")
            });
            vec![files(count, "d").finish(), layer.finish()]
        }),
        ("nested directories made opaque from the innermost out", &|count| {
            let depth = 40;
            let path = |depth: usize| "d/".repeat(depth);
            let lower = files(count, path(depth).trim_end_matches('/')).finish();
            let upper = files(count, path(depth).trim_end_matches('/'));
            let hide = (1..=depth)
                .rev()
                .fold(Tarball::new(), |archive, depth| archive.file(format!("{}.wh..wh..opq", path(depth)), ""));
            vec![lower, upper.raw(hide.unfinished()).finish()]
        }),
        ("a directory and a file in turn", &|count| {
            vec![
                repeated(count, |archive, index| archive.dir("x").file(format!("x/{index}"), "").file("x", ""))
                    .finish(),
            ]
        }),
        ("a full directory replaced once", &|count| vec![files(count, "x/y/z").file("x", "").finish()]),
    ];
    for (name, shape) in shapes {
        let (once, twice) = (visited(&shape(100)), visited(&shape(200)));
        assert!(once > 0 && once < 100 * 8, "{name}: {once}");
        assert!(twice * 10 <= once * 22, "{name}: {once} and then {twice}");
    }
}

#[test]
fn deep_trees_are_replaced_hidden_and_made_opaque() {
    let deep = format!("d/{}", "n/".repeat(1900));
    let lower = || Tarball::new().pax(&[("path", format!("{deep}f").as_bytes())]).file("x", "");
    for upper in [
        Tarball::new().file("d", "now a file"),
        Tarball::new().file(".wh.d", ""),
        Tarball::new().file("d/.wh..wh..opq", ""),
    ] {
        let sandbox = Sandbox::new(Resolver::detect());
        sandbox.unpack(&[lower().finish(), upper.clone().finish()]).unwrap();
        assert!(sandbox.names().len() <= 1);
    }
}

/// Names that look like those made up while removing.
#[test]
fn removing_copes_with_any_names() {
    let lower = (0..40).fold(Tarball::new(), |archive, index| {
        archive
            .file(format!("d/.gantri-{index}"), "")
            .dir(format!("d/.gantri-{}", index + 40))
            .file(format!("d/.gantri-{}/x", index + 80), "")
            .file(format!("d/a/b/{index}/c/.gantri-{index}/e"), "")
            .file(format!("d/z{index}/b/c/.gantri-{index}/e"), "")
    });
    let sandbox = Sandbox::new(Resolver::detect());
    sandbox.unpack(&[lower.finish(), Tarball::new().file(".wh.d", "").finish()]).unwrap();
    assert_eq!(sandbox.names(), [""; 0]);
}

#[test]
fn thousands_of_hard_links_to_one_file_are_made() {
    let archive = repeated(5_000, |archive, index| match index {
        0 => archive.file("f", "x"),
        _ => archive.hard_link(format!("d/{index}"), "f"),
    });
    let sandbox = Sandbox::new(Resolver::detect());
    assert_eq!(sandbox.unpack(&[archive.finish()]).unwrap().entries, 5_000);
}
