//! Long work in a task of its own steps, so that the tasks beside it do not wait for all of it.

use tokio::task::yield_now;

/// How many small items are worked on in a row: together far less than a millisecond.
const ITEMS: usize = 128;

/// Gives other tasks their turn within work on many small items.
///
/// ```
/// # extern crate rpc_core as dubhe;
/// # #[tokio::main]
/// # async fn main() {
/// let mut turns = dubhe::Turns::new();
/// let mut sum = 0_u64;
/// for item in 0..10_000 {
///     turns.next().await;
///     sum += item;
/// }
/// # assert_eq!(sum, 49_995_000);
/// # }
/// ```
#[derive(Debug)]
pub struct Turns {
    /// How many items come before the next turn; `None` if there is none.
    left: Option<usize>,
}

impl Turns {
    /// Turns every 128 items.
    #[must_use]
    pub const fn new() -> Self {
        Self { left: Some(ITEMS) }
    }

    /// No turns: the work is done when it is first polled. For work that others wait for anyway.
    #[must_use]
    pub const fn none() -> Self {
        Self { left: None }
    }

    /// To be awaited before each item; gives others their turn now and then.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self) {
        match &mut self.left {
            None => {}
            Some(left @ 1..) => *left -= 1,
            Some(left) => {
                *left = ITEMS;
                yield_now().await;
            }
        }
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self::new()
    }
}
