//! Typed business errors: what a provider returns arrives at the caller as the same value, and what
//! the framework has to say has a place in the same type.
//!
//! `cargo run --example errors`; exits with 0 only if every outcome is the expected one.

#![allow(unreachable_pub, reason = "a program for people to read")]

#[path = "../command_line.rs"]
mod command_line;
#[path = "../logging.rs"]
mod logging;

use std::time::Duration;

use dubhe::Delivery;
use dubhe::prelude::*;

/// Why a transfer was not made.
#[dubhe::error]
#[derive(Debug, PartialEq)]
enum TransferError {
    /// The text that people read comes from `message`, the code that other languages see from `code`.
    #[rpc(code = "not_found", message = "there is no account `{0}`")]
    NoAccount(String),
    #[rpc(message = "{account} lacks {missing} cents")]
    Short { account: String, missing: u64 },
    /// What is no business error: timeouts, no provider, a panic.
    #[rpc(status)]
    Status(Status),
}

#[dubhe::service(name = "bank.Transfers")]
trait Transfers {
    /// Moves cents from one account to another; what is left on the first.
    async fn transfer(&self, from: String, to: String, cents: u64) -> Result<u64, TransferError>;
}

struct Bank;

impl Transfers for Bank {
    async fn transfer(&self, from: String, to: String, cents: u64) -> Result<u64, TransferError> {
        const ALICE_HAS: u64 = 500;
        for account in [&from, &to] {
            match account.as_str() {
                "alice" | "bob" => {}
                // A `Status` goes through `?`: it becomes the variant marked `status`.
                "slow" => tokio::time::sleep(Duration::from_secs(60)).await,
                "" => Err(Status::invalid_argument("name both accounts"))?,
                other => return Err(TransferError::NoAccount(other.to_owned())),
            }
        }
        match ALICE_HAS.checked_sub(cents) {
            Some(left) => Ok(left),
            None => Err(TransferError::Short { account: from, missing: cents - ALICE_HAS }),
        }
    }
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    command_line::expect_nothing("errors");
    logging::begin(logging::Level::WARN);
    let provider = Provider::new("memory://errors").set("provider.port", 0);
    let running = provider.set("provider.notice", "0s").serve(TransfersServer::new(Bank));
    let running = running.start().await?;
    let bank = TransfersClient::connect("memory://errors").await?;
    let bank = bank.with(CallOptions::new().timeout(Duration::from_millis(300)));

    println!("alice has 500 cents");
    let mut unexpected = 0;
    for (from, to, cents) in [
        ("alice", "bob", 200),
        ("alice", "eve", 200),
        ("alice", "bob", 700),
        ("alice", "", 200),
        ("alice", "slow", 200),
    ] {
        let outcome = bank.transfer(from.into(), to.into(), cents).await;
        let (text, is_expected) = match (&outcome, to) {
            (Ok(left), "bob") => (format!("done, {left} cents left"), *left == 300),
            (Err(TransferError::NoAccount(who)), "eve") => {
                (format!("not done: there is no account {who}"), who == to)
            }
            (Err(TransferError::Short { missing, .. }), "bob") => {
                (format!("not done: {missing} cents are missing"), *missing == 200)
            }
            (Err(TransferError::Status(status)), "") => (
                format!("not done: {}: {}", status.code(), status.message()),
                status.code() == Code::InvalidArgument && status.delivery() == Delivery::Answered,
            ),
            (Err(TransferError::Status(status)), "slow") => {
                // Nobody knows whether it was done: it is not idempotent, so it is not sent again.
                (format!("unknown: {}", status.code()), status.code() == Code::DeadlineExceeded)
            }
            (other, _) => (format!("{other:?}"), false),
        };
        let to = if to.is_empty() { "nobody" } else { to };
        println!("{cents} cents from {from} to {to:<7} {text}");
        unexpected += usize::from(!is_expected);
    }
    running.shutdown().await;
    match unexpected {
        0 => Ok(()),
        _ => Err(format!("{unexpected} outcomes are not the expected ones").into()),
    }
}
