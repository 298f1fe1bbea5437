//! A small fleet on one machine, and what happens when parts of it die.
//!
//! `cargo run --release --example quickstart [-- --codec protobuf|msgpack|json]`
//!
//! Starts a registry, three providers and a consumer as processes of their own on loopback, calls
//! for about ten seconds, kills one provider and then the registry with SIGKILL, brings both back,
//! and shows who served what. Exits with 0 only if no call failed and the faults really happened.

#![allow(unreachable_pub, reason = "a program for people to read")]

mod api;
mod consumer;
mod fleet;
mod ledger;
mod provider;
mod registry;
mod story;

use std::process::ExitCode;

const USAGE: &str = "usage: quickstart [--codec protobuf|msgpack|json] [--seconds N] [--callers N]";

/// What a person can ask for.
#[derive(Debug, Clone)]
struct Options {
    codec: String,
    seconds: u64,
    callers: usize,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self { codec: "protobuf".into(), seconds: 10, callers: 64 };
        let mut args = args.iter();
        while let Some(name) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{name} wants a value"));
            let number = |text: &String, least: u64| match text.parse() {
                Ok(number) if number >= least && number <= 100_000 => Ok(number),
                _ => Err(format!("{name} wants a number from {least}, got `{text}`")),
            };
            match name.as_str() {
                "--codec" => options.codec.clone_from(value()?),
                "--seconds" => options.seconds = number(value()?, 6)?,
                "--callers" => options.callers = number(value()?, 1)? as usize,
                "--help" | "-h" => return Err(String::new()),
                other => return Err(format!("unknown argument `{other}`")),
            }
        }
        Ok(options)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let role = match args.first().map(String::as_str) {
        Some("as-registry") => registry::run(&args[1..]).await,
        Some("as-provider") => provider::run(&args[1..]).await,
        Some("as-consumer") => consumer::run(&args[1..]).await,
        _ => return tell(&args).await,
    };
    match role {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart {}: {error}", args[0]);
            ExitCode::FAILURE
        }
    }
}

/// The part a person starts: it directs the others.
async fn tell(args: &[String]) -> ExitCode {
    let options = match Options::parse(args) {
        Ok(options) => options,
        Err(error) => {
            if !error.is_empty() {
                eprintln!("quickstart: {error}");
            }
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let told = tokio::select! {
        told = story::tell(&options) => told,
        // The fleet is dropped on the way out, and ends with it.
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    };
    match told {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What a role fails with: a message for a person.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Waits until the process that started this one is gone or tells it to end: the far end of
/// standard input closes in both cases.
async fn parent_gone() {
    let (done, gone) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop(done);
    });
    let _ = gone.await;
}
