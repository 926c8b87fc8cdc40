//! Fetches an image into an image layout or an archive: `cargo run --example pull -- REF oci:DIR`.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use gantri::{Client, Location};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let source: Location = arguments.next().ok_or("which image?")?.parse()?;
    let target: Location = arguments.next().ok_or("into which oci:DIR, or which archive?")?.parse()?;

    let pulled = Client::builder().build()?.pull(&source, &target).await?;
    println!("{} is now {}", pulled.manifest.digest, pulled.target);
    Ok(())
}
