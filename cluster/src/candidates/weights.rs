//! Shares of traffic, prepared so that drawing one costs a binary search.

use std::sync::Arc;

use crate::dice::scale;
use crate::endpoint::Endpoint;

/// Shares of traffic.
#[derive(Debug)]
pub(super) enum Weights {
    /// All have the same.
    Equal,
    /// Sums of the weights up to and with each endpoint, and the greatest weight.
    Varied { sums: Box<[u64]>, heaviest: u32 },
}

impl Weights {
    /// The present weights of these endpoints.
    pub(super) fn of(endpoints: &[Arc<Endpoint>]) -> Self {
        let weights: Vec<u32> = endpoints.iter().map(|e| e.weight()).collect();
        if weights.iter().all(|weight| *weight == weights[0]) {
            return Self::Equal;
        }
        let heaviest = weights.iter().max().copied().unwrap_or(1);
        let running = weights.iter().scan(0_u64, |sum, weight| {
            *sum += u64::from(*weight);
            Some(*sum)
        });
        Self::Varied { sums: running.collect(), heaviest }
    }

    pub(super) const fn are_equal(&self) -> bool {
        matches!(self, Self::Equal)
    }

    pub(super) fn share(&self, index: usize) -> f64 {
        match self {
            Self::Equal => 1.0,
            Self::Varied { sums, heaviest } => weight_at(sums, index) as f64 / f64::from(*heaviest),
        }
    }

    pub(super) fn weight(&self, index: usize) -> u64 {
        match self {
            Self::Equal => 1,
            Self::Varied { sums, .. } => weight_at(sums, index),
        }
    }

    /// The index of one of `count`, drawn by these random bits.
    pub(super) fn drawn_by(&self, count: usize, roll: u64) -> usize {
        match self {
            Self::Equal => scale(roll, count as u64) as usize,
            Self::Varied { sums, .. } => {
                let point = scale(roll, sums.last().copied().unwrap_or(0));
                sums.partition_point(|sum| *sum <= point)
            }
        }
    }
}

fn weight_at(sums: &[u64], index: usize) -> u64 {
    let before = index.checked_sub(1).map_or(0, |previous| sums[previous]);
    sums[index] - before
}
