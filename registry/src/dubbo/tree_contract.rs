//! What a [`NodeTree`] promises, tried on one: every server with a tree runs it.
//!
//! Each promise is a function, and works below a path of its own, so that they can share a server.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rpc_core::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::tree::{NodeTree, ReadOf, TreeNode};
use crate::lock::locked;

/// More than anything here may take, the end of a session included.
const LIMIT: Duration = Duration::from_secs(60);

/// A server that can be tried.
#[async_trait]
pub(crate) trait TreeServer: Send + Sync {
    /// A new session.
    async fn open(&self) -> Arc<dyn NodeTree>;

    /// Ends a session, so that what it owns goes, and returns once it may be going: revokes its lease,
    /// closes it at the server, or stops renewing it.
    async fn end(&self, session: Arc<dyn NodeTree>);
}

/// Tries every promise below `root`, such as `/contract`, which nothing else uses.
pub(crate) async fn keeps_every_promise(server: &dyn TreeServer, root: &str) {
    let at = |check: &str| format!("{root}/{check}");
    an_owned_node_has_its_value_and_parents_that_last(server, &at("owned")).await;
    an_owned_node_of_another_session_is_replaced(server, &at("replaced")).await;
    only_the_owner_removes_a_node(server, &at("removed")).await;
    an_edit_loses_no_other(server, &at("edited")).await;
    what_does_not_exist_is_none_and_has_no_children(server, &at("none")).await;
    names_are_any_encoded_text(server, &at("names")).await;
    a_watch_of_children_begins_at_once_and_sees_each_change(server, &at("children")).await;
    a_watch_of_values_sees_a_value_that_changes(server, &at("values")).await;
    a_watch_of_one_value_sees_it_come_change_and_go(server, &at("value")).await;
    a_thousand_children_are_one_list(server, &at("many")).await;
    a_session_that_ends_says_so_and_takes_its_nodes_along(server, &at("end")).await;
}

pub(super) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub(super) async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("{what} took longer than {LIMIT:?}"))
}

/// The children with their values, sorted.
pub(super) fn listed(nodes: &[TreeNode]) -> Vec<(String, String)> {
    let text = |value: &Bytes| String::from_utf8(value.to_vec()).unwrap();
    let mut listed: Vec<_> =
        nodes.iter().map(|node| (node.name.to_string(), text(&node.value))).collect();
    listed.sort();
    listed
}

pub(super) fn names(nodes: &[TreeNode]) -> Vec<String> {
    listed(nodes).into_iter().map(|(name, _)| name).collect()
}

async fn names_at(tree: &Arc<dyn NodeTree>, path: &str) -> Vec<String> {
    names(&tree.children(path, ReadOf::Names).await.unwrap())
}

async fn text_at(tree: &Arc<dyn NodeTree>, path: &str) -> Option<String> {
    let value = tree.value(path).await.unwrap();
    value.map(|value| String::from_utf8(value.to_vec()).unwrap())
}

/// Writes a value that lasts.
pub(super) async fn keep(tree: &Arc<dyn NodeTree>, path: &str, value: &str) {
    tree.edit(path, &|_| Some(bytes(value))).await.unwrap();
}

async fn an_owned_node_has_its_value_and_parents_that_last(server: &dyn TreeServer, at: &str) {
    let (tree, other) = (server.open().await, server.open().await);
    let path = format!("{at}/deep/er/node");
    for value in ["one", "one", "two", ""] {
        tree.put_owned(&path, bytes(value)).await.unwrap();
        assert_eq!(text_at(&other, &path).await.as_deref(), Some(value));
    }
    // A parent is a child of its own parent, whoever made it.
    assert_eq!(names_at(&other, at).await, ["deep"]);
    assert_eq!(names_at(&other, &format!("{at}/deep")).await, ["er"]);
    tree.remove_owned(&path).await.unwrap();
    assert_eq!(text_at(&other, &path).await, None);
    assert_eq!(names_at(&other, &format!("{at}/deep/er")).await, [""; 0]);
    tree.remove_owned(&path).await.unwrap();
    tree.remove_owned(&format!("{at}/never/was")).await.unwrap();
}

