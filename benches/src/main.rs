//! Measures an echo of Dubhe and of its peers from one harness.
//!
//! `run` starts a server and a client of each peer as processes of their own (this same program,
//! as `server` and `client`), pinned to a core each and free, and prints medians and ratios. All
//! peers get the same set-up: tokio's multi-thread runtime with its default number of workers (the
//! cores the process may use, so one when pinned), the system's allocator, `Bytes` as the payload,
//! one connection without Nagle's delay, and the fast settings each one documents.

mod cpu;
mod goals;
mod load;
mod machine;
mod peers;
mod plan;
mod process;
mod report;
mod results;

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::load::Load;
use crate::machine::Machine;
use crate::peers::{BoxError, Entry};
use crate::plan::{Placement, Plan};
use crate::report::History;

/// An echo of Dubhe and its peers, from one harness
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure and compare
    Run(Run),
    /// Serve one peer's echo (started by `run`)
    #[command(hide = true)]
    Server {
        #[arg(long, value_parser = peers::find)]
        peer: Entry,
    },
    /// Put one peer's server under load (started by `run`)
    #[command(hide = true)]
    Client(Client),
}

#[derive(Debug, Args)]
struct Run {
    /// Peers to compare [default: all]
    #[arg(long, value_delimiter = ',', value_parser = peers::find)]
    peers: Vec<Entry>,
    /// Numbers of callers on the one connection
    #[arg(long, value_delimiter = ',', default_value = "1,64,512", value_parser = at_least_one)]
    callers: Vec<usize>,
    /// Bytes of a body
    #[arg(long, value_delimiter = ',', default_value = "64,1024")]
    sizes: Vec<usize>,
    /// Runs of each peer, of which the medians are shown [default: 5, quick: 3]
    #[arg(long, value_parser = at_least_one)]
    runs: Option<usize>,
    /// Measured seconds of a run, after a third of that as warm-up [default: 3, quick: 1]
    #[arg(long, value_parser = seconds)]
    seconds: Option<f64>,
    /// Only with server and client on one core each
    #[arg(long, conflicts_with_all = ["free", "both"])]
    pinned: bool,
    /// Only with server and client wherever the kernel puts them
    #[arg(long, conflicts_with = "both")]
    free: bool,
    /// Pinned, then free (the default)
    #[arg(long)]
    both: bool,
    /// Fewer and shorter runs, for a first look
    #[arg(long)]
    quick: bool,
    /// Also write every run to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Client {
    #[arg(long, value_parser = peers::find)]
    peer: Entry,
    #[arg(long)]
    addr: SocketAddr,
    #[arg(long)]
    server: u32,
    #[arg(long, value_parser = at_least_one)]
    callers: usize,
    #[arg(long)]
    size: usize,
    #[arg(long, value_parser = seconds)]
    seconds: f64,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(run) => run.execute(),
        Command::Server { peer } => block_on((peer.serve)()),
        Command::Client(client) => client.execute(),
    };
    done.map_or_else(
        |error| {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

// === impl Run ===

impl Run {
    fn execute(self) -> Result<(), BoxError> {
        let json = self.json.clone();
        let plan = self.plan()?;
        let machine = Machine::look(&plan.peers);
        print!("{machine}{}", report::legend(&plan));
        let mut rows = Vec::new();
        for cell in plan.cells() {
            let measured = plan.measure(cell)?;
            print!("{}", report::table(cell, &measured));
            rows.extend(measured);
        }
        let goals = goals::judge(&rows);
        print!("{}", report::verdicts(&goals));
        if let Some(path) = json {
            let seconds = plan.seconds;
            report::write(
                &path,
                &History { machine: &machine, seconds, rows: &rows, goals: &goals },
            )?;
        }
        match rows.iter().map(|row| row.median.failures).sum::<usize>() {
            0 => Ok(()),
            failed => Err(format!("{failed} callers ended on a failed call").into()),
        }
    }

    fn plan(self) -> Result<Plan, BoxError> {
        let placements = match (self.pinned, self.free) {
            (true, _) => vec![Placement::Pinned],
            (_, true) => vec![Placement::Free],
            _ => vec![Placement::Pinned, Placement::Free],
        };
        if placements.contains(&Placement::Pinned) && machine::cores() < 2 {
            return Err("pinned runs need two cores, use --free".into());
        }
        let (runs, seconds) = if self.quick { (3, 1.0) } else { (5, 3.0) };
        Ok(Plan {
            peers: if self.peers.is_empty() { peers::builtin() } else { self.peers },
            placements,
            sizes: self.sizes,
            callers: self.callers,
            runs: self.runs.unwrap_or(runs),
            seconds: self.seconds.unwrap_or(seconds),
        })
    }
}

// === impl Client ===

impl Client {
    fn execute(self) -> Result<(), BoxError> {
        let load = Load {
            callers: self.callers,
            size: self.size,
            warm_up: plan::warm_up(self.seconds),
            measured: Duration::from_secs_f64(self.seconds),
            server: self.server,
        };
        let sample = block_on((self.peer.drive)(self.addr, load))?;
        println!("{}", serde_json::to_string(&sample)?);
        Ok(())
    }
}

/// Runs a child's part on the runtime that all peers get.
fn block_on<T>(part: impl Future<Output = Result<T, BoxError>>) -> Result<T, BoxError> {
    process::end_with_parent();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(part)
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("a whole number from 1 is needed".to_owned()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("0.1 to 3600 seconds are needed".to_owned()),
    }
}
