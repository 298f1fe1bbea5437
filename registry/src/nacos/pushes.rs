//! What a server pushes, handed to whoever follows it: lists of services, and hints that a configuration has
//! changed.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::mem;
use std::sync::Mutex;

use bytes::Bytes;
use rpc_core::{Latest, LatestReader};

use super::messages::{ConfigChangeNotify, read_json};
use super::unread_list::UnreadList;
use crate::lock::locked;

/// By how much a list may be older than one that came before it, in milliseconds, and be late. One that is
/// older still comes from a clock that went back, as that of another machine, and is the newest.
const LATE_MS: i64 = 10_000;

/// Followers by what they follow. What nobody follows is not kept.
#[derive(Debug, Default)]
pub(super) struct Pushes {
    services: Table<String, NewestList>,
    /// By data id and group.
    configs: Table<(String, String), ()>,
}

/// The list of a service that came last.
#[derive(Debug, Default)]
pub(super) struct NewestList {
    /// When the server made it; `None` before the first.
    time: Option<i64>,
    /// `None` before the first, and once it was taken.
    list: Option<UnreadList>,
}

/// What is followed, by key.
#[derive(Debug)]
struct Table<K, T>(Mutex<HashMap<K, Followed<T>>>);

/// Something that is followed, for as long as anybody does.
#[derive(Debug)]
struct Followed<T> {
    sender: Latest<T>,
    /// How many follow it. Of those that leave at the same time, the readers are dropped later.
    followers: usize,
}

impl Pushes {
    /// Follows the lists of a service.
    pub(super) fn follow_service(&self, name: &str) -> LatestReader<NewestList> {
        self.services.follow(name.to_owned())
    }

    /// The list of a service that came last, unless it was taken. It is taken if one follows the service
    /// alone, as is usual: lists can be long, and who follows one keeps what it means.
    pub(super) fn take_service(&self, name: &str) -> Option<UnreadList> {
        let services = locked(&self.services.0);
        let Followed { sender, followers } = services.get(name)?;
        let is_alone = *followers == 1;
        let mut taken = None;
        sender.send_if_modified(|newest| {
            taken = if is_alone { newest.list.take() } else { newest.list.clone() };
            false
        });
        taken
    }

    /// Ends a following; returns whether it was the last.
    pub(super) fn leave_service(&self, name: &str) -> bool {
        self.services.leave(&name.to_owned())
    }

    /// Whether anybody follows a service.
    pub(super) fn is_followed(&self, name: &str) -> bool {
        locked(&self.services.0).contains_key(name)
    }

    /// Follows a configuration.
    pub(super) fn follow_config(&self, id: &str, group: &str) -> LatestReader<()> {
        self.configs.follow((id.to_owned(), group.to_owned()))
    }

    /// Ends a following.
    pub(super) fn leave_config(&self, id: &str, group: &str) {
        self.configs.leave(&(id.to_owned(), group.to_owned()));
    }

    /// Hands on the list of a service, pushed or asked for, unless it is late: a younger one came before.
    pub(super) fn put(&self, name: &str, list: UnreadList) {
        let Some(newest) = self.services.sender(name) else { return };
        let made = list.made_ms();
        let mut other = NewestList { time: Some(made), list: Some(list) };
        newest.send_if_modified(|newest| {
            let behind = newest.time.map_or(0, |time| time.saturating_sub(made));
            let is_late = (1..=LATE_MS).contains(&behind);
            if !is_late {
                mem::swap(newest, &mut other);
            }
            !is_late
        });
        // The one before, or one that is late, is dropped here, where no lock is held.
    }

    /// A pushed list; returns the id of its push.
    ///
    /// # Errors
    /// It is of another form.
    pub(super) fn service(&self, json: Bytes) -> Result<Option<String>, String> {
        let (list, push) = UnreadList::pushed(json)?;
        let name = list.service().to_owned();
        self.put(&name, list);
        Ok(push)
    }

    /// A pushed hint that a configuration has changed.
    ///
    /// # Errors
    /// It is of another form.
    pub(super) fn config(&self, json: &[u8]) -> Result<(), String> {
        let push: ConfigChangeNotify = read_json(json)?;
        if let Some(changed) = self.configs.sender(&(push.data_id, push.group)) {
            changed.send(());
        }
        Ok(())
    }
}

// === impl Table ===

impl<K: Hash + Eq, T: Default> Table<K, T> {
    fn follow(&self, key: K) -> LatestReader<T> {
        let mut table = locked(&self.0);
        let none = || Followed { sender: Latest::default(), followers: 0 };
        let followed = table.entry(key).or_insert_with(none);
        followed.followers += 1;
        followed.sender.subscribe()
    }

    /// To be called once by each that follows; returns whether it was the last.
    fn leave(&self, key: &K) -> bool {
        let mut table = locked(&self.0);
        let Some(followed) = table.get_mut(key) else { return false };
        followed.followers -= 1;
        let last = if followed.followers == 0 { table.remove(key) } else { None };
        // What it holds is dropped where no lock is held.
        drop(table);
        last.is_some()
    }

    /// The sender to those that follow; to be used without the table, as they are woken by it.
    fn sender<Q>(&self, key: &Q) -> Option<Latest<T>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        locked(&self.0).get(key).map(|followed| followed.sender.clone())
    }
}

