//! The options of every subcommand, and the consumer made from them.

use std::path::PathBuf;

use clap::Args;
use dubhe::config::{ConfigFile, Layer, Sources};
use dubhe::describe::DESCRIBE;
use dubhe::{Consumer, Invocation, interceptor};

use crate::failure::Failure;
use crate::output;
use crate::target::MetadataArgs;

/// The registry where nothing names one.
const DEFAULT_REGISTRY: &str = "dev://";

/// Options of every subcommand.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The registry, such as dubhe://127.0.0.1:20890 [default: that of the configuration, else dev://]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) registry: Option<String>,
    /// The registry's token
    #[arg(long, global = true, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// The configuration file, instead of DUBHE_CONFIG or ./dubhe.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log to standard error; twice for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl Options {
    /// The sources of the settings: the process, and the command line, which is stronger.
    pub(crate) fn sources(&self) -> Result<Sources, Failure> {
        let mut layer = Layer::new().set("registry.address", DEFAULT_REGISTRY);
        if let Some(url) = &self.registry {
            layer = layer.argument("--registry", "registry.address", url.as_str());
        }
        if let Some(token) = &self.token {
            layer = layer.argument("--token", "registry.token", token.as_str());
        }
        let Some(path) = &self.file else {
            return Ok(Sources::of_process(layer)?);
        };
        let environment = std::env::vars_os().collect();
        let file = ConfigFile::read(path).map_err(|error| error.at("--file"))?;
        Ok(Sources { builder: layer, file: Some(file), environment, ..Sources::default() })
    }

    /// A consumer of these settings; connects to nothing yet. What they choose of a program's own
    /// extensions is left out. Providers are asked what they serve with `metadata`, as their layers may
    /// be around that, too.
    pub(crate) fn consumer(&self, metadata: &MetadataArgs) -> Result<Consumer, Failure> {
        let consumer = Consumer::builder().sources(self.sources()?).leave_out_unknown();
        let beside = metadata.metadata.clone();
        let asking = interceptor(move |call: &mut Invocation| {
            beside.iter().for_each(|(key, value)| call.metadata.insert(key, value));
            Ok(())
        });
        Ok(consumer.call_layer_for(DESCRIBE, asking).build()?)
    }

    /// A consumer for a subcommand that calls: it warns of the settings that its calls do without.
    pub(crate) fn caller(&self, metadata: &MetadataArgs) -> Result<Consumer, Failure> {
        let consumer = self.consumer(metadata)?;
        for left_out in consumer.left_out() {
            let text =
                format!("{}; left out here, only a program that adds it knows it", left_out.error);
            output::aside("warning", &text)?;
        }
        Ok(consumer)
    }
}
