//! `serve`: a registry over HTTP until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use gantri::server::{Server, ServerOptions};
use gantri::{Error, Layout, Memory, Registry};

use crate::args::Global;
use crate::context::usage;
use crate::failure::Failure;
use crate::output;
use crate::signal::Interrupt;

/// Serves memory, or the directory, and prints the URL once it answers.
pub(crate) async fn run(
    _global: &Global,
    listen: &str,
    dir: Option<PathBuf>,
    mut interrupt: Interrupt,
) -> Result<(), Failure> {
    let address: SocketAddr = listen
        .parse()
        .map_err(|_| usage(format!("--listen {listen:?}: an address and a port are wanted, such as 127.0.0.1:5000")))?;
    let registry: Arc<dyn Registry> = match dir {
        Some(dir) => Arc::new(Layout::tree(&dir).await.map_err(|error| serving(&dir.display(), error))?),
        None => Arc::new(Memory::new()),
    };
    let server = Server::bind(address, registry, ServerOptions::default()).await?;
    output::line(server.url().as_bytes())?;
    let stop = async move {
        interrupt.cause().await;
    };
    Ok(server.run(stop).await?)
}

fn serving(what: &dyn std::fmt::Display, error: Error) -> Failure {
    error.during(format_args!("serve {what}")).into()
}
