//! Providers at the interface level.

use super::*;

const AT: &str = "/dubbo/shop.Stock/providers";

fn stock() -> Instance {
    instance("shop.Stock", "10.0.0.1:20880")
}

#[tokio::test(start_paused = true)]
async fn a_provider_is_a_node_of_the_session_named_by_its_url() {
    let store = Arc::default();
    let (tree, session) = open(&store, "?register-mode=interface");
    session.register(&stock()).await.unwrap();
    let names = store.names(AT);
    assert_eq!(names.len(), 1);
    assert!(names[0].starts_with("dubhe%3A%2F%2F10.0.0.1%3A20880%2Fshop.Stock%3F"), "{names:?}");
    assert_eq!(store.owner(&format!("{AT}/{}", names[0])), Some(tree.id()));
    // What is above it lasts, and there is nothing of the other level.
    assert_eq!((store.owner(AT), store.names("/services")), (None, Vec::new()));
    assert_eq!(store.read("/dubbo/mapping/shop.Stock"), None);
    session.unregister(&stock()).await.unwrap();
    assert_eq!(store.names(AT), [""; 0]);
    session.unregister(&stock()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn registering_again_is_a_read_and_brings_back_what_was_deleted_by_hand() {
    let store = Arc::default();
    let (_, session) = open(&store, "?register-mode=interface");
    session.register(&stock()).await.unwrap();
    store.take_log();
    session.register(&stock()).await.unwrap();
    let path = format!("{AT}/{}", store.names(AT)[0]);
    assert_eq!(store.take_log(), [format!("get {path}")]);
    store.delete(&path);
    session.register(&stock()).await.unwrap();
    assert!(store.read(&path).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_node_of_an_old_session_is_replaced_and_stays_when_that_ends() {
    let store = Arc::default();
    let (old_tree, old) = open(&store, "");
    old.register(&stock()).await.unwrap();
    old_tree.lose();
    let (tree, session) = open(&store, "");
    session.register(&stock()).await.unwrap();
    old_tree.expire();
    let path = format!("{AT}/{}", store.names(AT)[0]);
    assert_eq!(store.owner(&path), Some(tree.id()));
    assert_eq!(store.owner("/services/shop/10.0.0.1:20880"), Some(tree.id()));
}

#[tokio::test(start_paused = true)]
async fn other_content_is_put_before_the_old_is_removed() {
    let store = Arc::default();
    let (_, session) = open(&store, "?register-mode=interface");
    session.register(&stock()).await.unwrap();
    let old = store.names(AT);
    store.take_log();
    let heavy = Instance { weight: 300, ..stock() };
    session.register(&heavy).await.unwrap();
    let new = store.names(AT);
    assert!(new.len() == 1 && new != old, "{new:?}");
    let writes: Vec<String> =
        store.take_log().into_iter().filter(|line| !line.starts_with("get")).collect();
    assert_eq!(writes, [format!("put {AT}/{}", new[0]), format!("remove {AT}/{}", old[0])]);

    // If the new cannot be written the old stays.
    store.fail_writes(1);
    session.register(&stock()).await.unwrap_err();
    assert_eq!(store.names(AT), new);
    // If the old cannot be removed both are there, until the next time.
    store.fail_writes(0);
    let (_, reader) = open(&store, "");
    session.register(&stock()).await.unwrap();
    assert_eq!(store.names(AT), old);
    assert_eq!(owned(&reader.fetch(&key("shop.Stock")).await.unwrap().instances), [stock()]);
}

#[tokio::test(start_paused = true)]
async fn what_a_dropped_operation_may_have_written_is_removed_too() {
    let store = Arc::default();
    let (_, session) = open(&store, "?register-mode=interface");
    session.register(&stock()).await.unwrap();
    let old = format!("{AT}/{}", store.names(AT)[0]);
    // The new one is there, the old not gone yet when the caller gives up.
    store.hold(&old, true);
    let heavy = Instance { weight: 300, ..stock() };
    timeout(Duration::from_secs(5), session.register(&heavy)).await.unwrap_err();
    assert_eq!(store.names(AT).len(), 2);
    store.hold(&old, false);
    session.unregister(&heavy).await.unwrap();
    assert_eq!(store.names(AT), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_provider_of_another_session_is_not_unregistered() {
    let store = Arc::default();
    let (_, owner) = open(&store, "");
    owner.register(&stock()).await.unwrap();
    let (_, other) = open(&store, "");
    other.unregister(&stock()).await.unwrap();
    assert_eq!(store.names(AT).len(), 1);
    assert_eq!(store.names("/services/shop"), ["10.0.0.1:20880"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_have_a_record_is_registered_at_the_interface_level_alone() {
    let store = Arc::default();
    let of = |name: &str| Instance { application: name.into(), ..stock() };
    let odd = instance("shop.Stock", "a/b:1");
    for (nameless, remedy) in [
        (of(""), "application.name"),
        (of("a/b"), "application.name"),
        (of("a,b"), "application.name"),
        (odd, "provider.advertise"),
    ] {
        let (_, session) = open(&store, "");
        session.register(&nameless).await.unwrap();
        assert_eq!((store.names(AT).len(), store.names("/services")), (1, Vec::new()));
        session.unregister(&nameless).await.unwrap();
        assert_eq!(store.names(AT), [""; 0]);
        let (_, session) = open(&store, "?register-mode=instance");
        let error = session.register(&nameless).await.unwrap_err().to_string();
        assert!(error.contains("shop.Stock") && error.contains(remedy), "{error}");
        session.unregister(&nameless).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_level_that_cannot_be_written_does_not_keep_the_other_from_its_due() {
    let store = Arc::default();
    let (_, session) = open(&store, "");
    store.fail_reads("/services/shop/10.0.0.1:20880", true);
    session.register(&stock()).await.unwrap_err();
    assert_eq!(store.names(AT).len(), 1);
    store.fail_reads("/services/shop/10.0.0.1:20880", false);
    session.register(&stock()).await.unwrap();
    assert_eq!(store.names("/services/shop"), ["10.0.0.1:20880"]);
}
