//! A filter of one's own, chosen by name, that counts the methods of a service together; a balancer
//! that keeps something of each endpoint; a router that the program has made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use dubhe::extend::{
    BuildContext, Candidates, EndedCall, Endpoint, EndpointState, Extension, Filter, FilterScope,
    Invoke, LoadBalance, NoConfig, Position, ReplyFuture, Router,
};
use dubhe::prelude::*;
use dubhe::{
    BoxInvoker, Delivery, Error, Extensions, Instance, Invocation, NodeResult, ServiceKey,
};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::time::Instant;
use tower::util::MapRequestLayer;

use crate::shop::{self, Shop, Stock, StockClient, StockServer};

/// Lets so many calls of a service run at once, whatever their methods.
#[derive(Debug)]
struct Gate {
    places: Arc<tokio::sync::Semaphore>,
    shed: dubhe::extend::Tally,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct GateConfig {
    places: usize,
}

impl Extension<dyn Filter> for Gate {
    const NAME: &'static str = "gate";
    type Config = GateConfig;

    fn build(config: GateConfig, context: &BuildContext) -> Result<Arc<dyn Filter>, Error> {
        if config.places == 0 {
            let error = Error::invalid_config("0 lets nobody in: write 1 or more");
            return Err(error.in_parameter("places"));
        }
        let places = Arc::new(tokio::sync::Semaphore::new(config.places));
        Ok(Arc::new(Self { places, shed: context.tally("gate_shed", "Calls the gate sent away") }))
    }
}

impl Filter for Gate {
    fn wrap(&self, _: &FilterScope<'_>, inner: BoxInvoker) -> BoxInvoker {
        let (places, shed) = (self.places.clone(), self.shed.clone());
        BoxInvoker::from_invoke(Gated { places, shed, inner })
    }
}

struct Gated {
    places: Arc<tokio::sync::Semaphore>,
    shed: dubhe::extend::Tally,
    inner: BoxInvoker,
}

impl Invoke for Gated {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            self.shed.add_one();
            let full = Status::resource_exhausted("the gate is full");
            return Box::pin(async { Err(full.with_delivery(Delivery::NotSent)) });
        };
        let call = self.inner.invoke(invocation);
        Box::pin(async move {
            let _place = place;
            call.await
        })
    }
}

/// A shop whose calls wait until they are let go.
#[derive(Debug, Default)]
struct Slow {
    begun: AtomicU32,
    go: Notify,
}

impl Slow {
    async fn wait(&self) -> Result<String> {
        let go = self.go.notified();
        self.begun.fetch_add(1, Relaxed);
        go.await;
        Ok("done".to_owned())
    }

    async fn until_begun(&self, calls: u32) {
        let begun = async {
            while self.begun.load(Relaxed) < calls {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), begun).await.unwrap();
    }
}

impl Stock for Slow {
    async fn count(&self, _: u64) -> Result<String> {
        self.wait().await
    }

    async fn take(&self, _: u64) -> Result<String> {
        self.wait().await
    }
}

/// Whether two methods of a service share two places, wherever the filter runs.
async fn share_two_places(url: &str, provider_key: &str, consumer_key: &str) {
    let gate = serde_json::json!({ "name": "gate", "places": 2 });
    let extensions = || Extensions::default().with_filter::<Gate>();
    let slow = Arc::new(Slow::default());
    let mut provider = shop::provider(url).extensions(extensions());
    if !provider_key.is_empty() {
        provider = provider.set(provider_key, gate.clone());
    }
    let running = provider.serve(StockServer::from_arc(slow.clone())).start().await.unwrap();
    let mut consumer = shop::consumer(url).extensions(extensions());
    if !consumer_key.is_empty() {
        consumer = consumer.set(consumer_key, gate);
    }
    let consumer = consumer.set("consumer.cluster", "failfast").build().unwrap();
    let (stock, again): (StockClient, StockClient) =
        (consumer.client().await.unwrap(), consumer.client().await.unwrap());
    let one = tokio::spawn({
        let stock = stock.clone();
        async move { stock.count(1).await }
    });
    let other = tokio::spawn(async move { again.take(1).await });
    slow.until_begun(2).await;
    for refused in [stock.count(2).await, stock.take(2).await] {
        let status = refused.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::ResourceExhausted, "the gate is full")
        );
    }
    slow.go.notify_waiters();
    assert_eq!(one.await.unwrap().unwrap(), "done");
    assert_eq!(other.await.unwrap().unwrap(), "done");
    let counted = match provider_key {
        "" => consumer.metrics().render(),
        _ => running.metrics().render(),
    };
    let line = "_gate_shed_total{service=\"shop.Stock\"} 2";
    assert!(counted.contains(line), "{counted}");
    running.shutdown().await;
}

#[tokio::test]
async fn a_filter_around_calls_counts_the_methods_and_clients_of_a_service_together() {
    share_two_places("memory://gate-calls", "", "consumer.filters").await;
}

