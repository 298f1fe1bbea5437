//! What a consumer says when somebody goes: of the calls that are lost with it, and of providers that
//! vanish from its list.
//!
//! Alone in its program, because who listens to events is known to the whole process.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dubhe_cluster::Backlog;
use dubhe_cluster::policy::Failback;
use rpc_core::ChannelState;
use support::*;
use tokio::time::sleep;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps the warnings and their fields.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<String>>);

impl Visit for Warnings {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        *self.0.lock().unwrap() += &format!("{field}={value:?} ");
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_are_not_lost_without_a_word() {
    let warnings = Warnings::default();
    let _listening = tracing::subscriber::set_default(warnings.clone());
    let mut fleet = Fleet::of(&["a:1"]);
    fleet.backlog = Arc::new(Backlog::default());
    assert_eq!(*warnings.0.lock().unwrap(), "", "nothing waited");
    fleet.mock("a:1").answer(not_sent());
    let cluster = fleet.cluster(Failback::default());
    for _ in 0..3 {
        cluster.invoke(call()).await.unwrap();
    }
    fleet.backlog = Arc::new(Backlog::default());
    let heard = warnings.0.lock().unwrap();
    assert!(heard.starts_with("message=the consumer ends"), "{heard}");
    assert!(heard.ends_with("waiting=3 "), "{heard}");
}

#[tokio::test(start_paused = true)]
async fn providers_that_say_goodbye_are_no_sudden_shrink_and_others_are_told_once() {
    let warnings = Warnings::default();
    let _listening = tracing::subscriber::set_default(warnings.clone());
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    fleet.push(snapshot(&[])).await;
    assert_eq!(fleet.directory.state().held, 3, "their goodbyes are under way");
    sleep(Duration::from_millis(100)).await;
    for address in ["a:1", "b:1", "c:1"] {
        fleet.mock(address).set_state(ChannelState::Draining);
    }
    sleep(Duration::from_secs(10)).await;
    assert_eq!(fleet.directory.state().held, 0);
    assert_eq!(*warnings.0.lock().unwrap(), "");

    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    fleet.push(snapshot(&[])).await;
    sleep(Duration::from_secs(3)).await;
    let heard = warnings.0.lock().unwrap().clone();
    assert!(heard.starts_with("message=the registry's list shrank suddenly"), "{heard}");
    assert!(heard.contains("held=3"), "{heard}");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(*warnings.0.lock().unwrap(), heard, "once");
}
