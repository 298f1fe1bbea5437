//! `consistenthash`: calls of one key go to one endpoint, and stay there when others come and go.
//!
//! The placement is Dubbo's, so that consumers in Java, Go and Rust agree where a key is. Choose
//! it for caches and sessions on providers. Weights are ignored; a key that many calls share is
//! one provider's burden. The key is the call's `hash_key`, or else the text of chosen arguments.
//! Costs a digest and a binary search; a change of the list costs the points of who is new and a
//! pass over the ring.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rpc_core::{Error, Extension, Invocation, Method};
use serde::Deserialize;
use tokio::time::Instant;

use super::LoadBalance;
use super::ring::{Ring, distance, place_of};
use crate::candidates::Candidates;

/// More points than this for one endpoint make a ring large, and hardly more even: with ten
/// thousand endpoints one of this size takes 80 MB for each method.
const MAX_NODES: u32 = 1_000;

/// The parameters of `consistenthash`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsistentHashConfig {
    /// Points of an endpoint on the ring, counted in fours as in Dubbo; 4 to 1000, 160 by default.
    pub hash_nodes: u32,
    /// Which arguments make the key, by position from 0, one at least; the first by default. What a
    /// call does not have is left out, but one that no method has is refused.
    pub hash_arguments: Vec<usize>,
}

impl Default for ConsistentHashConfig {
    fn default() -> Self {
        Self { hash_nodes: 160, hash_arguments: vec![0] }
    }
}

/// Takes the endpoint that the key of a call belongs to.
#[derive(Debug)]
pub struct ConsistentHash {
    config: ConsistentHashConfig,
    ring: ArcSwap<Ring>,
    /// Held by whoever makes a ring, so that one does and the others wait for it.
    making: Mutex<()>,
}

impl ConsistentHash {
    /// A balancer with these parameters.
    ///
    /// # Errors
    /// `hash_nodes` below 4 or above 1000; no `hash_arguments`.
    pub fn new(config: ConsistentHashConfig) -> Result<Self, Error> {
        let nodes = config.hash_nodes;
        if !(4..=MAX_NODES).contains(&nodes) {
            let error = Error::invalid_config(format!(
                "{nodes} is out of range: write 4 to {MAX_NODES}; more make the ring large, and \
                 hardly more even"
            ));
            return Err(error.in_parameter("hash_nodes"));
        }
        if config.hash_arguments.is_empty() {
            let text = "an empty list would send all calls to one instance: name the position of \
                        one argument at least, such as [0]";
            return Err(Error::invalid_config(text).in_parameter("hash_arguments"));
        }
        Ok(Self { config, ring: ArcSwap::default(), making: Mutex::default() })
    }

    fn place(&self, invocation: &Invocation) -> u32 {
        if let Some(key) = invocation.hash_key {
            return place_of(key.to_string().as_bytes());
        }
        let body = &invocation.body;
        if let Some(codec) = body.codec() {
            // Nobody here can read single arguments; equal calls have equal bytes.
            return body.encoded(&**codec).map_or(0, |bytes| place_of(&bytes));
        }
        let mut key = String::new();
        for argument in &self.config.hash_arguments {
            body.argument_text(*argument, &mut key);
        }
        place_of(key.as_bytes())
    }

    fn ring(&self, whole: &Candidates) -> Arc<Ring> {
        let ring = self.ring.load();
        if ring.is_of(whole) {
            return ring.clone();
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.ring.load_full();
        if old.is_of(whole) {
            return old;
        }
        let fresh = Arc::new(Ring::of(whole, self.config.hash_nodes, &old));
        self.ring.store(fresh.clone());
        fresh
    }
}

impl Extension<dyn LoadBalance> for ConsistentHash {
    const NAME: &'static str = "consistenthash";
    type Config = ConsistentHashConfig;

    fn build(config: ConsistentHashConfig) -> Result<Arc<dyn LoadBalance>, Error> {
        Ok(Arc::new(Self::new(config)?))
    }
}

impl LoadBalance for ConsistentHash {
    fn select(&self, candidates: &Candidates, invocation: &Invocation, _: Instant) -> usize {
        let place = self.place(invocation);
        // A part of a list goes by the ring of the whole, walking on past who is missing: that
        // lands where the part's own ring would, and a re-send makes no ring.
        let Some(whole) = candidates.part_of() else {
            return self.ring(candidates).find(place, |index, _| Some(index)).unwrap_or(0);
        };
        let endpoints = candidates.endpoints();
        let found = self.ring(whole).find(place, |_, address| {
            endpoints.binary_search_by(|endpoint| endpoint.address().cmp(address)).ok()
        });
        found.unwrap_or(0)
    }

    /// Whether each position is that of an argument of some method. The first is no claim that
    /// there is one: it is the default, and calls may bring a key of their own.
    fn check(&self, methods: &[&Method]) -> Result<(), Error> {
        let counts: Option<Vec<usize>> = methods.iter().map(|method| method.arguments()).collect();
        let most = counts.and_then(|counts| counts.into_iter().zip(methods).max_by_key(|of| of.0));
        let Some((count, method)) = most else { return Ok(()) };
        let is_beyond = |(_, position): &(usize, &usize)| **position >= count.max(1);
        let mut positions = self.config.hash_arguments.iter().enumerate();
        let Some((at, position)) = positions.find(is_beyond) else { return Ok(()) };
        let path = method.path();
        let (has, remedy) = match count {
            0 => ("none".to_owned(), "leave it out".to_owned()),
            1 => ("1".to_owned(), "write 0".to_owned()),
            count => (count.to_string(), format!("write 0 to {}", count - 1)),
        };
        let error = Error::invalid_config(match methods {
            [_] => format!("{path} has no argument {position}: it has {has}, {remedy}"),
            _ => format!(
                "no method has an argument {position}: {path} has the most, {has}, {remedy}"
            ),
        });
        Err(error.in_parameter(&format!("[{at}]")).in_parameter("hash_arguments"))
    }

    /// How far the endpoint is from the key, as a share of the ring.
    fn score(
        &self,
        candidates: &Candidates,
        index: usize,
        invocation: &Invocation,
        _: Instant,
    ) -> Option<f64> {
        let address = candidates.endpoints().get(index)?.address();
        distance(self.place(invocation), address, self.config.hash_nodes)
    }
}
