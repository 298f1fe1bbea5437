//! The `dubhe` command: a registry to run, services to see, to call, to explain and to measure.
//!
//! It uses the public interface of `dubhe` only. Each subcommand is a file. They share `options.rs`
//! (options), `output.rs` (printing), `status.rs` (outcomes of calls) and `failure.rs` (exit codes).
//! Results go to standard output, everything else to standard error.

mod bench;
mod call;
mod completions;
mod config;
mod consumers;
mod counted;
mod diff;
mod doctor;
mod explain;
mod failure;
mod idl;
mod input;
mod latency;
mod log;
mod ls;
mod methods;
mod options;
mod ordered;
mod output;
mod registry;
mod status;
mod strict;
mod target;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use serde_json::json;
use tokio::runtime::Runtime;

use crate::failure::{CommandResult, Failure, FailureKind};
use crate::options::Options;
use crate::status::{status_json, status_text};

/// How long what is written to disk may take at the end.
const WRITES: Duration = Duration::from_secs(1);

const EXIT_CODES: &str = "\
Exit codes:
  0  it worked
  1  a provider or registry was asked, and it failed
  2  the command line, the configuration or the arguments are wrong; nothing was called
  3  `diff` has found what breaks";

/// See, call, explain and measure services, and find out what is wrong.
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
    Registry(registry::RegistryCommand),
    Ls(ls::LsCommand),
    Idl(idl::IdlCommand),
    Diff(diff::DiffCommand),
    Call(call::CallCommand),
    Explain(explain::ExplainCommand),
    Doctor(doctor::DoctorCommand),
    Config(config::ConfigCommand),
    Bench(bench::BenchCommand),
    Completions(completions::CompletionsCommand),
}

fn main() -> ExitCode {
    let Cli { options, command } = Cli::parse();
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::failed(format!("cannot start the runtime: {error}"));
            return report(&failure, options.json);
        }
    };
    let outcome = runtime.block_on(run(command, &options));
    // Lists are written to the end; nobody waits for the look-up of a name that has no answer, which
    // holds its thread for half a minute.
    runtime.shutdown_timeout(WRITES);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure, options.json),
    }
}

async fn run(command: Command, options: &Options) -> CommandResult {
    log::listen(options.verbose)?;
    match command {
        Command::Registry(registry) => registry.run(options).await,
        Command::Ls(ls) => ls.run(options).await,
        Command::Idl(idl) => idl.run(options).await,
        Command::Diff(diff) => diff.run(options).await,
        Command::Call(call) => call.run(options).await,
        Command::Explain(explain) => explain.run(options).await,
        Command::Doctor(doctor) => doctor.run(options).await,
        Command::Config(config) => config.run(options).await,
        Command::Bench(bench) => bench.run(options).await,
        Command::Completions(completions) => completions.run(),
    }
}

/// Prints the failure, and gives the code to exit with.
fn report(failure: &Failure, as_json: bool) -> ExitCode {
    let printed = match &failure.kind {
        FailureKind::Told => Ok(()),
        FailureKind::Unread => return ExitCode::SUCCESS,
        FailureKind::Text(text) if as_json => {
            output::json(&json!({ "error": { "message": text } }))
        }
        FailureKind::Call(status) if as_json => {
            output::json(&json!({ "error": status_json(status) }))
        }
        FailureKind::Text(text) => output::aside("error", text),
        FailureKind::Call(status) => output::aside("error", &status_text(status)),
    };
    // Nobody listens; the code is all that is left to say.
    drop(printed);
    ExitCode::from(failure.code)
}
