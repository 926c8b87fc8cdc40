//! Unpacks an image to a root file system: `cargo run --example unpack -- REF DIR`.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::path::PathBuf;

use gantri::{Client, Location};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let image: Location = arguments.next().ok_or("which image?")?.parse()?;
    let dir: PathBuf = arguments.next().ok_or("to which directory?")?.into();

    let unpacked = Client::builder().build()?.unpack(&image, &dir).await?;
    println!("{}: {} entries, {} bytes", unpacked.manifest, unpacked.entries, unpacked.bytes);
    for notice in &unpacked.notices {
        println!("note: {notice}");
    }
    Ok(())
}
