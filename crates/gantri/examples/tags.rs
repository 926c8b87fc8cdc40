//! Lists the tags of a repository as they come: `cargo run --example tags -- HOST/NAME`.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use futures_util::TryStreamExt;
use gantri::{Client, Location};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let repository: Location = std::env::args().nth(1).ok_or("which repository?")?.parse()?;
    let mut tags = Client::builder().build()?.tags(&repository).await?;
    while let Some(tag) = tags.try_next().await? {
        println!("{tag}");
    }
    Ok(())
}
