//! Draws what a provider answers at ten times its capacity: `docs/charts/gate.svg`.
//!
//! `cargo xtask charts`; time is that of the run, so the file is always the same.

#![allow(clippy::print_stdout, reason = "a program of the repository's own")]

mod draw;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/charts");
    let folder = std::env::args().nth(1).map_or_else(|| PathBuf::from(root), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("gate.svg");
    std::fs::write(&path, draw::chart())?;
    println!("{}", path.display());
    Ok(())
}
