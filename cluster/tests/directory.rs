//! The directory: endpoints across snapshots, held lists, candidates, waiting, codecs, routers.

mod support;

use std::sync::Arc;
use std::time::Duration;

use dubhe_cluster::load_balance::Random;
use dubhe_cluster::policy::{Failfast, Failover};
use dubhe_cluster::router::Router;
use dubhe_cluster::{AttemptLayers, Directory, DirectoryOptions, Endpoint};
use rpc_core::{
    BoxInvoker, ChannelState, Code, Delivery, Invocation, Latest, Snapshot, Source, Status,
    Subscription,
};
use support::*;
use tokio::time::{Instant, advance};

#[tokio::test(start_paused = true)]
async fn unchanged_instances_keep_their_endpoint_and_its_load() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    let before = fleet.directory.endpoints();
    fleet.push(snapshot(&["a:1", "b:1", "c:1"])).await;
    let after = fleet.directory.endpoints();
    assert_eq!(fleet.addresses(), ["a:1", "b:1", "c:1"]);
    assert!(Arc::ptr_eq(&before[0], &after[0]) && Arc::ptr_eq(&before[1], &after[1]));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_publishes_other_data_keeps_its_load() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.cluster(Failfast).invoke(call()).await.unwrap();
    let mut changed = instance("a:1");
    changed.weight = 7;
    fleet.push(Snapshot::new(vec![changed], Source::Live)).await;
    let endpoint = &fleet.directory.endpoints()[0];
    assert_eq!(endpoint.weight(), 7);
    assert!(endpoint.load().latency(Instant::now()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_restart_on_the_same_address_is_another_endpoint() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.cluster(Failfast).invoke(call()).await.unwrap();
    let mut restarted = instance("a:1");
    restarted.id = "a:1#2".into();
    fleet.push(Snapshot::new(vec![restarted], Source::Live)).await;
    let endpoint = &fleet.directory.endpoints()[0];
    assert_eq!(endpoint.load().latency(Instant::now()), None);
}

#[tokio::test(start_paused = true)]
async fn of_many_endpoints_none_is_called_that_is_down_by_now() {
    let names: Vec<String> = (0..200).map(|number| format!("n{number:03}:1")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let fleet = Fleet::of(&names);
    let cluster = fleet.cluster(Failfast);
    // No time passes between the changes, so the list of many is not made anew after each.
    for name in &names[1..] {
        cluster.invoke(call()).await.unwrap();
        let down = fleet.mock(name);
        down.set_state(ChannelState::Down);
        down.answer(Answer::Fail(Status::unavailable("called although it is down")));
        for _ in 0..3 {
            cluster.invoke(call()).await.unwrap();
        }
    }
    let before = fleet.mock("n000:1").calls();
    cluster.invoke(call()).await.unwrap();
    assert_eq!(fleet.mock("n000:1").calls(), before + 1);
    fleet.mock("n001:1").answer(Answer::After(Duration::from_millis(1)));
    fleet.mock("n001:1").set_state(ChannelState::Ready);
    let back = fleet.mock("n001:1").calls();
    for _ in 0..20 {
        advance(Duration::from_millis(1)).await;
        cluster.invoke(call()).await.unwrap();
    }
    assert!(fleet.mock("n001:1").calls() > back, "it is not seen to be back");
}

#[tokio::test(start_paused = true)]
async fn a_removed_endpoint_finishes_its_calls() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    fleet.mock("a:1").set_state(ChannelState::Ready);
    for address in ["b:1", "c:1"] {
        fleet.mock(address).set_state(ChannelState::Down);
    }
    fleet.mock("a:1").answer(Answer::After(Duration::from_millis(500)));
    let running = tokio::spawn(fleet.cluster(Failover::default()).invoke(call()));
    settle().await;
    fleet.push(snapshot(&["b:1", "c:1"])).await;
    assert_eq!(fleet.addresses(), ["b:1", "c:1"]);
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_empty_push_keeps_those_that_answer_for_a_bounded_time() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    fleet.mock("c:1").set_state(ChannelState::Down);
    fleet.push(snapshot(&[])).await;
    assert_eq!(fleet.addresses(), ["a:1", "b:1"]);
    assert_eq!(fleet.directory.state().held, 2);
    fleet.cluster(Failover::default()).invoke(call()).await.unwrap();
    // One of them dies: the other stays held, although it is now alone.
    fleet.mock("a:1").set_state(ChannelState::Down);
    advance(Duration::from_secs(2)).await;
    settle().await;
    assert_eq!(fleet.addresses(), ["b:1"]);
    fleet.push(snapshot(&[])).await;
    assert_eq!(fleet.addresses(), ["b:1"]);
    advance(Duration::from_secs(300)).await;
    settle().await;
    assert!(fleet.addresses().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_comes_back_ends_the_hold() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    fleet.push(snapshot(&["a:1"])).await;
    assert_eq!(fleet.directory.state().held, 2);
    fleet.push(snapshot(&["a:1", "b:1", "d:1"])).await;
    assert_eq!(fleet.addresses(), ["a:1", "b:1", "d:1"]);
    assert_eq!(fleet.directory.state().held, 0);
}

#[tokio::test(start_paused = true)]
async fn a_held_address_where_the_service_is_gone_is_let_go() {
    let fleet = Fleet::of(&["a:1"]);
    let gone = Status::service_missing("no such service here");
    fleet.mock("a:1").answer(Answer::Fail(gone));
    fleet.push(snapshot(&[])).await;
    let cluster = fleet.cluster(Failfast);
    let status = cluster.invoke(call()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    advance(Duration::from_secs(2)).await;
    settle().await;
    assert!(fleet.addresses().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_held_address_that_only_lacks_a_method_is_kept() {
    let fleet = Fleet::of(&["a:1"]);
    let older = Status::unimplemented("no such method").with_delivery(Delivery::Refused);
    fleet.mock("a:1").answer(Answer::Fail(older));
    fleet.push(snapshot(&[])).await;
    let status = fleet.cluster(Failfast).invoke(call()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    advance(Duration::from_secs(2)).await;
    settle().await;
    assert_eq!(fleet.addresses(), ["a:1"]);
}

#[tokio::test(start_paused = true)]
async fn losing_the_registry_changes_nothing() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    // One that does not answer is held by nothing but that nobody took it off the list.
    fleet.mock("b:1").set_state(ChannelState::Down);
    let Fleet { directory, push, net, .. } = fleet;
    push.send(Snapshot::pending());
    settle().await;
    assert_eq!(directory.endpoints().len(), 2);
    drop(push);
    for _ in 0..2 {
        settle().await;
        assert_eq!(directory.endpoints().len(), 2);
        assert_eq!(directory.state().source, Source::Live);
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    drop(net);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_connecting_is_waited_for_only_if_there_is_no_better_one() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    let candidates = || fleet.directory.state().candidates;
    fleet.mock("a:1").set_state(ChannelState::Connecting);
    assert_eq!(candidates(), 2);
    fleet.mock("b:1").set_state(ChannelState::Down);
    fleet.mock("c:1").set_state(ChannelState::Down);
    assert_eq!(candidates(), 1);
    fleet.mock("a:1").set_state(ChannelState::Down);
    assert_eq!(candidates(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_on_many_threads_succeed_while_lists_and_states_change_under_them() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    for address in ["a:1", "b:1", "c:1"] {
        fleet.mock(address).answer(Answer::After(Duration::ZERO));
    }
    let cluster = fleet.cluster(Failover::default());
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let cluster = cluster.clone();
        callers.spawn(async move {
            for _ in 0..500 {
                cluster.invoke(call_of(false, Duration::from_secs(60))).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
    }
    let lists = [snapshot(&["b:1", "c:1"]), snapshot(&["a:1", "b:1"])];
    for turn in 0.. {
        if callers.try_join_next().is_some_and(|done| done.is_err()) || callers.is_empty() {
            break;
        }
        fleet.push(lists[turn % 2].clone()).await;
        let state = [ChannelState::Down, ChannelState::Ready][turn % 2];
        fleet.mock("b:1").set_state(state);
    }
    assert!(callers.is_empty(), "a call failed");
    assert_eq!(fleet.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_directory_ends_the_subscription() {
    let (_push, snapshots) = Latest::channel(snapshot(&["a:1"]));
    let held = Arc::new(());
    let subscription = Subscription::new(snapshots, Arc::clone(&held));
    let net = Arc::new(Net::default());
    let options = DirectoryOptions::default();
    let directory = Directory::follow(service(), subscription, net, options);
    settle().await;
    assert_eq!(Arc::strong_count(&held), 2);
    drop(directory);
    settle().await;
    assert_eq!(Arc::strong_count(&held), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_out_in_the_first_codec_both_speak() {
    let mut speaks_json = instance("a:1");
    speaks_json.codecs = ["json".into(), "msgpack".into()].into();
    let list = Snapshot::new(vec![speaks_json], Source::Live);
    let fleet = Fleet::from(list, DirectoryOptions::default());
    let cluster = fleet.cluster(Failfast);
    for (offered, expected) in [
        (vec!["protobuf", "msgpack", "json"], "msgpack"),
        (vec!["json", "protobuf"], "json"),
        (vec!["protobuf", "json"], "json"),
        (vec!["protobuf", "msgpack"], "msgpack"),
    ] {
        let mut call = call();
        call.codecs = Some(codecs(&offered));
        cluster.invoke(call).await.unwrap();
        assert_eq!(fleet.mock("a:1").last_codecs()[0], expected);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_common_codec_nothing_is_sent_and_both_lists_are_named() {
    let mut speaks_json = instance("a:1");
    speaks_json.codecs = ["json".into()].into();
    let list = Snapshot::new(vec![speaks_json], Source::Live);
    let fleet = Fleet::from(list, DirectoryOptions::default());
    let mut call = call();
    call.codecs = Some(codecs(&["protobuf", "msgpack"]));
    let status = fleet.cluster(Failfast).invoke(call).await.unwrap_err();
    assert_eq!(fleet.net.total(), 0);
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.delivery(), Delivery::NotSent);
    let text = status.to_string();
    assert!(text.contains("the caller offers protobuf, msgpack"), "{text}");
    assert!(text.contains("the provider speaks json"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn failover_finds_the_instance_that_speaks_the_callers_codec() {
    let mut others = instance("a:1");
    others.codecs = ["json".into()].into();
    let mut ours = instance("b:1");
    ours.codecs = ["protobuf".into()].into();
    let list = Snapshot::new(vec![others, ours], Source::Live);
    let fleet = Fleet::from(list, DirectoryOptions::default());
    let cluster = fleet.cluster(Failover::new(0));
    for _ in 0..10 {
        let mut call = write();
        call.codecs = Some(codecs(&["protobuf"]));
        cluster.invoke(call).await.unwrap();
    }
    assert_eq!(fleet.mock("b:1").calls(), 10);
}

/// Lets only addresses through that begin so.
#[derive(Debug)]
struct Prefix(&'static str);

impl Router for Prefix {
    fn narrow(&self, candidates: &mut Vec<&Arc<Endpoint>>, _: &Invocation) {
        candidates.retain(|endpoint| endpoint.address().starts_with(self.0));
    }

    fn why(&self, _: &Endpoint, _: &Invocation) -> Option<String> {
        Some(format!("it begins otherwise than {}", self.0))
    }
}

#[tokio::test(start_paused = true)]
async fn routers_narrow_what_the_balancer_sees() {
    let fleet = Fleet::of(&["a1:1", "a2:1", "b:1"]);
    let routers = chain(vec![("a", Arc::new(Prefix("a"))), ("a2", Arc::new(Prefix("a2")))]);
    let balancer = Arc::new(Random::new(Some(1)));
    let cluster = fleet.build(Arc::new(Failfast), balancer.clone(), routers);
    for _ in 0..10 {
        cluster.invoke(call()).await.unwrap();
    }
    assert_eq!(fleet.mock("a2:1").calls(), 10);

    let routers = chain(vec![("first", Arc::new(Prefix("a"))), ("last", Arc::new(Prefix("z")))]);
    let cluster = fleet.build(Arc::new(Failfast), balancer, routers);
    let status = cluster.invoke(call()).await.unwrap_err();
    assert_eq!(
        status.message(),
        "no instance of shop.Inventory is left by the routing rules: router `last` of \
         consumer.routers (dubhe.toml:3:1) removed the last 2 of 3 (a1:1: it begins otherwise than \
         z); check that rule"
    );
}

#[tokio::test(start_paused = true)]
async fn a_tower_layer_can_answer_in_place_of_the_endpoint() {
    let refuse = |_: BoxInvoker| {
        BoxInvoker::from_invoke(Around(|_| -> rpc_core::ReplyFuture {
            let status = Status::resource_exhausted("limit reached");
            Box::pin(async { Err(status.with_delivery(Delivery::NotSent)) })
        }))
    };
    let layers = AttemptLayers::new().layer(tower_layer::layer_fn(refuse));
    let options = DirectoryOptions { layers, ..DirectoryOptions::default() };
    let fleet = Fleet::from(snapshot(&["a:1"]), options);
    let cluster = fleet.cluster(Failfast);
    let status = cluster.invoke(call()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.address(), Some("a:1"));
    assert_eq!(fleet.net.total(), 0);
}

#[tokio::test(start_paused = true)]
async fn layers_run_once_for_each_attempt() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let layers = AttemptLayers::new().wrap({
        let seen = seen.clone();
        move |instance, inner: BoxInvoker| {
            let (address, seen) = (instance.address.clone(), seen.clone());
            let around = move |call: Invocation| {
                seen.lock().unwrap().push(address.to_string());
                inner.invoke(call)
            };
            BoxInvoker::from_invoke(Around(around))
        }
    });
    let options = DirectoryOptions { layers, ..DirectoryOptions::default() };
    let fleet = Fleet::from(snapshot(&["a:1", "b:1"]), options);
    fleet.mock("a:1").answer(not_sent());
    fleet.mock("b:1").answer(not_sent());
    let cluster = fleet.cluster(Failover::new(0));
    cluster.invoke(call()).await.unwrap_err();
    assert_eq!(seen.lock().unwrap().len(), 3);
    assert_eq!(fleet.net.total(), 3);
}

struct Around<F>(F);

impl<F> rpc_core::Invoke for Around<F>
where
    F: Fn(Invocation) -> rpc_core::ReplyFuture + Send + Sync + 'static,
{
    fn invoke(&self, invocation: Invocation) -> rpc_core::ReplyFuture {
        (self.0)(invocation)
    }
}
