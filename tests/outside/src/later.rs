//! A cluster policy of one's own that puts failed calls off: it answers for them and sends them
//! again in the background, from the consumer's backlog.

use std::sync::Arc;
use std::time::Duration;

use dubhe::extend::{
    Attempt, BacklogFull, BuildContext, ClusterPolicy, Extension, History, Invoke, Picker,
    ReplyFuture, Resend, may_resend_later,
};
use dubhe::prelude::*;
use dubhe::{BoxInvoker, Consumer, Deadline, Error, Extensions, Invocation, Reply};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tower_layer::Layer;

use crate::shop;

/// Sends what failed once more, a little later, and tells its caller that all is well.
#[derive(Debug)]
struct Later(LaterConfig);

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LaterConfig {
    /// How many failed calls of a method wait at most.
    room: usize,
}

impl Default for LaterConfig {
    fn default() -> Self {
        Self { room: 100 }
    }
}

impl Extension<dyn ClusterPolicy> for Later {
    const NAME: &'static str = "later";
    type Config = LaterConfig;

    fn build(
        config: LaterConfig,
        _: &BuildContext,
    ) -> std::result::Result<Arc<dyn ClusterPolicy>, Error> {
        Ok(Arc::new(Self(config)))
    }
}

impl Layer<Picker> for Later {
    type Service = BoxInvoker;

    fn layer(&self, picker: Picker) -> BoxInvoker {
        BoxInvoker::from_invoke(LaterInvoker { picker, room: self.0.room })
    }
}

impl ClusterPolicy for Later {}

#[derive(Clone)]
struct LaterInvoker {
    picker: Picker,
    room: usize,
}

impl Invoke for LaterInvoker {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let (this, began) = (self.clone(), Instant::now());
        let first = self.picker.attempt(Attempt::first(invocation.clone(), began));
        Box::pin(async move {
            match first.await {
                Ok(reply) => Ok(reply),
                Err(status) => this.put_off(invocation, status, began),
            }
        })
    }
}

impl LaterInvoker {
    /// The answer in place of the failure, if there is one and the call may wait; else the failure.
    fn put_off(&self, mut invocation: Invocation, status: Status, began: Instant) -> Result<Reply> {
        let method = invocation.method().clone();
        let may = may_resend_later(&status, method.is_idempotent()) == Resend::Free;
        let (Some(answer), Some(backlog), true) = (method.fallback(), self.picker.backlog(), may)
        else {
            return Err(status);
        };
        let excluded = status.address().map(Arc::from).into_iter().collect();
        let (picker, size) = (self.picker.clone(), invocation.body.size_hint());
        let again = async move {
            sleep(Duration::from_millis(10)).await;
            let now = Instant::now();
            invocation.deadline = Deadline::after_from(now, Duration::from_secs(5));
            picker.budget().note_resend();
            let attempt = Attempt { invocation, excluded, number: 2, now };
            let failed = picker.attempt(attempt).await.is_err();
            if let (true, Some(backlog)) = (failed, picker.backlog()) {
                backlog.note_dropped();
            }
        };
        backlog.push(&method, self.room, size, again).map(|()| answer.clone()).map_err(|full| {
            backlog.note_dropped();
            assert!(matches!(full, BacklogFull::Calls(_)));
            let mut history = History::new();
            history.add(&status, began.elapsed());
            history.into_status(status, &method, Some(format!("cluster = later: {full}")))
        })
    }
}

/// A ledger.
#[dubhe::service(name = "shop.Ledger")]
trait Ledger {
    /// Writes a line.
    async fn note(&self, line: u64) -> Result<()>;
}

/// Tells the test of every line.
struct Lines(mpsc::Sender<u64>);

impl Ledger for Lines {
    async fn note(&self, line: u64) -> Result<()> {
        self.0.send(line).await.map_err(|_| Status::internal("nobody reads the ledger"))
    }
}

fn consumer(list: &str, policy: impl Into<serde_json::Value>) -> Consumer {
    let consumer = shop::consumer(&format!("static://{list}"))
        .extensions(Extensions::default().with_cluster::<Later>())
        .set("consumer.loadbalance", "random")
        .set("consumer.cluster", policy);
    consumer.build().unwrap()
}

#[tokio::test]
async fn an_own_policy_sends_failed_calls_again_from_the_backlog() {
    let (told, mut lines) = mpsc::channel(4);
    let server = LedgerServer::new(Lines(told));
    let running = shop::provider("memory://own-later").serve(server).start().await.unwrap();
    // The first call of a consumer goes to either; later ones go to whom has answered.
    for line in 0..32 {
        let list = format!("{},{}", shop::NOBODY, running.address());
        let consumer = consumer(&list, "later");
        let ledger: LedgerClient = consumer.client().await.unwrap();
        ledger.note(line).await.unwrap();
        let written = timeout(Duration::from_secs(5), lines.recv()).await.unwrap();
        assert_eq!(written, Some(line), "written once, at once or later");
        assert_eq!(consumer.backlog().dropped(), 0);
        if consumer.resends() > 0 {
            return;
        }
    }
    panic!("no call of 32 went where nobody listens");
}

#[tokio::test]
async fn what_finds_no_room_in_the_backlog_fails_and_says_why() {
    let consumer = consumer(shop::NOBODY, serde_json::json!({ "name": "later", "room": 0 }));
    let ledger: LedgerClient = consumer.client().await.unwrap();
    let status = ledger.note(1).await.unwrap_err();
    assert_eq!(status.hint(), Some("cluster = later: 0 calls of the method wait already"));
    assert_eq!((consumer.backlog().waiting(), consumer.backlog().dropped()), (0, 1));
}
