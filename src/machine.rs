//! How loaded this machine is, for consumers whose balancer is `adaptive`.
//!
//! Dubbo's measure: the load average of the last minute in percent of the processors. Only Linux
//! has it in a file; elsewhere it is absent, and the balancer goes by calls in flight.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::time::Instant;

/// How long what was read is good for: the average moves slowly.
const FRESH: Duration = Duration::from_secs(1);

/// The load of the machine as a provider knows it. It is read at most once a second, by the caller
/// that finds it old; the others get the last value without waiting.
pub(crate) struct Machine<R = fn() -> Option<f64>> {
    read: R,
    began: Instant,
    /// When it was read, in milliseconds since then.
    read_at: AtomicU64,
    /// The bits of the percentage; not a number where the system does not tell.
    load: AtomicU64,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self::reading(|| fs::read_to_string("/proc/loadavg").ok().and_then(|text| parse(&text)))
    }
}

impl<R: Fn() -> Option<f64>> Machine<R> {
    fn reading(read: R) -> Self {
        let load = AtomicU64::new(bits(read()));
        Self { read, began: Instant::now(), read_at: AtomicU64::new(0), load }
    }

    /// The load in percent of all processors; `None` where the system does not tell.
    pub(crate) fn load_percent(&self) -> Option<f64> {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let at = self.read_at.load(Ordering::Relaxed);
        let is_old = u128::from(now.saturating_sub(at)) >= FRESH.as_millis();
        // One of those who find it old reads.
        let order = (Ordering::Relaxed, Ordering::Relaxed);
        if is_old && self.read_at.compare_exchange(at, now, order.0, order.1).is_ok() {
            self.load.store(bits((self.read)()), Ordering::Relaxed);
        }
        let load = f64::from_bits(self.load.load(Ordering::Relaxed));
        (!load.is_nan()).then_some(load)
    }
}

fn bits(load: Option<f64>) -> u64 {
    load.unwrap_or(f64::NAN).to_bits()
}

fn parse(text: &str) -> Option<f64> {
    let load: f64 = text.split_whitespace().next()?.parse().ok()?;
    let processors = available_parallelism().map_or(1, usize::from);
    Some(load * 100.0 / processors as f64)
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};
    use std::thread;

    use super::*;

    #[test]
    fn the_first_number_of_the_file_is_the_load_of_all_processors() {
        let processors = available_parallelism().map_or(1, usize::from) as f64;
        assert_eq!(parse("1.50 0.70 0.50 2/345 6789\n"), Some(150.0 / processors));
        assert_eq!(parse(""), None);
        assert_eq!(parse("high"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_read_once_a_second_however_often_it_is_asked_for() {
        let reads = AtomicU64::new(0);
        let machine = Machine::reading(|| Some(reads.fetch_add(1, Ordering::Relaxed) as f64));
        for second in 0..5 {
            for _ in 0..100 {
                assert_eq!(machine.load_percent(), Some(f64::from(second)));
            }
            tokio::time::advance(FRESH).await;
        }
        let untold = Machine::reading(|| None);
        assert_eq!(untold.load_percent(), None);
    }

    #[test]
    fn who_asks_while_another_reads_has_the_value_of_before() {
        let (entered, enter) = mpsc::channel();
        let (leave, left) = mpsc::channel::<f64>();
        let left = Mutex::new(left);
        leave.send(1.0).unwrap();
        let machine = Machine::reading(|| {
            entered.clone().send(()).unwrap();
            left.lock().unwrap().recv().ok()
        });
        enter.recv().unwrap();
        // As if a second had passed.
        let machine = Machine { began: machine.began.checked_sub(FRESH).unwrap(), ..machine };
        thread::scope(|scope| {
            let reader = scope.spawn(|| machine.load_percent());
            enter.recv().unwrap();
            assert_eq!(machine.load_percent(), Some(1.0));
            leave.send(2.0).unwrap();
            assert_eq!(reader.join().unwrap(), Some(2.0));
        });
        assert_eq!(machine.load_percent(), Some(2.0));
    }
}
