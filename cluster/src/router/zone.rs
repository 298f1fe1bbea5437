//! Keeps calls in the nearest zone that has somebody to take them.

use std::sync::Arc;

use rpc_core::{BuildContext, Error, Extension, Invocation, ZONE};
use serde::Deserialize;

use super::Router;
use crate::endpoint::Endpoint;

/// The router named `zone`: leaves the instances of the first zone in `prefer` that has any, and all if
/// none has.
///
/// The zone of an instance is what its metadata says under `zone`, or else the `zone` of the registry that
/// lists it. Instances that are down or ejected are left out before routers run, so the calls of a zone
/// whose last instance fails go to the next, and come back with it; nor do instances of weight 0 hold a
/// call in their zone.
///
/// Dubbo has the same as registries with `zone` and `preferred`.
///
/// ```
/// # fn main() -> Result<(), rpc_core::Error> {
/// let params = serde_json::json!({ "prefer": ["hangzhou", "shanghai"] });
/// let zone = dubhe_cluster::router::builtin().build("zone", serde_json::from_value(params).unwrap())?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Zone(ZoneConfig);

/// The parameters of [`Zone`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ZoneConfig {
    /// Names of zones, the nearest first; one at least.
    pub prefer: Vec<String>,
}

impl Zone {
    /// A router that prefers these zones, the nearest first.
    #[must_use]
    pub fn new(config: ZoneConfig) -> Self {
        Self(config)
    }

    /// The zone in which calls stay while these are the candidates.
    fn nearest(&self, candidates: &[&Arc<Endpoint>]) -> Option<&String> {
        let has = |zone: &&String| {
            candidates.iter().any(|endpoint| is_in(zone, endpoint) && endpoint.weight() > 0)
        };
        self.0.prefer.iter().find(has)
    }
}

fn is_in(zone: &str, endpoint: &Endpoint) -> bool {
    endpoint.instance().metadata.get(ZONE).is_some_and(|own| own == zone)
}

impl Extension<dyn Router> for Zone {
    const NAME: &'static str = "zone";
    type Config = ZoneConfig;

    fn build(config: ZoneConfig, _: &BuildContext) -> Result<Arc<dyn Router>, Error> {
        if config.prefer.is_empty() || config.prefer.iter().any(String::is_empty) {
            return Err(Error::invalid_config(
                "`prefer` names no zone: write the zones whose instances are to be called, the nearest first",
            ));
        }
        Ok(Arc::new(Self(config)))
    }
}

impl Router for Zone {
    fn narrow(&self, candidates: &mut Vec<&Arc<Endpoint>>, _: &Invocation) {
        if let Some(zone) = self.nearest(candidates) {
            candidates.retain(|endpoint| is_in(zone, endpoint));
        }
    }

    fn why(&self, endpoint: &Endpoint, _: &Invocation) -> Option<String> {
        let zone = endpoint.instance().metadata.get(ZONE).map_or("unknown", String::as_str);
        let is_first = self.0.prefer.first().is_some_and(|first| is_in(first, endpoint));
        (!is_first).then(|| format!("its zone is {zone}, and a nearer one has instances"))
    }
}
