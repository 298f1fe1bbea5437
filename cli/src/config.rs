//! `dubhe config`: every setting in force and its source, rules of the config centre among them.

use std::collections::BTreeSet;
use std::sync::Arc;

use clap::Args;
use dubhe::config::{Origin, Setting};
use dubhe::{Consumer, LostRegistry, ServiceKey};
use serde_json::{Value, json};

use crate::failure::{CommandResult, Failure};
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
        let mut unheard = Vec::new();
        for service in &self.services {
            if let Some(hint) = taken_for_method(&consumer, service).await {
                output::aside("note", &hint)?;
            }
            let rules = consumer.rules(service).await?;
            for rule in rules.settings {
                settings.retain(|setting| setting.key != rule.key);
                settings.push(rule);
            }
            unheard.extend(rules.unheard);
        }
        let mut named = BTreeSet::new();
        unheard.retain(|centre| named.insert(Arc::clone(&centre.address)));
        settings.retain(|setting| !self.set || setting.origin != Origin::Default);
        // Nobody is to read from what is shown that there is no rule.
        Failure::told_if(!unheard.is_empty(), print(&consumer, settings, &unheard, options))
    }
}

/// Names the config centres whose rules are not known.
pub(crate) fn note_unheard(unheard: &[LostRegistry]) -> CommandResult {
    for LostRegistry { address, error } in unheard {
        let text =
            format!("config centre {address} does not answer, its rules are not known: {error}");
        output::aside("note", &text)?;
    }
    Ok(())
}

fn print(
    consumer: &Consumer,
    settings: Vec<Setting>,
    unheard: &[LostRegistry],
    options: &Options,
) -> CommandResult {
    if options.json {
        let setting = |setting: &Setting| {
            let mut shown = json!(setting);
            if let Some(name) = left_out(consumer, setting) {
                shown["unknown"] = name.into();
            }
            shown
        };
        let settings: Vec<Value> = settings.iter().map(setting).collect();
        return output::json(&json!({ "settings": settings, "unheard": unheard_json(unheard) }));
    }
    note_unheard(unheard)?;
    let mut table = TextTable::new(["key", "value", "set by"]);
    for setting in settings {
        let unknown = left_out(consumer, &setting);
        let note = unknown.map(|name| format!(" (`{name}` is not known to this command)"));
        let value = setting.value + &note.unwrap_or_default();
        table.row([setting.key, value, setting.origin.to_string()]);
    }
    output::text(table)
}

/// The config centres whose rules are not known, for programs.
pub(crate) fn unheard_json(unheard: &[LostRegistry]) -> Value {
    let centre = |LostRegistry { address, error }: &LostRegistry| json!({ "address": &**address, "error": { "message": &**error } });
    unheard.iter().map(centre).collect()
}

/// What to say of `service` if nobody lists it, and what was written is a method of one that is listed.
async fn taken_for_method(consumer: &Consumer, service: &ServiceKey) -> Option<String> {
    let owner: ServiceKey = service.group().parse().ok()?;
    let listed = consumer.services().await.ok()?;
    let is_method = listed.contains(&owner) && !listed.contains(service);
    is_method.then(|| {
        format!(
            "`{service}` is read as the service `{}` of the group `{owner}`: the rules of its methods \
             are among those of `dubhe config {owner}`",
            service.interface()
        )
    })
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
