//! Handlers that hold the thread they run on.

use std::time::Duration;

use dubhe::prelude::*;

use super::{Check, none_failed, none_repeated, pass, seconds};
use crate::BoxError;
use crate::api::{Store, StoreClient};
use crate::fleet::{self, Fleet};
use crate::load::{Calls, Load, fresh_id};
use crate::report::Report;

pub(super) const BLOCKING: Check = Check {
    name: "blocking",
    what: "handlers hold their thread for a second; the other calls of their connection go on",
    run: |report, quick| Box::pin(blocking(report, quick)),
};

/// So many quick calls, and a method is polled where its connection is driven.
const QUICK_CALLS: usize = 200;

async fn blocking(report: &mut Report, quick: bool) -> Result<(), BoxError> {
    // A provider learns what holds its thread: each is new, and surprised once.
    for number in 0..if quick { 2 } else { 5 } {
        let fleet = Fleet::start(1, &[]).await?;
        let provider = format!("static://{}", fleet.providers[0].address);
        let consumer = fleet::consumer(&provider, &["consumer.timeout=10s", "consumer.retries=0"])?;
        let client: StoreClient = consumer.client().await?;
        for _ in 0..QUICK_CALLS {
            client.hold(fresh_id(), 0).await?;
        }
        let load = Load::start(&client, Calls::Reads(0), 1000);
        pass(Duration::from_millis(500)).await;
        let held = client.hold(fresh_id(), 1000).await;
        report.note(
            &format!("provider {number} answers the call that held its thread"),
            &format!("{held:?}"),
            held.is_ok(),
        );
        pass(seconds(quick, 1, 2)).await;
        let seen = load.stop().await?;
        none_failed(report, "reads on the same connection", &seen);
        let slow = seen.calls().filter(|call| call.latency > Duration::from_millis(300)).count();
        let share = slow as f64 / seen.len().max(1) as f64;
        report.at_most("of them slower than 300 ms, as a share", share, 0.01);
        none_repeated(report, fleet.folder())?;
    }
    Ok(())
}
