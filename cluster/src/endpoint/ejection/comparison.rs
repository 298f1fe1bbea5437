//! Compares the failures that endpoints pass on from calls of their own: one is cut off, or many
//! whose dependency has failed, only a look at all can tell.

use tokio::time::Instant;

use super::{Health, SharedEjection};

/// Decides whether failures that `endpoints`, the connected ones, pass on count against them: while
/// those that show them are a third at most. An endpoint shows them if they would take it out, or
/// if it has half as large a part of them among its calls as the worst that they would.
pub(crate) fn compare_nested<'a>(
    rules: &SharedEjection,
    endpoints: impl Iterator<Item = &'a Health> + Clone,
    now: Instant,
) {
    let standing_out = endpoints.clone().filter(|health| health.stands_out_nested(now));
    let worst = standing_out.map(|health| health.nested_share(now)).max().unwrap_or(u32::MAX);
    // One that is called again after its window has passed has no part to be measured by.
    let worst = worst.max(1);
    let shows = |health: &&Health| {
        health.stands_out_nested(now) || health.nested_share(now).saturating_mul(2) >= worst
    };
    let showing = endpoints.clone().filter(shows).count();
    rules.set_counts_nested(showing * 3 <= endpoints.count());
}
