//! `quickstart`: the whole job, step by step, against a registry of its own.
//!
//! Each step is printed as the command line that does it by hand, and then done through the same verbs.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::TryStreamExt;
use gantri::server::{Server, ServerOptions};
use gantri::spec::Tag;
use gantri::{Error, ErrorKind, LayoutPath, Location, Memory, NoObserver, Reference};

use crate::args::Global;
use crate::commands::build::refuse_inside;
use crate::commands::verify;
use crate::context::{Context, Settings, reference};
use crate::failure::Failure;
use crate::output;

/// What is packed unless directories are named: two that lie in this repository.
const LAYERS: [&str; 2] = ["docs", "crates/gantri/examples"];

/// Starts a registry in memory and runs every step against it.
pub(crate) async fn run(global: &Global, layers: Vec<PathBuf>) -> Result<(), Failure> {
    let layers = if layers.is_empty() { LAYERS.map(PathBuf::from).to_vec() } else { layers };
    if let Some(missing) = layers.iter().find(|dir| !dir.is_dir()) {
        let what = format!("quickstart: {} is no directory", missing.display());
        let hint = "run it from the top of the repository, or name the directories to pack";
        return Err(Failure::Usage(Error::new(ErrorKind::Config, what).with_hint(hint)));
    }
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = Server::bind(anywhere, Arc::new(Memory::new()), ServerOptions::default()).await?;
    let address = server.local_addr();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = server.run(async {
        // Dropped or told, it is time to stop.
        let _ = stopped.await;
    });
    let steps = async {
        let result = steps(global, address, &layers).await;
        drop(stop);
        result
    };
    let (ended, result) = futures_util::join!(serving, steps);
    result.and(ended.map_err(Failure::from))
}

async fn steps(global: &Global, address: SocketAddr, layers: &[PathBuf]) -> Result<(), Failure> {
    let context = Context::with_observer(global, Settings::default(), Arc::new(NoObserver))?;
    // Removed again if a step fails; kept if all went well.
    let place = tempfile::Builder::new()
        .prefix("gantri-quickstart-")
        .tempdir()
        .map_err(|error| Error::io("make a directory for the quickstart", error))?;
    let here = place.path();
    refuse_inside(layers, here)?;
    let image = reference(&format!("{address}/quickstart/app:v1"))?;
    step(&format!("serve --listen {address}"), "a registry in memory, on a free loopback port").await?;

    let made = LayoutPath::new(here.join("made")).with_tag(tag(&image));
    step(&format!("build {made} {}", words(layers)), "directories as the layers of an image").await?;
    let built = context.client.build(layers, &made.clone().into()).await?;
    output::line(&format!("{} with {} layers", built.digest, layers.len())).await?;

    step(&format!("push {made} {image}"), "to the registry").await?;
    context.client.push(&made.into(), &image).await?;
    step(&format!("tags {address}/quickstart/app"), "what it has").await?;
    let tags: Vec<Tag> = context.client.tags(&Location::from(image.clone())).await?.try_collect().await?;
    output::line(&tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(" ")).await?;

    let pulled = LayoutPath::new(here.join("pulled")).with_tag(tag(&image));
    step(&format!("pull {image} {pulled}"), "back, into an image layout").await?;
    let manifest = context.client.pull(&image.clone().into(), &pulled.into()).await?.manifest;
    if manifest.digest != built.digest {
        return Err(differs(format!("pulled {}, but built {}", manifest.digest, built.digest)));
    }
    output::line(&format!("{}, every byte verified", manifest.digest)).await?;

    let tree = here.join("rootfs");
    step(&format!("unpack {image} {}", tree.display()), "to a root file system").await?;
    let unpacked = context.client.unpack(&image.into(), &tree).await?;
    output::line(&format!("{} entries, {} bytes", unpacked.entries, unpacked.bytes)).await?;

    let files = check(layers, &tree)?;
    // Out of the way of whoever now takes the same step by hand.
    let kept = here.join("tree");
    std::fs::rename(&tree, &kept).map_err(|error| Error::io(format!("move {}", tree.display()), error))?;
    output::line(&format!("\nchecked {files} files, all as they were; the tree is in {}", kept.display())).await?;
    let by_hand = "to do it by hand, let the first line, gantri serve, run beside the others";
    output::line(&format!("{by_hand}; {} may be removed when you like", here.display())).await?;
    let _kept = place.keep();
    Ok(())
}

/// Compares the tree with what was packed.
fn check(layers: &[PathBuf], tree: &Path) -> Result<usize, Failure> {
    verify::stacked(layers, tree).map_err(differs)
}

fn differs(what: impl std::fmt::Display) -> Failure {
    Error::new(ErrorKind::DigestMismatch, format!("quickstart: {what}")).into()
}

fn tag(image: &Reference) -> Tag {
    image.tag().cloned().unwrap_or_else(Tag::latest)
}

fn words(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
}

async fn step(line: &str, meaning: &str) -> std::io::Result<()> {
    output::line(&format!("\n# {meaning}\n$ gantri {line}")).await
}
