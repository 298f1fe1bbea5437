//! The client's side: a generated client over the whole cluster layer, to three played providers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dubhe::config::Sources;
use dubhe::prelude::*;
use rpc_core::transport::{BoxTransport, Dial, DialFuture};
use tokio::task::JoinSet;

use crate::recording::Recording;
use crate::replay::Provider;
use crate::service::{Item, Prices, PricesClient};
use crate::wire::Wire;
use crate::{BoxError, Load};

/// Several, so that there is something to choose from.
const PROVIDERS: &str = "static://127.0.0.1:1,127.0.0.1:2,127.0.0.1:3";

/// How long connecting takes. Time passes nowhere else: it is the latency that balancers see.
const CONNECT: Duration = Duration::from_millis(1);

/// Makes the calls.
pub(crate) async fn run(codec: &str, recording: Recording, load: Load) -> Result<(), BoxError> {
    let prices = connect(codec, Arc::new(Played(recording)), PROVIDERS).await?;
    // Connects to every provider.
    call(&prices, Load { in_flight: 64, calls: 64 }).await?;
    call(&prices, load).await
}

/// A client with the settings of a user who sets nothing but the codec; the draws of the balancer
/// are those of a seed.
pub(crate) async fn connect(
    codec: &str,
    dial: Arc<dyn Dial>,
    registry: &str,
) -> Result<PricesClient, BoxError> {
    let consumer = Consumer::new(registry)
        .sources(Sources::default())
        .set("consumer.codec", codec)
        .set("consumer.loadbalance", serde_json::json!({ "name": "p2c", "seed": 1 }))
        .dial(dial)
        .build()?;
    Ok(consumer.client().await?)
}

async fn call(prices: &PricesClient, load: Load) -> Result<(), BoxError> {
    let mut callers = JoinSet::new();
    for _ in 0..load.in_flight {
        let prices = prices.clone();
        callers.spawn(async move {
            let item = Item::sample();
            for _ in 0..load.calls / load.in_flight {
                prices.quote(item.clone()).await?;
            }
            Ok::<(), Status>(())
        });
    }
    while let Some(called) = callers.join_next().await {
        called??;
    }
    Ok(())
}

/// Connects to played providers.
struct Played(Recording);

impl Dial for Played {
    fn dial<'a>(&'a self, _: &'a str) -> DialFuture<'a> {
        Box::pin(async move {
            tokio::time::sleep(CONNECT).await;
            Ok(Box::new(Wire::to(Provider(self.0.clone()))) as BoxTransport)
        })
    }
}

impl fmt::Debug for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Played").finish_non_exhaustive()
    }
}
