//! The `dubhe` command: a registry to run, services to see, to call, to explain and to measure.
//!
//! It uses the public interface of `dubhe` only. Each subcommand is a file; `options.rs` is what
//! all take, `output.rs` how all print, `failure.rs` how all fail. Results go to standard output,
//! everything else to standard error.

mod bench;
mod call;
mod completions;
mod config;
mod explain;
mod failure;
mod input;
mod latency;
mod ls;
mod options;
mod output;
mod registry;
mod target;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;
use crate::options::Options;

const EXIT_CODES: &str = "\
Exit codes:
  0  it worked
  1  somebody was asked, and it failed
  2  the command line, the configuration or the arguments are wrong; nothing was called";

/// See, call, explain and measure services.
#[derive(Debug, Parser)]
#[command(name = "dubhe", version, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Registry(registry::Registry),
    Ls(ls::Ls),
    Call(call::Call),
    Explain(explain::Explain),
    Config(config::Config),
    Bench(bench::Bench),
    Completions(completions::Completions),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { options, command } = Cli::parse();
    let result = run(&options, command).await;
    result.map_or_else(|failure| failure.report(&options), |()| ExitCode::SUCCESS)
}

async fn run(options: &Options, command: Command) -> Outcome {
    options.listen_to_log()?;
    match command {
        Command::Registry(registry) => registry.run(options).await,
        Command::Ls(ls) => ls.run(options).await,
        Command::Call(call) => call.run(options).await,
        Command::Explain(explain) => explain.run(options).await,
        Command::Config(config) => config.run(options),
        Command::Bench(bench) => bench.run(options).await,
        Command::Completions(completions) => completions.run(),
    }
}

/// What a subcommand comes to.
type Outcome = Result<(), Failure>;
