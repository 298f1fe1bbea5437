//! A consumer as a program of its own; start the provider first or later, it waits.
//!
//! `cargo run --example greeter-consumer [-- NAME]`

#![allow(unreachable_pub, reason = "a program for people to read")]

mod api;

use std::time::Duration;

use api::{Greeter, GreeterClient};
use dubhe::prelude::*;

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "bob".to_owned());
    let greeter = GreeterClient::connect("dev://").await?;
    // A provider that has not come up yet is waited for within the call's time.
    let patient = greeter.with(CallOptions::new().timeout(Duration::from_secs(10)));
    println!("{}", patient.hello(name).await?);
    Ok(())
}
