//! What a consumer says of the calls that are lost with it.
//!
//! Alone in its program, because who listens to events is known to the whole process.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use dubhe_cluster::Backlog;
use dubhe_cluster::policy::Failback;
use support::*;
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
