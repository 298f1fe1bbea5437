//! A cluster policy of one's own that calls everyone.

use std::sync::Arc;

use dubhe::extend::{
    Attempt, BuildContext, ClusterPolicy, Extension, Invoke, NoConfig, NodeReplies, Picker,
    ReplyFuture,
};
use dubhe::prelude::*;
use dubhe::{BoxInvoker, Error, Extensions, Invocation, NodeResult, Reply};
use tokio::time::Instant;
use tower_layer::Layer;

use crate::shop::{self, Shop, Stock, StockClient};

/// Calls every provider, one after the other, and answers with what the last one said.
#[derive(Debug)]
struct Parade;

impl Extension<dyn ClusterPolicy> for Parade {
    const NAME: &'static str = "parade";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> std::result::Result<Arc<dyn ClusterPolicy>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Layer<Picker> for Parade {
    type Service = BoxInvoker;

    fn layer(&self, picker: Picker) -> BoxInvoker {
        BoxInvoker::from_invoke(ParadeInvoker(picker))
    }
}

impl ClusterPolicy for Parade {
    fn calls_everyone(&self) -> bool {
        true
    }
}

struct ParadeInvoker(Picker);

impl Invoke for ParadeInvoker {
    fn invoke(&self, mut invocation: Invocation) -> ReplyFuture {
        let picker = self.0.clone();
        Box::pin(async move {
            let asker = invocation.extensions.remove::<NodeReplies>();
            picker.ready(&invocation).await?;
            let (mut nodes, mut last): (Vec<NodeResult<Reply>>, _) = (Vec::new(), None);
            for endpoint in picker.everyone(&invocation)? {
                let attempt = Attempt::first(invocation.clone(), Instant::now());
                let result = picker.attempt_at(&endpoint, attempt).await;
                last = Some(result.clone());
                nodes.push(NodeResult { address: endpoint.address().clone(), result });
            }
            if let Some(asker) = asker {
                asker.put(nodes);
            }
            last.unwrap_or_else(|| Err(Status::unavailable("the parade is empty")))
        })
    }
}

fn parade() -> Extensions {
    Extensions::default().with_cluster::<Parade>()
}

#[tokio::test]
async fn an_own_policy_that_calls_everyone_also_serves_broadcasts_of_a_client() {
    let (a, b) = (Shop::new("a"), Shop::new("b"));
    let running = [
        shop::serve("memory://own-parade", &a).await,
        shop::serve("memory://own-parade", &b).await,
    ];
    let consumer = shop::consumer("memory://own-parade")
        .extensions(parade())
        .set("consumer.services.\"shop.Stock\".cluster", "parade");
    let stock: StockClient = consumer.build().unwrap().client().await.unwrap();
    stock.take(1).await.unwrap();
    assert_eq!((a.executed(), b.executed()), (1, 1));
    let nodes = stock.broadcast().take(2).await.unwrap();
    assert_eq!((nodes.len(), a.executed(), b.executed()), (2, 2, 2));
    for provider in running {
        provider.shutdown().await;
    }
}

#[tokio::test]
async fn an_own_policy_that_calls_everyone_has_to_be_meant_for_a_method_that_writes() {
    let consumer = shop::consumer("memory://own-parade-for-all")
        .extensions(parade())
        .set("consumer.cluster", "parade");
    let refused = consumer.build().unwrap().client::<StockClient>().await.unwrap_err();
    let start = "builder: consumer.cluster: `parade` for all services would run shop.Stock/take, \
                 which is not idempotent, once at every provider";
    assert!(refused.to_string().starts_with(start), "{refused}");
}
