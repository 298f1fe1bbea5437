//! From an annotated trait to a call over a socket, and what a trait may look like.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dubhe::prelude::*;
use dubhe::{Field, ServiceKey};
use support::{memory, until_is};

#[dubhe::service]
trait Greeter {
    /// Greets.
    #[rpc(idempotent)]
    async fn hello(&self, name: String) -> Result<String>;

    /// Greets a second time.
    #[rpc(idempotent)]
    async fn hello_again(&self, name: String) -> Result<String> {
        Ok(format!("{}, again", self.hello(name).await?))
    }
}

struct Me;

impl Greeter for Me {
    async fn hello(&self, name: String) -> Result<String> {
        Ok(format!("hi {name}"))
    }
}

/// Of what programs give to `tokio::spawn`.
fn is_for_tasks<T: Send + 'static>(_: impl FnOnce() -> T) {}

#[test]
fn everything_that_is_waited_for_can_be_a_task_of_its_own() {
    is_for_tasks(|| Provider::new("dev://").serve(GreeterServer::new(Me)).run());
    is_for_tasks(|| Provider::new("dev://").serve(GreeterServer::new(Me)).start());
    is_for_tasks(|| GreeterClient::connect("dev://"));
    is_for_tasks(|| async {
        let running = Provider::new("dev://").serve(GreeterServer::new(Me)).start().await?;
        let consumer = Consumer::new("dev://").build()?;
        let greeter: GreeterClient = consumer.client().await?;
        let said = greeter.hello("a".into()).await?;
        let dynamic = consumer.dynamic(&"Greeter".parse()?).await?;
        dynamic.call("hello", serde_json::json!([said])).await?;
        greeter.broadcast().hello("a".into()).await?;
        running.shutdown().await;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    });
}

#[dubhe::service(name = "test.Counter")]
trait Counter {
    #[rpc(oneway)]
    async fn add(&self, amount: u64) -> Result<()>;

    #[rpc(idempotent)]
    async fn total(&self) -> Result<u64>;
}

#[derive(Default)]
struct Sum(AtomicU64);

impl Counter for Sum {
    async fn add(&self, amount: u64) -> Result<()> {
        self.0.fetch_add(amount, Ordering::AcqRel);
        Ok(())
    }

    async fn total(&self) -> Result<u64> {
        Ok(self.0.load(Ordering::Acquire))
    }
}

#[dubhe::service(name = "test.Mirror")]
trait Mirror<T: Field> {
    #[rpc(idempotent)]
    async fn back(&self, value: T) -> Result<T>;
}

struct Glass;

impl<T: Field> Mirror<T> for Glass {
    async fn back(&self, value: T) -> Result<T> {
        Ok(value)
    }
}

#[dubhe::error]
#[derive(Debug, Clone)]
enum BankError {
    Short {
        missing: u64,
    },
    #[rpc(status)]
    Status(Status),
}

#[dubhe::service(name = "test.Bank")]
trait Bank {
    async fn withdraw(&self, amount: u64) -> Result<u64, BankError>;
}

struct Vault;

impl Bank for Vault {
    async fn withdraw(&self, amount: u64) -> Result<u64, BankError> {
        match amount {
            0..=100 => Ok(100 - amount),
            _ => Err(BankError::Short { missing: amount - 100 }),
        }
    }
}

#[tokio::test]
async fn a_trait_is_called_through_a_socket() {
    let registry = memory();
    let provider = support::provider(&registry, "").serve(GreeterServer::new(Me));
    let _provider = provider.start().await.unwrap();
    let greeter: GreeterClient = support::consumer(&registry, "").client().await.unwrap();
    assert_eq!(greeter.hello("bob".into()).await.unwrap(), "hi bob");
    assert_eq!(greeter.clone().hello("eve".into()).await.unwrap(), "hi eve");
}

#[tokio::test]
async fn several_services_share_one_process_one_port_and_one_connection() {
    let registry = memory();
    let provider = support::provider(&registry, "")
        .serve(GreeterServer::new(Me))
        .serve(CounterServer::new(Sum::default()))
        .serve_as(ServiceKey::with_parts("test.Counter", "blue", "2"), {
            CounterServer::new(Sum(AtomicU64::new(1000)))
        });
    let _provider = provider.start().await.unwrap();
    let consumer = support::consumer(&registry, "");
    let greeter: GreeterClient = consumer.client().await.unwrap();
    let counter: CounterClient = consumer.client().await.unwrap();
    let blue = ServiceKey::with_parts("test.Counter", "blue", "2");
    let blue: CounterClient = consumer.client_of(blue).await.unwrap();
    assert_eq!(greeter.hello("bob".into()).await.unwrap(), "hi bob");
    assert_eq!(counter.total().await.unwrap(), 0);
    assert_eq!(blue.total().await.unwrap(), 1000);
}

