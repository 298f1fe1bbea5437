//! The charts in the docs are those that the command draws now.

#[path = "../examples/charts/draw.rs"]
mod draw;
mod support;

use std::fs;
use std::path::Path;

use dubhe_cluster::load_balance::builtin;

#[test]
fn every_balancer_has_the_chart_that_the_command_draws() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/charts");
    for name in builtin().names() {
        let path = folder.join(format!("{name}.svg"));
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == draw::chart(name), "{} is out of date: cargo xtask charts", path.display());
    }
}
