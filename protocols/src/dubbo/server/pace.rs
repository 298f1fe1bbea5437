//! How fast a frame arrives: a peer that sends one too slowly is closed, however much of it has
//! come.
//!
//! Any frame may take `provider.limits.header_timeout`. After that each further period of this
//! length must bring at least 1 KiB a second, so that neither a large beginning nor a trickle earns
//! time.

use std::time::Duration;

use rpc_core::server::ServerConfig;
use tokio::time::Instant;

/// A frame that is arriving.
#[derive(Debug, Clone, Copy)]
pub(super) struct FramePace {
    /// When it was last known to keep up; at first when it began.
    pub(super) since: Instant,
    /// How much of it had come then.
    bytes: usize,
}

impl FramePace {
    /// A frame that began at `now`.
    pub(super) const fn begun(now: Instant) -> Self {
        Self { since: now, bytes: 0 }
    }

    /// Whether a frame of which `bytes` have come is whole soon enough: for each
    /// `header_timeout`, it brings what it must.
    pub(super) fn keeps_up(&mut self, now: Instant, bytes: usize, config: &ServerConfig) -> bool {
        let took: Duration = now.saturating_duration_since(self.since);
        if took <= config.header_timeout {
            return true;
        }
        let brought = bytes.saturating_sub(self.bytes);
        *self = Self { since: now, bytes };
        !config.is_slow(brought, took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_come_earns_no_time_for_what_has_not() {
        let (config, began) = (ServerConfig::default(), Instant::now());
        let after = |seconds| began + Duration::from_secs(seconds);
        let mut pace = FramePace::begun(began);
        assert!(pace.keeps_up(after(10), 0, &config), "any frame has so long");
        assert!(pace.keeps_up(after(11), 8 << 20, &config));
        assert!(pace.keeps_up(after(20), 8 << 20, &config));
        assert!(!pace.keeps_up(after(22), (8 << 20) + 10_000, &config));
        let mut steady = FramePace::begun(began);
        assert!((1..100).all(|n| steady.keeps_up(after(n), n as usize * 1100, &config)));
    }
}
