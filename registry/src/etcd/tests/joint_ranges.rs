//! Ranges that are asked for at the same time, against etcd itself.

use futures_util::future::join_all;
use futures_util::poll;
use servers::EtcdServer;

use super::{metric, open, put_all};
use crate::etcd::messages::RangeRequest;

#[tokio::test]
async fn ranges_that_are_asked_for_together_are_read_together_and_one_who_goes_costs_no_other() {
    let Some(etcd) = EtcdServer::start() else { return };
    let tree = open(&etcd).await;
    put_all(&tree, (0..200).map(|i| format!("/a/{i}"))).await;
    let keys = |range| Iterator::map(range, |i: usize| format!("/a/{i}").into_bytes());
    let read = |keys: Vec<Vec<u8>>| {
        let read =
            |key| tree.joint.read(tree.link(), RangeRequest { key, ..RangeRequest::default() });
        join_all(keys.into_iter().map(read))
    };
    let requests = |method| {
        let name = format!(
            "grpc_server_handled_total{{grpc_code=\"OK\",grpc_method=\"{method}\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"}}"
        );
        metric(&etcd, &name)
    };
    let before = ["Txn", "Range"].map(requests);
    for (key, answer) in keys(0..200).zip(read(keys(0..200).collect()).await) {
        let answer = answer.unwrap();
        assert_eq!((answer.kvs[0].key.as_slice(), answer.count), (key.as_slice(), 1));
        assert_ne!(answer.header.unwrap().cluster_id, 0);
    }
    let after = ["Txn", "Range"].map(requests);
    assert_eq!([after[0] - before[0], after[1] - before[1]], [4, 0]);
    // The one who would have read for all is gone, and they read for themselves.
    let range = |i| RangeRequest { key: keys(i..i + 1).next().unwrap(), ..RangeRequest::default() };
    let mut first = Box::pin(tree.joint.read(tree.link(), range(0)));
    let mut second = Box::pin(tree.joint.read(tree.link(), range(1)));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    drop(first);
    assert_eq!(second.await.unwrap().count, 1);
}

#[tokio::test]
async fn a_refused_transaction_costs_the_ranges_of_no_other_request() {
    let Some(etcd) = EtcdServer::start() else { return };
    let tree = open(&etcd).await;
    put_all(&tree, (0..128).map(|i| format!("/a/{i}"))).await;
    // etcd refuses a whole transaction with a key that is none.
    let bad = 17;
    let key = |i| if i == bad { Vec::new() } else { format!("/a/{i}").into_bytes() };
    let range = |i| RangeRequest { key: key(i), ..RangeRequest::default() };
    let counted = |code, method| {
        let name = format!(
            "grpc_server_handled_total{{grpc_code=\"{code}\",grpc_method=\"{method}\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"}}"
        );
        metric(&etcd, &name)
    };
    let before = [counted("OK", "Txn"), counted("OK", "Range")];
    let answers = join_all((0..128).map(|i| tree.joint.read(tree.link(), range(i)))).await;
    for (i, answer) in answers.into_iter().enumerate() {
        match (i == bad, answer) {
            (false, Ok(answer)) => assert_eq!((&answer.kvs[0].key, answer.count), (&key(i), 1)),
            (true, Err(_)) => {}
            (_, answer) => panic!("{i}: {answer:?}"),
        }
    }
    // Those of the refused one are read by themselves, and those of the other together.
    let after = [counted("OK", "Txn"), counted("OK", "Range")];
    assert_eq!([after[0] - before[0], after[1] - before[1]], [1, 63]);
    assert_eq!(counted("InvalidArgument", "Txn"), 1);
    assert_eq!(counted("InvalidArgument", "Range"), 1);
}
