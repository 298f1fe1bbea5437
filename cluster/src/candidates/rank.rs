//! How fit an endpoint is for a new call: the lower its rank, the fitter.
//!
//! | rank | endpoints | without weight |
//! | --- | --- | --- |
//! | 0 | connected and well, or never used | 2 |
//! | 1 | connecting | 3 |
//! | 4 | full | 5 |
//! | 6 | ejected | 7 |
//! | 8 | down or draining | 9 |
//! | 10 | without the service | 11 |

use std::ops::RangeInclusive;

use rpc_core::ChannelState;
use tokio::time::Instant;

use crate::endpoint::Endpoint;

/// The ranks of those that are full.
pub(crate) const FULL: RangeInclusive<u8> = 4..=5;

/// Whether endpoints of this rank have no weight.
pub(crate) const fn is_weightless(rank: u8) -> bool {
    matches!(rank, 2 | 3 | 5 | 7 | 9 | 11)
}

/// The ranks of those that are as fit as those of `rank`, but for their weight.
pub(crate) fn weightless_beside(rank: u8) -> RangeInclusive<u8> {
    match rank {
        0 | 1 => 2..=3,
        4 | 6 | 8 | 10 => rank + 1..=rank + 1,
        _ => RangeInclusive::new(1, 0),
    }
}

/// The state of an endpoint when candidates were made.
pub(crate) struct RankedState {
    pub(crate) state: ChannelState,
    pub(crate) is_stale: bool,
    pub(crate) is_out: bool,
    pub(crate) is_on_probation: bool,
    pub(crate) is_weightless: bool,
    pub(crate) full_until: Option<Instant>,
}

impl RankedState {
    pub(crate) fn of(endpoint: &Endpoint, now: Instant) -> Self {
        let health = endpoint.condition();
        Self {
            state: endpoint.channel().state(),
            is_stale: health.is_stale(),
            is_out: health.is_out(),
            is_on_probation: health.is_on_probation(),
            is_weightless: endpoint.weight() == 0,
            full_until: endpoint.full_until(now),
        }
    }

    pub(crate) const fn is_connected(&self) -> bool {
        matches!(self.state, ChannelState::Ready | ChannelState::Idle)
    }

    pub(crate) const fn turns_away(&self) -> bool {
        matches!(self.state, ChannelState::Down | ChannelState::Draining)
    }

    /// The lower, the fitter for a new call; `is_open` if ejections do not count.
    pub(crate) fn rank(&self, is_open: bool) -> u8 {
        let weightless = u8::from(self.is_weightless);
        match self.state {
            _ if self.is_stale => 10 + weightless,
            ChannelState::Down | ChannelState::Draining => 8 + weightless,
            _ if self.is_out && !is_open => 6 + weightless,
            _ if self.full_until.is_some() => 4 + weightless,
            ChannelState::Connecting => 1 + 2 * weightless,
            ChannelState::Ready | ChannelState::Idle => 2 * weightless,
        }
    }
}
