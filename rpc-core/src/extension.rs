//! Names to factories: how codecs, registries, balancers, policies and routers are chosen by config.
//!
//! An [`ExtensionPoint`] is a value, not a global: the facade fills one per kind with the built-ins
//! and users add their own. An unknown name is an error that lists the known ones.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// Parameters of an extension as configuration gives them: names to JSON values.
pub type Params = serde_json::Map<String, serde_json::Value>;

/// A strategy that can be chosen by name. `P` is the erased role, such as `dyn Codec`.
pub trait Extension<P: ?Sized>: Sized + 'static {
    /// The name in configuration.
    const NAME: &'static str;

    /// Its parameters; carries `#[serde(default, deny_unknown_fields)]`.
    type Config: DeserializeOwned;

    /// Makes the strategy. Does no I/O: whatever connects, connects on first use.
    ///
    /// # Errors
    /// Parameters that cannot work together.
    fn build(config: Self::Config) -> Result<Arc<P>, Error>;
}

/// The parameters of an extension that has none.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoConfig {}

type Factory<P> = fn(Params) -> Result<Arc<P>, Error>;

/// The extensions of one kind, by name.
pub struct ExtensionPoint<P: ?Sized> {
    kind: &'static str,
    factories: BTreeMap<&'static str, Factory<P>>,
}

impl<P: ?Sized + 'static> ExtensionPoint<P> {
    /// No extension yet; `kind` is how error messages call them, such as `codec`.
    #[must_use]
    pub const fn new(kind: &'static str) -> Self {
        Self { kind, factories: BTreeMap::new() }
    }

    /// The same with `E`; an earlier one of the same name is replaced.
    #[must_use]
    pub fn with<E: Extension<P>>(mut self) -> Self {
        self.factories.insert(E::NAME, |params| {
            let config = serde_json::from_value(params.into()).map_err(|error| {
                Error::invalid_config(format!("parameters of {}: {error}", E::NAME))
            })?;
            E::build(config)
        });
        self
    }

    /// Makes the extension `name`.
    ///
    /// # Errors
    /// An unknown name, listing the known ones; parameters it does not take.
    pub fn build(&self, name: &str, params: Params) -> Result<Arc<P>, Error> {
        match self.factories.get(name) {
            Some(factory) => factory(params),
            None => Err(Error::unknown_name(self.kind, name, self.names())),
        }
    }

    /// Every name, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.factories.keys().copied()
    }
}

impl<P: ?Sized> Clone for ExtensionPoint<P> {
    fn clone(&self) -> Self {
        Self { kind: self.kind, factories: self.factories.clone() }
    }
}

impl<P: ?Sized> fmt::Debug for ExtensionPoint<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.kind).field("names", &self.factories.keys()).finish()
    }
}
