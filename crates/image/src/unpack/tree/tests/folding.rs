//! Names that are two to the archive and one to the file system (T14), on a simulated file system that folds: between
//! two entries, the second name is linked to the first behind the tree's back.

use std::fs;
use std::io::{self, BufReader, Read};

use super::sandbox::Sandbox;
use crate::unpack::folding::Collisions;
use crate::unpack::tarball::Tarball;
use crate::unpack::tree::Resolver;

/// Does something when the reader comes to the second part.
struct Between<F: FnMut()> {
    parts: Vec<Vec<u8>>,
    hook: F,
}

impl<F: FnMut()> Read for Between<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.parts[0].is_empty() && self.parts.len() > 1 {
            self.parts.remove(0);
            (self.hook)();
        }
        let count = self.parts[0].as_slice().read(buffer)?;
        self.parts[0].drain(..count);
        Ok(count)
    }
}

fn unpack_folded(first: Tarball, second: Tarball, hook: impl FnMut(), sandbox: &Sandbox) -> gantri_core::Result<()> {
    let mut tree = sandbox.tree();
    tree.collisions = Some(Collisions::default());
    let layer = Between { parts: vec![first.unfinished(), second.finish()], hook };
    tree.apply(&mut BufReader::new(layer))?;
    tree.finish().map(drop)
}

#[test]
fn two_names_for_one_file_are_an_error_that_tells_both() {
    let sandbox = Sandbox::new(Resolver::detect());
    let link = || fs::hard_link(sandbox.at("readme"), sandbox.at("README")).unwrap();
    let folded = unpack_folded(Tarball::new().file("readme", "1"), Tarball::new().file("README", "2"), link, &sandbox);
    let message = folded.unwrap_err().to_string();
    assert!(message.contains("\"readme\" and \"README\" are one file"), "{message}");
    assert_eq!(sandbox.read("readme"), "1");
}

#[test]
fn one_name_twice_and_names_of_lower_layers_are_no_collision() {
    let sandbox = Sandbox::new(Resolver::detect());
    sandbox.unpack(&[Tarball::new().file("lower", "1").finish()]).unwrap();
    let first = Tarball::new().file("a", "1").file("a", "2").hard_link("b", "a").file("b", "3").dir("d").dir("d");
    unpack_folded(first, Tarball::new().file("lower", "2").dir("d"), || {}, &sandbox).unwrap();
    assert_eq!((sandbox.read("a"), sandbox.read("b"), sandbox.read("lower")), ("2".into(), "3".into(), "2".into()));
}

#[test]
fn ordinary_file_systems_are_not_watched() {
    assert!(Sandbox::new(Resolver::detect()).tree().collisions.is_none());
}
