//! Broadcasts one after another while providers break, and what was told of each provider.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dubhe::Code;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::gauntlet::{Faults, TAKES};
use super::pass;
use crate::BoxError;
use crate::api::StoreClient;
use crate::fleet::Fleet;
use crate::ledger::{self, Kind};
use crate::load::fresh_id;
use crate::report::Report;

/// One broadcast.
#[derive(Debug)]
pub(super) struct Told {
    id: u64,
    begun: Duration,
    ended: Duration,
    /// By address: who answered, or the code of its failure.
    nodes: BTreeMap<String, Result<String, Code>>,
}

/// Broadcasts going on.
pub(super) struct Telling {
    stop: Arc<AtomicBool>,
    task: JoinHandle<dubhe::Result<Vec<Told>>>,
}

impl Telling {
    pub(super) async fn start(fleet: &Fleet) -> Result<Self, BoxError> {
        let client = fleet.client(&fleet.consumer(&[])?).await?;
        let stop = Arc::<AtomicBool>::default();
        let task = tokio::spawn(tell(client, stop.clone()));
        Ok(Self { stop, task })
    }

    pub(super) async fn stop(self) -> Result<Vec<Told>, BoxError> {
        self.stop.store(true, Ordering::Release);
        Ok(self.task.await??)
    }
}

async fn tell(client: StoreClient, stop: Arc<AtomicBool>) -> dubhe::Result<Vec<Told>> {
    let (start, mut all) = (Instant::now(), Vec::new());
    while !stop.load(Ordering::Acquire) {
        let (id, begun) = (fresh_id(), start.elapsed());
        let nodes = client.broadcast().tell(id, TAKES).await?;
        let nodes = nodes
            .into_iter()
            .map(|node| (node.address.to_string(), node.result.map_err(|status| status.code())));
        all.push(Told { id, begun, ended: start.elapsed(), nodes: nodes.collect() });
        pass(Duration::from_millis(20)).await;
    }
    Ok(all)
}

/// Each provider runs each once, and who does not answer is told.
pub(super) fn judge(
    report: &mut Report,
    fleet: &Fleet,
    faults: &Faults,
    told: &[Told],
) -> Result<(), BoxError> {
    let [killed, hung, well @ ..] = &fleet.providers[..] else { return Err("no fleet".into()) };
    let all = told.iter().filter(|told| told.ended < faults.killed);
    let complete = |told: &&Told| told.nodes.len() == 4 && told.nodes.values().all(Result::is_ok);
    let (before, others): (Vec<_>, Vec<_>) = all.partition(complete);
    report.at_least("broadcast: to all four before the kill, a slow one too", before.len(), 10);
    report.at_most("broadcast: others before the kill", others.len(), 0);
    let answered = |told: &&Told| {
        well.iter().all(|provider| matches!(told.nodes.get(&provider.address), Some(Ok(_))))
    };
    let figure = format!("{} of {}", told.iter().filter(answered).count(), told.len());
    let passed = told.iter().all(|told| answered(&told));
    report.note("broadcast: both that are well answered", &figure, passed);
    // The clocks of the two differ by how long it took to start both.
    let moment = Duration::from_millis(100);
    let after = told.iter().filter(|told| told.begun > faults.killed + moment);
    let dead = after.filter_map(|told| told.nodes.get(&killed.address));
    report.at_most("broadcast: answers of the dead", dead.filter(|node| node.is_ok()).count(), 0);
    let during = told.iter().filter(|told| {
        let begun = told.begun > faults.stopped + moment;
        begun && told.ended < faults.resumed
    });
    let hanging: Vec<_> = during.map(|told| told.nodes.get(&hung.address)).collect();
    let is_told =
        |node: &Option<&Result<String, Code>>| matches!(node, Some(Err(Code::DeadlineExceeded)));
    let figure = format!("{} of {}", hanging.iter().filter(|n| is_told(n)).count(), hanging.len());
    let passed = !hanging.is_empty() && hanging.iter().all(is_told);
    report.note("broadcast: it is told each time who hangs", &figure, passed);
    let executed = ledger::executed(fleet.folder(), Kind::Tell)?;
    let twice: usize = executed.values().map(|ids| ledger::repeated(ids)).sum();
    report.at_most("broadcast: executed twice by one provider", twice, 0);
    let out_of_nothing =
        told.iter().flat_map(|told| told.nodes.values().map(move |n| (told.id, n)));
    let out_of_nothing = out_of_nothing.filter(|(id, node)| {
        node.as_ref().is_ok_and(|who| !executed.get(who).is_some_and(|ids| ids.contains(id)))
    });
    report.at_most("broadcast: answers of who did nothing", out_of_nothing.count(), 0);
    Ok(())
}