pub(super) async fn an_owned_node_of_another_session_is_replaced(
    server: &dyn TreeServer,
    at: &str,
) {
    let (old, new) = (server.open().await, server.open().await);
    let (same, other, lasting) =
        (format!("{at}/same"), format!("{at}/other"), format!("{at}/kept"));
    old.put_owned(&same, bytes("value")).await.unwrap();
    old.put_owned(&other, bytes("old")).await.unwrap();
    keep(&old, &lasting, "by hand").await;
    // Also with the same value, since it would go with the old session.
    new.put_owned(&same, bytes("value")).await.unwrap();
    new.put_owned(&other, bytes("new")).await.unwrap();
    new.put_owned(&lasting, bytes("owned")).await.unwrap();
    // What it still owns shows when it has ended.
    let third = server.open().await;
    old.put_owned(&format!("{at}/mark"), bytes("")).await.unwrap();
    let newest = watch::Sender::new(None);
    let mut watching = third.watch_children(at, ReadOf::Values, &newest);
    shows(&mut watching, &newest, |nodes| nodes.len() == 4).await;
    server.end(old).await;
    let left = [("kept", "owned"), ("other", "new"), ("same", "value")];
    let left = left.map(|(name, value)| (name.to_owned(), value.to_owned()));
    shows(&mut watching, &newest, |nodes| listed(nodes) == left).await;
    server.end(new).await;
    shows(&mut watching, &newest, |nodes| nodes.is_empty()).await;
}

async fn only_the_owner_removes_a_node(server: &dyn TreeServer, at: &str) {
    let (owner, other) = (server.open().await, server.open().await);
    let (owned, lasting) = (format!("{at}/owned"), format!("{at}/lasting"));
    owner.put_owned(&owned, bytes("mine")).await.unwrap();
    keep(&owner, &lasting, "nobody's").await;
    other.remove_owned(&owned).await.unwrap();
    other.remove_owned(&lasting).await.unwrap();
    assert_eq!(names_at(&owner, at).await, ["lasting", "owned"]);
    owner.remove_owned(&owned).await.unwrap();
    assert_eq!(names_at(&owner, at).await, ["lasting"]);
}

async fn an_edit_loses_no_other(server: &dyn TreeServer, at: &str) {
    let tree = server.open().await;
    let path = format!("{at}/list");
    let append = |name: &str, present: Option<&[u8]>| {
        let present = present.map(|value| std::str::from_utf8(value).unwrap());
        let names: Vec<&str> = present.into_iter().flat_map(|text| text.split(',')).collect();
        (!names.contains(&name)).then(|| bytes(&[&names[..], &[name]].concat().join(",")))
    };
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let (tree, path) = (server.open().await, path.clone());
        writers.spawn(async move {
            for name in (0..10).map(|i| format!("w{writer}n{i}")) {
                // One who comes too late ten times is told, and may come again.
                while tree.edit(&path, &|present| append(&name, present)).await.is_err() {
                    assert!(tree.reason().is_none(), "the session is lost");
                }
            }
        });
    }
    within("forty edits", writers.join_all()).await;
    let text = text_at(&tree, &path).await.unwrap();
    assert_eq!(text.split(',').count(), 40, "{text}");
    // What is left alone is not written.
    let asked = std::sync::Mutex::new(0);
    let leave = |present: Option<&[u8]>| {
        *locked(&asked) += 1;
        assert_eq!(present, Some(text.as_bytes()));
        None
    };
    tree.edit(&path, &leave).await.unwrap();
    assert_eq!(*locked(&asked), 1);
    // It outlives the session.
    server.end(tree).await;
    assert_eq!(text_at(&server.open().await, &path).await, Some(text));
}

async fn what_does_not_exist_is_none_and_has_no_children(server: &dyn TreeServer, at: &str) {
    let tree = server.open().await;
    let path = format!("{at}/not/there");
    assert_eq!(text_at(&tree, &path).await, None);
    for read in [ReadOf::Names, ReadOf::Values] {
        assert_eq!(tree.children(&path, read).await.unwrap(), []);
    }
    assert_eq!(tree.count(&path).await.unwrap(), 0);
    // Reading makes nothing.
    assert_eq!(text_at(&tree, at).await, None);
}

