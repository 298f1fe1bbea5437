//! A cluster policy of one's own.

use std::sync::Arc;

use dubhe::config::{ConfigFile, Sources};
use dubhe::extend::{
    Attempt, BuildContext, ClusterPolicy, Extension, Invoke, Picker, ReplyFuture, Resend,
    may_resend,
};
use dubhe::prelude::*;
use dubhe::{BoxInvoker, Error, Extensions, Invocation};
use serde::Deserialize;
use tokio::time::Instant;
use tower_layer::Layer;

use crate::shop::{self, Shop, Stock, StockClient};

/// Tries elsewhere what certainly did not run, a number of times.
#[derive(Debug)]
struct Again(AgainConfig);

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct AgainConfig {
    times: u32,
}

impl Extension<dyn ClusterPolicy> for Again {
    const NAME: &'static str = "again";
    type Config = AgainConfig;

    fn build(
        config: AgainConfig,
        _: &BuildContext,
    ) -> std::result::Result<Arc<dyn ClusterPolicy>, Error> {
        if config.times > 3 {
            let error = Error::invalid_config("more than 3 help nobody: write 0 to 3");
            return Err(error.in_parameter("times"));
        }
        Ok(Arc::new(Self(config)))
    }
}

impl Layer<Picker> for Again {
    type Service = BoxInvoker;

    fn layer(&self, picker: Picker) -> BoxInvoker {
        BoxInvoker::from_invoke(AgainInvoker { picker, times: self.0.times })
    }
}

impl ClusterPolicy for Again {}

struct AgainInvoker {
    picker: Picker,
    times: u32,
}

impl Invoke for AgainInvoker {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let (picker, times) = (self.picker.clone(), self.times);
        Box::pin(async move {
            let mut attempt = Attempt::first(invocation, Instant::now());
            loop {
                let status = match picker.attempt(attempt.clone()).await {
                    Ok(reply) => return Ok(reply),
                    Err(status) => status,
                };
                let is_over = attempt.number > times;
                if is_over || may_resend(&status, &attempt.invocation) != Resend::Free {
                    return Err(status);
                }
                attempt.excluded.extend(status.address().map(Arc::from));
                attempt.number += 1;
                attempt.now = Instant::now();
            }
        })
    }
}

#[tokio::test]
async fn an_own_policy_is_chosen_by_name_for_one_method() {
    let running = shop::serve("memory://own-policy", &Shop::new("a")).await;
    let nobody = shop::NOBODY;
    let list = format!("static://{nobody},{}", running.address());
    let method = |name| format!("consumer.services.\"shop.Stock\".methods.{name}.cluster");
    let stock = || async {
        let consumer = shop::consumer(&list)
            .extensions(Extensions::default().with_cluster::<Again>())
            .set("consumer.loadbalance", "random")
            .set(&method("take"), serde_json::json!({ "name": "again", "times": 1 }))
            .set(&method("count"), "again");
        consumer.build().unwrap().client::<StockClient>().await.unwrap()
    };
    let tries_again = stock().await;
    for article in 0..4 {
        assert_eq!(tries_again.take(article).await.unwrap(), format!("a took {article}"));
    }
    let mut both = [Ok(String::new()), Ok(String::new())];
    // Once the other has answered nobody is not called, so it takes a first call that is drawn so.
    for _ in 0..100 {
        let gives_up = stock().await;
        both = [gives_up.count(1).await, gives_up.count(2).await];
        if both.iter().any(Result::is_err) {
            break;
        }
    }
    let failed: Vec<&Status> = both.iter().filter_map(|result| result.as_ref().err()).collect();
    assert_eq!(failed.len(), 1, "{both:?}");
    assert_eq!(failed[0].address(), Some(nobody));
}

#[test]
fn parameters_of_an_own_policy_are_pointed_at_as_those_of_ours() {
    for (parameter, message) in [
        (
            "tmies = 1",
            "2:29: consumer.cluster: unknown parameter of again `tmies` (did you mean `times`?), \
             available: times",
        ),
        (
            "times = \"once\"",
            "2:37: consumer.cluster.times: \"once\" is not a whole number: write one from 0 to 4294967295",
        ),
        ("times = 9", "2:37: consumer.cluster.times: more than 3 help nobody: write 0 to 3"),
    ] {
        let text = format!("[consumer]\ncluster = {{ name = \"again\", {parameter} }}\n");
        let file = ConfigFile { path: "dubhe.toml".to_owned(), text };
        let consumer = Consumer::new("memory://own-parameters")
            .sources(Sources { file: Some(file), ..Sources::default() })
            .extensions(Extensions::default().with_cluster::<Again>());
        let error = consumer.build().unwrap_err();
        assert_eq!(error.to_string(), format!("dubhe.toml:{message}"));
    }
}
