//! Draws how each balancer treats one slow instance among ten: `docs/charts/<name>.svg`.
//!
//! `cargo xtask charts`; the run is a simulation with a seed, so the files are always the same.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program of the repository's own")]

mod draw;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;

use dubhe_cluster::load_balance::builtin;

fn main() -> std::io::Result<()> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/charts");
    let folder = std::env::args().nth(1).map_or_else(|| PathBuf::from(root), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    for name in builtin().names() {
        let path = folder.join(format!("{name}.svg"));
        std::fs::write(&path, draw::chart(name))?;
        println!("{}", path.display());
    }
    Ok(())
}
