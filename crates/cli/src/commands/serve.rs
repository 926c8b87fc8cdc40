//! `serve`: a registry over HTTP until it is told to stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantri::server::{Server, ServerOptions};
use gantri::{Error, ErrorKind, Layout, Memory, Registry};

use crate::context::usage;
use crate::failure::Failure;
use crate::output;
use crate::signal::Interrupt;

/// Serves memory, or the directory, and prints the URL once it answers.
pub(crate) async fn run(listen: &str, dir: Option<PathBuf>, mut interrupt: Interrupt) -> Result<(), Failure> {
    let address: SocketAddr = listen
        .parse()
        .map_err(|_| usage(format!("--listen {listen:?}: an address and a port are wanted, such as 127.0.0.1:5000")))?;
    let registry: Arc<dyn Registry> = match dir {
        Some(dir) => Arc::new(Layout::tree(&dir).await.map_err(|error| serving(&dir, error))?),
        None => Arc::new(Memory::new()),
    };
    let server = Server::bind(address, registry, ServerOptions::default()).await?;
    output::line(&server.url()).await?;
    let stop = async move {
        interrupt.cause().await;
    };
    Ok(server.run(stop).await?)
}

fn serving(dir: &Path, error: Error) -> Failure {
    let hint = match error.kind() {
        ErrorKind::Conflict => "serve the directory above it: each image layout below that is a repository",
        _ => "name a directory that can be read and written, or none to serve from memory",
    };
    error.during(format_args!("serve {}", dir.display())).with_hint(hint).into()
}
