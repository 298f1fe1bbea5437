//! What the examples say beside their output: on standard error, from the level in `DUBHE_LOG` on.

pub use tracing_subscriber::filter::LevelFilter as Level;

/// Begins to log; `default` is the level without `DUBHE_LOG`. Ends the program at what is no level.
pub fn begin(default: Level) {
    let asked = std::env::var("DUBHE_LOG").ok().filter(|asked| !asked.is_empty());
    let Ok(level) = asked.as_deref().map_or(Ok(default), str::parse::<Level>) else {
        eprintln!("DUBHE_LOG is not a level: write off, error, warn, info, debug or trace");
        std::process::exit(2);
    };
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
}
