//! A registry before another, to be read only: `cargo run --example proxy --features server -- ORIGIN [MIRROR...]`.
//!
//! What is asked for by digest comes from the first mirror that has it, and everything else from the origin.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::sync::Arc;

use gantri::Remote;
use gantri::core::filter::{Fallback, ReadOnly};
use gantri::server::{Server, ServerOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut hosts = std::env::args().skip(1);
    let origin = hosts.next().ok_or("which registry?")?;
    let mut registry = Fallback::new(Remote::builder(origin.parse()?).build()?);
    for mirror in hosts {
        registry = registry.with_mirror(Arc::new(Remote::builder(mirror.parse()?).build()?));
    }
    let server =
        Server::bind("127.0.0.1:0".parse()?, Arc::new(ReadOnly::new(registry)), ServerOptions::default()).await?;
    println!("{}", server.url());
    server.run(async { drop(tokio::signal::ctrl_c().await) }).await?;
    Ok(())
}
