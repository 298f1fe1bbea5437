//! What the framework logs, on standard error.

use std::collections::VecDeque;
use std::env;
use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dubhe::Error;
use tokio::time::Instant;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::failure::{CommandResult, Failure};

/// The level for those who cannot add an option.
const VARIABLE: &str = "DUBHE_LOG";

/// Whose warnings the outcome of a command repeats: attempts that fail, and a registry that is away.
const TOLD: [&str; 3] = ["dubhe::policy", "dubhe::ejection", "dubhe::registry"];

/// Prints it from now on: warnings, or with `-v` and [`VARIABLE`] what is asked for.
pub(crate) fn listen(verbose: u8) -> CommandResult {
    let level = match verbose {
        0 => from_environment()?,
        1 => Some(LevelFilter::INFO),
        2 => Some(LevelFilter::DEBUG),
        _ => Some(LevelFilter::TRACE),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let registry = tracing_subscriber::registry();
    match level {
        Some(level) => registry.with(lines.with_filter(level)).init(),
        None => {
            let is_news = |target: &str| !TOLD.contains(&target);
            let news = filter_fn(move |of| {
                *of.level() <= LevelFilter::WARN && of.is_event() && is_news(of.target())
            });
            let lines = lines.without_time().with_target(false).compact();
            let lines = lines.with_writer(Arc::<ToldOnce>::default());
            registry.with(lines.with_filter(news)).init();
        }
    }
    Ok(())
}

/// Standard error for lines of which each is told once in a while: a command looks at a service several times, and
/// the same is warned of each time. A server that says so again later means it.
#[derive(Debug, Default)]
struct ToldOnce(Mutex<VecDeque<(Instant, Vec<u8>)>>);

impl ToldOnce {
    /// How many lines are remembered, and for how long.
    const MOST: usize = 100;
    const FOR: Duration = Duration::from_secs(10);

    /// Whether this line is new.
    fn is_new(&self, line: &[u8]) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|(at, _)| at.elapsed() < Self::FOR);
        if told.iter().any(|(_, told)| told == line) {
            return false;
        }
        if told.len() >= Self::MOST {
            told.pop_front();
        }
        told.push_back((Instant::now(), line.to_vec()));
        true
    }
}

impl io::Write for &ToldOnce {
    /// Takes a whole line, as each event is written.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.is_new(line) {
            io::stderr().write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// # Errors
/// Something that is no level, which would else be taken for none.
fn from_environment() -> Result<Option<LevelFilter>, Failure> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let Some(name) = env::var_os(VARIABLE).filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let name = name.to_string_lossy();
    let is_level = LEVELS.iter().any(|level| name.eq_ignore_ascii_case(level));
    let level = name.parse().ok().filter(|_| is_level).map(Some);
    level.ok_or_else(|| Error::unknown_name("level", &name, LEVELS).at(VARIABLE).into())
}
