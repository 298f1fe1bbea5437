//! `dubhe registry`: serves the embedded registry until a signal ends it.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use dubhe::config::{Config, Layer, Sources};
use dubhe::embedded::{DEFAULT_PORT, EmbeddedServer, ServerStatus, Signals};
use dubhe::{Consumer, Error};
use serde_json::json;
use tokio::time::timeout;

use crate::failure::{CommandResult, Failure};
use crate::options::Options;
use crate::{input, output};

/// How long the program that has the address may take to answer as a registry.
const PATIENCE: Duration = Duration::from_secs(1);

/// Serve a registry for dubhe://HOST:PORT; clients must show its --token.
#[derive(Debug, Args)]
pub(crate) struct RegistryCommand {
    /// The address to listen on; port 0 takes a free one
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value_t = format!("127.0.0.1:{DEFAULT_PORT}"),
        value_parser = input::address
    )]
    listen: String,
    /// Keep registrations in this folder through restarts [default: in memory only]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl RegistryCommand {
    pub(crate) async fn run(self, options: &Options) -> CommandResult {
        if options.registry.is_some() {
            return Err(Failure::usage(
                "`dubhe registry` serves a registry and uses none: leave out --registry, and give the \
                 address that it is to have by --listen HOST:PORT",
            ));
        }
        let mut signals = Signals::listen()?;
        let mut server = EmbeddedServer::builder().listen(&*self.listen);
        // From any source: others can read the command line, but neither file nor environment.
        if let Some(token) = Config::load(options.sources()?)?.registry.token {
            server = server.token(token.expose());
        }
        if let Some(folder) = &self.data {
            server = server.data_dir(folder);
        }
        let server = match server.start().await {
            Err(error) if error.is_bind() => return Err(self.not_bound(&error, options).await),
            server => server?,
        };
        let url = format!("dubhe://{}", server.local_addr());
        let ServerStatus { restored, store_error, .. } = server.status();
        match options.json {
            true => output::json(
                &json!({ "registry": url, "restored": restored, "store_error": store_error }),
            )?,
            false if restored > 0 => {
                output::text(format_args!("registry at {url}, {restored} instances restored\n"))?;
            }
            false => output::text(format_args!("registry at {url}\n"))?,
        }
        signals.next().await;
        server.shutdown().await;
        Ok(())
    }
}

impl RegistryCommand {
    /// Adds to the error that a registry has the address, if one answers there.
    async fn not_bound(&self, error: &Error, options: &Options) -> Failure {
        let is_taken = error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>())
            .is_some_and(|source| source.kind() == io::ErrorKind::AddrInUse);
        let url = format!("dubhe://{}", self.listen);
        match is_taken && is_registry(&url, options).await {
            true => Failure::failed(format!(
                "{error}; a registry runs there already: use it by --registry {url}, or give \
                 this one another --listen"
            )),
            false => Failure::failed(error.to_string()),
        }
    }
}

/// Whether a registry answers at `url`, be it that it asks for another token.
async fn is_registry(url: &str, options: &Options) -> bool {
    let mut layer = Layer::new().set("registry.address", url).set("registry.cache", false);
    if let Some(token) = &options.token {
        layer = layer.set("registry.token", token.as_str());
    }
    let sources = Sources { builder: layer, ..Sources::default() };
    let Ok(consumer) = Consumer::builder().sources(sources).build() else { return false };
    match timeout(PATIENCE, consumer.services()).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => error.is_refused(),
        Err(_) => false,
    }
}
