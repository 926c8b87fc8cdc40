//! Copies an image, or an index whole, from anywhere to anywhere: `cargo run --example copy -- SOURCE TARGET`.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use gantri::{Client, Extent, Location, Referrers};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let source: Location = arguments.next().ok_or("which image?")?.parse()?;
    let target: Location = arguments.next().ok_or("where to?")?.parse()?;

    // With its signatures and bills of material.
    let extent = Extent::default().referrers(Referrers::Follow);
    for copied in Client::builder().build()?.copy(&[(source, target)], &extent).await? {
        println!("{}: {} blobs sent, {} mounted", copied.manifest.digest, copied.sent.count, copied.mounted.count);
    }
    Ok(())
}
