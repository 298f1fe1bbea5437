//! CPU time of a process as Linux counts it: user and system time of all its threads, in
//! `/proc/<pid>/stat`, to 10 ms.

use std::fs;
use std::time::Duration;

use crate::peers::BoxError;

/// Length of a clock tick in `/proc`, which the kernel's ABI fixes at a hundredth of a second.
const TICK: Duration = Duration::from_millis(10);

/// CPU time a process had used at some instant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuTime(Duration);

impl CpuTime {
    /// What process `pid` has used until now.
    pub(crate) fn of(pid: u32) -> Result<Self, BoxError> {
        let path = format!("/proc/{pid}/stat");
        let stat = fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {path}, has the process ended: {error}"))?;
        let ticks = ticks(&stat).ok_or_else(|| format!("{path} has no user and system time"))?;
        Ok(Self(TICK * ticks))
    }

    /// What was used since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Sum of the fields 14 and 15; they are counted from the end of the name, which may hold spaces.
fn ticks(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_found_behind_an_odd_process_name() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 90 0 0 0 700 30 0 0 20 0 3 0 1 2 3";
        assert_eq!(ticks(stat), Some(730));
    }

    #[test]
    fn a_stat_that_ends_early_gives_nothing() {
        assert_eq!(ticks("42 (x) S 1 2"), None);
    }
}
