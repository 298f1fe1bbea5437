//! The gate of a method around real handlers, on a clock that stands still between events.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rpc_core::descriptor::ServiceDescriptor;
use rpc_core::server::{Answer, Dispatcher, Handler};
use rpc_core::{Code, Delivery, Invocation, Metrics, Reply, ReplyFuture, ServiceKey, Status};
use support::{ECHO, Text};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

/// What callers wait for an answer.
const PATIENCE: Duration = Duration::from_millis(300);

/// Eight at a time, ten milliseconds each: 800 a second.
struct Pool(Arc<Semaphore>);

impl Handler for Pool {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        support::descriptor()
    }

    fn call(&self, _: usize, _: Invocation) -> ReplyFuture {
        let places = self.0.clone();
        Box::pin(async move {
            let _place = places.acquire().await.unwrap();
            sleep(Duration::from_millis(10)).await;
            Ok(Reply::new(Text::default()))
        })
    }
}

/// A provider of one method before a pool.
struct Provided {
    dispatcher: Dispatcher,
    useful: Arc<AtomicU64>,
    calls: JoinSet<()>,
}

impl Provided {
    fn new(open: bool) -> Self {
        let mut dispatcher = Dispatcher::new(support::codecs(), Metrics::new("provider"));
        if open {
            dispatcher.leave_open("Test/echo");
        }
        let pool = Arc::new(Pool(Arc::new(Semaphore::new(8))));
        dispatcher.add(ServiceKey::new("Test"), pool, |invoker| invoker).unwrap();
        Self { dispatcher, useful: Arc::default(), calls: JoinSet::new() }
    }

    fn answer(&self) -> Answer {
        let route = self.dispatcher.route("Test/echo").unwrap();
        Answer::new(route.clone(), support::invocation(ECHO, "", PATIENCE), Instant::now())
    }

    /// Has `each` calls come each millisecond; the useful answers of each second.
    async fn offer(&mut self, each: u32, seconds: u32) -> Vec<u64> {
        let mut tick = interval(Duration::from_millis(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut answered = Vec::new();
        for _ in 0..seconds {
            let before = self.useful.load(Ordering::Relaxed);
            for _ in 0..1000 {
                tick.tick().await;
                (0..each).for_each(|_| self.call());
            }
            while self.calls.try_join_next().is_some() {}
            answered.push(self.useful.load(Ordering::Relaxed) - before);
        }
        answered
    }

    /// Calls, and gives up a little before the provider knows of it, as over a network.
    fn call(&mut self) {
        let (answer, useful) = (self.answer(), self.useful.clone());
        self.calls.spawn(async move {
            let patience = PATIENCE - Duration::from_millis(5);
            if let Ok(Ok(_)) = timeout(patience, answer.until_deadline()).await {
                useful.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    fn refused(&self) -> u64 {
        let route = self.dispatcher.route("Test/echo").unwrap();
        route.metrics().count(Code::ResourceExhausted)
    }

    fn tells(&self, line: &str) -> bool {
        self.dispatcher.metrics().render().lines().any(|told| told == line)
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_answers_on_at_ten_times_its_capacity() {
    let mut provided = Provided::new(false);
    assert!(provided.tells(r#"dubhe_provider_gate_state{service="Test",method="echo"} 0"#));
    provided.offer(0, 1).await;
    let answered = provided.offer(8, 6).await;
    // The first second or two go by before work is known to be futile. Timers have milliseconds.
    assert!(answered[2..].iter().all(|useful| *useful >= 680), "{answered:?}");
    assert!(provided.tells(r#"dubhe_provider_gate_state{service="Test",method="echo"} 2"#));
    assert!(provided.tells(r#"dubhe_provider_gate_trials_total{service="Test",method="echo"} 1"#));
    let refused = provided.refused();
    let line =
        format!(r#"dubhe_provider_gate_refused_total{{service="Test",method="echo"}} {refused}"#);
    assert!(provided.tells(&line), "{refused} were refused");
    // It goes away by itself.
    provided.offer(0, 1).await;
    let refused = provided.refused();
    let mut ends = Vec::new();
    for _ in 0..4000 {
        sleep(Duration::from_millis(4)).await;
        ends.push(provided.answer().until_deadline().await.is_ok());
    }
    assert!(ends.iter().all(|useful| *useful));
    assert_eq!(provided.refused(), refused);
    assert!(provided.tells(r#"dubhe_provider_gate_state{service="Test",method="echo"} 0"#));
    assert!(provided.tells(r#"dubhe_provider_gate_limit{service="Test",method="echo"} 0"#));
}

#[tokio::test(start_paused = true)]
async fn a_method_that_is_left_open_refuses_nobody_and_answers_nothing() {
    let mut provided = Provided::new(true);
    let answered = provided.offer(8, 4).await;
    assert!(answered[1..].iter().all(|useful| *useful <= 80), "{answered:?}");
    assert_eq!(provided.refused(), 0);
    let line = r#"gate_state{service="Test",method="echo"}"#;
    assert!(!provided.dispatcher.metrics().render().contains(line));
}

#[tokio::test(start_paused = true)]
async fn who_is_turned_away_is_told_why_and_when_to_come_back() {
    let mut provided = Provided::new(false);
    provided.offer(8, 3).await;
    let mut refused: Vec<Status> = Vec::new();
    let mut waiting = JoinSet::new();
    for _ in 0..100 {
        let answer = provided.answer();
        waiting.spawn(answer.until_deadline());
    }
    while let Some(ended) = waiting.join_next().await {
        refused.extend(ended.unwrap().err());
    }
    let status = refused.iter().find(|status| status.code() == Code::ResourceExhausted).unwrap();
    assert_eq!(status.delivery(), Delivery::Refused);
    let text = status.message();
    assert!(text.starts_with("Test/echo is overloaded: "), "{text}");
    assert!(text.contains("`provider.gate`") && text.contains("come back in "), "{text}");
}

#[tokio::test(start_paused = true)]
async fn calls_that_have_begun_or_have_no_answer_pass_the_gate() {
    let mut provided = Provided::new(false);
    provided.offer(8, 3).await;
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let one_way = provided.answer().past_gate();
        let mut begun = provided.answer();
        calls.spawn(one_way.until_deadline());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(Future::poll(std::pin::Pin::new(&mut begun), &mut context).is_pending());
        begun.begin(Instant::now()).unwrap();
        calls.spawn(begun.until_deadline());
    }
    while let Some(ended) = calls.join_next().await {
        let code = ended.unwrap().err().map(|status| status.code());
        assert!(matches!(code, None | Some(Code::DeadlineExceeded)), "{code:?}");
    }
}
