//! Measures what long and many lists cost, with a registry, a provider and a consumer as processes of
//! their own: the time from a change to the list that has it, memory, CPU, and what a long list does to
//! the calls that run meanwhile. Figures are held to limits: the last line says how many are missed, which is a
//! failure.
//!
//! `cargo xtask bench registry [--registry zookeeper|etcd|nacos|URL] [--quick]`; with `newcomers` as its first word it
//! measures many providers that come at once instead, `--count` of them.

mod consumer;
mod limits;
mod measure;
mod measured;
mod newcomers;
mod parts;
mod provider;
mod role;
mod server;

use std::process::ExitCode;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: scale run [--registry zookeeper|etcd|nacos|URL] [--quick], or \
                     scale run newcomers [--registry zookeeper|etcd|nacos|URL] [--count N]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(|word| &**word).collect();
    let done = tokio::runtime::Runtime::new().map_err(BoxError::from).and_then(|runtime| {
        runtime.block_on(async {
            match &words[..] {
                ["run", "newcomers", rest @ ..] => return newcomers::measure(rest).await,
                ["run", rest @ ..] => return parts::run(rest).await,
                ["as-server"] => server::run().await,
                ["as-provider", url] => provider::run(url).await,
                ["as-filler", url] => provider::fill_on_orders(url).await,
                ["as-newcomers", url] => newcomers::run(url).await,
                ["as-consumer", url] => consumer::run(url).await,
                _ => Err(USAGE.into()),
            }
            .map(|()| ExitCode::SUCCESS)
        })
    });
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("scale: {error}");
            ExitCode::FAILURE
        }
    }
}
