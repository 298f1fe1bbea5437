//! Nodes and values as Nacos keeps them.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_one_service_stand_side_by_side_and_end_with_their_session() {
    for version in NacosVersion::ALL {
        let Some(server) = Running::shared(version) else { return };
        let (ours, theirs) = (tree(&server, "side").await, tree(&server, "side").await);
        let (found, mut newest) = watch::channel(None);
        let reader = tree(&server, "side").await;
        let watching = tokio::spawn(async move {
            reader.watch_children(STOCK, ReadOf::Names, &found).await.unwrap_err()
        });
        shows(&mut newest, &[]).await;
        let mut putting = JoinSet::new();
        let ours = Arc::new(ours);
        for port in 1..=3 {
            let (ours, path) = (Arc::clone(&ours), at(&format!("10.0.0.1:{port}")));
            putting.spawn(async move { ours.put_owned(&path, Bytes::new()).await.unwrap() });
        }
        putting.join_all().await;
        theirs.put_owned(&at("10.0.0.2:1"), Bytes::new()).await.unwrap();
        shows(&mut newest, &["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3", "10.0.0.2:1"]).await;
        ours.remove_owned(&at("10.0.0.1:2")).await.unwrap();
        ours.remove_owned(&at("10.0.0.2:1")).await.unwrap();
        shows(&mut newest, &["10.0.0.1:1", "10.0.0.1:3", "10.0.0.2:1"]).await;
        let nodes = theirs.children(STOCK, ReadOf::Names).await.unwrap();
        assert_eq!(nodes.len(), 3);
        ours.remove_owned(&at("10.0.0.1:1")).await.unwrap();
        drop(theirs);
        shows(&mut newest, &["10.0.0.1:3"]).await;
        ours.remove_owned(&at("10.0.0.1:3")).await.unwrap();
        shows(&mut newest, &[]).await;
        watching.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_read_again_where_it_has_changed_and_where_it_has_not_it_is_not() {
    for version in NacosVersion::ALL {
        let Some(server) = Running::shared(version) else { return };
        let (ours, theirs) = (tree(&server, "since").await, tree(&server, "since").await);
        let since = |mark| ours.children_since(STOCK, ReadOf::Names, mark);
        let mut mark = since(None).await.unwrap().unwrap().mark;
        // Nacos lists a change a moment later.
        for count in [1, 2, 1] {
            match count {
                1 => theirs.remove_owned(&at("10.0.0.1:2")).await.unwrap(),
                _ => theirs.put_owned(&at("10.0.0.1:2"), Bytes::new()).await.unwrap(),
            }
            theirs.put_owned(&at("10.0.0.1:1"), Bytes::new()).await.unwrap();
            let changed = async {
                loop {
                    if let Some(read) = since(mark).await.unwrap() {
                        mark = read.mark;
                        if read.nodes.len() == count {
                            return;
                        }
                    }
                }
            };
            timeout(LIMIT, changed).await.unwrap();
            assert!(mark.is_some());
            assert_eq!(since(mark).await.unwrap(), None, "{version:?} lists it otherwise");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_many_change_at_once_loses_no_change() {
    for version in NacosVersion::ALL {
        let Some(server) = Running::shared(version) else { return };
        let path = "/dubbo/mapping/shop.Stock$Raced";
        let (found, mut newest) = watch::channel(None);
        let reader = tree(&server, "raced").await;
        let watching = tokio::spawn(async move { reader.watch_value(path, &found).await });
        timeout(LIMIT, newest.wait_for(|newest| *newest == Some(None))).await.unwrap().unwrap();
        let mut editing = JoinSet::new();
        for i in 0..4 {
            let tree = tree(&server, "raced").await;
            editing.spawn(async move {
                let edit = |present: Option<&[u8]>| {
                    let present = present.map(|text| std::str::from_utf8(text).unwrap());
                    let app = format!("app{i}");
                    match present {
                        Some(text) if text.split(',').any(|name| name == app) => None,
                        Some(text) => Some(format!("{text},{app}").into()),
                        None => Some(app.into()),
                    }
                };
                tree.edit(path, &edit).await.unwrap();
            });
        }
        editing.join_all().await;
        let all = |newest: &Option<Option<Bytes>>| {
            let Some(Some(text)) = newest else { return false };
            let mut names: Vec<_> = text.split(|byte| *byte == b',').collect();
            names.sort_unstable();
            names == [b"app0", b"app1", b"app2", b"app3"]
        };
        let seen = timeout(LIMIT, newest.wait_for(all)).await.is_ok_and(|seen| seen.is_ok());
        assert!(seen, "it stays at {:?}", newest.borrow());
        watching.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_all_write_alike_is_written_by_whoever_comes_first() {
    for version in NacosVersion::ALL {
        let Some(server) = Running::shared(version) else { return };
        let trees = join_all((0..8).map(|_| tree(&server, "alike"))).await;
        for revision in 0..20 {
            let path = format!("/dubbo/metadata/shop/r{revision}");
            let edit = |present: Option<&[u8]>| (present != Some(b"{}")).then(|| "{}".into());
            let written = join_all(trees.iter().map(|tree| tree.edit(&path, &edit))).await;
            let refused: Vec<_> = written.iter().filter_map(|done| done.as_ref().err()).collect();
            assert!(refused.is_empty(), "{refused:?}");
        }
    }
}

/// The path and the text of the record of a process at this port.

#[tokio::test]
async fn a_list_that_was_read_for_a_record_says_for_a_while_that_it_is_there() {
    for version in NacosVersion::ALL {
        let Some(server) = Running::shared(version) else { return };
        let (theirs, reader) = (tree(&server, "while").await, tree(&server, "while").await);
        let others: Vec<_> = (2..=600).map(|port| record(port, 1)).collect();
        let put = others.iter().map(|(path, record)| theirs.put_owned(path, record.clone()));
        join_all(put).await.into_iter().for_each(Result::unwrap);
        // A short list is always read again, and one of 600 not for half a minute.
        let always = Demand { reconcile: Duration::ZERO, ..Demand::default() };
        let ours = tree_of(&server, "while", &always).await;
        let (path, own) = record(1, 1);
        ours.put_owned(&path, own.clone()).await.unwrap();
        let is_listed = async { while ours.value(&path).await.unwrap() != Some(own.clone()) {} };
        timeout(LIMIT, is_listed).await.unwrap();
        let (_, younger) = record(1, 2);
        theirs.put_owned(&path, younger.clone()).await.unwrap();
        let is_seen =
            async { while reader.value(&path).await.unwrap() != Some(younger.clone()) {} };
        timeout(LIMIT, is_seen).await.unwrap();
        assert_eq!(ours.value(&path).await.unwrap(), Some(own), "it was read again");
    }
}

#[tokio::test]
async fn a_list_is_read_once_for_all_who_look_for_their_records_at_the_same_time() {
    for version in NacosVersion::ALL {
        let Some(server) = Running::shared(version) else { return };
        let (theirs, tree) = (tree(&server, "joint").await, tree(&server, "joint").await);
        let (path, record) = record(1, 1);
        theirs.put_owned(&path, record).await.unwrap();
        let listed = async { while tree.value(&path).await.unwrap().is_none() {} };
        timeout(LIMIT, listed).await.unwrap();
        let values = join_all((0..100).map(|_| tree.value(&path))).await;
        // What was read together is one piece of memory.
        let mut reads: Vec<_> =
            values.iter().flatten().flatten().map(|value| value.as_ptr()).collect();
        assert_eq!(reads.len(), 100);
        reads.sort_unstable();
        reads.dedup();
        assert_eq!(reads.len(), 1, "they came before it was asked for");
    }
}