#[tokio::test]
async fn a_filter_around_attempts_counts_the_methods_of_a_service_together() {
    let key = "consumer.services.\"shop.Stock\".attempt_filters";
    share_two_places("memory://gate-attempts", "", key).await;
}

#[tokio::test]
async fn a_filter_around_handlers_counts_the_methods_of_a_service_together() {
    share_two_places("memory://gate-handlers", "provider.filters", "").await;
}

#[tokio::test]
async fn a_filter_is_for_the_service_or_the_method_whose_setting_chooses_it() {
    let url = "memory://own-filter-scopes";
    let refuse = || Extensions::default().with_filter::<Refuse>();
    let server = StockServer::from_arc(Shop::new("a"));
    let provider = shop::provider(url).extensions(refuse());
    let provider = provider.set("provider.services.\"shop.Stock\".methods.take.filters", "refuse");
    let running = provider.serve(server).start().await.unwrap();
    let plain: StockClient = shop::consumer(url).build().unwrap().client().await.unwrap();
    assert_eq!(plain.count(1).await.unwrap(), "a 1");
    let refused = plain.take(1).await.unwrap_err();
    assert_eq!(refused.message(), "shop.Stock/take at Provider of nobody");

    for (key, at) in [("filters", "Call of nobody"), ("attempt_filters", "Attempt of a provider")] {
        let key = format!("consumer.services.\"shop.Stock\".methods.count.{key}");
        let consumer = shop::consumer(url).extensions(refuse()).set(&key, "refuse");
        let stock: StockClient = consumer.build().unwrap().client().await.unwrap();
        let refused = stock.count(1).await.unwrap_err();
        assert_eq!(refused.message(), format!("shop.Stock/count at {at}"));
        assert!(stock.take(1).await.unwrap_err().message().ends_with("Provider of nobody"));
    }

    let start = |key: &str, filter: &str| {
        let provider = shop::provider(url).extensions(refuse()).set(key, filter);
        provider.serve(StockServer::from_arc(Shop::new("a"))).start()
    };
    let message = start("provider.filters", "refus").await.unwrap_err().to_string();
    let start_of = "builder: provider.filters: unknown filter `refus` (did you mean `refuse`?)";
    assert!(message.starts_with(start_of), "{message}");
    let key = "provider.services.\"shop.Stock\".methods.tak.filters";
    let message = start(key, "refuse").await.unwrap_err().to_string();
    assert!(message.contains("`tak` (did you mean `take`?)"), "{message}");
    running.shutdown().await;
}

/// Refuses every call and says where.
#[derive(Debug)]
struct Refuse;

impl Extension<dyn Filter> for Refuse {
    const NAME: &'static str = "refuse";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn Filter>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Filter for Refuse {
    fn wrap(&self, scope: &FilterScope<'_>, _: BoxInvoker) -> BoxInvoker {
        let whom = scope.instance.map_or("nobody", |_| "a provider");
        assert_eq!(scope.method.is_none(), scope.position == Position::Attempt);
        BoxInvoker::from_invoke(Refusing(format!("{:?} of {whom}", scope.position)))
    }
}

struct Refusing(String);

impl Invoke for Refusing {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let told = format!("{} at {}", invocation.method().path(), self.0);
        Box::pin(async { Err(Status::permission_denied(told)) })
    }
}

/// Takes whoever has answered least often; reads no clock and takes no lock.
#[derive(Debug)]
struct Fair;

/// How often an endpoint has answered.
#[derive(Debug, Default)]
struct Answers(AtomicU64);

impl EndpointState for Answers {
    fn begin(&self, invocation: &mut Invocation, _: Instant) {
        invocation.metadata.insert("answers", self.0.load(Relaxed).to_string());
    }

    fn end(&self, call: &EndedCall<'_>) {
        if matches!(call.outcome, Some(Ok(_))) {
            self.0.fetch_add(1, Relaxed);
        }
    }
}

impl Extension<dyn LoadBalance> for Fair {
    const NAME: &'static str = "fair";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn LoadBalance>, Error> {
        Ok(Arc::new(Self))
    }
}

impl LoadBalance for Fair {
    fn select(&self, candidates: &Candidates, _: &Invocation, _: Instant) -> usize {
        let answers = |endpoint: &Endpoint| endpoint.state::<Answers>().0.load(Relaxed);
        let all = candidates.endpoints().iter().enumerate();
        all.min_by_key(|(_, endpoint)| answers(endpoint)).map_or(0, |(index, _)| index)
    }
}

#[tokio::test]
async fn a_balancer_of_ones_own_keeps_what_it_wants_to_know_of_each_endpoint() {
    let url = "memory://own-state";
    let shops = ["a", "b", "c"].map(Shop::new);
    let mut running = Vec::new();
    for shop in &shops {
        running.push(shop::serve(url, shop).await);
    }
    let extensions = Extensions::default().with_load_balance::<Fair>();
    let consumer = shop::consumer(url).extensions(extensions).set("consumer.loadbalance", "fair");
    let stock: StockClient = consumer.build().unwrap().client().await.unwrap();
    for article in 0..30 {
        // Two methods, one state for each endpoint.
        match article % 2 {
            0 => stock.count(article).await.unwrap(),
            _ => stock.take(article).await.unwrap(),
        };
    }
    assert_eq!(shops.map(|shop| shop.executed()), [10, 10, 10]);
}