async fn names_are_any_encoded_text(server: &dyn TreeServer, at: &str) {
    let tree = server.open().await;
    let name = "dubhe%3A%2F%2F%5B%3A%3A1%5D%3A20880%2Fshop.Stock%3Fa%3D%25%26b%3D*.-_~+";
    // As long as that of a service with many methods.
    let long = "m%2C".repeat(1000);
    for name in [name, &long, "10.0.0.1:20880"] {
        tree.put_owned(&format!("{at}/{name}"), bytes("v")).await.unwrap();
    }
    let mut expected = [name, &long, "10.0.0.1:20880"].map(str::to_owned);
    expected.sort();
    assert_eq!(names_at(&tree, at).await, expected);
    // A name that begins as the path ends is not below it.
    tree.put_owned(&format!("{at}-more/x"), bytes("v")).await.unwrap();
    assert_eq!(names_at(&tree, at).await, expected);
}

/// Waits until a watch shows what `is_met` asks for; fails if the watch ends first.
async fn shows<T: Clone>(
    watching: &mut (impl Future<Output = Result<(), Error>> + Unpin),
    newest: &watch::Sender<Option<T>>,
    is_met: impl Fn(&T) -> bool,
) {
    let mut seen = newest.subscribe();
    let met = seen.wait_for(|newest| newest.as_ref().is_some_and(&is_met));
    let met = async {
        tokio::select! {
            met = met => { met.unwrap(); }
            ended = watching => panic!("the watch ended: {ended:?}"),
        }
    };
    within("a change to be seen", met).await;
}

pub(super) async fn a_watch_of_children_begins_at_once_and_sees_each_change(
    server: &dyn TreeServer,
    at: &str,
) {
    let (tree, writer) = (server.open().await, server.open().await);
    let newest = watch::Sender::new(None);
    let mut watching = tree.watch_children(at, ReadOf::Names, &newest);
    // A path that does not exist has no children, and is watched all the same.
    shows(&mut watching, &newest, |nodes| nodes.is_empty()).await;
    let mut expected = Vec::new();
    for name in ["a", "b", "c"] {
        writer.put_owned(&format!("{at}/{name}"), bytes("v")).await.unwrap();
        expected.push(name.to_owned());
        shows(&mut watching, &newest, |nodes| names(nodes) == expected).await;
    }
    // What is below a child is none of it. The child lasts, as servers may allow none below another.
    for below in ["one", "two"] {
        keep(&writer, &format!("{at}/d/{below}"), "x").await;
        shows(&mut watching, &newest, |nodes| names(nodes) == ["a", "b", "c", "d"]).await;
    }
    writer.remove_owned(&format!("{at}/a")).await.unwrap();
    shows(&mut watching, &newest, |nodes| names(nodes) == ["b", "c", "d"]).await;
    // A second watch begins with what is there.
    let other = watch::Sender::new(None);
    let mut second = tree.watch_children(at, ReadOf::Names, &other);
    shows(&mut second, &other, |nodes| names(nodes) == ["b", "c", "d"]).await;
    drop(second);
    writer.remove_owned(&format!("{at}/c")).await.unwrap();
    shows(&mut watching, &newest, |nodes| names(nodes) == ["b", "d"]).await;
}

pub(super) async fn a_watch_of_values_sees_a_value_that_changes(server: &dyn TreeServer, at: &str) {
    let (tree, writer) = (server.open().await, server.open().await);
    let put = |name: &str, value: &'static str| {
        let (writer, path) = (Arc::clone(&writer), format!("{at}/{name}"));
        async move { writer.put_owned(&path, bytes(value)).await.unwrap() }
    };
    let is = |expected: &[(&str, &str)]| {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let expected: Vec<_> = expected.iter().map(owned).collect();
        move |nodes: &Arc<[TreeNode]>| listed(nodes) == expected
    };
    put("a", "1").await;
    let newest = watch::Sender::new(None);
    let mut watching = tree.watch_children(at, ReadOf::Values, &newest);
    shows(&mut watching, &newest, is(&[("a", "1")])).await;
    put("b", "1").await;
    shows(&mut watching, &newest, is(&[("a", "1"), ("b", "1")])).await;
    for value in ["2", "3"] {
        put("a", value).await;
        shows(&mut watching, &newest, is(&[("a", value), ("b", "1")])).await;
    }
    writer.remove_owned(&format!("{at}/a")).await.unwrap();
    put("a", "4").await;
    put("b", "2").await;
    shows(&mut watching, &newest, is(&[("a", "4"), ("b", "2")])).await;
}

