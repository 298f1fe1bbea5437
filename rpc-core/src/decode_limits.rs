//! What reading one body may cost, counted down while it is read.
//!
//! A few bytes can ask for much memory: an empty message in a list takes two bytes of protobuf and
//! the whole size of its type. So readers pay for what they make before they make it. It is a plain
//! number with one owner, the reader.

use std::fmt;

use crate::codec::MAX_DEPTH;
use crate::message::ReadScope;

/// The remaining cost that reading a body may have: levels of nesting, and bytes of memory.
///
/// A reader pays before it allocates, so a body fails when the limit is reached and not when memory is.
///
/// ```
/// use rpc_core::codec::Limits;
///
/// let mut limits = Limits::new(100);
/// assert!(limits.take(60).is_ok());
/// assert!(limits.take(60).is_err());
/// assert!(limits.is_exceeded());
/// ```
#[derive(Debug, Clone)]
pub struct Limits {
    decoded: usize,
    /// Narrow, so that all of it fits two registers: each body copies it in and out.
    depth: u32,
    is_exceeded: bool,
}

impl Limits {
    /// The default of bytes of memory for a body: 64 MiB.
    pub const DECODED: usize = 64 << 20;

    /// [`MAX_DEPTH`] levels, and `decoded` bytes of memory.
    #[must_use]
    pub const fn new(decoded: usize) -> Self {
        Self { decoded, depth: MAX_DEPTH as u32, is_exceeded: false }
    }

    /// [`MAX_DEPTH`] levels, and any amount of memory; for bodies that no peer has sent.
    #[must_use]
    pub const fn of_depth_alone() -> Self {
        Self::new(usize::MAX)
    }

    /// Whether reading failed because it took too much memory.
    #[must_use]
    pub const fn is_exceeded(&self) -> bool {
        self.is_exceeded
    }

    /// Pays for `bytes` of memory.
    ///
    /// # Errors
    /// The limit is reached.
    #[inline]
    pub fn take(&mut self, bytes: usize) -> Result<(), Exceeded> {
        match self.decoded.checked_sub(bytes) {
            Some(left) => {
                self.decoded = left;
                Ok(())
            }
            None => Err(self.exceed()),
        }
    }

    /// Makes room in `list` for one more element and pays for it. `most` is the number of elements
    /// that can still come; a list never grows beyond.
    ///
    /// # Errors
    /// The limit is reached.
    #[inline]
    pub fn room<T>(
        &mut self,
        list: &mut Vec<T>,
        most: impl FnOnce() -> usize,
    ) -> Result<(), Exceeded> {
        if list.len() < list.capacity() { Ok(()) } else { self.grow(list, most()) }
    }

    /// How many elements of this size may be made room for at once, where a format says that `hint`
    /// come: as many as can be paid for, and no more than 1 MiB.
    #[must_use]
    #[inline]
    pub(crate) fn affordable(&self, size: usize, hint: usize) -> usize {
        const AT_ONCE: usize = 1 << 20;
        hint.min(self.decoded.min(AT_ONCE) / size.max(1))
    }

    /// Makes room in `list` for those that are said to come, as far as it can be paid for.
    #[inline]
    pub(crate) fn reserve<T>(&mut self, list: &mut Vec<T>, hint: usize) {
        let most = self.affordable(size_of::<T>(), hint);
        if most > list.capacity() {
            self.decoded -= most * size_of::<T>();
            list.reserve_exact(most);
        }
    }

    /// The place of a reader that begins here.
    #[inline]
    pub(crate) const fn scope(&self) -> ReadScope {
        ReadScope::new(self.depth as usize)
    }

    /// Doubles the list, as it would itself, unless less will do or is all that can be paid.
    #[cold]
    fn grow<T>(&mut self, list: &mut Vec<T>, most: usize) -> Result<(), Exceeded> {
        let size = size_of::<T>().max(1);
        let more = list.len().max(4).min(most.max(1)).min(self.decoded / size);
        if more == 0 {
            return Err(self.exceed());
        }
        self.decoded -= more * size;
        if list.capacity() == 0 {
            // The usual case; growing what is there takes another way.
            *list = Vec::with_capacity(more);
        } else {
            list.reserve_exact(more);
        }
        Ok(())
    }

    /// Enters a message.
    #[inline]
    pub(crate) fn enter(&mut self) -> bool {
        let is_left = self.depth != 0;
        self.depth = self.depth.saturating_sub(1);
        is_left
    }

    /// Leaves a message that was entered.
    #[inline]
    pub(crate) fn leave(&mut self) {
        self.depth += 1;
    }

