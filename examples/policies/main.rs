//! Each cluster policy against providers that misbehave.
//!
//! `cargo run --example policies`
//!
//! Starts small fleets in this process, one for each policy, makes the calls and prints what became
//! of them. Exits with 0 only if each outcome is as stated. What the policies do and when to choose
//! them is in `docs/policies.md`.

#![allow(unreachable_pub, reason = "a program for people to read")]

mod api;
mod fleet;
mod scenes;

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

#[tokio::main]
async fn main() -> ExitCode {
    let scenes = match play().await {
        Ok(scenes) => scenes,
        Err(error) => {
            eprintln!("policies: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{:<18}  {:<42}  outcome", "policy", "situation");
    for Scene { policy, situation, outcome, as_stated } in &scenes {
        let mark = if *as_stated { "" } else { "   <- not as stated" };
        println!("{policy:<18}  {situation:<42}  {outcome}{mark}");
    }
    let wrong = scenes.iter().filter(|scene| !scene.as_stated).count();
    println!("policies: {} outcomes, {wrong} not as stated", scenes.len());
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
