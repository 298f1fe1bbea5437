//! How loaded this machine is, for consumers whose balancer is `adaptive`.
//!
//! Dubbo's measure: the load average of the last minute in percent of the processors. Only Linux
//! tells it in a file; elsewhere nothing is told, and the balancer goes by calls in flight.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::time::Instant;

/// How long what was read is good for: the average moves slowly.
const FRESH: Duration = Duration::from_secs(1);

/// There is one machine, however many providers a process has.
static READ: Mutex<Option<(Instant, Option<f64>)>> = Mutex::new(None);

/// The load in percent of all processors; `None` where the system does not tell.
pub(crate) fn load_percent() -> Option<f64> {
    let now = Instant::now();
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    match *read {
        Some((at, load)) if now.saturating_duration_since(at) < FRESH => load,
        _ => {
            let load = fs::read_to_string("/proc/loadavg").ok().and_then(|text| parse(&text));
            *read = Some((now, load));
            load
        }
    }
}

fn parse(text: &str) -> Option<f64> {
    let load: f64 = text.split_whitespace().next()?.parse().ok()?;
    let processors = available_parallelism().map_or(1, usize::from);
    Some(load * 100.0 / processors as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_of_the_file_is_the_load_of_all_processors() {
        let processors = available_parallelism().map_or(1, usize::from) as f64;
        assert_eq!(parse("1.50 0.70 0.50 2/345 6789\n"), Some(150.0 / processors));
        assert_eq!(parse(""), None);
        assert_eq!(parse("high"), None);
    }
}