#[tokio::test]
async fn a_generic_trait_is_called_for_its_types() {
    let registry = memory();
    let mirror = MirrorServer::<_, Vec<String>>::new(Glass);
    let _provider = support::provider(&registry, "").serve(mirror).start().await.unwrap();
    let mirror: MirrorClient<Vec<String>> =
        support::consumer(&registry, "").client().await.unwrap();
    let value = vec!["a".to_owned(), String::new()];
    assert_eq!(mirror.back(value.clone()).await.unwrap(), value);
}

#[tokio::test]
async fn an_arc_is_served_and_kept() {
    let (registry, sum) = (memory(), Arc::new(Sum::default()));
    let provider = support::provider(&registry, "").serve(CounterServer::new(sum.clone()));
    let _provider = provider.start().await.unwrap();
    let counter: CounterClient = support::consumer(&registry, "").client().await.unwrap();
    sum.0.store(7, Ordering::Release);
    assert_eq!(counter.total().await.unwrap(), 7);
}

#[tokio::test]
async fn a_default_method_runs_on_the_provider() {
    let registry = memory();
    let provider = support::provider(&registry, "").serve(GreeterServer::new(Me));
    let provider = provider.start().await.unwrap();
    let greeter: GreeterClient = support::consumer(&registry, "").client().await.unwrap();
    assert_eq!(greeter.hello_again("bob".into()).await.unwrap(), "hi bob, again");
    let served = provider.metrics().render();
    let line = r#"dubhe_provider_calls_total{service="Greeter",method="hello_again",code="ok"} 1"#;
    assert!(served.contains(line), "{served}");
}

#[tokio::test]
async fn a_one_way_call_arrives_without_being_answered() {
    let (registry, sum) = (memory(), Arc::new(Sum::default()));
    let provider = support::provider(&registry, "").serve(CounterServer::from_arc(sum.clone()));
    let _provider = provider.start().await.unwrap();
    let counter: CounterClient = support::consumer(&registry, "").client().await.unwrap();
    for amount in 1..=100 {
        counter.add(amount).await.unwrap();
    }
    until_is("all hundred arrive", || sum.0.load(Ordering::Acquire) == 5050).await;
    assert_eq!(counter.total().await.unwrap(), 5050);
}

#[tokio::test]
async fn a_business_error_arrives_as_the_same_value() {
    let registry = memory();
    let provider = support::provider(&registry, "").serve(BankServer::new(Vault));
    let provider = provider.start().await.unwrap();
    let consumer = support::consumer(&registry, "");
    let bank: BankClient = consumer.client().await.unwrap();
    assert_eq!(bank.withdraw(30).await.unwrap(), 70);
    for codec in ["protobuf", "msgpack", "json"] {
        let bank = bank.with(CallOptions::new().codec(codec));
        match bank.withdraw(130).await {
            Err(BankError::Short { missing }) => assert_eq!(missing, 30, "{codec}"),
            other => panic!("{codec}: {other:?}"),
        }
    }
    drop(provider);
    match bank
        .with(CallOptions::new().timeout(std::time::Duration::from_millis(200)))
        .withdraw(1)
        .await
    {
        Err(BankError::Status(status)) => assert_eq!(status.code(), Code::Unavailable),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn code_that_takes_the_trait_takes_client_implementation_and_injected_value() {
    async fn greet(greeter: impl Greeter) -> String {
        greeter.hello("bob".into()).await.unwrap()
    }
    let registry = memory();
    let provider = support::provider(&registry, "").serve(GreeterServer::new(Me));
    let _provider = provider.start().await.unwrap();
    let client: GreeterClient = support::consumer(&registry, "").client().await.unwrap();
    let injected: Arc<dyn DynGreeter> = Arc::new(client.clone());
    assert_eq!(greet(Me).await, "hi bob");
    assert_eq!(greet(client).await, "hi bob");
    assert_eq!(greet(injected).await, "hi bob");
}

#[tokio::test]
async fn a_panic_in_a_handler_is_an_answer_and_the_connection_lives() {
    use support::shop::{Clerk, Shop, ShopClient, ShopServer};
    let registry = memory();
    let provider = support::provider(&registry, "").serve(ShopServer::new(Clerk::new("a")));
    let _provider = provider.start().await.unwrap();
    let shop: ShopClient = support::consumer(&registry, "").client().await.unwrap();
    let status = shop.panic().await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(status.message(), "the handler of test.Shop/panic panicked");
    assert_eq!(shop.look(1).await.unwrap().id, 1);
}