/// Leaves the instances whose addresses a program has at hand.
#[derive(Debug)]
struct Only(Arc<std::sync::Mutex<String>>);

impl Router for Only {
    fn narrow(&self, candidates: &mut Vec<&Arc<Endpoint>>, _: &Invocation) {
        let wanted = self.0.lock().unwrap();
        candidates.retain(|endpoint| **endpoint.address() == **wanted);
    }
}

#[tokio::test]
async fn a_router_that_the_program_has_made_is_chosen_by_its_name() {
    let url = "memory://own-instance";
    let (one, two) =
        (shop::serve(url, &Shop::new("a")).await, shop::serve(url, &Shop::new("b")).await);
    let wanted = Arc::new(std::sync::Mutex::new(one.address().to_owned()));
    let with = || {
        let router = Arc::new(Only(wanted.clone()));
        Extensions::default().with_instance::<dyn Router>("mine", router)
    };
    let consumer = shop::consumer(url).extensions(with()).set("consumer.routers", "mine");
    let stock: StockClient = consumer.build().unwrap().client().await.unwrap();
    for _ in 0..5 {
        assert_eq!(stock.count(1).await.unwrap(), "a 1");
    }
    two.address().clone_into(&mut wanted.lock().unwrap());
    for _ in 0..5 {
        assert_eq!(stock.count(1).await.unwrap(), "b 1");
    }
    let chosen = serde_json::json!([{ "name": "mine", "to": 1 }]);
    let wrong = shop::consumer(url).extensions(with()).set("consumer.routers", chosen).build();
    let message = wrong.unwrap_err().to_string();
    assert!(message.contains("unknown parameter of mine `to`"), "{message}");
}

#[tokio::test]
async fn a_layer_around_attempts_is_made_for_each_instance() {
    let url = "memory://layer-with";
    let (one, two) =
        (shop::serve(url, &Shop::new("a")).await, shop::serve(url, &Shop::new("b")).await);
    let seen: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let consumer = shop::consumer(url).set("consumer.loadbalance", "roundrobin");
    let consumer = consumer.attempt_layer_with({
        let seen = seen.clone();
        move |instance: &Instance| {
            let (seen, address) = (seen.clone(), instance.address.to_string());
            MapRequestLayer::new(move |invocation: Invocation| {
                seen.lock().unwrap().push(address.clone());
                invocation
            })
        }
    });
    let stock: StockClient = consumer.build().unwrap().client().await.unwrap();
    let nodes: Vec<NodeResult<String>> = stock.broadcast().count(1).await.unwrap();
    assert_eq!(nodes.len(), 2);
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    let mut addresses = [one.address(), two.address()].map(str::to_owned);
    addresses.sort();
    assert_eq!(seen, addresses);
}

/// Notes what surrounds it.
#[derive(Debug)]
struct Curious;

static TOLD: std::sync::Mutex<Vec<(Option<ServiceKey>, BuildContext)>> =
    std::sync::Mutex::new(Vec::new());

impl Extension<dyn Router> for Curious {
    const NAME: &'static str = "curious";
    type Config = NoConfig;

    fn build(_: NoConfig, context: &BuildContext) -> Result<Arc<dyn Router>, Error> {
        TOLD.lock().unwrap().push((context.service().cloned(), context.clone()));
        Ok(Arc::new(Self))
    }
}

impl Router for Curious {
    fn narrow(&self, _: &mut Vec<&Arc<Endpoint>>, _: &Invocation) {}
}

#[tokio::test]
async fn an_extension_is_told_its_service_the_seed_and_who_can_be_called() {
    let url = "memory://curious";
    let running = shop::serve(url, &Shop::new("a")).await;
    let extensions = Extensions::default().with_router::<Curious>().with_seed(7);
    let consumer = shop::consumer(url).extensions(extensions).set("consumer.routers", "curious");
    let stock: StockClient = consumer.build().unwrap().client().await.unwrap();
    stock.count(1).await.unwrap();
    let told = TOLD.lock().unwrap().clone();
    let made: Vec<_> = told.iter().filter(|(service, _)| service.is_some()).collect();
    let [(service, context)] = made[..] else { panic!("made for one service once: {told:?}") };
    assert_eq!(service.as_ref().unwrap().as_str(), "shop.Stock");
    assert_eq!(context.seed(), Some(7));
    let listed: Vec<String> = context.instances().iter().map(|i| i.address.to_string()).collect();
    assert_eq!(listed, [running.address()]);
    drop(stock);
    let context = context.clone();
    drop(told);
    TOLD.lock().unwrap().clear();
    // Whoever keeps the context keeps nobody alive.
    assert!(context.instances().is_empty());
}
