//! `dubhe config`: every setting in force and its source, rules of the config centre among them.

use clap::Args;
use dubhe::config::{Origin, Setting};
use dubhe::{Consumer, ServiceKey};
use serde_json::{Value, json};

use crate::failure::CommandResult;
use crate::options::Options;
use crate::output;
use crate::output::TextTable;
use crate::target::MetadataArgs;

/// Show every setting in force and its source.
#[derive(Debug, Args)]
pub(crate) struct ConfigCommand {
    /// Leave out settings with their default
    #[arg(long)]
    set: bool,
    /// Services whose rules in the config centre are shown, too
    #[arg(value_name = "SERVICE")]
    services: Vec<ServiceKey>,
}

impl ConfigCommand {
    pub(crate) async fn run(self, options: &Options) -> CommandResult {
        // As it is written, also what the command would leave out.
        let mut settings = dubhe::config::Config::load(options.sources()?)?.sources();
        let consumer = options.caller(&MetadataArgs::default())?;
        for setting in &mut settings {
            // What this program sets is the default of its users.
            if setting.origin == Origin::Builder {
                setting.origin = Origin::Default;
            }
        }
        for service in &self.services {
            for rule in consumer.rules(service).await? {
                settings.retain(|setting| setting.key != rule.key);
                settings.push(rule);
            }
        }
        settings.retain(|setting| !self.set || setting.origin != Origin::Default);
        if options.json {
            let setting = |setting: &Setting| {
                let mut shown = json!(setting);
                if let Some(name) = left_out(&consumer, setting) {
                    shown["unknown"] = name.into();
                }
                shown
            };
            let settings: Vec<Value> = settings.iter().map(setting).collect();
            return output::json(&json!({ "settings": settings }));
        }
        let mut table = TextTable::new(["key", "value", "set by"]);
        for setting in settings {
            let unknown = left_out(&consumer, &setting);
            let note = unknown.map(|name| format!(" (`{name}` is not known to this command)"));
            let value = setting.value + &note.unwrap_or_default();
            table.row([setting.key, value, setting.origin.to_string()]);
        }
        output::text(table)
    }
}

/// The name in it, or in the choice it belongs to, that only a program with that extension knows.
fn left_out<'a>(consumer: &'a Consumer, setting: &Setting) -> Option<&'a str> {
    let is_in = |key: &str, whole: &str| {
        let rest = key.strip_prefix(whole);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let mut all = consumer.left_out().iter();
    let found = all.find(|out| is_in(&setting.key, &out.key) || is_in(&out.key, &setting.key));
    found.map(|out| &*out.name)
}
