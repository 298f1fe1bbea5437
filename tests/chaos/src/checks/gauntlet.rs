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

/// When it happened, since the loads began, and to whom.
#[derive(Debug)]
pub(super) struct Faults {
    pub(super) killed: Duration,
    pub(super) stopped: Duration,
    pub(super) resumed: Duration,
    /// The address of the one that was killed.
    dead: String,
    /// The address of the one that was stopped.
    hung: String,
}

impl Faults {
    /// Whether a failed call names the provider whose fault it met while nobody could know of that.
    pub(super) fn excuse(&self, call: &Ended) -> bool {
        let [by_kill, by_stop] = self.can_meet(call);
        let told = call.outcome.as_ref().err().and_then(|failure| failure.address.as_ref());
        told.is_some_and(|at| (by_kill && *at == self.dead) || (by_stop && *at == self.hung))
    }

    /// Whether a call was under way, by its times, when nobody could know yet of the kill or of the
    /// stop. A kill ends at once what it has, with some time for a busy machine; calls that hang end
    /// with their deadline of a second, and so do those of the second after it.
    pub(super) fn can_meet(&self, call: &Ended) -> [bool; 2] {
        let (ended, millis) = (call.due + call.latency, Duration::from_millis);
        [(self.killed, millis(500)), (self.stopped, millis(2500))]
            .map(|(at, known)| ended >= at && call.due <= at + known)
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
    let [dead, hung] = [0, 1].map(|number| fleet.providers[number].address.clone());
    Ok((Faults { killed, stopped, resumed, dead, hung }, outcomes))
}
