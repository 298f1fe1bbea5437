//! A provider as a program of its own.
//!
//! `cargo run --example greeter-provider`, then in another terminal
//! `cargo run --example greeter-consumer`, or
//! `curl -d '["bob"]' http://127.0.0.1:20880/Greeter/hello`

#![allow(unreachable_pub, reason = "a program for people to read")]

mod api;
#[path = "../command_line.rs"]
mod command_line;
#[path = "../logging.rs"]
mod logging;

use api::{Greeter, GreeterServer};
use dubhe::prelude::*;

struct Me;

impl Greeter for Me {
    async fn hello(&self, name: String) -> Result<String> {
        Ok(format!("hi {name}"))
    }
}

#[tokio::main]
async fn main() -> std::result::Result<(), dubhe::Error> {
    command_line::expect_nothing("greeter-provider");
    logging::begin(logging::Level::INFO);
    let provider = Provider::new("dev://").serve(GreeterServer::new(Me));
    let running = provider.start().await?;
    println!("ready {}", running.address());
    running.run().await?;
    Ok(())
}
