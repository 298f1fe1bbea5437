//! Memory and CPU of this process as Linux counts them, times of day, and quantiles.

use std::alloc::System;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use crate::BoxError;

/// Length of a clock tick in `/proc`, which the kernel's ABI fixes at a hundredth of a second.
const TICK: Duration = Duration::from_millis(10);

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What an allocation takes beside its bytes, about: its head, and what it is rounded up by.
const OF_ALLOCATION: usize = 16;

/// The bytes that are allocated now.
pub(crate) fn allocated() -> usize {
    let stats = COUNTED.stats();
    let bytes = stats.bytes_allocated.saturating_sub(stats.bytes_deallocated);
    bytes + OF_ALLOCATION * stats.allocations.saturating_sub(stats.deallocations)
}

/// The memory that this process holds, in KiB; some of that is free and not given back.
pub(crate) fn memory_kib() -> Result<u64, BoxError> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.ok_or_else(|| "/proc/self/status has no VmRSS".into())
}

/// The CPU time that this process has used.
pub(crate) fn cpu() -> Result<Duration, BoxError> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    match (ticks(), ticks()) {
        (Some(user), Some(system)) => Ok(TICK * (user + system)),
        _ => Err("/proc/self/stat has no user and system time".into()),
    }
}

/// The time of day in microseconds, which all processes of a machine share.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// `values` at p50 and p99, and the largest, in milliseconds; `values` are microseconds.
pub(crate) fn quantiles(mut values: Vec<u64>) -> String {
    values.sort_unstable();
    let at = |share: usize| match values.len() {
        0 => 0.0,
        n => Duration::from_micros(values[(n - 1) * share / 100]).as_secs_f64() * 1e3,
    };
    format!("{:.2} {:.2} {:.2}", at(50), at(99), at(100))
}
