//! What [`NodeTree`] promises, and what is ZooKeeper's own, with a real server.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rpc_core::Error;
use servers::ZooKeeperServer;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{LIMIT, ZooKeeperTree, servers, session, tree};
use crate::dubbo::reading_contract::readings_tell_of_changes;
use crate::dubbo::tree_contract::{TreeServer, keeps_every_promise};
use crate::dubbo::{ChangedNode, NodeSink, NodeTree, ReadChildren, ReadOf, TreeMark, TreeNode};
use crate::lock::locked;

type Nodes = watch::Receiver<Option<Arc<[TreeNode]>>>;

/// Follows the children of `path` until the returned guard is dropped.
fn follow(
    tree: &Arc<ZooKeeperTree>,
    path: &'static str,
    read: ReadOf,
) -> (Nodes, tokio::task::JoinSet<Result<(), Error>>) {
    let (newest, nodes) = watch::channel(None);
    let tree = Arc::clone(tree);
    let mut task = tokio::task::JoinSet::new();
    task.spawn(async move { tree.watch_children(path, read, &newest).await });
    (nodes, task)
}

async fn shows(nodes: &mut Nodes, expected: &[(&str, &str)]) {
    let expected: BTreeSet<_> = expected.iter().copied().collect();
    let is_so = |nodes: &Option<Arc<[TreeNode]>>| {
        nodes.as_ref().is_some_and(|nodes| {
            let text = |node: &'_ TreeNode| String::from_utf8_lossy(&node.value).into_owned();
            let found: Vec<_> = nodes.iter().map(|node| (node.name.clone(), text(node))).collect();
            expected == found.iter().map(|(name, value)| (&**name, value.as_str())).collect()
        })
    };
    let seen = timeout(LIMIT, nodes.wait_for(is_so)).await.map(|seen| seen.map(drop));
    assert!(matches!(seen, Ok(Ok(()))), "{seen:?}, {:?} instead of {expected:?}", nodes.borrow());
}

/// Of which readings all children were that a watch has put.
struct Marks(watch::Sender<Option<Option<TreeMark>>>);

impl NodeSink for Marks {
    fn put_all(&self, read: ReadChildren) {
        self.0.send_replace(Some(read.mark));
    }

    fn put_changes(&self, _: Vec<ChangedNode>) {}
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// The shared server, and the sessions with it that are to be ended.
struct Contract(Arc<ZooKeeperServer>, Mutex<Vec<Arc<ZooKeeperTree>>>);

#[async_trait]
impl TreeServer for Contract {
    async fn open(&self) -> Arc<dyn NodeTree> {
        let tree = tree(&self.0, "contract").await;
        locked(&self.1).push(Arc::clone(&tree));
        tree
    }

