//! Names to factories: how codecs, registries, balancers, policies and routers are chosen by config.
//!
//! An [`ExtensionPoint`] is a value, not a global: the facade fills one per kind with the built-ins
//! and users add their own. An unknown name is an error that lists the known ones.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::build_context::BuildContext;
use crate::error::Error;
use crate::settings;

/// Parameters of an extension as configuration gives them: names to JSON values.
pub type Params = serde_json::Map<String, serde_json::Value>;

/// A strategy that configuration chooses by name. `P` is the erased role, such as `dyn Codec`.
///
/// ```
/// use std::sync::Arc;
///
/// use rpc_core::{
///     BoxInvoker, BuildContext, Error, Extension, ExtensionPoint, Filter, FilterScope,
/// };
/// use serde::Deserialize;
///
/// /// Passes every call on.
/// #[derive(Debug)]
/// struct Open;
///
/// #[derive(Deserialize)]
/// #[serde(default, deny_unknown_fields)]
/// struct OpenConfig {
///     percent: u32,
/// }
///
/// impl Default for OpenConfig {
///     fn default() -> Self {
///         Self { percent: 100 }
///     }
/// }
///
/// impl Filter for Open {
///     fn wrap(&self, _: &FilterScope<'_>, inner: BoxInvoker) -> BoxInvoker {
///         inner
///     }
/// }
///
/// impl Extension<dyn Filter> for Open {
///     const NAME: &'static str = "open";
///     type Config = OpenConfig;
///
///     fn build(config: OpenConfig, _: &BuildContext) -> Result<Arc<dyn Filter>, Error> {
///         if config.percent > 100 {
///             let why = format!("{} % is too much: write 0 to 100", config.percent);
///             return Err(Error::invalid_config(why).in_parameter("percent"));
///         }
///         Ok(Arc::new(Self))
///     }
/// }
///
/// let filters = ExtensionPoint::<dyn Filter>::new("filter").with::<Open>();
/// let build = |name, params: serde_json::Value| {
///     filters.build(name, params.as_object().cloned().unwrap_or_default())
/// };
/// assert!(build("open", serde_json::json!({ "percent": 50 })).is_ok());
/// assert!(build("open", serde_json::json!({ "percent": 200 })).is_err());
/// let unknown = build("opne", serde_json::json!({})).unwrap_err().to_string();
/// assert!(unknown.contains("did you mean `open`?"), "{unknown}");
/// ```
pub trait Extension<P: ?Sized>: Sized + 'static {
    /// The name in configuration.
    const NAME: &'static str;

    /// Its parameters, a struct with `#[serde(default)]`. A name that it does not have is an error,
    /// and the error of a value that does not fit has its place.
    type Config: DeserializeOwned;

    /// Makes the strategy. Does no I/O: whatever connects, connects on first use. Runs also where
    /// settings are only checked, and then the result is dropped.
    ///
    /// # Errors
    /// Parameters that cannot work; [`Error::in_parameter`] says which one is to blame.
    fn build(config: Self::Config, context: &BuildContext) -> Result<Arc<P>, Error>;
}

/// The parameters of an extension that has none.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct NoConfig {}

fn parameter_of(extension: &str) -> String {
    format!("parameter of {extension}")
}

type Factory<P> = Arc<dyn Fn(Params, &BuildContext) -> Result<Arc<P>, Error> + Send + Sync>;

/// The extensions of one kind, by name.
pub struct ExtensionPoint<P: ?Sized> {
    kind: &'static str,
    factories: BTreeMap<&'static str, Factory<P>>,
    absent: &'static [&'static str],
    features: &'static [&'static str],
    aliases: &'static [(&'static str, &'static str)],
}

