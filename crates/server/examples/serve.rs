//! An empty registry in memory, on a free loopback port: prints its URL and serves until Ctrl-C.
//!
//! ```text
//! cargo run -p gantri-server --example serve
//! skopeo copy --dest-tls-verify=false oci:DIR:TAG docker://127.0.0.1:PORT/a/b:v1
//! ```

use std::sync::Arc;

use gantri_core::Memory;
use gantri_server::{Server, ServerOptions};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the URL is what this program is asked for")]
async fn main() -> gantri_core::Result<()> {
    let loopback = ([127, 0, 0, 1], 0).into();
    let server = Server::bind(loopback, Arc::new(Memory::new()), ServerOptions::default()).await?;
    println!("{}", server.url());
    server.run(async { tokio::signal::ctrl_c().await.unwrap_or_default() }).await
}
