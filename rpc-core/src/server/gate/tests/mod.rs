//! The gate: its steps one by one, and against simulated resources, the workloads by which its
//! constants were chosen. There load falls to normal, rises for a while, and falls again; seeds and
//! time are fixed.

mod control;
mod counters;
mod healthy;
mod overload;
mod sim;
mod slow;
mod threads;
mod window;

/// `normal` calls a second, but `high` for the twenty seconds after the fifth.
fn step(normal: f64, high: f64) -> impl Fn(f64) -> f64 + 'static {
    move |now| if (5_000.0..25_000.0).contains(&now) { high } else { normal }
}