    #[cold]
    fn exceed(&mut self) -> Exceeded {
        self.is_exceeded = true;
        Exceeded
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(Self::DECODED)
    }
}

/// A body that takes more memory than its [`Limits`] have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded;

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it takes more memory than the limit allows")
    }
}

impl std::error::Error for Exceeded {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes until the limit, and says how many there were and how much room was made.
    fn filled<T: Default>(limits: &mut Limits, most: usize) -> (usize, usize) {
        let mut list: Vec<T> = Vec::new();
        for left in (1..=most).rev() {
            if limits.room(&mut list, || left).is_err() {
                break;
            }
            list.push(T::default());
        }
        (list.len(), list.capacity())
    }

    #[test]
    fn a_list_takes_what_is_left_to_the_last_and_no_more() {
        let mut limits = Limits::new(8 * 1000);
        assert_eq!(filled::<u64>(&mut limits, usize::MAX), (1000, 1000));
        assert!(limits.is_exceeded());
    }

    #[test]
    fn a_list_never_grows_beyond_what_can_come() {
        for most in [1, 3, 5, 1000] {
            let mut limits = Limits::default();
            assert_eq!(filled::<u64>(&mut limits, most), (most, most));
            assert!(!limits.is_exceeded());
        }
    }

    #[test]
    fn what_takes_no_room_costs_nothing() {
        let mut limits = Limits::new(0);
        assert_eq!(filled::<()>(&mut limits, 1000).0, 1000);
    }

    #[test]
    fn what_was_paid_for_is_not_left_and_what_is_not_left_is_refused() {
        let mut limits = Limits::new(100);
        assert!(!limits.is_exceeded());
        assert_eq!((limits.take(60), limits.take(40), limits.take(0)), (Ok(()), Ok(()), Ok(())));
        assert!(!limits.is_exceeded());
        assert_eq!(limits.take(1), Err(Exceeded));
        assert!(limits.is_exceeded());
        let mut limits = Limits::of_depth_alone();
        assert_eq!(limits.take(Limits::DECODED + 1), Ok(()), "no peer has sent it");
        assert_eq!(Exceeded.to_string(), "it takes more memory than the limit allows");
    }

    #[test]
    fn room_is_made_for_those_that_are_said_to_come_as_far_as_it_can_be_paid_for() {
        let of = |decoded| Limits::new(decoded);
        for (decoded, size, hint, expected) in [
            (1000, 8, 5, 5),
            (1000, 8, 125, 125),
            (1000, 8, 126, 125),
            (1000, 0, 7, 7),
            (usize::MAX, 8, usize::MAX, (1 << 20) / 8),
        ] {
            assert_eq!(of(decoded).affordable(size, hint), expected, "{hint} of {size} bytes");
        }
        let (mut limits, mut list) = (of(1000), Vec::<u64>::new());
        limits.reserve(&mut list, 100);
        assert_eq!((list.capacity(), limits.decoded), (100, 200));
        limits.reserve(&mut list, 0);
        assert_eq!((list.capacity(), limits.decoded), (100, 200), "there is room already");
        let (mut limits, mut list) = (of(1000), Vec::<u64>::new());
        for _ in 0..2 {
            limits.reserve(&mut list, 10);
            assert_eq!((list.capacity(), limits.decoded), (10, 920), "it is paid for once");
        }
    }

    #[test]
    fn a_list_that_is_full_doubles_and_pays_for_what_it_gets() {
        let (mut limits, mut list) = (Limits::new(1000), Vec::<u64>::new());
        let mut seen = Vec::new();
        for _ in 0..9 {
            limits.room(&mut list, || usize::MAX).unwrap();
            list.push(0);
            seen.push((list.capacity(), limits.decoded));
        }
        let expected: Vec<(usize, usize)> = [(4, 4), (8, 4), (16, 1)]
            .iter()
            .flat_map(|(capacity, times)| vec![(*capacity, 1000 - 8 * capacity); *times])
            .collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_level_that_is_left_may_be_entered_again_and_what_is_read_there_is_told_how_deep() {
        let mut limits = Limits::default();
        assert_eq!(limits.scope().levels(), MAX_DEPTH);
        assert!(limits.enter() && limits.enter());
        assert_eq!(limits.scope().levels(), MAX_DEPTH - 2);
        limits.leave();
        assert_eq!(limits.scope().levels(), MAX_DEPTH - 1);
    }

    #[test]
    fn as_many_messages_are_entered_as_may_nest() {
        let mut limits = Limits::default();
        assert!((0..MAX_DEPTH).all(|_| limits.enter()));
        assert!(!limits.enter());
    }
}
