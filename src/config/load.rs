//! Sources to one tree: each is checked by itself, then the stronger ones overwrite the weaker.

use std::ffi::OsString;

use rpc_core::Error;
use serde_json::Value;

use super::environment;
use super::file::ConfigFile;
use super::layer::Layer;
use super::schema::Schema;
use super::tree::Config;

/// Everything a configuration is made from, given explicitly. Weakest first; the defaults are below
/// all of them.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// What the program set, in code and by its arguments; the latter are the strongest source.
    pub builder: Layer,
    /// The configuration file.
    pub file: Option<ConfigFile>,
    /// Environment variables; those that do not begin with `DUBHE_` are not looked at.
    pub environment: Vec<(OsString, OsString)>,
}

impl Config {
    /// Checks every source and merges them.
    ///
    /// # Errors
    /// The first key that does not exist or value that is not possible, with its place.
    pub fn load(sources: Sources) -> Result<Self, Error> {
        let schema = Schema::new();
        let file = match &sources.file {
            Some(file) => file.parse(&schema)?,
            None => Layer::new(),
        };
        let environment = environment::parse(sources.environment, &schema)?;
        let (builder, arguments) = sources.builder.split();
        Self::merge([builder, file, environment, arguments], &schema)
    }

    fn merge(
        weakest_first: impl IntoIterator<Item = Layer>,
        schema: &Schema,
    ) -> Result<Self, Error> {
        let mut tree = Value::Object(serde_json::Map::new());
        let mut origins = super::origin::Origins::default();
        for layer in weakest_first {
            for setting in layer.settings {
                setting.check(schema)?;
                setting.insert_into(&mut tree);
                origins.insert(setting.key, setting.origin);
            }
        }
        let mut config: Self = serde_json::from_value(tree)
            .map_err(|error| Error::invalid_config(error.to_string()))?;
        config.origins = origins;
        Ok(config)
    }
}
