//! What a directory goes by changes while it lives: overrides, layers, rules of ejection.
#![allow(clippy::unwrap_used, reason = "a test that fails here has found something")]

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use dubhe_cluster::policy::Failfast;
use dubhe_cluster::{AttemptLayers, Load, Overrides};
use rpc_core::{BoxInvoker, Invocation, Invoke, ReplyFuture};
use support::{Fleet, call, settle, snapshot};

const ALL: [&str; 4] = ["a:1", "b:1", "c:1", "d:1"];

/// Disables these addresses.
fn without(addresses: &[&str]) -> Overrides {
    let disabled: HashSet<String> = addresses.iter().map(|address| (*address).to_owned()).collect();
    Overrides::new(move |instance| (!disabled.contains(&*instance.address)).then_some(instance))
}

#[tokio::test(start_paused = true)]
async fn what_is_disabled_is_gone_at_once_and_back_at_once_and_never_held() {
    let fleet = Fleet::of(&ALL);
    // All but one: a list of the registry that shrinks so is not believed.
    fleet.directory.set_overrides(without(&ALL[..3]));
    settle().await;
    assert_eq!(fleet.addresses(), ["d:1"]);
    let state = fleet.directory.state();
    assert_eq!((state.disabled, state.held), (3, 0));
    // A list that says the same changes nothing of that.
    fleet.push(snapshot(&ALL)).await;
    assert_eq!(fleet.addresses(), ["d:1"]);
    fleet.directory.set_overrides(without(&ALL));
    settle().await;
    assert!(fleet.directory.no_instance().message().contains("lists 4, all disabled"));
    fleet.directory.set_overrides(Overrides::default());
    settle().await;
    assert_eq!(fleet.addresses(), ALL);
    // What the registry removes is held, whatever is disabled.
    fleet.directory.set_overrides(without(&ALL[..1]));
    fleet.push(snapshot(&[])).await;
    assert_eq!(fleet.addresses(), ALL[1..]);
}

/// Counts what passes.
struct Counted(Arc<AtomicU64>, BoxInvoker);

impl Invoke for Counted {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        self.0.fetch_add(1, Relaxed);
        self.1.invoke(invocation)
    }
}

#[tokio::test(start_paused = true)]
async fn other_layers_and_weights_keep_the_load_of_an_endpoint() {
    let fleet = Fleet::of(&["a:1"]);
    let client = fleet.cluster(Failfast);
    client.invoke(call()).await.unwrap();
    let load = |fleet: &Fleet| std::ptr::from_ref::<Load>(fleet.directory.endpoints()[0].load());
    let before = load(&fleet).addr();
    let passed = Arc::<AtomicU64>::default();
    let counted = passed.clone();
    fleet.directory.set_layers(
        AttemptLayers::new()
            .wrap(move |_, inner| BoxInvoker::from_invoke(Counted(counted.clone(), inner))),
    );
    settle().await;
    client.invoke(call()).await.unwrap();
    assert_eq!(passed.load(Relaxed), 1);
    let heavy = Overrides::new(|mut instance| {
        instance.weight = 7;
        Some(instance)
    });
    fleet.directory.set_overrides(heavy);
    settle().await;
    assert_eq!((fleet.directory.endpoints()[0].weight(), load(&fleet).addr()), (7, before));
    client.invoke(call()).await.unwrap();
    assert_eq!(passed.load(Relaxed), 2, "overrides leave the layers alone");
    fleet.directory.set_layers(AttemptLayers::new());
    settle().await;
    client.invoke(call()).await.unwrap();
    assert_eq!(passed.load(Relaxed), 2);
    assert!(fleet.directory.endpoints()[0].load().latency(tokio::time::Instant::now()).is_some());
    tokio::time::advance(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn ejection_that_is_switched_off_calls_everybody_again() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    let failing =
        rpc_core::Status::unavailable("on fire").with_delivery(rpc_core::Delivery::MaybeSent);
    fleet.mock("a:1").answer(support::Answer::Fail(failing));
    let client = fleet.cluster(Failfast);
    for _ in 0..60 {
        let _ = client.invoke(call()).await;
        tokio::time::advance(Duration::from_millis(50)).await;
    }
    assert_eq!(fleet.directory.state().candidates, 1, "one is out");
    fleet.directory.set_ejection(None);
    assert_eq!(fleet.directory.state().candidates, 2);
}
