//! Sources to sections: each source is checked by itself, then the stronger ones overwrite the
//! weaker.
//!
//! The loader does not know the settings: the [`Sections`] that it fills are a parameter. They
//! provide the keys, and the forms that a file may use for them.

mod environment;
mod file;
mod key;
mod layer;
mod origin;
mod origins;
mod overruled;
mod places;
mod process;
mod schema;

use std::ffi::OsString;

use rpc_core::{Error, settings};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[cfg(test)]
pub(super) use self::environment::{has_variable, variable};
pub use self::file::ConfigFile;
pub(super) use self::key::{ANY, Key};
pub use self::layer::Layer;
pub use self::origin::{Origin, Setting, Strength};
pub(super) use self::origins::Origins;
pub(crate) use self::overruled::Overruled;
use self::overruled::{InCode, Replacements};
pub(super) use self::process::{cache_dir_of_user, runtime_dir_of_user};
#[cfg(test)]
pub(super) use self::schema::Schema;
#[cfg(not(test))]
use self::schema::Schema;
pub(super) use self::schema::{leaves, to_value};

/// What a configuration consists of: plain structs with their defaults.
pub(super) trait Sections: Default + Serialize + DeserializeOwned {
    /// The section that a file may write several times.
    const REPEATED: Option<Repeated>;

    /// One of everything, named [`ANY`] where any name may stand. Its fields are the keys there
    /// are.
    fn example() -> Self;

    /// Whether `value`, set in code for `key`, is not replaced by file and environment.
    fn stays(key: &Key, value: &Value) -> bool;
}

/// A section that may be written as several tables, `[[section]]`: of each, these keys make an
/// entry of the list at `key`, and others are set for all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repeated {
    pub(super) section: &'static str,
    /// Each table has it.
    pub(super) key: &'static str,
    /// What a table may have besides for itself alone.
    pub(super) own: &'static [&'static str],
}

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

/// Sections with the values in force, and where these come from.
#[derive(Debug)]
pub(super) struct Loaded<S> {
    pub(super) sections: S,
    pub(super) origins: Origins,
    pub(super) overruled: Overruled,
}

/// Checks every source and merges them.
///
/// # Errors
/// The first key that does not exist or value that is not possible, with its place.
pub(super) fn load<S: Sections>(sources: Sources) -> Result<Loaded<S>, Error> {
    let schema = Schema::of::<S>();
    let file = match &sources.file {
        Some(file) => file.parse(&schema)?,
        None => Layer::new(),
    };
    let (environment, passed_over) = environment::parse(sources.environment, &schema)?;
    let (builder, arguments) = sources.builder.split();
    let code = InCode::of(&builder, S::stays);
    let (mut tree, mut origins) = (Value::Object(serde_json::Map::new()), Origins::default());
    let mut kept = Vec::new();
    let (absent, rules) = sources.rules.into_rules().split_rules();
    for (mut layer, is_outside) in [
        (absent, false),
        (builder, false),
        (file, true),
        (environment, true),
        (arguments, false),
        (rules, false),
    ] {
        layer.settings.iter().try_for_each(|setting| schema.check(setting))?;
        if is_outside {
            kept.extend(code.keep(&mut layer));
        }
        merge(layer, &mut tree, &mut origins);
    }
    let replaced = Replacements(code.replaced(&tree, &origins));
    let sections = settings::read::<S>(tree)
        .map_err(|error| origins.blame(&Key::root(), error.into_error("key")))?;
    let overruled = Overruled { replaced, kept: Replacements(kept), passed_over };
    Ok(Loaded { sections, origins, overruled })
}

/// Writes what `layer` sets over what is there.
fn merge(layer: Layer, tree: &mut Value, origins: &mut Origins) {
    for setting in layer.settings {
        setting.insert_into(tree);
        origins.set(&setting);
    }
    layer.sections.into_iter().for_each(|(key, origin)| origins.name_section(key, origin));
}
