//! Clients and policies as tower services: what a `ServiceBuilder` puts around them, and clients
//! over it.

use std::sync::Arc;
use std::time::Duration;

use dubhe::extend::{
    Available, Broadcast, BroadcastConfig, ClusterPolicy, Failback, FailbackConfig, Failfast,
    Failover, Failsafe, Forking, ForkingConfig, NodeReplies,
};
use dubhe::prelude::*;
use dubhe::{BoxInvoker, Consumer, Delivery, Invocation, Reply};
use tower::{Service, ServiceBuilder, ServiceExt};

use crate::shop::{self, Shop, Stock, StockClient};

/// The arguments of `count`, as they are on the wire.
#[dubhe::message]
#[derive(Debug, Clone, Default, PartialEq)]
struct Count {
    article: u64,
}

/// What `count` returns, as it is on the wire.
#[dubhe::message]
#[derive(Debug, Clone, Default, PartialEq)]
struct Counted {
    value: String,
}

fn counted(reply: Reply) -> String {
    reply.body.into_message::<Counted>().unwrap().value
}

/// One provider that answers, and one address where nobody listens.
async fn half_a_fleet(url: &str) -> (dubhe::RunningProvider, Consumer) {
    let running = shop::serve(url, &Shop::new("a")).await;
    let nobody = shop::NOBODY;
    let list = format!("static://{nobody},{}", running.address());
    (running, shop::consumer(&list).build().unwrap())
}

#[tokio::test]
async fn every_policy_is_a_layer_over_a_picker_in_a_service_builder() {
    let running = shop::serve("memory://builder-policies", &Shop::new("a")).await;
    let consumer = shop::consumer("memory://builder-policies").build().unwrap();
    let stock: StockClient = consumer.client().await.unwrap();
    let policies: [Arc<dyn ClusterPolicy>; 7] = [
        Arc::new(Available),
        Arc::new(Broadcast::new(BroadcastConfig::default()).unwrap()),
        Arc::new(Failback::new(FailbackConfig::default()).unwrap()),
        Arc::new(Failfast),
        Arc::new(Failover::new(2)),
        Arc::new(Failsafe),
        Arc::new(Forking::new(ForkingConfig { forks: 1 }).unwrap()),
    ];
    for policy in policies {
        let picker = consumer.picker::<StockClient>("count").await.unwrap();
        let mut service =
            ServiceBuilder::new().timeout(Duration::from_secs(20)).layer(&*policy).service(picker);
        let stub = StockClient::stub(&stock);
        let call = stub.invocation_of("count", Count { article: 7 }).unwrap();
        let reply = service.ready().await.unwrap().call(call).await.unwrap();
        assert_eq!(counted(reply), "a 7", "{policy:?}");
    }
    running.shutdown().await;
}

#[tokio::test]
async fn a_policy_in_a_service_builder_does_what_its_name_says() {
    let (running, consumer) = half_a_fleet("memory://builder-failover").await;
    let stock: StockClient = consumer.client().await.unwrap();
    let stub = StockClient::stub(&stock);
    let picker = consumer.picker::<StockClient>("take").await.unwrap();
    let over = |service: BoxInvoker| StockClient::from_stub(stub.through(service));
    let again = over(ServiceBuilder::new().layer(Failover::new(2)).service(picker.clone()));
    for article in 0..20 {
        assert_eq!(again.take(article).await.unwrap(), format!("a took {article}"));
    }
    // Every provider is asked, so one of them fails.
    let everyone = ServiceBuilder::new().layer(Broadcast::default()).service(picker);
    let mut call = stub.invocation_of("take", Count { article: 1 }).unwrap();
    let nodes = NodeReplies::default();
    call.extensions.insert(nodes.clone());
    let missed = everyone.oneshot(call).await.unwrap_err();
    assert_eq!(missed.code(), Code::Unavailable);
    let nodes = nodes.take().unwrap();
    assert_eq!(nodes.iter().filter(|node| node.result.is_ok()).count(), 1);
    assert_eq!(nodes.len(), 2);
    running.shutdown().await;
}

#[tokio::test]
async fn a_client_gives_out_a_service_that_takes_layers_and_carries_clients() {
    let url = "memory://builder-client";
    let running = shop::serve(url, &Shop::new("a")).await;
    let consumer = shop::consumer(url).build().unwrap();
    let stock: StockClient = consumer.client().await.unwrap();
    let mut service = StockClient::stub(&stock).service();
    let call = StockClient::stub(&stock).invocation_of("count", Count { article: 3 }).unwrap();
    assert_eq!(counted(service.call(call.clone()).await.unwrap()), "a 3");
    // A call of one's own needs no codecs.
    let bare = Invocation::new(call.method().clone(), call.body.clone(), call.deadline);
    assert_eq!(counted(service.call(bare).await.unwrap()), "a 3");

    let strict = ServiceBuilder::new().load_shed().concurrency_limit(0).service(service);
    let strict = StockClient::from_stub(StockClient::stub(&stock).through(strict));
    let shed = strict.count(1).await.unwrap_err();
    assert_eq!((shed.code(), shed.delivery()), (Code::ResourceExhausted, Delivery::Refused));
    assert_eq!(shed.call(), Some("shop.Stock/count"));
    assert_eq!(stock.count(1).await.unwrap(), "a 1");
    running.shutdown().await;
}

#[tokio::test]
async fn a_client_over_a_service_of_a_test_needs_no_provider() {
    let consumer = shop::consumer("memory://builder-mock").build().unwrap();
    let stock: StockClient = consumer.client().await.unwrap();
    let mock = tower::service_fn(async |call: Invocation| {
        let Count { article } = call.decode()?;
        Ok::<_, Status>(Reply::new(Counted { value: format!("mocked {article}") }))
    });
    let stock = StockClient::from_stub(StockClient::stub(&stock).through(mock));
    // What the mock typed is another type than the client's, as over a wire.
    assert_eq!(stock.count(9).await.unwrap(), "mocked 9");
}

#[tokio::test]
async fn a_method_that_does_not_exist_is_named_with_those_that_do() {
    let url = "memory://builder-unknown";
    let consumer = shop::consumer(url).build().unwrap();
    let stock: StockClient = consumer.client().await.unwrap();
    let expected = "unknown method of shop.Stock `cuont` (did you mean `count`?), \
                    available: count, take";
    let error = consumer.picker::<StockClient>("cuont").await.unwrap_err();
    assert_eq!(error.to_string(), expected);
    let status = StockClient::stub(&stock).invocation_of("cuont", Count::default()).unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unimplemented, expected));
    let foreign =
        dubhe::Method::new("shop.Till".parse().unwrap(), "count", dubhe::MethodKind::Unary, true);
    let call = StockClient::stub(&stock).invocation_of("count", Count::default()).unwrap();
    let foreign = Invocation::new(foreign.into(), call.body, call.deadline);
    let status = StockClient::stub(&stock).service().call(foreign).await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::Unimplemented, Delivery::NotSent));
}
