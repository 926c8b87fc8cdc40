//! An image layout written by hand out of layer tarballs, with no code of the crates under test but their digests.

use std::path::Path;

use gantri_spec::{Algorithm, Digest};
use serde_json::{Value, json};

use crate::tool::{Result, command, run};

/// Compresses each tarball with `gzip`, and writes a layout of one image, tagged `tag`, that has them as its layers.
pub(crate) fn write(dir: &Path, tag: &str, tarballs: &[std::path::PathBuf]) -> Result {
    let io = |error: std::io::Error| format!("write the layout {}: {error}", dir.display());
    std::fs::create_dir_all(dir.join("blobs/sha256")).map_err(io)?;
    let mut diff_ids = Vec::new();
    let mut layers = Vec::new();
    for tarball in tarballs {
        diff_ids.push(digest_of(tarball)?);
        run(command("gzip", ["-n", "-6"]).arg(tarball))?;
        let packed = tarball.with_extension("tar.gz");
        let digest = digest_of(&packed)?;
        let size = std::fs::metadata(&packed).map_err(io)?.len();
        std::fs::rename(&packed, blob_path(dir, &digest)).map_err(io)?;
        layers.push(descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &digest, size));
    }
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": layers.iter().map(|_| json!({"created_by": "xtask"})).collect::<Vec<_>>(),
    });
    let config = put(dir, "application/vnd.oci.image.config.v1+json", &config)?;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config, "layers": layers,
    });
    let mut manifest = put(dir, "application/vnd.oci.image.manifest.v1+json", &manifest)?;
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
    std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).map_err(io)?;
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    std::fs::write(dir.join("index.json"), index.to_string()).map_err(io)
}

fn put(dir: &Path, media_type: &str, document: &Value) -> Result<Value> {
    let bytes = document.to_string();
    let digest = Digest::of(bytes.as_bytes());
    let path = blob_path(dir, &digest);
    std::fs::write(&path, &bytes).map_err(|error| format!("write {}: {error}", path.display()))?;
    Ok(descriptor(media_type, &digest, bytes.len() as u64))
}

fn descriptor(media_type: &str, digest: &Digest, size: u64) -> Value {
    json!({"mediaType": media_type, "digest": digest.as_str(), "size": size})
}

fn blob_path(dir: &Path, digest: &Digest) -> std::path::PathBuf {
    dir.join("blobs").join(digest.algorithm_name()).join(digest.encoded())
}

/// The sha256 of a file, read in pieces.
pub(crate) fn digest_of(path: &Path) -> Result<Digest> {
    use std::io::Read;
    let io = |error: std::io::Error| format!("read {}: {error}", path.display());
    let mut hasher = Algorithm::Sha256.hasher().ok_or("no sha256")?;
    let mut file = std::fs::File::open(path).map_err(io)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&buffer[..count]),
        }
    }
}
