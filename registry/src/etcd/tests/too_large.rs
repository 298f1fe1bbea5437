//! What etcd refuses because it is too large.

use super::*;

/// Checks that it was refused for good, and why.
fn is_final(outcome: Result<(), Error>, path: &str, size: usize) {
    let error = outcome.unwrap_err();
    assert!(error.is_invalid_config(), "it is not tried again and again: {error}");
    let text = error.to_string();
    let expected = format!("{path}: a request of {}", size / 1000);
    assert!(text.contains(&expected), "{text}");
    let expected =
        "is more than etcd takes (--max-request-bytes, 1.5 MiB): register less under one name";
    assert!(text.contains(expected), "{text}");
}

#[tokio::test]
async fn what_is_too_large_for_etcd_is_told_and_the_session_goes_on() {
    let Some(etcd) = EtcdServer::start() else { return };
    let tree = open(&etcd).await;
    // One that etcd itself refuses, and one that its gRPC does.
    for size in [1_700_000, 3_000_000] {
        let value = Bytes::from(vec![b'a'; size]);
        is_final(tree.put_owned("/a/owned", value.clone()).await, "/a/owned", size);
        let edit = |_: Option<&[u8]>| Some(value.clone());
        is_final(tree.edit("/a/lasting", &edit).await, "/a/lasting", size);
    }
    tree.put_owned("/a/owned", vec![b'a'; 1 << 20].into()).await.unwrap();
    assert_eq!(tree.children("/a", ReadOf::Names).await.unwrap().len(), 1);
}
