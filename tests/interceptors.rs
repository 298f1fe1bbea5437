//! Closures as layers, at every position.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use dubhe::prelude::*;
use dubhe::{Delivery, Invocation, RunningProvider, interceptor};
use support::memory;

#[dubhe::service(name = "test.Echo")]
trait Echo {
    /// What the handler sees of `trail`, and its own name.
    #[rpc(idempotent)]
    async fn trail(&self) -> Result<String>;

    #[rpc(idempotent)]
    async fn other(&self) -> Result<String>;
}

struct Named(&'static str);

impl Echo for Named {
    async fn trail(&self) -> Result<String> {
        let call = CallContext::current().unwrap();
        Ok(format!("{} {}", call.metadata().value("trail").unwrap_or_default(), self.0))
    }

    async fn other(&self) -> Result<String> {
        self.trail().await
    }
}

/// Adds a word to the trail.
fn pass(word: &'static str) -> impl Fn(&mut Invocation) -> Result<()> + Send + Sync {
    move |call| {
        let before = call.metadata.value("trail").unwrap_or_default().to_owned();
        call.metadata.insert("trail", format!("{before}{word}"));
        Ok(())
    }
}

async fn serve(registry: &str, name: &'static str) -> RunningProvider {
    let provider = support::provider(registry, "provider.warmup = \"0s\"");
    let provider = provider
        .layer(interceptor(pass("e")))
        .layer_for(("test.Echo", "trail"), interceptor(pass("f")))
        .serve(EchoServer::new(Named(name)));
    provider.start().await.unwrap()
}

fn builder(registry: &str) -> dubhe::ConsumerBuilder {
    Consumer::builder().sources(support::sources(registry, ""))
}

#[tokio::test]
async fn interceptors_run_in_their_order_at_every_position_and_in_their_scope() {
    let registry = memory();
    let _running = serve(&registry, "a").await;
    let consumer = builder(&registry)
        .attempt_layer(interceptor(pass("c")))
        .call_layer(interceptor(pass("a")))
        .call_layer_for("test.Other", interceptor(pass("x")))
        .call_layer_for("test.Echo", interceptor(pass("b")))
        .attempt_layer_for(("test.Echo", "trail"), interceptor(pass("d")));
    let echo: EchoClient = consumer.build().unwrap().client().await.unwrap();
    assert_eq!(echo.trail().await.unwrap(), "abcdef a");
    assert_eq!(echo.other().await.unwrap(), "abce a");
}

#[tokio::test]
async fn a_refusal_ends_the_call_before_anything_inside() {
    let registry = memory();
    let reached = Arc::new(AtomicU32::new(0));
    let counted = reached.clone();
    let provider =
        support::provider(&registry, "").layer(interceptor(move |_: &mut Invocation| {
            counted.fetch_add(1, Relaxed);
            Err(Status::permission_denied("not here"))
        }));
    let provider = provider.serve(EchoServer::new(Named("a")));
    let _running = provider.start().await.unwrap();
    let echo: EchoClient = builder(&registry).build().unwrap().client().await.unwrap();
    let status = echo.trail().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "not here"));
    assert_eq!(reached.swap(0, Relaxed), 1);
    let consumer = builder(&registry)
        .call_layer(interceptor(|_: &mut Invocation| Err(Status::unauthenticated("who are you"))));
    let echo: EchoClient = consumer.build().unwrap().client().await.unwrap();
    let status = echo.trail().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "who are you"));
    assert_eq!(status.call(), Some("test.Echo/trail"));
    assert_eq!(reached.load(Relaxed), 0);
}

#[tokio::test]
async fn an_attempt_that_is_refused_before_it_is_sent_goes_to_another_provider() {
    let registry = memory();
    let (a, _b) = (serve(&registry, "a").await, serve(&registry, "b").await);
    let shunned = a.address().to_owned();
    let consumer = builder(&registry).attempt_layer_with(move |instance| {
        let is_shunned = *instance.address == *shunned;
        interceptor(move |_: &mut Invocation| match is_shunned {
            true => Err(Status::unavailable("not to this one").with_delivery(Delivery::NotSent)),
            false => Ok(()),
        })
    });
    let echo: EchoClient = consumer.build().unwrap().client().await.unwrap();
    for _ in 0..20 {
        assert_eq!(echo.trail().await.unwrap(), "ef b");
    }
}

#[tokio::test]
async fn an_interceptor_that_panics_fails_its_call_alone() {
    let registry = memory();
    let _running = serve(&registry, "a").await;
    let consumer = builder(&registry).call_layer_for(
        ("test.Echo", "other"),
        interceptor(|_: &mut Invocation| -> Result<()> { panic!("no") }),
    );
    let echo: EchoClient = consumer.build().unwrap().client().await.unwrap();
    assert_eq!(echo.other().await.unwrap_err().code(), Code::Internal);
    assert_eq!(echo.trail().await.unwrap(), "ef a");
}
