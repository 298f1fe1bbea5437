//! A small fleet on one machine, and what happens when parts of it die.
//!
//! `cargo run --release --example quickstart [-- --codec protobuf|msgpack|json --seconds N --callers N
//! --registry URL]`
//!
//! Starts a registry, three providers and a consumer as processes of their own on loopback, calls
//! for about ten seconds, kills one provider and then the registry with SIGKILL, brings both back,
//! and shows who served what. Exits with 0 only if no call failed and the faults really happened.

#![allow(unreachable_pub, reason = "a program for people to read")]

mod api;
mod consumer;
mod fleet;
mod ledger;
#[path = "../logging.rs"]
mod logging;
mod provider;
mod registry;
mod story;

use std::process::ExitCode;

use dubhe::config::{Config, Layer, Origin, Setting, Sources};

const USAGE: &str = "usage: quickstart [--codec protobuf|msgpack|json] [--seconds N] [--callers N] \
                     [--registry URL]";

/// What a person can ask for.
#[derive(Debug, Clone)]
struct Options {
    codec: String,
    seconds: u64,
    callers: usize,
    /// A registry that runs already, in place of one of its own; it is not killed.
    registry: Option<String>,
    /// The same without passwords.
    registry_shown: String,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self {
            codec: "protobuf".into(),
            seconds: 10,
            callers: 64,
            registry: None,
            registry_shown: String::new(),
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let (name, given) = match arg.split_once('=') {
                Some((name, given)) => (name, Some(given.to_owned())),
                None => (arg.as_str(), None),
            };
            let mut value = || match given.clone().or_else(|| args.next().cloned()) {
                Some(value) => Ok(value),
                None => Err(format!("{name} wants a value")),
            };
            let number = |text: String, least: u64| match text.parse() {
                Ok(number) if number >= least && number <= 100_000 => Ok(number),
                _ => Err(format!("{name} wants a number from {least}, got `{text}`")),
            };
            match name {
                "--codec" => options.codec = codec(value()?)?,
                "--seconds" => options.seconds = number(value()?, 6)?,
                "--callers" => options.callers = number(value()?, 1)? as usize,
                "--registry" => {
                    let address = value()?;
                    options.registry_shown =
                        registries(&address).map_err(|error| error.to_string())?;
                    options.registry = Some(address);
                }
                other => return Err(format!("unknown argument `{other}`")),
            }
        }
        Ok(options)
    }
}

/// One registry or several, as a configuration takes them, without passwords.
fn registries(address: &str) -> Result<String, dubhe::Error> {
    let layer = Layer::new().argument("--registry", "registry.address", address);
    let sources = Sources { builder: layer, ..Sources::default() };
    let consumer = dubhe::Consumer::builder().sources(sources).build()?;
    Ok(consumer.config().registry.address.to_string())
}

fn codec(name: String) -> Result<String, String> {
    const CODECS: [&str; 3] = ["protobuf", "msgpack", "json"];
    match CODECS.contains(&&*name) {
        true => Ok(name),
        false => Err(dubhe::Error::unknown_name("codec", &name, CODECS).to_string()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    // Faults are what this is about: what they make the processes say would drown the story.
    logging::begin(logging::Level::ERROR);
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (role, parent) = (args.first().map(String::as_str), std::os::unix::process::parent_id());
    let ended = match role {
        Some("as-registry") => registry::run(&args[1..]).await,
        Some("as-provider") => provider::run(&args[1..]).await,
        Some("as-consumer") => consumer::run(&args[1..]).await,
        _ => return tell(&args).await,
    };
    if std::os::unix::process::parent_id() != parent {
        // Killed before it could clean up. The last of us to end leaves nothing behind.
        let _ = fleet::folder_of_parent().map(std::fs::remove_dir_all);
        return ExitCode::FAILURE;
    }
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart {}: {error}", args[0]);
            ExitCode::FAILURE
        }
    }
}

/// The part a person starts: it directs the others.
async fn tell(args: &[String]) -> ExitCode {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let options = match Options::parse(args) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("quickstart: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = leave_out() {
        eprintln!("quickstart: {error}");
        return ExitCode::from(2);
    }
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

/// Says which settings of the reader's own are left out, so that the story is the same for all. One
/// that no program of ours would take is an error here, too.
fn leave_out() -> Result<(), dubhe::Error> {
    let config = Config::load(Sources::of_process(Layer::new())?)?;
    let own = config.sources().into_iter().filter(|setting| setting.origin != Origin::Default);
    for Setting { key, origin, .. } in own {
        eprintln!("quickstart: {key} is left out here ({origin})");
    }
    Ok(())
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
