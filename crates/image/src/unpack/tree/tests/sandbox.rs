//! A place to unpack to, with neighbours that must not be touched.

use std::collections::BTreeMap;
use std::fs;
use std::io::BufReader;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use gantri_core::{ErrorKind, Limits, Result};
use rustix::fs::{Mode, OFlags};

use crate::unpack::tree::{Privilege, Resolver, Summary, Tree, TreeOptions};

pub(super) const RESOLVERS: [Resolver; 2] = [Resolver::Openat2, Resolver::Walk];

/// `root` is unpacked to; all beside it is canary.
pub(super) struct Sandbox {
    dir: tempfile::TempDir,
    resolver: Resolver,
    privilege: Privilege,
    limits: Limits,
}

impl Sandbox {
    pub(super) fn new(resolver: Resolver) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir_all(outside.join("etc")).unwrap();
        fs::write(outside.join("etc/passwd"), "root:x:0:0").unwrap();
        fs::write(outside.join("canary"), "alive").unwrap();
        fs::set_permissions(outside.join("canary"), fs::Permissions::from_mode(0o600)).unwrap();
        symlink("etc", outside.join("link")).unwrap();
        fs::write(dir.path().join("x"), "beside").unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        Self { dir, resolver, privilege: Privilege::detect(), limits: Limits::default() }
    }

    pub(super) fn privilege(mut self, privilege: Privilege) -> Self {
        self.privilege = privilege;
        self
    }

    pub(super) fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    pub(super) fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    pub(super) fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    pub(super) fn tree(&self) -> Tree {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(self.root(), flags, Mode::empty()).unwrap();
        let (privilege, resolver) = (self.privilege, self.resolver);
        Tree::open(root, TreeOptions { limits: self.limits.clone(), privilege, resolver }).unwrap()
    }

    pub(super) fn unpack(&self, layers: &[Vec<u8>]) -> Result<Summary> {
        let mut tree = self.tree();
        for layer in layers {
            // A small buffer, so that headers and contents straddle its end.
            tree.apply(&mut BufReader::with_capacity(700, layer.as_slice()))?;
        }
        tree.finish()
    }

    pub(super) fn refuses(&self, layers: &[Vec<u8>]) -> (ErrorKind, String) {
        match self.unpack(layers) {
            Ok(_) => panic!("was unpacked: {:?}", self.listing()),
            Err(error) => (error.kind(), error.to_string()),
        }
    }

    /// Everything but the root, for a comparison of before and after.
    pub(super) fn neighbours(&self) -> BTreeMap<PathBuf, String> {
        let mut all = BTreeMap::new();
        look(self.dir.path(), &mut all, &|path, metadata| {
            let stamps = (metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec());
            // The directory that holds the root changes nothing but its own times.
            format!("{} {stamps:?} {}:{}", describe(path, metadata), metadata.uid(), metadata.nlink())
        });
        all.retain(|path, _| path != self.dir.path() && !path.starts_with(self.root()));
        all
    }

    /// The root's contents: path to kind, mode and contents.
    pub(super) fn listing(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        look(&self.root(), &mut all, &|path, metadata| describe(path, metadata));
        let name = |path: PathBuf| path.strip_prefix(self.root()).unwrap().to_string_lossy().into_owned();
        all.into_iter().map(|(path, what)| (name(path), what)).collect()
    }

    /// The names in the root, for short comparisons.
    pub(super) fn names(&self) -> Vec<String> {
        self.listing().into_keys().filter(|name| !name.is_empty()).collect()
    }

    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    pub(super) fn stat(&self, path: &str) -> fs::Metadata {
        fs::symlink_metadata(self.at(path)).unwrap()
    }
}

fn look(path: &Path, all: &mut BTreeMap<PathBuf, String>, describe: &dyn Fn(&Path, &fs::Metadata) -> String) {
    let metadata = fs::symlink_metadata(path).unwrap();
    all.insert(path.to_path_buf(), describe(path, &metadata));
    if metadata.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            look(&entry.unwrap().path(), all, describe);
        }
    }
}

fn describe(path: &Path, metadata: &fs::Metadata) -> String {
    let kind = metadata.file_type();
    let mode = metadata.mode() & 0o7777;
    match () {
        () if kind.is_dir() => format!("dir {mode:o}"),
        () if kind.is_symlink() => format!("link {}", fs::read_link(path).unwrap().display()),
        () if kind.is_file() => format!("file {mode:o} {}", String::from_utf8_lossy(&fs::read(path).unwrap())),
        () if kind.is_fifo() => format!("fifo {mode:o}"),
        () => format!("device {mode:o} {}", metadata.rdev()),
    }
}

/// Found out by another way than the one under test.
pub(super) fn may_chown() -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::process::Command::new("chown").arg("4242:4000000000").arg(file.path()).output().unwrap().status.success()
}
