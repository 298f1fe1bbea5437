//! A provider and a consumer with one protocol between them, and a service whose streams tests can
//! look into.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dubhe::{Code, Consumer, Provider, Result, RunningProvider, Status, Streaming};
use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::support;

/// A protocol under test.
pub(crate) struct Wire(&'static str);

/// Both ends of it.
pub(crate) struct Ends {
    pub(crate) provider: RunningProvider,
    pub(crate) consumer: Consumer,
    pub(crate) client: StreamsClient,
    pub(crate) seen: Arc<Seen>,
}

impl Wire {
    pub(crate) fn new(protocol: &'static str) -> Self {
        Self(protocol)
    }

    /// The settings with which a consumer uses the protocol, besides those of a test.
    fn settings(&self, toml: &str) -> String {
        match self.0 {
            "injvm" => format!("[consumer.services.Streams]\nscope = \"local\"\n{toml}"),
            wire => format!("{toml}\n[provider]\nprotocols = [\"{wire}\"]\n"),
        }
    }

    pub(crate) async fn connect(&self) -> Ends {
        self.connect_with("", |provider| provider).await
    }

    /// Both ends with these settings; `toml` begins inside the section of the service.
    pub(crate) async fn connect_with(
        &self,
        toml: &str,
        change: impl FnOnce(Provider) -> Provider,
    ) -> Ends {
        self.connect_at(&support::memory(), toml, change).await
    }

    /// Both ends at this registry.
    pub(crate) async fn connect_at(
        &self,
        registry: &str,
        toml: &str,
        change: impl FnOnce(Provider) -> Provider,
    ) -> Ends {
        let (registry, toml) = (registry.to_owned(), self.settings(toml));
        let seen = Arc::new(Seen::default());
        let served = StreamsServer::new(Handler {
            seen: seen.clone(),
            registry: registry.clone(),
            toml: toml.clone(),
        });
        let provider = change(support::provider(&registry, &toml)).serve(served);
        let provider = provider.start().await.unwrap();
        let consumer = support::consumer(&registry, &toml);
        let client = consumer.client().await.unwrap();
        Ends { provider, consumer, client, seen }
    }
}

/// What a handler has done.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) made: AtomicU64,
    pub(crate) calls: AtomicU64,
    /// A handler's stream was dropped.
    pub(crate) dropped: Notify,
    pub(crate) error: std::sync::Mutex<Option<Status>>,
}

impl Seen {
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }
}

#[dubhe::error]
#[derive(Debug, PartialEq)]
pub(crate) enum StreamError {
    TooMany {
        most: u64,
    },
    #[rpc(status)]
    Status(Status),
}

#[dubhe::service]
pub(crate) trait Streams {
    /// All numbers that are said.
    async fn sum(&self, numbers: Streaming<u64>) -> Result<u64>;
    /// Reads one number, and then none for a minute.
    async fn sleepy(&self, numbers: Streaming<u64>) -> Result<u64>;
    /// Answers after the first number.
    #[rpc(idempotent)]
    async fn first(&self, numbers: Streaming<u64>) -> Result<u64>;
    /// The numbers up to `to`, `every` so many milliseconds one.
    #[rpc(idempotent)]
    async fn count(&self, to: u64, every: u64) -> Result<Streaming<u64>>;
    /// Twice each number, and 7 at the end.
    async fn double(&self, numbers: Streaming<u64>) -> Result<Streaming<u64>>;
    /// The numbers up to `to`, and then an error.
    #[rpc(idempotent)]
    async fn fail_after(&self, to: u64) -> Result<Streaming<u64>>;
    async fn panic_after(&self, to: u64) -> Result<Streaming<u64>>;
    async fn checked(&self, count: u64) -> Result<Streaming<u64>, StreamError>;
    /// Texts of `len` bytes.
    async fn texts(&self, len: u32) -> Result<Streaming<String>>;
    /// Calls `count` of this service for ever, and tells how that ended.
    async fn nested(&self) -> Result<String>;
    /// Never begins, in the handler itself.
    async fn never(&self) -> Result<Streaming<u64>>;
}

pub(crate) struct Handler {
    seen: Arc<Seen>,
    registry: String,
    toml: String,
}

/// Tells when it is dropped.
struct Watched(Arc<Seen>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.dropped.notify_one();
    }
}

