//! The settings of every registry: its address, and the folders that it may use on this machine.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::url::redacted;

/// The parameters of a registry; the same for all, so that a scheme can be changed alone.
///
/// ```
/// use dubhe_registry::{RegistryParams, builtin, open};
///
/// # fn main() -> Result<(), rpc_core::Error> {
/// let params = RegistryParams {
///     token: Some("s3cret".to_owned()),
///     cache_dir: Some("/var/cache/shop".into()),
///     ..RegistryParams::new("dubhe://registry.shop.internal")
/// };
/// let registry = open(&builtin(), &params)?;
/// assert_eq!(registry.address(), "dubhe://registry.shop.internal");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistryParams {
    /// Its address, such as `dubhe://127.0.0.1:20890`; see [`RegistryUrl`](crate::RegistryUrl).
    pub url: String,
    /// The token of the registry, if the address has none; the default is no token.
    pub token: Option<String>,
    /// Folder of the disk cache, from which consumers start while the registry is away; default
    /// none, which switches the cache off.
    pub cache_dir: Option<PathBuf>,
    /// Folder where the processes of one user meet for `dev://`; default `/tmp/dubhe-<uid>`.
    pub runtime_dir: Option<PathBuf>,
    /// Name of the application that uses the registry; default none. Registries that list consumers too
    /// list it under this name.
    pub application: Option<String>,
    /// Zone of the instances that name none in their metadata; default none, which leaves them without.
    pub zone: Option<String>,
}

impl RegistryParams {
    /// An address with everything else at its default.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }
}

impl fmt::Debug for RegistryParams {
    /// Without password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryParams")
            .field("url", &redacted(&self.url))
            .field("cache_dir", &self.cache_dir)
            .field("runtime_dir", &self.runtime_dir)
            .field("application", &self.application)
            .field("zone", &self.zone)
            .finish()
    }
}
