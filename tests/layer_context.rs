//! What layers do to a call is what whoever is inside them sees: inner layers, handlers, the calls
//! that those make, and the wire.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dubhe::prelude::*;
use dubhe::{
    BoxInvoker, Deadline, Delivery, Invocation, Invoker, Peer, Reply, RunningProvider,
    TransportAddr,
};
use support::http::{Response, send};
use support::{memory, until_is};
use tokio::sync::mpsc;
use tower::util::{MapRequestLayer, MapResponseLayer};
use tower_layer::Layer;

#[dubhe::service(name = "test.Desk")]
trait Desk {
    /// What the handler sees.
    #[rpc(idempotent)]
    async fn view(&self) -> Result<View>;

    /// The milliseconds that the provider of the next desk sees left.
    #[rpc(idempotent)]
    async fn next(&self) -> Result<u64>;

    /// Never ends by itself.
    #[rpc(idempotent)]
    async fn wait(&self) -> Result<()>;

    /// Notes what the handler sees.
    #[rpc(oneway)]
    async fn note(&self) -> Result<()>;
}

#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
struct View {
    principal: String,
    peer: String,
    left_ms: u64,
}

fn view() -> View {
    let call = CallContext::current().unwrap();
    View {
        principal: call.metadata().value("principal").unwrap_or_default().to_owned(),
        peer: call.peer().map(|peer| peer.to_string()).unwrap_or_default(),
        left_ms: call.deadline().remaining().as_millis() as u64,
    }
}

#[derive(Clone, Default)]
struct Clerk {
    next: Option<DeskClient>,
    noted: Option<mpsc::Sender<View>>,
    begun: Arc<Mutex<u32>>,
    dropped: Arc<Mutex<u32>>,
}

struct CountDrop(Arc<Mutex<u32>>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        *self.0.lock().unwrap() += 1;
    }
}

impl Desk for Clerk {
    async fn view(&self) -> Result<View> {
        // Also after it has waited.
        tokio::task::yield_now().await;
        Ok(view())
    }

    async fn next(&self) -> Result<u64> {
        Ok(self.next.as_ref().unwrap().view().await?.left_ms)
    }

    async fn wait(&self) -> Result<()> {
        *self.begun.lock().unwrap() += 1;
        let _dropped = CountDrop(self.dropped.clone());
        std::future::pending().await
    }

    async fn note(&self) -> Result<()> {
        self.noted.as_ref().unwrap().send(view()).await.unwrap();
        Ok(())
    }
}

/// Changes every call that passes.
fn change<F>(change: F) -> impl Layer<BoxInvoker, Service: Invoker> + Clone
where
    F: Fn(&mut Invocation) + Clone + Send + Sync + 'static,
{
    MapRequestLayer::new(move |mut invocation: Invocation| {
        change(&mut invocation);
        invocation
    })
}

fn overwrite(principal: &'static str) -> impl Layer<BoxInvoker, Service: Invoker> + Clone {
    change(move |invocation| invocation.metadata.insert("principal", principal))
}

fn at_most(millis: u64) -> impl Layer<BoxInvoker, Service: Invoker> + Clone {
    change(move |invocation| {
        invocation.deadline = Deadline::after(Duration::from_millis(millis));
    })
}

type Seen = Arc<Mutex<Vec<View>>>;

/// Notes what the context says there.
fn look(seen: &Seen) -> impl Layer<BoxInvoker, Service: Invoker> + Clone + use<> {
    let seen = seen.clone();
    change(move |_| seen.lock().unwrap().push(view()))
}

async fn start(clerk: Clerk, layers: impl FnOnce(Provider) -> Provider) -> RunningProvider {
    let provider = layers(support::provider(&memory(), "")).serve(DeskServer::new(clerk));
    provider.start().await.unwrap()
}

async fn client(running: &RunningProvider) -> DeskClient {
    support::consumer(&support::fixed(running), "").client().await.unwrap()
}

async fn post(running: &RunningProvider, method: &str, headers: &[(&str, &str)]) -> Response {
    let json = ("content-type", "application/json");
    let headers = [&[json], headers].concat();
    send(running.local_addr(), "POST", &format!("/test.Desk/{method}"), &headers, b"[]").await
}

