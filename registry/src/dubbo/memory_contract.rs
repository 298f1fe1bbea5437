//! Whether the tree of the tests keeps what trees promise, and whether a tree that does not is found out.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::memory_tree::{MemoryStore, MemoryTree};
use super::reading_contract::readings_tell_of_changes;
use super::tree::NodeTree;
use super::tree_contract::{
    TreeServer, a_session_that_ends_says_so_and_takes_its_nodes_along,
    a_thousand_children_are_one_list, a_watch_of_children_begins_at_once_and_sees_each_change,
    a_watch_of_one_value_sees_it_come_change_and_go, a_watch_of_values_sees_a_value_that_changes,
    an_owned_node_of_another_session_is_replaced, keeps_every_promise,
};
use crate::lock::locked;

/// The tree of the tests themselves.
struct InMemory(Arc<MemoryStore>, Mutex<Vec<Arc<MemoryTree>>>);

#[async_trait]
impl TreeServer for InMemory {
    async fn open(&self) -> Arc<dyn NodeTree> {
        let tree = self.0.open();
        locked(&self.1).push(Arc::clone(&tree));
        tree
    }

    async fn end(&self, session: Arc<dyn NodeTree>) {
        let opened = locked(&self.1);
        let is_it =
            |tree: &&Arc<MemoryTree>| std::ptr::addr_eq(Arc::as_ptr(tree), Arc::as_ptr(&session));
        opened.iter().find(is_it).unwrap().expire();
    }
}

impl InMemory {
    fn new() -> Self {
        Self(Arc::default(), Mutex::default())
    }

    /// One whose watches tell what is there at first, and nothing any more.
    fn deaf() -> Self {
        let server = Self::new();
        server.0.deafen();
        server
    }
}

#[tokio::test(start_paused = true)]
async fn the_tree_in_memory_keeps_every_promise() {
    let server = InMemory::new();
    keeps_every_promise(&server, "/contract").await;
    readings_tell_of_changes(&server, "/readings").await;
    assert_eq!(server.0.all_watches(), 0, "a dropped watch is still open");
}

#[tokio::test(start_paused = true)]
async fn a_tree_whose_watches_tell_nothing_breaks_every_promise_that_has_one() {
    let promises = [
        tokio::spawn(async {
            an_owned_node_of_another_session_is_replaced(&InMemory::deaf(), "/at").await;
        }),
        tokio::spawn(async {
            a_watch_of_children_begins_at_once_and_sees_each_change(&InMemory::deaf(), "/at").await;
        }),
        tokio::spawn(async {
            a_watch_of_values_sees_a_value_that_changes(&InMemory::deaf(), "/at").await;
        }),
        tokio::spawn(async {
            a_watch_of_one_value_sees_it_come_change_and_go(&InMemory::deaf(), "/at").await;
        }),
        tokio::spawn(async {
            a_thousand_children_are_one_list(&InMemory::deaf(), "/at").await;
        }),
        tokio::spawn(async {
            a_session_that_ends_says_so_and_takes_its_nodes_along(&InMemory::deaf(), "/at").await;
        }),
    ];
    for (at, promise) in promises.into_iter().enumerate() {
        let failure = promise.await.expect_err(&format!("promise {at} is kept")).into_panic();
        let told = failure.downcast_ref::<String>().map_or("", String::as_str);
        assert!(told.starts_with("a change to be seen took longer"), "promise {at}: {told}");
    }
}