impl<P: ?Sized + 'static> ExtensionPoint<P> {
    /// No extension yet; `kind` is how error messages call them, such as `codec`.
    #[must_use]
    pub const fn new(kind: &'static str) -> Self {
        Self { kind, factories: BTreeMap::new(), absent: &[], features: &[], aliases: &[] }
    }

    /// Adds `E`; it replaces an earlier extension of the same name.
    #[must_use]
    pub fn with<E: Extension<P>>(mut self) -> Self {
        let build = |params: Params, context: &BuildContext| {
            let config = settings::read(params.into());
            let config = config.map_err(|error| error.into_error(&parameter_of(E::NAME)))?;
            E::build(config, context)
        };
        self.factories.insert(E::NAME, Arc::new(build));
        self
    }

    /// Adds `instance`, made by the program, under `name`. This is for extensions that need more
    /// than parameters, such as a handle. It takes no parameters, and everything that chooses it
    /// shares it.
    #[must_use]
    pub fn with_instance(mut self, name: &'static str, instance: Arc<P>) -> Self
    where
        P: Send + Sync,
    {
        let build = move |params: Params, _: &BuildContext| match params.keys().next() {
            None => Ok(instance.clone()),
            Some(param) => Err(Error::unknown_name(&parameter_of(name), param, [])),
        };
        self.factories.insert(name, Arc::new(build));
        self
    }

    /// Lists names that users of Dubbo expect and that this build lacks, so that their error says
    /// so instead of suggesting a similar name. An extension of such a name may still be added.
    #[must_use]
    pub const fn without(mut self, absent: &'static [&'static str]) -> Self {
        self.absent = absent;
        self
    }

    /// As [`without`](Self::without) for names that a build has by the feature of the same name, so that
    /// the error says which one to switch on.
    #[must_use]
    pub const fn by_feature(mut self, features: &'static [&'static str]) -> Self {
        self.features = features;
        self
    }

    /// Lists names that other programs have for extensions, each with the name here, so that the error
    /// asks whether that is meant. An extension of such a name may still be added.
    #[must_use]
    pub const fn also_called(mut self, aliases: &'static [(&'static str, &'static str)]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Whether there is an extension `name`.
    ///
    /// # Errors
    /// An unknown name, listing the known ones.
    pub fn check(&self, name: &str) -> Result<(), Error> {
        self.factory(name).map(drop)
    }

    /// Makes the extension `name` in an empty context.
    ///
    /// # Errors
    /// An unknown name, listing the known ones; parameters it does not take.
    pub fn build(&self, name: &str, params: Params) -> Result<Arc<P>, Error> {
        self.build_in(name, params, &BuildContext::default())
    }

    /// Makes the extension `name` in `context`.
    ///
    /// # Errors
    /// Those of [`build`](Self::build).
    pub fn build_in(
        &self,
        name: &str,
        params: Params,
        context: &BuildContext,
    ) -> Result<Arc<P>, Error> {
        self.factory(name)?(params, context)
    }

    fn factory(&self, name: &str) -> Result<&Factory<P>, Error> {
        self.factories.get(name).ok_or_else(|| self.unknown(name, self.names()))
    }

    /// The error of a `name` that is not among the `known` ones.
    pub fn unknown(&self, name: &str, known: impl IntoIterator<Item = &'static str>) -> Error {
        if self.features.contains(&name) {
            Error::needs_feature(self.kind, name, known)
        } else if self.absent.contains(&name) {
            Error::not_built_in(self.kind, name, known)
        } else if let Some((_, meant)) = self.aliases.iter().find(|(alias, _)| *alias == name) {
            Error::unknown_alias(self.kind, name, meant, known)
        } else {
            Error::unknown_name(self.kind, name, known)
        }
    }

    /// Every name, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.factories.keys().copied()
    }
}

impl<P: ?Sized> Clone for ExtensionPoint<P> {
    fn clone(&self) -> Self {
        Self { factories: self.factories.clone(), ..*self }
    }
}

impl<P: ?Sized> fmt::Debug for ExtensionPoint<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.kind).field("names", &self.factories.keys()).finish()
    }
}
