//! What the log says of handlers that hold their thread: their method, once.
//!
//! Alone in its program, because who listens to events is known to the whole process.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::fmt::Debug;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rpc_core::client::ClientConfig;
use rpc_core::descriptor::ServiceDescriptor;
use rpc_core::server::{Dispatcher, Handler, ServerConfig};
use rpc_core::{Invocation, Metrics, Reply, ReplyFuture, ServiceKey};
use support::{ECHO, FAIL, Text};
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Notes every warning.
struct Warnings(mpsc::Sender<String>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().target().to_owned() + " ");
        event.record(&mut line);
        self.0.send(line.0).unwrap();
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Holds its thread until the log has told of it; a call that fails holds it for a moment only.
struct Holder(Arc<Mutex<mpsc::Receiver<String>>>, Arc<Mutex<Vec<String>>>);

impl Handler for Holder {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        support::descriptor()
    }

    fn call(&self, index: usize, _: Invocation) -> ReplyFuture {
        let (warnings, told) = (self.0.clone(), self.1.clone());
        Box::pin(async move {
            if index == ECHO {
                let told = &mut *told.lock().unwrap();
                let first = told.is_empty();
                let patience = Duration::from_secs(if first { 10 } else { 1 });
                let held = Instant::now();
                told.extend(warnings.lock().unwrap().recv_timeout(patience));
                // What is shorter is nobody's trouble.
                assert!(held.elapsed() >= Duration::from_millis(95), "{:?}", held.elapsed());
            }
            Ok(Reply::new(Text::default()))
        })
    }
}

#[tokio::test]
async fn a_handler_that_holds_its_thread_for_100_ms_is_named_once_on_every_runtime() {
    let (sender, warnings) = mpsc::channel();
    tracing::subscriber::set_global_default(Warnings(sender)).unwrap();
    let told = Arc::<Mutex<Vec<String>>>::default();
    let mut dispatcher = Dispatcher::new(support::codecs(), Metrics::new("provider"));
    let holder = Arc::new(Holder(Arc::new(Mutex::new(warnings)), told.clone()));
    dispatcher.add(ServiceKey::new("Test"), holder, |_, invoker| invoker).unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let (_server, address) = support::serve(address, dispatcher, ServerConfig::default());
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, address);
    for method in [FAIL, ECHO, ECHO, FAIL] {
        support::call(&channel, method, "", Duration::from_secs(60)).await.unwrap();
    }
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1, "{told:#?}");
    for said in ["dubhe", "Test/echo", "spawn_blocking", "100ms"] {
        assert!(told[0].contains(said), "{}", told[0]);
    }
}
