//! The ring of consistent hashing, placed as Dubbo places it.
//!
//! Karger et al. 1997; the points are Dubbo's: MD5 of the address followed by a decimal number,
//! four points from each digest, little endian. A ring is made once for a list of addresses; after
//! a change the points of those that stayed are taken over.
//!
//! Digests spread points evenly, so a table over the top bits of a place finds it in two memory
//! accesses, where a binary search over a million points takes twenty.

use std::sync::Arc;

use md5::{Digest, Md5};
use tokio::time::Instant;

use crate::candidates::Members;

/// How many points one digest gives.
const POINTS_OF_DIGEST: u32 = 4;

/// How many points there are for an entry of the table, at least; at most twice as many.
const POINTS_OF_ENTRY: usize = 2;

/// The points of every address of one list, in the order of the circle.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// `None` before there was a list.
    members: Option<Arc<Members>>,
    /// The position on the circle, and its owner as an index into the members.
    points: Vec<(u32, u32)>,
    /// For each of the highest bits of a place, the first point that is not before them.
    table: Vec<u32>,
    /// How many bits are not in the table.
    low_bits: u32,
    /// Until when it is not worth the work to replace it.
    pub(super) rests_until: Option<Instant>,
}

impl Ring {
    /// The ring of these members with `nodes` points each. Points of addresses that `old` had are
    /// not computed again.
    pub(super) fn of(members: &Arc<Members>, nodes: u32, old: &Self) -> Self {
        let mut before = old.addresses().iter().zip(0_usize..).peekable();
        let mut moved = vec![None; old.addresses().len()];
        let mut new = Vec::new();
        // Both lists are in order.
        for (address, place) in members.addresses().iter().zip(0_u32..) {
            while before.next_if(|(gone, _)| *gone < address).is_some() {}
            match before.next_if(|(same, _)| *same == address) {
                Some((_, was)) => moved[was] = Some(place),
                None => new.push((address, place)),
            }
        }
        let mut points = Vec::with_capacity(members.addresses().len() * nodes as usize);
        points.extend(old.points.iter().filter_map(|(at, whose)| {
            let place = moved.get(*whose as usize).copied().flatten()?;
            Some((*at, place))
        }));
        for (address, place) in new {
            points.extend(points_of(address, nodes).map(|at| (at, place)));
        }
        // A sort that finds what is in order already: most of it, after a change.
        points.sort_by_key(|(at, whose)| (u64::from(*at) << 32) | u64::from(*whose));
        let (table, low_bits) = table_of(&points);
        Self { members: Some(members.clone()), points, table, low_bits, rests_until: None }
    }

    /// Whether it is that of these members.
    pub(super) fn is_of(&self, members: &Members) -> bool {
        self.number() == members.number()
    }

    /// Whether these members came after those it was made for.
    pub(super) fn is_before(&self, members: &Members) -> bool {
        self.number() < members.number()
    }

    /// Whether it has no points.
    pub(super) fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The addresses it was made for.
    pub(super) fn addresses(&self) -> &[Arc<str>] {
        self.members.as_ref().map_or(&[], |members| members.addresses())
    }

    fn number(&self) -> u64 {
        self.members.as_ref().map_or(0, |members| members.number())
    }

    /// Whom `at` belongs to: the first at or after it for which `is` gives something, asked by the
    /// place among the members; looked for on at most so many points. Of several on one point it is
    /// the last, as in Dubbo's map.
    pub(super) fn find<T>(
        &self,
        at: u32,
        most: usize,
        is: impl Fn(usize) -> Option<T>,
    ) -> Option<T> {
        let count = self.points.len();
        let first = self.first_from(at);
        let mut found = None;
        for index in (first..count).chain(0..first).take(most) {
            let (at, whose) = self.points[index];
            found = is(whose as usize).or(found);
            let is_shared = self.points.get(index + 1).is_some_and(|(next, _)| *next == at);
            if found.is_some() && !is_shared {
                break;
            }
        }
        found
    }

    /// The index of the first point at or after `at`; the number of points if all are before.
    fn first_from(&self, at: u32) -> usize {
        let entry = u64::from(at) >> self.low_bits;
        let from = self.table.get(entry as usize).map_or(0, |from| *from as usize);
        let before = self.points[from..].iter().take_while(|(point, _)| *point < at);
        from + before.count()
    }
}

/// For each value of the highest bits, the first of the points that is not before them; and how
/// many bits are left.
fn table_of(points: &[(u32, u32)]) -> (Vec<u32>, u32) {
    let entries = (points.len() / POINTS_OF_ENTRY).max(1).next_power_of_two() / 2;
    let bits = entries.max(1).ilog2();
    let low_bits = u32::BITS - bits;
    let mut points = points.iter().zip(0_u32..).peekable();
    let mut first = 0;
    let entry = |entry: u64| {
        while points.next_if(|((at, _), _)| u64::from(*at) >> low_bits < entry).is_some() {
            first += 1;
        }
        first
    };
    ((0..1_u64 << bits).map(entry).collect(), low_bits)
}

/// How far from `place` the next point of `address` is, as a share of the circle. Computes the
/// points of this address, which is far less than to look for them on the ring.
pub(super) fn distance(place: u32, address: &str, nodes: u32) -> Option<f64> {
    let nearest = points_of(address, nodes).map(|at| at.wrapping_sub(place)).min()?;
    Some(f64::from(nearest) / (f64::from(u32::MAX) + 1.0))
}

/// The positions of the points of `address`.
fn points_of(address: &str, nodes: u32) -> impl Iterator<Item = u32> {
    let begun = Md5::new().chain_update(address);
    (0..nodes / POINTS_OF_DIGEST).flat_map(move |number| {
        let number = Decimal::of(u64::from(number));
        let digest = begun.clone().chain_update(number.text()).finalize();
        let mut points = [0; POINTS_OF_DIGEST as usize];
        let (words, _) = digest.as_slice().as_chunks::<4>();
        points.iter_mut().zip(words).for_each(|(point, word)| *point = u32::from_le_bytes(*word));
        points
    })
}

/// The position of the calls of `key`.
pub(super) fn place_of(key: &[u8]) -> u32 {
    let digest = Md5::digest(key);
    digest.first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
}

/// The position of the calls of a number: that of its decimal text.
pub(super) fn place_of_number(key: u64) -> u32 {
    place_of(Decimal::of(key).text())
}

/// The decimal text of a number, without an allocation.
struct Decimal {
    digits: [u8; 20],
    from: usize,
}

impl Decimal {
    fn of(mut number: u64) -> Self {
        let mut decimal = Self { digits: [b'0'; 20], from: 20 };
        loop {
            decimal.from -= 1;
            decimal.digits[decimal.from] += (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return decimal;
            }
        }
    }

    fn text(&self) -> &[u8] {
        &self.digits[self.from..]
    }
}
