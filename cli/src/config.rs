//! `dubhe config`: every setting in force and who set it.

use clap::Args;
use dubhe::config::Origin;
use serde_json::{Value, json};

use crate::failure::Outcome;
use crate::options::Options;
use crate::output;
use crate::output::Table;

/// Show every setting in force, and who set it.
#[derive(Debug, Args)]
pub(crate) struct Config {
    /// Leave out what is at its default
    #[arg(long)]
    set: bool,
}

impl Config {
    pub(crate) fn run(self, options: &Options) -> Outcome {
        let consumer = options.consumer()?;
        let mut settings = consumer.config().sources();
        for setting in &mut settings {
            // What this program sets is the default of its users.
            if setting.origin == Origin::Builder {
                setting.origin = Origin::Default;
            }
        }
        settings.retain(|setting| !self.set || setting.origin != Origin::Default);
        if options.json {
            let settings: Vec<Value> = settings.iter().map(|setting| json!(setting)).collect();
            return output::json(&json!({ "settings": settings }));
        }
        let mut table = Table::new(["key", "value", "set by"]);
        for setting in settings {
            let origin = setting.origin.to_string();
            table.row([setting.key, setting.value, origin]);
        }
        output::text(table)
    }
}
