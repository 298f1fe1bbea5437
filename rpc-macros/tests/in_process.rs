//! Generated servers answer generated clients inside one process: values, errors, default bodies.
#![allow(clippy::unwrap_used, reason = "a test that fails here has found something")]

mod wiring;

use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dubhe_rpc_macros::service;
use rpc_core::client::{CallOptions, ServiceClient};
use rpc_core::message::{Element, Message, Returned};
use rpc_core::server::Handler;
use rpc_core::{Body, Code, Deadline, Invocation, Reply, Result, Status};

use crate::wiring::{NoCodec, connect, connect_recorded, method};

#[service(crate = rpc_core, name = "demo.Greeter", group = "blue", version = "1.0.0")]
trait Greeter {
    async fn hello(&self, name: String) -> Result<String>;

    async fn add(&self, a: u32, b: u32, more: Vec<u32>) -> Result<u32>;

    #[rpc(oneway)]
    async fn log(&self, line: String) -> Result<()>;

    async fn logged(&self) -> Result<u32, Status>;

    async fn version(&self) -> Result<String> {
        Ok("1".into())
    }

    async fn greet_all(&self, mut names: Vec<String>, shout: bool) -> Result<Vec<String>> {
        if names.is_empty() {
            return Err(Status::invalid_argument("nobody to greet"));
        }
        names.sort();
        let mut greetings = Vec::new();
        for name in names {
            greetings.push(self.hello(name).await?);
        }
        if shout {
            greetings.iter_mut().for_each(|text| *text = text.to_uppercase());
        }
        Ok(greetings)
    }
}

#[derive(Default)]
struct Me {
    logged: AtomicU32,
}

impl Greeter for Me {
    async fn hello(&self, name: String) -> Result<String> {
        // So that the future is kept across an await.
        tokio::task::yield_now().await;
        match name.is_empty() {
            true => Err(Status::invalid_argument("a name is needed")),
            false => Ok(format!("hi {name}")),
        }
    }

    async fn add(&self, a: u32, b: u32, more: Vec<u32>) -> Result<u32> {
        Ok(a + b + more.iter().sum::<u32>())
    }

    async fn log(&self, _line: String) -> Result<()> {
        self.logged.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn logged(&self) -> Result<u32> {
        Ok(self.logged.load(Ordering::Relaxed))
    }
}

struct Newer;

impl Greeter for Newer {
    async fn hello(&self, name: String) -> Result<String> {
        Ok(format!("hello {name}"))
    }

    async fn add(&self, _: u32, _: u32, _: Vec<u32>) -> Result<u32> {
        Ok(0)
    }

    async fn log(&self, _: String) -> Result<()> {
        Ok(())
    }

    async fn logged(&self) -> Result<u32> {
        Ok(0)
    }

    async fn version(&self) -> Result<String> {
        Ok("2".into())
    }
}

#[service(crate = rpc_core)]
trait Store<T: Element + Clone + Debug, K = String>
where
    K: Element + PartialEq,
{
    async fn put(&self, key: K, value: T) -> Result<()>;
    async fn find(&self, key: K) -> Result<Option<T>>;
    async fn len(&self) -> Result<u64>;
    async fn all(&self) -> Result<Vec<T>> {
        Err(Status::unimplemented("this store does not list"))
    }
}

struct InMemory<T, K>(Mutex<Vec<(K, T)>>);

impl<T: Element + Clone + Debug, K: Element + PartialEq> Store<T, K> for InMemory<T, K> {
    async fn put(&self, key: K, value: T) -> Result<()> {
        self.0.lock().unwrap().push((key, value));
        Ok(())
    }

    async fn find(&self, key: K) -> Result<Option<T>> {
        let entries = self.0.lock().unwrap();
        let found = entries.iter().find(|(known, _)| *known == key);
        Ok(found.map(|(_, value)| value.clone()))
    }

    async fn len(&self) -> Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }
}

fn greeter() -> GreeterClient {
    connect(GreeterServer::new(Me::default()))
}

/// Anything that greets: a plain struct, a client, a pointer.
async fn greet(greeter: &(impl Greeter + ?Sized)) -> String {
    greeter.hello("bob".into()).await.unwrap()
}

