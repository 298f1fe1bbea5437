//! Sources to one tree: each is checked by itself, then the stronger ones overwrite the weaker.

use std::ffi::OsString;

use rpc_core::{Error, settings};
use serde_json::Value;

use super::environment;
use super::file::ConfigFile;
use super::key::Key;
use super::layer::Layer;
use super::origin::Origins;
use super::overruled::{Code, Overruled, Places};
use super::schema::Schema;
use super::tree::Config;

/// Everything a configuration is made from, given explicitly. Weakest first; the defaults are below
/// all of them. One thing in code is stronger than file and environment: a registry `memory://`.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// What the program set, in code and by its arguments; the latter are the strongest source.
    pub builder: Layer,
    /// The configuration file.
    pub file: Option<ConfigFile>,
    /// Environment variables; those that do not begin with `DUBHE_` are not looked at.
    pub environment: Vec<(OsString, OsString)>,
    /// What rules say that may change while the program runs: the strongest.
    pub rules: Layer,
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
        let (environment, passed_over) = environment::parse(sources.environment, &schema)?;
        let (builder, arguments) = sources.builder.split();
        let code = Code::of(&builder);
        let (mut tree, mut origins) = (Value::Object(serde_json::Map::new()), Origins::default());
        let mut kept = Vec::new();
        let rules = sources.rules.into_rules();
        for (mut layer, is_outside) in [
            (builder, false),
            (file, true),
            (environment, true),
            (arguments, false),
            (rules, false),
        ] {
            layer.settings.iter().try_for_each(|setting| setting.check(&schema))?;
            if is_outside {
                kept.extend(code.keep(&mut layer));
            }
            merge(layer, &mut tree, &mut origins);
        }
        let replaced = Places(code.replaced(&tree, &origins));
        let read = settings::read::<Self>(tree);
        let mut config =
            read.map_err(|error| origins.blame(&Key::root(), error.into_error("key")))?;
        config.origins = origins;
        config.overruled = Overruled { replaced, kept: Places(kept), passed_over };
        Ok(config)
    }
}

/// Writes what `layer` sets over what is there.
fn merge(layer: Layer, tree: &mut Value, origins: &mut Origins) {
    for setting in layer.settings {
        setting.insert_into(tree);
        origins.set(&setting);
    }
    layer.sections.into_iter().for_each(|(key, origin)| origins.name_section(key, origin));
}
