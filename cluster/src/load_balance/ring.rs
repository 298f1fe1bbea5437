//! The ring of consistent hashing, placed as Dubbo places it.
//!
//! Karger et al. 1997; the points are Dubbo's: MD5 of the address followed by a decimal number,
//! four points from each digest, little endian. A ring is made once for a list of addresses; after
//! a change the points of those that stayed are taken over.

use std::sync::Arc;

use md5::{Digest, Md5};

use crate::candidates::Candidates;

/// How many points one digest gives.
const POINTS_OF_DIGEST: u32 = 4;

/// The points of every address of one list, in the order of the circle.
#[derive(Debug, Default)]
pub(super) struct Ring {
    fingerprint: u64,
    /// In the order of the candidates.
    addresses: Vec<Arc<str>>,
    /// Where on the circle, and whose.
    points: Vec<(u32, u32)>,
}

impl Ring {
    /// The ring of these candidates with `nodes` points each. Points of addresses that `old` had
    /// are not computed again.
    pub(super) fn of(candidates: &Candidates, nodes: u32, old: &Self) -> Self {
        let endpoints = candidates.endpoints();
        let addresses: Vec<Arc<str>> = endpoints.iter().map(|e| e.address().clone()).collect();
        let mut moved = vec![None; old.addresses.len()];
        let mut points = Vec::with_capacity(addresses.len() * nodes as usize);
        let mut new = Vec::new();
        for (index, address) in (0..).zip(&addresses) {
            match old.addresses.binary_search(address) {
                Ok(before) => moved[before] = Some(index),
                Err(_) => new.push((index, address)),
            }
        }
        let stayed = old.points.iter().filter_map(|(at, whose)| {
            let index = moved.get(*whose as usize).copied().flatten()?;
            Some((*at, index))
        });
        points.extend(stayed);
        for (index, address) in new {
            points.extend(points_of(address, nodes).map(|at| (at, index)));
        }
        // A sort that finds what is in order already: most of it, after a change.
        points.sort();
        Self { fingerprint: candidates.fingerprint(), addresses, points }
    }

    /// Whether it is that of these candidates.
    pub(super) fn is_of(&self, candidates: &Candidates) -> bool {
        self.fingerprint == candidates.fingerprint()
    }

    /// The index of the address that `place` belongs to: the first at or after it for which `is`
    /// gives something. Of several on one point it is the last, as in Dubbo's map.
    pub(super) fn find<T>(
        &self,
        place: u32,
        is: impl Fn(usize, &Arc<str>) -> Option<T>,
    ) -> Option<T> {
        let start = self.points.partition_point(|(at, _)| *at < place);
        let (before, after) = self.points.split_at(start);
        let mut points = after.iter().chain(before).peekable();
        let mut found: Option<T> = None;
        while let Some((at, whose)) = points.next() {
            let index = *whose as usize;
            if let Some(one) = self.addresses.get(index).and_then(|address| is(index, address)) {
                found = Some(one);
            }
            let is_shared = points.peek().is_some_and(|(next, _)| next == at);
            if found.is_some() && !is_shared {
                break;
            }
        }
        found
    }
}

/// How far from `place` the next point of `address` is, as a share of the circle. Computes the
/// points of this address, which is far less than to look for them on the ring.
pub(super) fn distance(place: u32, address: &str, nodes: u32) -> Option<f64> {
    let nearest = points_of(address, nodes).map(|at| at.wrapping_sub(place)).min()?;
    Some(f64::from(nearest) / (f64::from(u32::MAX) + 1.0))
}

/// Where the points of `address` are.
fn points_of(address: &str, nodes: u32) -> impl Iterator<Item = u32> {
    (0..nodes / POINTS_OF_DIGEST).flat_map(move |number| {
        let digest = Md5::new().chain_update(address).chain_update(number.to_string()).finalize();
        let (words, _) = digest.as_slice().as_chunks::<4>();
        words.iter().map(|word| u32::from_le_bytes(*word)).collect::<Vec<_>>()
    })
}

/// Where the calls of `key` belong.
pub(super) fn place_of(key: &[u8]) -> u32 {
    let digest = Md5::digest(key);
    digest.first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
}
