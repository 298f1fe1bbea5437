//! Three faults in a row at a fleet of four: a provider that takes long is killed, another is stopped
//! and goes on later; two are well throughout. All consumers to compare live through the same.

use std::time::Duration;

use dubhe::Consumer;

use super::{pass, seconds, set_slow};
use crate::BoxError;
use crate::api::StoreClient;
use crate::fleet::Fleet;
use crate::load::{Calls, Ended, Load, Seen};

/// Milliseconds that every handler takes, and how much longer those of the slow provider.
pub(super) const TAKES: u64 = 2;
const SLOWER: u64 = 400;

/// Calls a second of each load.
const RATE: u32 = 100;

/// A consumer to send through, and what it calls.
pub(super) struct Trial {
    pub(super) name: &'static str,
    pub(super) consumer: Consumer,
    pub(super) client: StoreClient,
    pub(super) reads: Calls,
    pub(super) writes: Calls,
}

/// What a consumer saw.
pub(super) struct Outcome {
    pub(super) name: &'static str,
    pub(super) consumer: Consumer,
    pub(super) reads: Seen,
    pub(super) writes: Seen,
}

/// When it happened, since the loads began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Faults {
    pub(super) killed: Duration,
    pub(super) stopped: Duration,
    pub(super) resumed: Duration,
}

impl Faults {
    /// Whether a call may have met a fault that nobody could know of yet: one that is under way when
    /// it happens ends with its deadline of a second, and so do those of the second after it.
    pub(super) fn excuse(&self, call: &Ended) -> bool {
        let (before, after) = (Duration::from_millis(1200), Duration::from_millis(2500));
        let excuses = |at: Duration| call.due + before >= at && call.due <= at + after;
        excuses(self.killed) || excuses(self.stopped)
    }
}

/// A fleet whose providers are in the order of their addresses, in which `available` takes them.
pub(super) async fn fleet() -> Result<Fleet, BoxError> {
    let mut fleet = Fleet::start(4, &[]).await?;
    fleet.providers.sort_by(|one, other| one.address.cmp(&other.address));
    Ok(fleet)
}

/// Sends every trial through the faults.
pub(super) async fn run(
    fleet: &mut Fleet,
    trials: Vec<Trial>,
    quick: bool,
) -> Result<(Faults, Vec<Outcome>), BoxError> {
    let mut running = Vec::new();
    for Trial { name, consumer, client, reads, writes } in trials {
        let loads = [reads, writes].map(|calls| Load::start(&client, calls, RATE));
        running.push((name, consumer, loads));
    }
    let begun = tokio::time::Instant::now();
    pass(Duration::from_millis(if quick { 1500 } else { 3000 })).await;
    set_slow(&fleet.providers[0].address, SLOWER).await?;
    pass(seconds(quick, 2, 4)).await;
    let killed = begun.elapsed();
    fleet.providers[0].kill().await?;
    pass(seconds(quick, 3, 5)).await;
    let stopped = begun.elapsed();
    fleet.providers[1].stop().await?;
    pass(seconds(quick, 4, 6)).await;
    let resumed = begun.elapsed();
    fleet.providers[1].resume().await?;
    pass(seconds(quick, 1, 4)).await;
    let mut outcomes = Vec::new();
    for (name, consumer, [reads, writes]) in running {
        let (reads, writes) = (reads.stop().await?, writes.stop().await?);
        outcomes.push(Outcome { name, consumer, reads, writes });
    }
    Ok((Faults { killed, stopped, resumed }, outcomes))
}
