//! What the examples say beside their output: on standard error, from the level in `DUBHE_LOG` on.

pub use tracing_subscriber::filter::LevelFilter as Level;

/// Begins to log; `default` is the level without `DUBHE_LOG`.
pub fn begin(default: Level) {
    let asked = std::env::var("DUBHE_LOG").ok();
    let level = asked.as_deref().map_or(Ok(default), str::parse);
    if level.is_err() {
        eprintln!("DUBHE_LOG is no level: write off, error, warn, info, debug or trace");
    }
    let level = level.unwrap_or(default);
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
}