#[tokio::test]
async fn a_value_comes_back() {
    assert_eq!(greeter().hello("bob".into()).await.unwrap(), "hi bob");
}

#[tokio::test]
async fn several_arguments_arrive_in_their_places() {
    assert_eq!(greeter().add(30, 5, vec![4, 3]).await.unwrap(), 42);
}

#[test]
fn the_text_of_each_argument_is_at_its_place_also_after_one_that_is_absent() {
    let text = |message: &dyn Message, index| {
        let mut text = String::new();
        message.argument_text(index, &mut text).then_some(text)
    };
    let add = __Greeter_add_Arguments7 { a: 30, b: 5, more: vec![4, 3] };
    let texts: Vec<_> = (0..4).map(|index| text(&add, index)).collect();
    assert_eq!(texts, [Some("30".into()), Some("5".into()), Some("[4, 3]".into()), None]);
    let find = __Places_find_Arguments6 { near: None, id: 7 };
    assert_eq!([0, 1].map(|index| text(&find, index).unwrap()), ["null", "7"]);
    assert_eq!(text(&__Greeter_logged_Arguments7 {}, 0), None);
}

#[service(crate = rpc_core)]
trait Places {
    async fn find(&self, near: Option<String>, id: u64) -> Result<()>;
}

#[tokio::test]
async fn a_method_without_arguments_is_called() {
    assert_eq!(greeter().logged().await.unwrap(), 0);
}

#[tokio::test]
async fn a_one_way_call_reaches_the_handler() {
    let greeter = greeter();
    greeter.log("line".into()).await.unwrap();
    greeter.log("line".into()).await.unwrap();
    assert_eq!(greeter.logged().await.unwrap(), 2);
}

#[tokio::test]
async fn a_status_arrives_with_code_message_and_call() {
    let status = greeter().hello(String::new()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "a name is needed");
    assert_eq!(status.call(), Some("blue/demo.Greeter:1.0.0/hello"));
}

#[tokio::test]
async fn a_default_body_answers_on_a_provider_that_has_no_other() {
    assert_eq!(greeter().version().await.unwrap(), "1");
}

#[tokio::test]
async fn a_method_with_a_default_body_is_remote_on_the_client() {
    let newer: GreeterClient = connect(GreeterServer::new(Newer));
    assert_eq!(newer.version().await.unwrap(), "2");
}

#[tokio::test]
async fn a_default_body_uses_arguments_other_methods_and_early_returns() {
    let greeter = greeter();
    let names = vec!["eve".into(), "bob".into()];
    let greetings = greeter.greet_all(names.clone(), false).await.unwrap();
    assert_eq!(greetings, ["hi bob", "hi eve"]);
    let greetings = greeter.greet_all(names, true).await.unwrap();
    assert_eq!(greetings, ["HI BOB", "HI EVE"]);
    let status = greeter.greet_all(Vec::new(), false).await.unwrap_err();
    assert_eq!(status.message(), "nobody to greet");
}

#[tokio::test]
async fn whatever_holds_an_implementation_is_one() {
    assert_eq!(greet(&Me::default()).await, "hi bob");
    assert_eq!(greet(&Arc::new(Me::default())).await, "hi bob");
    assert_eq!(greet(&Box::new(Me::default())).await, "hi bob");
    assert_eq!(greet(&greeter()).await, "hi bob");
    assert_eq!(greet(&Arc::new(greeter())).await, "hi bob");
}

#[tokio::test]
async fn an_implementation_is_injected_behind_a_pointer() {
    let all: Vec<Arc<dyn DynGreeter>> = vec![
        Arc::new(Me::default()),
        Arc::new(Newer),
        Arc::new(greeter()),
        Arc::new(Arc::new(Newer)),
    ];
    let mut greetings = Vec::new();
    for greeter in &all {
        greetings.push(greet(greeter).await);
        greetings.push(greet(&**greeter).await);
        greetings.push(greeter.version().await.unwrap());
    }
    let expected = [
        ["hi bob", "hi bob", "1"],
        ["hello bob", "hello bob", "2"],
        ["hi bob", "hi bob", "1"],
        ["hello bob", "hello bob", "2"],
    ];
    assert_eq!(greetings, expected.concat());
    let boxed: Box<dyn DynGreeter> = Box::new(Newer);
    assert_eq!(greet(&boxed).await, "hello bob");
}

