//! `consistenthash`: calls of one key go to one endpoint, and stay there when others come and go.
//!
//! The placement is Dubbo's, so that consumers in Java, Go and Rust agree where a key is. Choose it
//! for caches and sessions on providers. Weights are ignored; a key that many calls share loads one
//! provider. The key is the call's `hash_key`, or else the text of chosen arguments. Costs a digest
//! and two memory accesses; a change of the list costs the points of the new endpoints and a pass
//! over the ring (`rings.rs`).

use std::sync::Arc;

use rpc_core::{BuildContext, Error, Extension, Invocation, Method};
use serde::Deserialize;
use tokio::time::Instant;

use super::LoadBalance;
use super::ring::{distance, place_of, place_of_number};
use super::rings::Rings;
use crate::candidates::Candidates;
use crate::dice::scale;

/// Room for the texts of most arguments.
const KEY_ROOM: usize = 64;

/// How many points of the last ring are looked at while the next one is made. With a tenth of its
/// endpoints left, one key in a thousand finds none of them.
const WALK: usize = 64;

/// More points than this for one endpoint make a ring large, and hardly more even: with ten
/// thousand endpoints one of this size takes 80 MB for each method.
const MAX_NODES: u32 = 1_000;

/// The parameters of `consistenthash`.
///
/// ```
/// use dubhe_cluster::load_balance::{ConsistentHash, ConsistentHashConfig};
///
/// let by_user_and_item = ConsistentHashConfig { hash_arguments: vec![0, 2], ..Default::default() };
/// assert!(ConsistentHash::new(by_user_and_item).is_ok());
/// let coarse = ConsistentHashConfig { hash_nodes: 1, ..Default::default() };
/// assert!(ConsistentHash::new(coarse).unwrap_err().to_string().contains("hash_nodes"));
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsistentHashConfig {
    /// Points of an endpoint on the ring, used in groups of four as in Dubbo; 4 to 1000, default
    /// 160.
    pub hash_nodes: u32,
    /// The positions of the arguments that form the key, from 0, at least one; default `[0]`. A
    /// position that a method does not have is left out; one that no method has is refused.
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
    rings: Arc<Rings>,
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
        let rings = Arc::new(Rings::new(nodes));
        Ok(Self { config, rings })
    }

    fn place(&self, invocation: &Invocation) -> u32 {
        if let Some(key) = invocation.hash_key {
            return place_of_number(key);
        }
        let body = &invocation.body;
        if let Some(codec) = body.codec() {
            // Single arguments cannot be read here; equal calls have equal bytes.
            return body.encoded(&**codec).map_or(0, |bytes| place_of(&bytes));
        }
        let mut key = String::with_capacity(KEY_ROOM);
        for argument in &self.config.hash_arguments {
            body.argument_text(*argument, &mut key);
        }
        place_of(key.as_bytes())
    }

    /// The index of the endpoint that the call belongs to, among those that are left.
    ///
    /// The ring is that of the list. An endpoint that is not a candidate, or not left, is walked
    /// past, which lands where a ring without them would: no ring is made for a re-send, or while
    /// an endpoint is ejected or connecting.
    fn owner(
        &self,
        candidates: &Candidates,
        invocation: &Invocation,
        now: Instant,
        is_left: &dyn Fn(usize) -> bool,
    ) -> Option<usize> {
        let (place, members) = (self.place(invocation), candidates.members());
        let ring = self.rings.of(members, now);
        let left = |index: Option<usize>| index.filter(|index| is_left(*index));
        if ring.is_of(members) {
            let all = usize::MAX;
            return ring.find(place, all, |member| left(candidates.index_of_member(member)));
        }
        let found = ring
            .find(place, WALK, |member| left(candidates.index_of(ring.addresses().get(member)?)));
        if found.is_some() {
            return found;
        }
        // Hardly anybody of the last list is left.
        self.rings.hurry(members);
        let count = candidates.len();
        let start = scale(u64::from(place) << 32, count as u64) as usize;
        (start..count).chain(0..start).find(|index| is_left(*index))
    }
}

impl Extension<dyn LoadBalance> for ConsistentHash {
    const NAME: &'static str = "consistenthash";
    type Config = ConsistentHashConfig;

    fn build(
        config: ConsistentHashConfig,
        _: &BuildContext,
    ) -> Result<Arc<dyn LoadBalance>, Error> {
        Ok(Arc::new(Self::new(config)?))
    }
}

impl LoadBalance for ConsistentHash {
    fn select(&self, candidates: &Candidates, invocation: &Invocation, now: Instant) -> usize {
        self.owner(candidates, invocation, now, &|_| true).unwrap_or(0)
    }

    fn select_left(
        &self,
        candidates: &Candidates,
        invocation: &Invocation,
        now: Instant,
        is_left: &dyn Fn(usize) -> bool,
    ) -> Option<usize> {
        self.owner(candidates, invocation, now, is_left)
    }

    /// Checks that each position is that of an argument of some method. The first position is
    /// exempt: it is the default, and calls may have a key of their own.
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

    fn score_unit(&self) -> &'static str {
        "share of the circle from the key of the call to the next point of the instance"
    }
}
