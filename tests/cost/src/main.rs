//! Makes or answers calls in one thread, without sockets and with a clock that stands still.
//!
//! `dubhe-cost client|server CODEC IN-FLIGHT CALLS`
//!
//! One side is real and whole, the other replays frames that the real one has sent before. Two runs
//! with different numbers of calls differ by the cost of calls alone. `cargo xtask cost` counts that
//! under callgrind, which this program knows nothing of.

mod client;
mod recording;
mod replay;
mod server;
mod service;
mod wire;

use std::process::ExitCode;

use self::recording::Recording;

const USAGE: &str = "usage: dubhe-cost client|server CODEC IN-FLIGHT CALLS";

/// What goes wrong: a message for a person.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How many calls are made, and how many of them at a time.
#[derive(Debug, Clone, Copy)]
struct Load {
    in_flight: u64,
    calls: u64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dubhe-cost: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), BoxError> {
    let [side, codec, in_flight, calls] = arguments else { return Err(USAGE.into()) };
    let load = Load { in_flight: in_flight.parse()?, calls: calls.parse()? };
    // Nothing here reads a socket, yet the set-up asks for a runtime that could.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(async {
        let recording = Recording::make(codec).await?;
        match &**side {
            "client" => client::run(codec, recording, load).await,
            "server" => server::run(codec, recording, load).await,
            _ => Err(USAGE.into()),
        }
    })
}