#[tokio::test]
async fn the_handler_sees_the_principal_that_a_layer_set_and_not_the_callers() {
    let running = start(Clerk::default(), |provider| provider.layer(overwrite("guard"))).await;
    let forged = CallOptions::new().metadata("principal", "root");
    let client = client(&running).await.with(forged);
    assert_eq!(client.view().await.unwrap().principal, "guard");
    let everywhere = client.broadcast().view().await.unwrap();
    assert_eq!(everywhere[0].result.as_ref().unwrap().principal, "guard");
    for forged in ["principal", "Principal"] {
        let answer = post(&running, "view", &[(forged, "root")]).await;
        assert_eq!(answer.json()["principal"], "guard", "{answer:?}");
    }
}

#[tokio::test]
async fn a_reply_with_more_metadata_than_a_frame_may_carry_says_so_and_is_asked_for_once() {
    let crowd = MapResponseLayer::new(|mut reply: Reply| {
        for n in 0..129 {
            reply.metadata.insert(format!("key-{n}"), "value");
        }
        reply
    });
    let seen = Seen::default();
    let running =
        start(Clerk::default(), |provider| provider.layer(look(&seen)).layer(crowd)).await;
    let status = client(&running).await.view().await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("129 entries"), "{status}");
    assert_eq!(seen.lock().unwrap().len(), 1, "it ran once");
}

#[tokio::test]
async fn a_one_way_handler_sees_what_the_layers_left() {
    let (noted, mut notes) = mpsc::channel(2);
    let clerk = Clerk { noted: Some(noted), ..Clerk::default() };
    let running = start(clerk, |provider| provider.layer(overwrite("guard"))).await;
    let forged = CallOptions::new().metadata("principal", "root");
    client(&running).await.with(forged).note().await.unwrap();
    assert_eq!(support::soon(notes.recv()).await.unwrap().principal, "guard");
    post(&running, "note", &[("principal", "root")]).await;
    assert_eq!(support::soon(notes.recv()).await.unwrap().principal, "guard");
}

#[tokio::test]
async fn what_a_layer_takes_away_is_gone_and_the_peer_is_whom_it_names() {
    let behind_a_proxy = change(|invocation| {
        invocation.metadata.remove("principal");
        let behind = TransportAddr::Socket(([203, 0, 113, 7], 4242).into());
        invocation.peer = Some(Arc::new(Peer::new(behind, "json")));
    });
    let running = start(Clerk::default(), |provider| provider.layer(behind_a_proxy)).await;
    let forged = CallOptions::new().metadata("principal", "root");
    let view = client(&running).await.with(forged).view().await.unwrap();
    assert_eq!((&*view.principal, &*view.peer), ("", "203.0.113.7:4242"));
    let view = post(&running, "view", &[("principal", "root")]).await.json();
    assert_eq!((&view["principal"], &view["peer"]), (&"".into(), &"203.0.113.7:4242".into()));
}

#[tokio::test]
async fn each_layer_sees_the_call_as_the_one_outside_of_it_left_it() {
    let [outer, middle, inner] = [Seen::default(), Seen::default(), Seen::default()];
    let running = start(Clerk::default(), |provider| {
        provider
            .layer(look(&outer))
            .layer(overwrite("first"))
            .layer_for(("test.Desk", "view"), look(&middle))
            .layer(overwrite("second"))
            .layer(at_most(1000))
            .layer_for("test.Desk", look(&inner))
    });
    let running = running.await;
    let client = client(&running).await;
    let client = client.with(CallOptions::new().metadata("principal", "caller"));
    assert_eq!(client.view().await.unwrap().principal, "second");
    post(&running, "view", &[("principal", "caller")]).await;
    let seen = |seen: &Seen| {
        let seen = seen.lock().unwrap();
        seen.iter().map(|view| (view.principal.clone(), view.left_ms > 1000)).collect::<Vec<_>>()
    };
    assert_eq!(seen(&outer), vec![("caller".to_owned(), true); 2]);
    assert_eq!(seen(&middle), vec![("first".to_owned(), true); 2]);
    assert_eq!(seen(&inner), vec![("second".to_owned(), false); 2]);
}

