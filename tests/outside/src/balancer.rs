//! A balancer of one's own.

use std::sync::Arc;

use dubhe::extend::{BuildContext, Candidates, Extension, LoadBalance};
use dubhe::{Error, Extensions, Invocation};
use serde::Deserialize;
use tokio::time::Instant;

use crate::shop::{self, Shop, Stock, StockClient};

/// Prefers instances whose metadata says they are in this zone.
#[derive(Debug)]
struct Nearest(NearestConfig);

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NearestConfig {
    zone: String,
}

impl Extension<dyn LoadBalance> for Nearest {
    const NAME: &'static str = "nearest";
    type Config = NearestConfig;

    fn build(config: NearestConfig, _: &BuildContext) -> Result<Arc<dyn LoadBalance>, Error> {
        match config.zone.is_empty() {
            true => Err(Error::invalid_config("nearest: say which `zone` this is")),
            false => Ok(Arc::new(Self(config))),
        }
    }
}

impl LoadBalance for Nearest {
    fn select(&self, candidates: &Candidates, _: &Invocation, _: Instant) -> usize {
        let mut endpoints = candidates.endpoints().iter();
        let is_near = |zone: &String| *zone == self.0.zone;
        let near = endpoints.position(|e| e.instance().metadata.get("zone").is_some_and(is_near));
        near.unwrap_or(0)
    }
}

#[tokio::test]
async fn an_own_balancer_is_chosen_by_name_with_its_parameters() {
    let url = "memory://own-balancer";
    let mut running = Vec::new();
    for (name, zone) in [("a", "east"), ("b", "west"), ("c", "north")] {
        let server = shop::StockServer::from_arc(Shop::new(name));
        let provider = shop::provider(url).set("provider.metadata.zone", zone).serve(server);
        running.push(provider.start().await.unwrap());
    }
    let with = || Extensions::default().with_load_balance::<Nearest>();
    for (zone, name) in [("west", "b"), ("north", "c")] {
        let chosen = serde_json::json!({ "name": "nearest", "zone": zone });
        let consumer = shop::consumer(url).extensions(with()).set("consumer.loadbalance", chosen);
        let stock: StockClient = consumer.build().unwrap().client().await.unwrap();
        for article in 0..10 {
            assert_eq!(stock.count(article).await.unwrap(), format!("{name} {article}"));
        }
    }
    let wrong = shop::consumer(url).extensions(with()).set("consumer.loadbalance", "nearest");
    let message = wrong.build().unwrap_err().to_string();
    assert_eq!(message, "builder: consumer.loadbalance: nearest: say which `zone` this is");
}