impl Handler {
    fn numbers(&self, to: u64, every: u64) -> Streaming<u64> {
        let (seen, watched) = (self.seen.clone(), Watched(self.seen.clone()));
        let numbers = futures_util::stream::iter(1..=to).then(move |number| {
            let (seen, _) = (seen.clone(), &watched);
            async move {
                if every > 0 {
                    sleep(Duration::from_millis(every)).await;
                }
                seen.made.fetch_add(1, Ordering::SeqCst);
                Ok(number)
            }
        });
        Streaming::new(numbers)
    }
}

impl Streams for Handler {
    async fn sum(&self, mut numbers: Streaming<u64>) -> Result<u64> {
        let mut sum = 0;
        loop {
            match numbers.message().await {
                Ok(Some(number)) => sum += number,
                Ok(None) => return Ok(sum),
                Err(status) => {
                    *self.seen.error.lock().unwrap() = Some(status.clone());
                    return Err(status);
                }
            }
        }
    }

    async fn sleepy(&self, mut numbers: Streaming<u64>) -> Result<u64> {
        let first = numbers.message().await?;
        sleep(Duration::from_secs(60)).await;
        Ok(first.unwrap_or_default())
    }

    async fn first(&self, mut numbers: Streaming<u64>) -> Result<u64> {
        let calls = self.seen.calls.fetch_add(1, Ordering::SeqCst);
        match numbers.message().await? {
            Some(0) if calls < 2 => Err(Status::unavailable("not now")),
            first => Ok(first.unwrap_or_default()),
        }
    }

    async fn count(&self, to: u64, every: u64) -> Result<Streaming<u64>> {
        self.seen.calls.fetch_add(1, Ordering::SeqCst);
        Ok(self.numbers(to, every))
    }

    async fn double(&self, numbers: Streaming<u64>) -> Result<Streaming<u64>> {
        let doubled = numbers.map(|number| number.map(|number| number * 2));
        Ok(Streaming::new(doubled.chain(futures_util::stream::iter([Ok(7)]))))
    }

    async fn fail_after(&self, to: u64) -> Result<Streaming<u64>> {
        let calls = self.seen.calls.fetch_add(1, Ordering::SeqCst);
        let error = Status::unavailable(format!("call {calls} broke"));
        Ok(Streaming::new(self.numbers(to, 0).chain(futures_util::stream::iter([Err(error)]))))
    }

    async fn panic_after(&self, to: u64) -> Result<Streaming<u64>> {
        let numbers = self.numbers(to + 1, 0);
        Ok(Streaming::new(numbers.inspect(move |number| {
            assert!(number.as_ref().is_ok_and(|number| *number <= to), "as it does");
        })))
    }

    async fn checked(&self, count: u64) -> Result<Streaming<u64>, StreamError> {
        if count > 3 {
            return Err(StreamError::TooMany { most: 3 });
        }
        Ok(self.numbers(count, 0))
    }

    async fn texts(&self, len: u32) -> Result<Streaming<String>> {
        Ok(Streaming::of([String::new(), "x".repeat(len as usize)]))
    }

    async fn nested(&self) -> Result<String> {
        let consumer = support::consumer(&self.registry, &self.toml);
        let client: StreamsClient =
            consumer.client().await.map_err(|e| Status::internal(e.to_string()))?;
        let mut numbers = client.count(u64::MAX, 10).await?;
        loop {
            if let Err(status) = numbers.message().await {
                *self.seen.error.lock().unwrap() = Some(status.clone());
                return Err(status);
            }
        }
    }

    async fn never(&self) -> Result<Streaming<u64>> {
        let _watched = Watched(self.seen.clone());
        std::future::pending().await
    }
}

/// Reads to the end.
pub(crate) async fn all<T>(mut stream: Streaming<T>) -> (Vec<T>, Option<Status>) {
    let mut values = Vec::new();
    loop {
        match stream.message().await {
            Ok(Some(value)) => values.push(value),
            Ok(None) => return (values, None),
            Err(status) => return (values, Some(status)),
        }
    }
}

/// An endless stream of `number`s, and how many were read of it.
pub(crate) fn endless(number: u64) -> (Streaming<u64>, Arc<AtomicU64>) {
    let read = Arc::new(AtomicU64::new(0));
    let counted = read.clone();
    let numbers = futures_util::stream::repeat_with(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(number)
    });
    (Streaming::new(numbers), read)
}

/// The code a stream or a call ended with.
pub(crate) fn code(status: Option<Status>) -> Code {
    status.map_or(Code::Ok, |status| status.code())
}
