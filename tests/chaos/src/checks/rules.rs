//! Settings that change while calls run.

use std::time::Duration;

use dubhe::config::Layer;
use tokio::time::Instant;

use super::{Check, none_failed, none_repeated, pass};
use crate::BoxError;
use crate::fleet::Fleet;
use crate::load::{Calls, Load};
use crate::report::Report;

pub(super) const RULES: Check = Check {
    name: "rules",
    what: "a thousand rules change how calls are made under load, retries off",
    run: |report, quick| Box::pin(rules(report, quick)),
};

async fn rules(report: &mut Report, quick: bool) -> Result<(), BoxError> {
    let fleet = Fleet::start(3, &[]).await?;
    let consumer = fleet.consumer(&["consumer.retries=0"])?;
    let client = fleet.client(&consumer).await?;
    let load = Load::start(&client, Calls::Writes(2), 2000);
    let gap = Duration::from_millis(if quick { 4 } else { 15 });
    let mut slowest = Duration::ZERO;
    for round in 0..1000 {
        let begun = Instant::now();
        consumer.apply_rules(rule(round))?;
        slowest = slowest.max(begun.elapsed());
        pass(gap).await;
    }
    let wrong = Layer::new().rule("wrong", "consumer.cluster", "none");
    let refused = consumer.apply_rules(wrong).is_err();
    report.note("a rule that is wrong is refused", &refused.to_string(), refused);
    let seen = load.stop().await?;
    none_failed(report, "calls while rules changed", &seen);
    report.at_most("the slowest change", slowest, Duration::from_millis(500));
    none_repeated(report, fleet.folder())
}

/// One after the other: balancer, policy and timeout, codec and ejection, weights.
fn rule(round: u64) -> Layer {
    let rules = Layer::new();
    match round % 4 {
        0 => rules.rule("chaos", "consumer.loadbalance", "roundrobin"),
        1 => rules.rule("chaos", "consumer.cluster", "failfast").rule(
            "chaos",
            "consumer.timeout",
            "3s",
        ),
        2 => rules.rule("chaos", "consumer.codec", "json").rule(
            "chaos",
            "consumer.ejection.enabled",
            false,
        ),
        _ => rules.rule("chaos", "consumer.instances.\"127.0.0.1\".weight", 7 + round),
    }
}
