//! A method before a pool of eight places, and callers that come by the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rpc_core::descriptor::ServiceDescriptor;
use rpc_core::server::{Answer, Dispatcher, Handler};
use rpc_core::{Code, Invocation, Metrics, Reply, ReplyFuture, ServiceKey};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::{ECHO, Text};

/// What callers wait for an answer.
const PATIENCE: Duration = Duration::from_millis(300);

/// What some callers may wait who do not care.
const HOUR: Duration = Duration::from_secs(3600);

/// Eight at a time, ten milliseconds each: 800 a second.
struct Pool(Arc<Semaphore>);

impl Handler for Pool {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        super::descriptor()
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
pub struct Provided {
    pub dispatcher: Dispatcher,
    useful: Arc<AtomicU64>,
    calls: JoinSet<()>,
    came: usize,
    /// Of so many calls one has an hour; none if it is 0.
    pub one_of: usize,
    /// After so long callers give up, if not a little before their deadline.
    pub gives_up: Option<Duration>,
}

impl Provided {
    pub fn new(open: bool) -> Self {
        let mut dispatcher = Dispatcher::new(super::codecs(), Metrics::new("provider"));
        if open {
            dispatcher.leave_open("Test/echo");
        }
        let pool = Arc::new(Pool(Arc::new(Semaphore::new(8))));
        dispatcher.add(ServiceKey::new("Test"), pool, |_, invoker| invoker).unwrap();
        let (useful, calls) = (Arc::default(), JoinSet::new());
        Self { dispatcher, useful, calls, came: 0, one_of: 0, gives_up: None }
    }

    pub fn answer(&self) -> Answer {
        self.answer_within(PATIENCE)
    }

    fn answer_within(&self, patience: Duration) -> Answer {
        let route = self.dispatcher.route("Test/echo").unwrap();
        Answer::new(route.clone(), super::invocation(ECHO, "", patience), Instant::now())
    }

    /// Has so many tenths of a call come each millisecond; the useful answers of each second.
    pub async fn offer(&mut self, tenths: u32, seconds: u32) -> Vec<u64> {
        let mut tick = interval(Duration::from_millis(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut answered = Vec::new();
        for _ in 0..seconds {
            let before = self.useful.load(Ordering::Relaxed);
            let mut due = 0;
            for _ in 0..1000 {
                tick.tick().await;
                due += tenths;
                (0..due / 10).for_each(|_| self.call());
                due %= 10;
            }
            while self.calls.try_join_next().is_some() {}
            answered.push(self.useful.load(Ordering::Relaxed) - before);
        }
        answered
    }

    /// Calls, and gives up a little before the provider knows of it, as over a network.
    fn call(&mut self) {
        self.came += 1;
        let is_patient = self.one_of > 0 && self.came.is_multiple_of(self.one_of);
        let patience = if is_patient { HOUR } else { PATIENCE };
        let (answer, useful) = (self.answer_within(patience), self.useful.clone());
        let patience = self.gives_up.unwrap_or(patience - Duration::from_millis(5));
        self.calls.spawn(async move {
            if let Ok(Ok(_)) = timeout(patience, answer.until_deadline()).await {
                useful.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    pub fn refused(&self) -> u64 {
        let route = self.dispatcher.route("Test/echo").unwrap();
        route.metrics().count(Code::ResourceExhausted)
    }

    pub fn tells(&self, line: &str) -> bool {
        self.dispatcher.metrics().render().lines().any(|told| told == line)
    }
}
