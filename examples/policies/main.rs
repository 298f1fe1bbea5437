//! Each cluster policy against providers that misbehave.
//!
//! `cargo run --example policies`
//!
//! Starts small fleets in this process, one for each policy, makes the calls and prints what became
//! of them. Exits with 0 only if each outcome is as stated. What the policies do and when to choose
//! them is in `docs/policies.md`.

#![allow(unreachable_pub, reason = "a program for people to read")]

mod api;
#[path = "../command_line.rs"]
mod command_line;
mod fleet;
mod scenes;

use std::io::Write;
use std::process::ExitCode;

use scenes::Scene;

/// What a scene fails with: a message for a person.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

async fn play() -> Result<Vec<Scene>, BoxError> {
    Ok(vec![
        scenes::failover().await?,
        scenes::failfast().await?,
        scenes::failsafe().await?,
        scenes::failback().await?,
        scenes::forking().await?,
        scenes::broadcast().await?,
        scenes::by_node().await?,
        scenes::available().await?,
    ])
}

/// Prints the table; `true` if every outcome is as stated.
fn show(scenes: &[Scene]) -> std::io::Result<bool> {
    let mut out = std::io::stdout();
    writeln!(out, "{:<18}  {:<42}  what its caller sees", "policy", "situation")?;
    for Scene { policy, situation, outcome, as_stated } in scenes {
        let mark = if *as_stated { "" } else { "   <- not as stated" };
        writeln!(out, "{policy:<18}  {situation:<42}  {outcome}{mark}")?;
    }
    let wrong = scenes.iter().filter(|scene| !scene.as_stated).count();
    writeln!(out, "policies: {} outcomes, {wrong} not as stated", scenes.len())?;
    Ok(wrong == 0)
}

#[tokio::main]
async fn main() -> ExitCode {
    command_line::expect_nothing("policies");
    let shown = play().await.and_then(|scenes| Ok(show(&scenes)?));
    match shown {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("policies: {error}");
            ExitCode::FAILURE
        }
    }
}
