//! The present ring, and the making of the next one.
//!
//! A ring is that of a directory's list, so one is made when the list changes, and not when the
//! state of its endpoints does. Small ones are made by the call that first needs them, within a
//! millisecond or so. Calls do not wait for a large one: meanwhile they use the last ring, walking
//! past endpoints that are gone, and new ones get their keys with the new ring. If hardly any
//! endpoint of the last ring is left, keys are spread over the list without a ring meanwhile. Only
//! the very first ring has to be waited for.

use std::sync::atomic::{AtomicBool, Ordering::AcqRel, Ordering::Release};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::ring::Ring;
use crate::candidates::Members;

/// Up to how many points a ring is made while a call waits.
const SMALL: usize = 1 << 16;

/// A large ring rests so many times as long as its making took, so that a list that never stops
/// changing costs a tenth of a processor.
const REST: u32 = 9;

/// The rings of one balancer.
#[derive(Debug)]
pub(super) struct Rings {
    /// Points of an address.
    nodes: u32,
    current: ArcSwap<Ring>,
    /// Held while a ring is built, so that one call builds it and the others wait.
    making: Mutex<()>,
    /// Whether a ring is being built in the background.
    is_making: AtomicBool,
}

impl Rings {
    pub(super) fn new(nodes: u32) -> Self {
        Self {
            nodes,
            current: ArcSwap::default(),
            making: Mutex::default(),
            is_making: AtomicBool::new(false),
        }
    }

    /// Builds the ring of these members at once, because the last ring has no live endpoint.
    pub(super) fn hurry(self: &Arc<Self>, members: &Arc<Members>) {
        if let Ok(runtime) = Handle::try_current() {
            self.make_beside(&runtime, members);
        }
    }

    /// The ring of these members, or the last one while that is being made.
    pub(super) fn of(self: &Arc<Self>, members: &Arc<Members>, now: Instant) -> Guard<Arc<Ring>> {
        let ring = self.current.load();
        // A user's own balancer may make a list for every call, with the same members each time.
        if !ring.is_before(members) || ring.addresses() == members.addresses() {
            return ring;
        }
        let is_small = members.addresses().len() * self.nodes as usize <= SMALL;
        match Handle::try_current() {
            Ok(runtime) if !is_small && !ring.is_empty() => {
                if ring.rests_until.is_none_or(|until| now >= until) {
                    self.make_beside(&runtime, members);
                }
                ring
            }
            _ => {
                self.make(members);
                self.current.load()
            }
        }
    }

    fn make_beside(self: &Arc<Self>, runtime: &Handle, members: &Arc<Members>) {
        if self.is_making.swap(true, AcqRel) {
            return;
        }
        let (making, members) = (Making(self.clone()), members.clone());
        runtime.spawn_blocking(move || making.0.make(&members));
    }

    fn make(&self, members: &Arc<Members>) {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.current.load_full();
        if !old.is_before(members) {
            return;
        }
        let begun = Instant::now();
        let mut ring = Ring::of(members, self.nodes, &old);
        ring.rests_until = Some(Instant::now() + begun.elapsed() * REST);
        self.current.store(Arc::new(ring));
    }
}

/// A ring being made beside calls; also a runtime that ends before it began ends it.
struct Making(Arc<Rings>);

impl Drop for Making {
    fn drop(&mut self) {
        self.0.is_making.store(false, Release);
    }
}
