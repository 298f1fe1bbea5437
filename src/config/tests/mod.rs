//! The configuration as a whole, from files and variables given as text.

mod absent;
mod isolation;
mod merging;
mod messages;
mod parameters;
mod secrets;
mod services;
mod values;
mod variables;

use std::ffi::OsString;

use rpc_core::ServiceKey;

use super::{Config, ConfigFile, Layer, Sources};

fn sources(file: &str, environment: &[(&str, &str)]) -> Sources {
    let owned = |(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
    Sources {
        builder: Layer::new(),
        file: Some(ConfigFile { path: "dubhe.toml".to_owned(), text: file.to_owned() }),
        environment: environment.iter().map(owned).collect(),
        ..Sources::default()
    }
}

fn file(text: &str) -> Config {
    Config::load(sources(text, &[])).unwrap()
}

fn file_error(text: &str) -> String {
    Config::load(sources(text, &[])).unwrap_err().to_string()
}

fn inventory() -> ServiceKey {
    ServiceKey::new("shop.Inventory")
}

fn environment_error(name: &str, value: &str) -> String {
    let error = Config::load(sources("", &[(name, value)])).unwrap_err();
    error.to_string()
}
