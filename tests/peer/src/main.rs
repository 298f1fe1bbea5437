//! Either end of a conversation: `peer provide` serves until its input ends and prints its address,
//! `peer consume ADDRESS` holds a provider to everything that travels and exits with 0 if all of it
//! arrived.
//!
//! `cargo xtask previous` builds it at this commit and at the one before, and has each talk to the
//! other. What it says uses the public API alone, so that each commit builds its own.

mod api;
mod consume;
mod provide;

use std::process::ExitCode;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.iter().map(|word| &**word).collect::<Vec<_>>()[..] {
        ["provide"] => provide::run().await,
        ["consume", address] => consume::run(address).await,
        _ => Err("usage: peer provide | peer consume ADDRESS".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer: {error}");
            ExitCode::FAILURE
        }
    }
}
