//! `roundrobin`: each in turn, by weight, as evenly spread in time as the weights allow.
//!
//! Dubbo's smooth weighted round robin (nginx's): every endpoint gains its weight, the richest is
//! taken and pays the sum. State per method. Choose it where calls are alike and counts must be
//! even. Equal weights cost one counter; differing ones a short lock and a pass over the list.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rpc_core::{BuildContext, Error, Extension, Invocation, NoConfig};
use tokio::time::Instant;

use super::LoadBalance;
use crate::candidates::Candidates;

/// An endpoint that was not a candidate for this long is forgotten.
const FORGET: Duration = Duration::from_secs(60);

/// Takes the endpoints in turn.
#[derive(Debug, Default)]
pub struct RoundRobin {
    turn: AtomicUsize,
    accounts: Mutex<HashMap<usize, Account>>,
}

/// The credit of an endpoint.
#[derive(Debug)]
struct Account {
    credit: i64,
    weight: u64,
    seen: Instant,
}

impl RoundRobin {
    /// A balancer at its first turn.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Equal turns over a part of the list also go by accounts: one counter, shared by calls that
    /// see different parts, could give the same endpoint of a part each time.
    fn select_weighted(&self, candidates: &Candidates, now: Instant) -> usize {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut richest, mut most, mut total) = (0, i64::MIN, 0);
        for (index, endpoint) in candidates.endpoints().iter().enumerate() {
            // Its own weight, even if all of a part have the same: an account is for one weight.
            let weight = match candidates.is_equally_weighted() {
                true => u64::from(endpoint.weight()).max(1),
                false => candidates.weight(index),
            };
            let gain = i64::try_from(weight).unwrap_or(i64::MAX);
            let account =
                accounts.entry(endpoint.identity()).or_insert_with(|| Account::new(weight, now));
            if account.weight != weight {
                *account = Account::new(weight, now);
            }
            account.seen = now;
            account.credit += gain;
            total += gain;
            if weight > 0 && account.credit > most {
                (richest, most) = (index, account.credit);
            }
        }
        if let Some(account) = accounts.get_mut(&candidates.endpoints()[richest].identity()) {
            account.credit -= total;
        }
        if accounts.len() > candidates.len() {
            accounts.retain(|_, account| now.saturating_duration_since(account.seen) < FORGET);
        }
        richest
    }
}

impl Account {
    const fn new(weight: u64, seen: Instant) -> Self {
        Self { credit: 0, weight, seen }
    }
}

impl Extension<dyn LoadBalance> for RoundRobin {
    const NAME: &'static str = "roundrobin";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn LoadBalance>, Error> {
        Ok(Arc::new(Self::new()))
    }
}

impl LoadBalance for RoundRobin {
    fn select(&self, candidates: &Candidates, _: &Invocation, now: Instant) -> usize {
        if candidates.is_equally_weighted() && candidates.is_whole() {
            return self.turn.fetch_add(1, Relaxed) % candidates.len().max(1);
        }
        self.select_weighted(candidates, now)
    }

    fn varies(&self, candidates: &Candidates) -> bool {
        candidates.is_equally_weighted() && candidates.is_whole()
    }
}
