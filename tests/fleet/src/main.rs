//! Real fleets on both sides of a registry: providers and consumers of Dubbo for Java, of dubbo-go and of
//! ours, as processes of their own, through ZooKeeper, etcd and Nacos.
//!
//! `cargo xtask fleet [REGISTRY…] [--quick]`
//!
//! What the registry layer of a foreign consumer is told is compared with what is there, and so is our list of
//! the foreign providers, before and after restarts of either side and of the registry. Ours call ours all
//! the while, and no call may be lost; no call of theirs may come to one of ours, which could not answer it.
//! The last line is `fleet: N checks, 0 failed`.

mod api;
mod calls;
mod expected;
mod findings;
mod listed;
mod own;
mod peer;
mod scene;
mod server;
mod steps;
mod world;

use std::process::ExitCode;

use self::findings::Findings;
use self::server::Kind;

const USAGE: &str = "usage: fleet run [REGISTRY…] [--quick]   (zookeeper, etcd, nacos-2, nacos-3)";

/// What goes wrong with the harness itself: a message for a person.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(|word| &**word).collect();
    let done = match &words[..] {
        ["run", rest @ ..] => return run(rest).await,
        ["as-provider", url, application] => own::provide(url, application).await,
        ["as-consumer", url, application] => own::consume(url, application).await,
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fleet: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Each registry that is named, or all of them, one after the other.
async fn run(words: &[&str]) -> ExitCode {
    let quick = words.contains(&"--quick");
    let mut kinds = Vec::new();
    for word in words.iter().filter(|word| **word != "--quick") {
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == *word) else {
            eprintln!("there is no registry `{word}`\n{USAGE}");
            return ExitCode::from(2);
        };
        kinds.push(kind);
    }
    let mut findings = Findings::default();
    for kind in if kinds.is_empty() { Kind::ALL.to_vec() } else { kinds } {
        findings.begin(kind.name());
        if let Err(error) = steps::run(kind, &mut findings, quick).await {
            findings.note("it runs to its end", &error.to_string(), false);
        }
    }
    findings.close()
}
