//! What a watch has put last: the channel behind [`Updates`](crate::Updates) and
//! [`ConfigUpdates`](crate::ConfigUpdates).

use rpc_core::{Error, Latest, LatestReader};

/// Where a watch puts what it sees. It is one channel, as there is one for each list.
#[derive(Debug)]
pub(crate) struct Newest<T>(Latest<WatchNews<T>>);

/// The newest that a watch has put, and why it is not confirmed any more.
#[derive(Debug, Clone)]
pub(crate) struct WatchNews<T> {
    pub(crate) value: Option<T>,
    /// Counts values, as an equal one counts.
    pub(crate) puts: u64,
    pub(crate) doubt: Option<Error>,
}

impl<T> Newest<T> {
    /// Puts a value that `is_newer` than the one before. It is confirmed in any case.
    pub(crate) fn put_if(&self, value: T, is_newer: impl FnOnce(&T, &T) -> bool) {
        let mut other = Some(value);
        let mut doubt = None;
        self.0.send_if_modified(|news| {
            doubt = news.doubt.take();
            let is_put = match (&other, &news.value) {
                (Some(new), Some(old)) => is_newer(new, old),
                _ => true,
            };
            if is_put {
                std::mem::swap(&mut news.value, &mut other);
                news.puts += 1;
            }
            is_put || doubt.is_some()
        });
        // What was before is dropped here, where no lock is held.
    }

    /// The value cannot be confirmed at present, for this reason.
    pub(crate) fn doubt(&self, why: Error) {
        self.0.send_if_modified(|news| {
            news.doubt = Some(why);
            true
        });
    }

    /// Whether a value is not in doubt, and is so.
    #[cfg(feature = "_dubbo")]
    pub(crate) fn is_confirmed(&self, is_so: impl FnOnce(&T) -> bool) -> bool {
        let news = self.0.borrow();
        news.doubt.is_none() && news.value.as_ref().is_some_and(is_so)
    }

    /// A reader that has seen what is there.
    pub(crate) fn subscribe(&self) -> LatestReader<WatchNews<T>> {
        self.0.subscribe()
    }
}

impl<T> Default for Newest<T> {
    fn default() -> Self {
        Self(Latest::new(WatchNews { value: None, puts: 0, doubt: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubt_is_news_and_so_is_its_end() {
        let newest = Newest::default();
        newest.put_if(5, |_, _| true);
        let mut reader = newest.subscribe();
        let mut next = || {
            assert!(reader.has_changed(), "it is no news");
            reader.borrow_and_update().clone()
        };
        newest.doubt(Error::unreachable("half of it is gone"));
        let doubted = next();
        assert_eq!((doubted.value, doubted.puts, doubted.doubt.is_some()), (Some(5), 1, true));
        // One that is older says no less that there is a registry.
        newest.put_if(3, |new, old| new > old);
        let confirmed = next();
        assert_eq!(
            (confirmed.value, confirmed.puts, confirmed.doubt.is_some()),
            (Some(5), 1, false)
        );
    }
}
