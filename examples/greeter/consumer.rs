//! A consumer as a program of its own; start the provider first or later: it says that it waits.
//!
//! `cargo run --example greeter-consumer [-- NAME]`

#![allow(unreachable_pub, reason = "a program for people to read")]

mod api;
#[path = "../logging.rs"]
mod logging;

use std::time::Duration;

use api::{Greeter, GreeterClient};
use dubhe::Delivery;
use dubhe::prelude::*;
use tokio::time::Instant;

/// How long a provider is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    logging::begin(logging::Level::WARN);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = match &arguments[..] {
        [] => "bob".to_owned(),
        [name] if !name.starts_with('-') => name.clone(),
        _ => {
            eprintln!("usage: greeter-consumer [NAME]");
            std::process::exit(2);
        }
    };
    let greeter = GreeterClient::connect("dev://").await?;
    let begun = Instant::now();
    let mut waiting = false;
    let greeting = loop {
        match greeter.hello(name.clone()).await {
            // There is nobody to send it to. A program that serves others would go on and fail.
            Err(status) if is_lonely(&status) && begun.elapsed() < PATIENCE => {
                if !std::mem::replace(&mut waiting, true) {
                    eprintln!("waiting at most {PATIENCE:?} for a provider: {}", status.message());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            outcome => break outcome?,
        }
    };
    println!("{greeting}");
    Ok(())
}

fn is_lonely(status: &Status) -> bool {
    let code = status.code();
    status.delivery() == Delivery::NotSent
        && (code == Code::Unavailable || code == Code::DeadlineExceeded)
}