    async fn end(&self, session: Arc<dyn NodeTree>) {
        let is_it =
            |tree: &&Arc<ZooKeeperTree>| Arc::as_ptr(tree).addr() == Arc::as_ptr(&session).addr();
        let found = locked(&self.1).iter().find(is_it).cloned().unwrap();
        found.client().end_session().await;
    }
}

#[tokio::test]
async fn every_promise_of_a_tree_is_kept() {
    let Some(server) = ZooKeeperServer::shared() else { return };
    let server = Contract(server, Mutex::default());
    keeps_every_promise(&server, "/root").await;
    readings_tell_of_changes(&server, "/readings").await;
}

#[tokio::test]
async fn a_session_s_nodes_end_with_it_and_their_parents_stay() {
    let Some(server) = ZooKeeperServer::shared() else { return };
    let (ours, theirs) = (tree(&server, "ends").await, tree(&server, "ends").await);
    ours.put_owned("/a/b/c", bytes("1")).await.unwrap();
    let (mut nodes, _task) = follow(&theirs, "/a/b", ReadOf::Values);
    shows(&mut nodes, &[("c", "1")]).await;
    let began = tokio::time::Instant::now();
    drop(ours);
    shows(&mut nodes, &[]).await;
    assert!(began.elapsed() < Duration::from_secs(2), "it was closed, not left to expire");
    assert_eq!(theirs.value("/a/b").await.unwrap(), Some(Bytes::new()));
    assert_eq!(theirs.value("/a/b/c").await.unwrap(), None);
}

#[tokio::test]
async fn a_node_of_another_session_is_taken_over_and_one_s_own_costs_a_read() {
    let Some(server) = ZooKeeperServer::shared() else { return };
    let (old, new) = (tree(&server, "takes").await, tree(&server, "takes").await);
    old.put_owned("/a/b", bytes("1")).await.unwrap();
    new.put_owned("/a/b", bytes("1")).await.unwrap();
    let stat = new.client().get("/takes/a/b").await.unwrap().unwrap().1;
    assert_eq!((stat.owner, stat.version), (new.client().session(), 0));
    new.put_owned("/a/b", bytes("1")).await.unwrap();
    assert_eq!(new.client().get("/takes/a/b").await.unwrap().unwrap().1, stat);
    // What it lost is not its own to remove.
    old.remove_owned("/a/b").await.unwrap();
    drop(old);
    let (mut nodes, _task) = follow(&new, "/a", ReadOf::Values);
    shows(&mut nodes, &[("b", "1")]).await;
    new.put_owned("/a/b", bytes("2")).await.unwrap();
    shows(&mut nodes, &[("b", "2")]).await;
    new.remove_owned("/a/b").await.unwrap();
    new.remove_owned("/a/b").await.unwrap();
    shows(&mut nodes, &[]).await;
}

#[tokio::test]
async fn a_path_that_does_not_exist_has_no_children_and_is_watched() {
    let Some(server) = ZooKeeperServer::shared() else { return };
    let (reader, writer) = (tree(&server, "later").await, tree(&server, "later").await);
    let (mut names, _task) = follow(&reader, "/a/b", ReadOf::Names);
    let (mut values, _task) = follow(&reader, "/a/b", ReadOf::Values);
    for nodes in [&mut names, &mut values] {
        shows(nodes, &[]).await;
    }
    assert_eq!(reader.children("/a/b", ReadOf::Values).await.unwrap(), []);
    for round in ["1", "2"] {
        writer.put_owned("/a/b/c", bytes(round)).await.unwrap();
        shows(&mut names, &[("c", "")]).await;
        shows(&mut values, &[("c", round)]).await;
        writer.remove_owned("/a/b/c").await.unwrap();
        shows(&mut names, &[]).await;
        shows(&mut values, &[]).await;
    }
}

#[tokio::test]
async fn edits_that_race_all_count() {
    let Some(server) = ZooKeeperServer::shared() else { return };
    let mut editing = tokio::task::JoinSet::new();
    for name in ["a", "b", "c", "d"] {
        let tree = tree(&server, "edits").await;
        editing.spawn(async move {
            let edit = |present: Option<&[u8]>| {
                let present = present.unwrap_or_default();
                (!present.contains(&name.as_bytes()[0]))
                    .then(|| [present, name.as_bytes()].concat().into())
            };
            tree.edit("/mapping/x", &edit).await.unwrap();
            tree.edit("/mapping/x", &edit).await.unwrap();
        });
    }
    editing.join_all().await;
    let mut value =
        tree(&server, "edits").await.value("/mapping/x").await.unwrap().unwrap().to_vec();
    value.sort_unstable();
    assert_eq!(value, b"abcd");
}

#[tokio::test]
async fn a_value_is_followed_through_its_coming_changes_and_end() {
    let Some(server) = ZooKeeperServer::shared() else { return };
    let tree = tree(&server, "value").await;
    let (newest, mut value) = watch::channel(None);
    let following = tree.watch_value("/a", &newest);
    let changing = async {
        for expected in [None, Some("1"), Some("2"), None, Some("3")] {
            match expected {
                Some(text) => tree.put_owned("/a", bytes(text)).await.unwrap(),
                None => tree.remove_owned("/a").await.unwrap(),
            }
            let expected = Some(expected.map(bytes));
            let seen = timeout(LIMIT, value.wait_for(|value| *value == expected)).await;
            assert!(seen.is_ok(), "no {expected:?}");
        }
    };
    tokio::select! {
        ended = following => panic!("{ended:?}"),
        () = changing => {}
    }
}

#[tokio::test]
async fn a_watch_that_is_dropped_leaves_nothing_here_nor_at_the_server() {
    let Some(server) = ZooKeeperServer::shared() else { return };
    let tree = tree(&server, "dropped").await;
    for name in ["/a/1", "/a/2", "/a/3"] {
        tree.put_owned(name, bytes("x")).await.unwrap();
    }
    let at_server = async |expected: usize| {
        let count =
            || server.ask("wchp").lines().filter(|line| line.starts_with("/dropped/")).count();
        let counted = timeout(LIMIT, async {
            while count() != expected {
                tokio::task::yield_now().await;
            }
        });
        assert!(counted.await.is_ok(), "{} paths instead of {expected}", count());
    };
    let (mut nodes, mut task) = follow(&tree, "/a", ReadOf::Values);
    shows(&mut nodes, &[("1", "x"), ("2", "x"), ("3", "x")]).await;
    assert_eq!(tree.client().watched(), 4);
    // The server tells only the watches of values.
    at_server(3).await;
    // What goes is not watched any more either, however often it comes again.
    for _ in 0..3 {
        tree.remove_owned("/a/3").await.unwrap();
        shows(&mut nodes, &[("1", "x"), ("2", "x")]).await;
        assert_eq!(tree.client().watched(), 3);
        tree.put_owned("/a/3", bytes("x")).await.unwrap();
        shows(&mut nodes, &[("1", "x"), ("2", "x"), ("3", "x")]).await;
    }
    task.shutdown().await;
    assert_eq!(tree.client().watched(), 0);
    at_server(0).await;
}

#[tokio::test]
async fn a_thousand_children_are_read_whole_and_a_change_among_them_is_seen() {
    let Some(server) = ZooKeeperServer::shared() else { return };
    let (reader, writer) = (tree(&server, "many").await, tree(&server, "many").await);
    let (mut nodes, _task) = follow(&reader, "/a", ReadOf::Values);
    let mut putting = tokio::task::JoinSet::new();
    for i in 0..1000 {
        let writer = Arc::clone(&writer);
        putting.spawn(async move {
            writer.put_owned(&format!("/a/{i}"), i.to_string().into()).await.unwrap();
        });
    }
    putting.join_all().await;
    let whole = |nodes: &Option<Arc<[TreeNode]>>, last: &str| {
        let nodes = nodes.as_deref().unwrap_or_default();
        let is_right = |node: &TreeNode| match &*node.name {
            "999" => node.value == last,
            name => node.value == name,
        };
        nodes.len() == 1000 && nodes.iter().all(is_right)
    };
    timeout(LIMIT, nodes.wait_for(|nodes| whole(nodes, "999"))).await.unwrap().unwrap();
    writer.put_owned("/a/999", bytes("new")).await.unwrap();
    timeout(LIMIT, nodes.wait_for(|nodes| whole(nodes, "new"))).await.unwrap().unwrap();
    assert_eq!(reader.children("/a", ReadOf::Values).await.unwrap().len(), 1000);
}

#[tokio::test]
async fn credentials_keep_others_away_and_wrong_ones_are_refused_by_name() {
    let Some(server) = ZooKeeperServer::shared() else { return };
    let ours = session(&servers(&server, Some("ann:s3cret")), "locked").await;
    ours.put_owned("/a/b", bytes("1")).await.unwrap();
    assert_eq!(ours.value("/a/b").await.unwrap(), Some(bytes("1")));
    for credentials in [None, Some("ann:other")] {
        let theirs = session(&servers(&server, credentials), "locked").await;
        let error = theirs.value("/a/b").await.unwrap_err();
        assert!(error.is_refused(), "{error}");
        let error = error.to_string();
        let expected = "registry zookeeper://test: no permission at /a/b: check user and password";
        assert!(error.starts_with(expected) && !error.contains("s3cret"), "{error}");
        theirs.put_owned("/a/b", bytes("2")).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_node_that_we_may_not_read_costs_no_other() {
    let Some(server) = ZooKeeperServer::shared() else { return };
    let (ours, reader) = (tree(&server, "secret").await, tree(&server, "secret").await);
    let theirs = session(&servers(&server, Some("ann:s3cret")), "secret").await;
    ours.put_owned("/a/ours", bytes("1")).await.unwrap();
    let (mut nodes, _following) = follow(&reader, "/a", ReadOf::Values);
    shows(&mut nodes, &[("ours", "1")]).await;
    theirs.put_owned("/a/theirs", bytes("1")).await.unwrap();
    shows(&mut nodes, &[("ours", "1"), ("theirs", "")]).await;
    ours.put_owned("/a/ours", bytes("2")).await.unwrap();
    shows(&mut nodes, &[("ours", "2"), ("theirs", "")]).await;
    let read = reader.children("/a", ReadOf::Values).await.unwrap();
    assert_eq!(read.iter().find(|node| &*node.name == "ours").unwrap().value, bytes("2"));
    assert_eq!(read.len(), 2);
    // A right that is given later changes neither names nor values, so no mark may keep it from being read.
    let read = reader.children_since("/a", ReadOf::Values, None).await.unwrap().unwrap();
    assert_eq!((read.nodes.len(), read.mark), (2, None));
    let (marks, mut mark) = watch::channel(None);
    let marks = Marks(marks);
    tokio::select! {
        seen = timeout(LIMIT, mark.wait_for(Option::is_some)) => assert_eq!(*seen.unwrap().unwrap(), Some(None)),
        ended = reader.watch_children("/a", ReadOf::Values, &marks) => panic!("{ended:?}"),
    }
    // Where there is no other, it is not the node's fault.
    ours.remove_owned("/a/ours").await.unwrap();
    let refused = reader.children("/a", ReadOf::Values).await.unwrap_err();
    assert!(refused.is_refused(), "{refused}");
}

#[tokio::test]
async fn what_no_server_takes_is_told_and_the_session_goes_on() {
    let Some(server) = ZooKeeperServer::shared() else { return };
    let tree = tree(&server, "large").await;
    let large = tree.put_owned("/a", vec![0; 1 << 20].into()).await.unwrap_err();
    let error = large.to_string();
    assert!(
        error.contains("/a: a request of 10486") && error.contains("jute.maxbuffer"),
        "{error}"
    );
    assert!(large.is_invalid_config(), "it is not tried again and again");
    let error = tree.put_owned("/a//b", Bytes::new()).await.unwrap_err().to_string();
    assert!(error.contains("/a//b: the server takes no such path (BADARGUMENTS)"), "{error}");
    tree.put_owned("/a", vec![0; 1_000_000].into()).await.unwrap();
}
