//! Which providers of this process a consumer finds: those that use the registries it uses.
//!
//! The table is the one process-wide value of the facade, because `scope = "local"` must mean the
//! same wherever a configuration says so. It is divided by registries: a consumer finds those
//! providers of the process that it would find in its registries.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rpc_core::Error;
use rpc_core::server::LocalServers;

use crate::config::Config;

static SERVERS: Mutex<BTreeMap<String, LocalServers>> = Mutex::new(BTreeMap::new());

/// The servers of this process under the registries of `config`.
///
/// # Errors
/// There is no registry.
pub(crate) fn servers(config: &Config) -> Result<LocalServers, Error> {
    let settings = config.registry_settings()?.into_iter();
    let mut registries: Vec<String> = settings.map(|(_, registry)| registry.url).collect();
    registries.sort_unstable();
    let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
    servers.retain(|_, table| table.is_shared());
    Ok(servers.entry(registries.join(",")).or_default().clone())
}
