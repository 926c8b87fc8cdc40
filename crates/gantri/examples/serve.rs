//! Serves a registry in memory until Ctrl-C: `cargo run --example serve --features server`.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::sync::Arc;

use gantri::Memory;
use gantri::server::{Server, ServerOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = "127.0.0.1:0".parse()?;
    let server = Server::bind(address, Arc::new(Memory::new()), ServerOptions::default()).await?;
    println!("{}", server.url());
    server.run(async { drop(tokio::signal::ctrl_c().await) }).await?;
    Ok(())
}