pub(super) async fn a_watch_of_one_value_sees_it_come_change_and_go(
    server: &dyn TreeServer,
    at: &str,
) {
    let (tree, writer) = (server.open().await, server.open().await);
    let path = format!("{at}/value");
    let newest = watch::Sender::new(None);
    let mut watching = tree.watch_value(&path, &newest);
    shows(&mut watching, &newest, Option::is_none).await;
    for value in ["one", "two", ""] {
        writer.put_owned(&path, bytes(value)).await.unwrap();
        let is_there = |seen: &Option<Bytes>| seen.as_deref() == Some(value.as_bytes());
        shows(&mut watching, &newest, is_there).await;
    }
    writer.remove_owned(&path).await.unwrap();
    shows(&mut watching, &newest, Option::is_none).await;
    keep(&writer, &path, "again").await;
    let is_again = |seen: &Option<Bytes>| seen.as_deref() == Some(b"again");
    shows(&mut watching, &newest, is_again).await;
    // Twice, as what is gone already is gone.
    for _ in 0..2 {
        writer.remove_lasting(&path).await.unwrap();
        shows(&mut watching, &newest, Option::is_none).await;
    }
    keep(&writer, &path, "again").await;
    shows(&mut watching, &newest, |seen| seen.as_deref() == Some(b"again")).await;
}

pub(super) async fn a_thousand_children_are_one_list(server: &dyn TreeServer, at: &str) {
    let (tree, writer) = (server.open().await, server.open().await);
    let newest = watch::Sender::new(None);
    let mut watching = tree.watch_children(at, ReadOf::Values, &newest);
    shows(&mut watching, &newest, |nodes| nodes.is_empty()).await;
    let mut writing = JoinSet::new();
    for part in 0..10 {
        let (writer, at) = (Arc::clone(&writer), at.to_owned());
        writing.spawn(async move {
            for i in 0..100 {
                let path = format!("{at}/10.0.{part}.{i}:20880");
                writer.put_owned(&path, bytes("a record")).await.unwrap();
            }
        });
    }
    let is_full = |nodes: &Arc<[TreeNode]>| {
        nodes.len() == 1000 && nodes.iter().all(|node| &*node.value == b"a record")
    };
    let all = async {
        writing.join_all().await;
    };
    let seen = shows(&mut watching, &newest, is_full);
    tokio::join!(all, seen);
    assert!(is_full(&tree.children(at, ReadOf::Values).await.unwrap().into()));
    let named = tree.children(at, ReadOf::Names).await.unwrap();
    assert!(named.len() == 1000 && named.iter().all(|node| node.value.is_empty()));
    assert_eq!(tree.count(at).await.unwrap(), 1000);
}

pub(super) async fn a_session_that_ends_says_so_and_takes_its_nodes_along(
    server: &dyn TreeServer,
    at: &str,
) {
    let (ending, other) = (server.open().await, server.open().await);
    let (owned, lasting) = (format!("{at}/owned"), format!("{at}/lasting"));
    ending.put_owned(&owned, bytes("v")).await.unwrap();
    keep(&ending, &lasting, "v").await;
    let (newest, own) = (watch::Sender::new(None), watch::Sender::new(None));
    let mut watching = other.watch_children(at, ReadOf::Names, &newest);
    shows(&mut watching, &newest, |nodes| names(nodes) == ["lasting", "owned"]).await;
    let doomed = Arc::clone(&ending);
    let mut last_watch = doomed.watch_children(at, ReadOf::Names, &own);
    shows(&mut last_watch, &own, |nodes| nodes.len() == 2).await;
    server.end(Arc::clone(&ending)).await;
    shows(&mut watching, &newest, |nodes| names(nodes) == ["lasting"]).await;
    within("the end of a session", ending.closed()).await;
    within("the end of its watch", last_watch).await.unwrap_err();
    let late = within("an answer", ending.put_owned(&owned, bytes("late"))).await;
    late.unwrap_err();
    assert_eq!(names_at(&other, at).await, ["lasting"]);
}
