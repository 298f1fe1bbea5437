//! A provider that is asked for ten times what it can do, with its gate and without.

use std::time::Duration;

use super::{Check, none_failed, pass, seconds};
use crate::BoxError;
use crate::fleet::{self, Fleet};
use crate::load::{Calls, Load, Seen};
use crate::report::Report;

pub(super) const GATE: Check = Check {
    name: "gate",
    what: "ten times the capacity: with its gate a provider answers on, without it hardly any call",
    run: |report, quick| Box::pin(gate(report, quick)),
};

/// Eight places of 50 ms: so many calls a second.
const MOST: u32 = 160;

/// How long it may take until the gate is on.
const ONSET: Duration = Duration::from_secs(2);

async fn gate(report: &mut Report, quick: bool) -> Result<(), BoxError> {
    let fleet = Fleet::start(0, &[]).await?;
    let time = seconds(quick, 5, 15);
    let possible = f64::from(MOST) * (time - ONSET).as_secs_f64();
    let percent = |seen: &Seen| {
        let useful = seen.calls().filter(|call| call.outcome.is_ok()).count();
        useful as f64 / possible * 100.0
    };
    let [with, after] = overloaded(&fleet, "adaptive", time).await?;
    let reached = percent(&with);
    report.note(
        "answered with it, of what is possible",
        &format!("{reached:.0} %"),
        reached >= 80.0,
    );
    none_failed(report, "calls a second after the load fell", &after);
    let [without, _] = overloaded(&fleet, "off", time).await?;
    let left = percent(&without);
    report.note("answered without it", &format!("{left:.0} %"), left <= reached / 3.0);
    Ok(())
}

/// What callers saw of a provider while it was asked for too much, and a second after that.
async fn overloaded(fleet: &Fleet, gate: &str, time: Duration) -> Result<[Seen; 2], BoxError> {
    let provider = fleet.provider(gate, &[&format!("provider.gate={gate}")]).await?;
    let settings = ["consumer.retries=0", "consumer.timeout=300ms"];
    let consumer = fleet::consumer(&format!("static://{}", provider.address), &settings)?;
    let client = consumer.client().await?;
    let normal = || Load::start(&client, Calls::Draws(50), MOST / 4);
    let before = normal();
    pass(Duration::from_secs(2)).await;
    before.stop().await?;
    let load = Load::start(&client, Calls::Draws(50), MOST * 10);
    pass(time).await;
    let seen = load.stop().await?.between(ONSET, time);
    let after = normal();
    pass(Duration::from_secs(3)).await;
    let after = after.stop().await?.between(Duration::from_secs(1), Duration::from_secs(3));
    Ok([seen, after])
}
