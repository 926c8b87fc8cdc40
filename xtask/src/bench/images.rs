//! What is moved: an image of ten layers and two of one layer each, as layouts.

use std::fs;
use std::path::{Path, PathBuf};

use crate::layout;
use crate::server::Server;
use crate::tool::{self, Result, Scratch, command, run, text};

/// The images, made once and kept in the cache.
pub(super) struct Images(PathBuf);

impl Images {
    pub(super) fn in_cache() -> Result<Self> {
        let images = Self(tool::cache_dir()?.join("bench-1"));
        images.need("ten", include_str!("fixture.sh"))?;
        // Data that does not compress: what counts here is how much of it is held.
        images.need("small", "head -c 50M /dev/urandom >data; tar --create --file 0.tar --remove-files data")?;
        images.need("large", "head -c 1G /dev/urandom >data; tar --create --file 0.tar --remove-files data")?;
        Ok(images)
    }

    /// The layout that one lies in.
    pub(super) fn layout(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn need(&self, name: &str, script: &str) -> Result {
        let done = self.0.join(name);
        if done.join("index.json").is_file() {
            return Ok(());
        }
        println!("making the image {name}");
        let scratch = Scratch::new(Path::new("/var/tmp"), name)?;
        tool::shell(script, scratch.path())?;
        let mut tarballs: Vec<PathBuf> = fs::read_dir(scratch.path())
            .map_err(|error| error.to_string())?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        tarballs.sort();
        layout::write(&done, "v1", &tarballs)
    }

    /// Puts one into a registry.
    pub(super) fn push(&self, registry: &Server, name: &str) -> Result<String> {
        let image = format!("{}/bench/{name}:v1", registry.host);
        let from = format!("oci:{}:v1", text(&self.0.join(name)));
        let mut skopeo = command("skopeo", ["--insecure-policy", "copy", "--dest-tls-verify=false"]);
        run(skopeo.args([&from, &format!("docker://{image}")]))?;
        Ok(image)
    }

    pub(super) fn describe(&self, name: &str) -> Result<String> {
        let mut sizes = Vec::new();
        for entry in fs::read_dir(self.0.join(name).join("blobs/sha256")).map_err(|error| error.to_string())? {
            sizes.push(entry.and_then(|entry| entry.metadata()).map_err(|error| error.to_string())?.len());
        }
        let total: u64 = sizes.iter().sum();
        Ok(format!("{} blobs, {} MB compressed", sizes.len(), total / 1_000_000))
    }
}