#[tokio::test]
async fn a_deadline_that_a_layer_shortens_is_inherited_by_the_calls_of_the_handler() {
    let last = start(Clerk::default(), |provider| provider).await;
    let clerk = Clerk { next: Some(client(&last).await), ..Clerk::default() };
    let running = start(clerk, |provider| provider.layer(at_most(2000))).await;
    let left = client(&running).await.next().await.unwrap();
    assert!((1..=2000).contains(&left), "{left}");
    let left = post(&running, "next", &[]).await.json()["value"].as_str().map(str::parse::<u64>);
    let left = left.unwrap().unwrap();
    assert!((1..=2000).contains(&left), "{left}");
}

#[tokio::test]
async fn a_deadline_that_a_layer_shortens_ends_the_handler_over_both_faces() {
    let clerk = Clerk::default();
    let running = start(clerk.clone(), |provider| provider.layer(at_most(150))).await;
    let client = client(&running).await;
    let status = client.wait().await.unwrap_err();
    let text = "the handler did not end before the deadline that a layer has set";
    assert_eq!((status.code(), status.message()), (Code::DeadlineExceeded, text));
    assert_eq!(status.delivery(), Delivery::Answered);
    let answer = post(&running, "wait", &[]).await;
    assert_eq!((answer.status, &*answer.error().1), (504, text));
    until_is("both handlers are dropped", || *clerk.dropped.lock().unwrap() == 2).await;
}

#[tokio::test]
async fn a_handler_to_which_a_layer_leaves_no_time_does_not_begin() {
    let clerk = Clerk::default();
    let running = start(clerk.clone(), |provider| provider.layer(at_most(0))).await;
    let status = client(&running).await.wait().await.unwrap_err();
    let text = "no time was left by the deadline that a layer has set";
    assert_eq!((status.code(), status.message()), (Code::DeadlineExceeded, text));
    assert_eq!(post(&running, "wait", &[]).await.status, 504);
    assert_eq!(*clerk.begun.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_layer_cannot_give_more_time_than_the_caller_waits() {
    let running = start(Clerk::default(), |provider| provider.layer(at_most(60_000))).await;
    let client = client(&running).await;
    let client = client.with(CallOptions::new().timeout(Duration::from_secs(3)));
    let left = client.view().await.unwrap().left_ms;
    assert!((1..=3000).contains(&left), "{left}");
    let answer = post(&running, "view", &[("tri-service-timeout", "3000")]).await;
    let left =
        answer.json()["leftMs"].as_str().unwrap_or_else(|| panic!("{answer:?}")).parse::<u64>();
    let left = left.unwrap();
    assert!((1..=3000).contains(&left), "{left}");
}

#[tokio::test]
async fn what_a_consumers_layers_set_reaches_the_provider_at_both_positions() {
    let running = start(Clerk::default(), |provider| provider).await;
    let fixed = support::fixed(&running);
    let consumer = || Consumer::builder().sources(support::sources(&fixed, ""));
    for consumer in [
        consumer().call_layer(overwrite("layer")).call_layer(at_most(2000)),
        consumer().attempt_layer(overwrite("layer")).attempt_layer(at_most(2000)),
    ] {
        let client: DeskClient = consumer.build().unwrap().client().await.unwrap();
        let client = client.with(CallOptions::new().metadata("principal", "caller"));
        let view = client.view().await.unwrap();
        assert_eq!(view.principal, "layer");
        assert!((1..=2000).contains(&view.left_ms), "{view:?}");
    }
    for (consumer, hint) in [
        (consumer().call_layer(at_most(150)), "deadline: set by a layer"),
        // The call still has time: another attempt is a matter of retries.
        (consumer().attempt_layer(at_most(150)), "retries = 0, deadline: set by a layer"),
    ] {
        let consumer = consumer.set("consumer.retries", 0).build().unwrap();
        let client: DeskClient = consumer.client().await.unwrap();
        // Connected before, so that the deadline passes while the call is at the provider.
        client.view().await.unwrap();
        let status = client.wait().await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
        assert_eq!(status.hint(), Some(hint), "{status}");
    }
}