#[tokio::test]
async fn a_shared_and_an_injected_implementation_are_served() {
    let shared = Arc::new(Me::default());
    let client: GreeterClient = connect(GreeterServer::from_arc(shared.clone()));
    client.log("line".into()).await.unwrap();
    assert_eq!(shared.logged.load(Ordering::Relaxed), 1);

    let injected: Arc<dyn DynGreeter> = shared.clone();
    let client: GreeterClient = connect(GreeterServer::from_arc(injected.clone()));
    client.log("line".into()).await.unwrap();
    let client: GreeterClient = connect(GreeterServer::new(injected));
    client.log("line".into()).await.unwrap();
    assert_eq!(shared.logged.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_clone_of_a_server_serves_the_same_implementation() {
    let server = GreeterServer::new(Me::default());
    let (one, two): (GreeterClient, GreeterClient) = (connect(server.clone()), connect(server));
    one.log("line".into()).await.unwrap();
    assert_eq!(two.logged().await.unwrap(), 1);
}

#[tokio::test]
async fn a_generic_service_works_for_each_of_its_types() {
    let numbers = StoreServer::new(InMemory::<u32, String>(Mutex::default()));
    let numbers: StoreClient<u32> = connect(numbers);
    numbers.put("a".into(), 1).await.unwrap();
    assert_eq!(numbers.find("a".into()).await.unwrap(), Some(1));
    assert_eq!(numbers.find("b".into()).await.unwrap(), None);
    assert_eq!(numbers.len().await.unwrap(), 1);
    assert_eq!(numbers.all().await.unwrap_err().code(), Code::Unimplemented);

    let texts = StoreServer::new(InMemory::<String, u64>(Mutex::default()));
    let texts: StoreClient<String, u64> = connect(texts);
    let injected: Arc<dyn DynStore<String, u64>> = Arc::new(texts.clone());
    injected.put(7, "seven".into()).await.unwrap();
    assert_eq!(texts.find(7).await.unwrap().as_deref(), Some("seven"));
}

#[tokio::test(start_paused = true)]
async fn options_hold_for_calls_through_that_client_only() {
    let (greeter, seen) = connect_recorded::<GreeterClient>(GreeterServer::new(Newer));
    let timeout = Duration::from_millis(40);
    let options = CallOptions::new().timeout(timeout).metadata("tenant", "a");
    greeter.with(options).hello("bob".into()).await.unwrap();
    greeter.hello("bob".into()).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].metadata.value("tenant"), Some("a"));
    assert_eq!(seen[0].deadline.remaining(), timeout);
    assert_eq!(seen[1].metadata.value("tenant"), None);
    assert_eq!(seen[1].deadline.remaining(), Duration::from_secs(1));
}

#[tokio::test]
async fn an_unknown_method_is_refused_by_name() {
    let body = Body::typed(Returned(()));
    let deadline = Deadline::after(Duration::from_secs(1));
    let invocation = Invocation::new(method::<GreeterClient>(0), body, deadline);
    let refused: Result<Reply> = GreeterServer::new(Newer).call(99, invocation).await;
    let status = refused.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.message().contains("demo.Greeter"), "{status}");
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_refused_before_the_method_runs() {
    let body = Body::from_bytes(Arc::new(NoCodec), bytes::Bytes::from_static(b"?"));
    for index in 0..GreeterClient::DESCRIPTOR.methods.len() {
        let deadline = Deadline::after(Duration::from_secs(1));
        let invocation = Invocation::new(method::<GreeterClient>(index), body.clone(), deadline);
        let refused: Result<Reply> = GreeterServer::new(Newer).call(index, invocation).await;
        let status = refused.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
}

#[test]
fn generated_types_print_what_they_are() {
    let printed = format!("{:?}", greeter());
    assert!(printed.starts_with("GreeterClient("), "{printed}");
    assert_eq!(format!("{:?}", GreeterServer::new(Newer)), "GreeterServer");
}
