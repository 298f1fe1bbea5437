//! Panics that come before a handler runs.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use rpc_core::client::ClientConfig;
use rpc_core::descriptor::ServiceDescriptor;
use rpc_core::server::{Dispatcher, Handler, ServerConfig};
use rpc_core::{Code, Delivery, Invocation, Metrics, Reply, ReplyFuture, ServiceKey};
use support::{ECHO, PANIC, Text};

const LONG: Duration = Duration::from_secs(20);

/// Panics where it is asked for a future, as a layer around a handler may.
struct Rash;

impl Handler for Rash {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        support::descriptor()
    }

    fn call(&self, index: usize, invocation: Invocation) -> ReplyFuture {
        assert!(index != PANIC, "before it began");
        Box::pin(async move { Ok(Reply::new(invocation.decode::<Text>()?)) })
    }
}

#[tokio::test]
async fn a_panic_before_there_is_a_future_is_an_answer_as_well() {
    let mut dispatcher = Dispatcher::new(support::codecs(), Metrics::new("provider"));
    dispatcher.add(ServiceKey::new("Test"), Arc::new(Rash), |_, invoker| invoker).unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let (_server, address) = support::serve(address, dispatcher, ServerConfig::default());
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, address);
    let status = support::call(&channel, PANIC, "x", LONG).await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::Internal, Delivery::Answered));
    assert!(status.message().contains("Test/panic panicked"), "{status}");
    assert_eq!(support::call(&channel, ECHO, "still here", LONG).await.unwrap(), "still here");
}
