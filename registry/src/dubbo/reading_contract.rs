//! What a [`NodeTree`](super::tree::NodeTree) promises of readings that are compared with earlier ones, tried on one.
//!
//! Tried with one server: a reading sees at once what another session has written, which of several servers only those
//! of etcd promise.

use std::sync::Arc;

use super::node_feed::NodeFeed;
use super::tree::ReadOf;
use super::tree_contract::{TreeServer, bytes, keep, listed, names, within};

/// Tries these promises below `at`, which nothing else uses.
pub(crate) async fn readings_tell_of_changes(server: &dyn TreeServer, at: &str) {
    for read in [ReadOf::Names, ReadOf::Values] {
        let at = |check: &str| format!("{at}/{read:?}/{check}");
        a_reading_tells_whether_anything_has_changed(server, read, &at("changed")).await;
        what_a_watch_has_read_need_not_be_read_again(server, read, &at("watched")).await;
    }
}

async fn a_reading_tells_whether_anything_has_changed(
    server: &dyn TreeServer,
    read: ReadOf,
    at: &str,
) {
    let (tree, writer) = (server.open().await, server.open().await);
    let since = |mark| tree.children_since(at, read, mark);
    let put = |name: &str, value: &'static str| {
        let (writer, path) = (Arc::clone(&writer), format!("{at}/{name}"));
        async move { writer.put_owned(&path, bytes(value)).await.unwrap() }
    };
    let remove = |name: &str| {
        let (writer, path) = (Arc::clone(&writer), format!("{at}/{name}"));
        async move { writer.remove_owned(&path).await.unwrap() }
    };
    let news = async |mark, expected: &[(&str, &str)]| {
        let found = since(Some(mark)).await.unwrap().expect("it has changed");
        let expected = expected.iter().map(|(name, value)| match read {
            ReadOf::Names => ((*name).to_owned(), String::new()),
            ReadOf::Values => ((*name).to_owned(), (*value).to_owned()),
        });
        assert_eq!(listed(&found.nodes), expected.collect::<Vec<_>>());
        let mark = found.mark.unwrap();
        assert_eq!(since(Some(mark)).await.unwrap(), None, "nothing has changed");
        mark
    };
    // Also where there is nothing at all.
    let first = since(None).await.unwrap().unwrap();
    assert_eq!(since(first.mark).await.unwrap(), None);
    put("a", "1").await;
    put("b", "1").await;
    let mut mark = news(first.mark.unwrap(), &[("a", "1"), ("b", "1")]).await;
    // What others do elsewhere is none of it.
    keep(&writer, &format!("{at}-more/x"), "1").await;
    assert_eq!(since(Some(mark)).await.unwrap(), None);
    if read == ReadOf::Values {
        put("a", "2").await;
        mark = news(mark, &[("a", "2"), ("b", "1")]).await;
    }
    put("c", "1").await;
    mark = news(mark, &[("a", "2"), ("b", "1"), ("c", "1")]).await;
    remove("b").await;
    mark = news(mark, &[("a", "2"), ("c", "1")]).await;
    // As many as before.
    remove("a").await;
    put("d", "1").await;
    mark = news(mark, &[("c", "1"), ("d", "1")]).await;
    if read == ReadOf::Values {
        // As many as before, and nothing else is written between it and the reading.
        put("d", "2").await;
        mark = news(mark, &[("c", "1"), ("d", "2")]).await;
        remove("c").await;
        put("c", "2").await;
        mark = news(mark, &[("c", "2"), ("d", "2")]).await;
    }
    remove("c").await;
    remove("d").await;
    news(mark, &[]).await;
}

async fn what_a_watch_has_read_need_not_be_read_again(
    server: &dyn TreeServer,
    read: ReadOf,
    at: &str,
) {
    let (tree, writer) = (server.open().await, server.open().await);
    writer.put_owned(&format!("{at}/a"), bytes("1")).await.unwrap();
    let feed = NodeFeed::default();
    let mut watching = tree.watch_children(at, read, &feed);
    let first = async {
        tokio::select! {
            () = feed.changed() => {}
            ended = &mut watching => panic!("the watch ended: {ended:?}"),
        }
    };
    within("the first list", first).await;
    let (_, mark) = feed.known();
    assert_eq!(tree.children_since(at, read, mark).await.unwrap(), None);
    drop(watching);
    // Nobody is told of this.
    writer.put_owned(&format!("{at}/b"), bytes("1")).await.unwrap();
    let found = tree.children_since(at, read, mark).await.unwrap().unwrap();
    assert_eq!(names(&found.nodes), ["a", "b"]);
}