impl<K, T> Default for Table<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Wake};

    use super::*;

    /// Fails where it is woken while the table is locked.
    struct OpenWhenWoken(Arc<Pushes>);

    impl Wake for OpenWhenWoken {
        fn wake(self: Arc<Self>) {
            assert!(self.0.services.0.try_lock().is_ok(), "services are locked");
            assert!(self.0.configs.0.try_lock().is_ok(), "configurations are locked");
        }
    }

    fn push(name: &str, time: u64) -> Bytes {
        let json = format!(
            r#"{{"requestId":"7","serviceInfo":{{"name":"{name}","groupName":"G","lastRefTime":{time},
            "hosts":[{{"ip":"10.0.0.1","port":1,"metadata":null,"new":[]}}]}}}}"#
        );
        json.into()
    }

    #[test]
    fn a_list_never_goes_back_in_time() {
        let pushes = Pushes::default();
        let list = pushes.follow_service("a:b");
        for (name, time) in [("G@@a:b", 5), ("a:b", 3), ("other", 9)] {
            pushes.service(push(name, time)).unwrap();
        }
        assert_eq!(list.borrow().time, Some(5));
        assert_eq!(pushes.take_service("a:b").unwrap().read().unwrap().hosts.len(), 1);
        pushes.service(push("a:b", 4)).unwrap();
        assert!(pushes.take_service("a:b").is_none(), "it was taken, and an older one is none");
    }

    #[test]
    fn a_clock_that_goes_back_keeps_no_list_from_us() {
        let pushes = Pushes::default();
        let list = pushes.follow_service("a");
        let hour = 3_600_000;
        pushes.service(push("a", 2 * hour)).unwrap();
        pushes.service(push("a", hour)).unwrap();
        assert_eq!(list.borrow().time, Some(hour as i64));
        assert!(pushes.take_service("a").is_some());
        // From there on, what is late is late as before.
        pushes.service(push("a", hour - 1)).unwrap();
        assert_eq!(list.borrow().time, Some(hour as i64));
        pushes.service(push("a", hour + 1)).unwrap();
        assert_eq!(list.borrow().time, Some(hour as i64 + 1));
    }

    #[test]
    fn a_list_of_the_same_time_as_the_last_is_not_late() {
        let pushes = Pushes::default();
        let mut list = pushes.follow_service("a");
        for _ in 0..2 {
            pushes.service(push("a", 5)).unwrap();
            assert!(list.has_changed() && pushes.take_service("a").is_some());
            list.mark_unchanged();
        }
    }

    #[test]
    fn each_of_several_followers_gets_the_list_and_one_alone_takes_it() {
        let pushes = Pushes::default();
        let followers = [(); 2].map(|()| pushes.follow_service("a"));
        pushes.service(push("a", 1)).unwrap();
        let hosts = || Some(pushes.take_service("a")?.read().unwrap().hosts.len());
        assert_eq!(followers.each_ref().map(|_| hosts()), [Some(1); 2]);
        assert!(!pushes.leave_service("a"));
        assert_eq!([hosts(), hosts()], [Some(1), None]);
    }

    #[test]
    fn what_nobody_follows_any_more_is_forgotten() {
        let pushes = Pushes::default();
        let (first, second) = (pushes.follow_service("a"), pushes.follow_service("a"));
        assert!(!pushes.leave_service("a"));
        drop((first, second));
        assert!(pushes.leave_service("a") && !pushes.is_followed("a"));
        pushes.service(push("a", 1)).unwrap();
        assert!(!pushes.is_followed("a"));
    }

    #[test]
    fn of_followers_that_leave_at_the_same_time_one_is_the_last() {
        let pushes = Pushes::default();
        let followers = [(); 3].map(|()| pushes.follow_service("a"));
        // Each leaves before any of their readers is dropped.
        let left = followers.each_ref().map(|_| pushes.leave_service("a"));
        assert_eq!((left, pushes.is_followed("a")), ([false, false, true], false));
    }

    #[test]
    fn a_hint_reaches_the_followers_of_its_key_alone() {
        let pushes = Pushes::default();
        let mut ours = pushes.follow_config("id", "g");
        let mut other = pushes.follow_config("id", "h");
        ours.mark_unchanged();
        other.mark_unchanged();
        pushes.config(br#"{"dataId":"id","group":"g","tenant":""}"#).unwrap();
        assert_eq!((ours.has_changed(), other.has_changed()), (true, false));
        pushes.config(b"{}").unwrap_err();
    }

    #[test]
    fn followers_are_woken_while_the_table_is_open() {
        let pushes = Arc::<Pushes>::default();
        let waker = Arc::new(OpenWhenWoken(Arc::clone(&pushes))).into();
        let cx = Context::from_waker(&waker);
        let mut list = pushes.follow_service("a");
        let mut hint = pushes.follow_config("id", "g");
        assert!(list.poll_changed(&cx).is_pending() && hint.poll_changed(&cx).is_pending());
        pushes.service(push("a", 1)).unwrap();
        pushes.config(br#"{"dataId":"id","group":"g","tenant":""}"#).unwrap();
        assert!(list.poll_changed(&cx).is_ready() && hint.poll_changed(&cx).is_ready());
        assert!(list.poll_changed(&cx).is_pending() && hint.poll_changed(&cx).is_pending());
        assert!(pushes.leave_service("a"));
        pushes.leave_config("id", "g");
        assert!(list.poll_changed(&cx).is_ready() && hint.poll_changed(&cx).is_ready());
    }
}
