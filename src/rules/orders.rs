//! What a rule orders: the parameters that have an effect here, as settings.

use std::collections::BTreeMap;

use rpc_core::Error;
use serde_json::{Value, json};

use super::fields::{Fields, scalar, wrong};

/// Parameters that are conditions or belong to the rule itself.
const NOT_ORDERS: [&str; 13] = [
    "anyhost",
    "category",
    "check",
    "dynamic",
    "enabled",
    "group",
    "version",
    "application",
    "side",
    "configVersion",
    "compatible_config",
    "interfaces",
    "providerAddresses",
];

/// Parameters that have an effect here.
pub(super) const KNOWN: [&str; 8] =
    ["timeout", "retries", "loadbalance", "cluster", "weight", "disabled", "warmup", "priority"];

/// What an item of a rule orders.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Orders {
    /// Settings of calls, by method (none: all of them) and name in the configuration.
    pub(super) calls: BTreeMap<(Option<String>, &'static str), Value>,
    pub(super) weight: Option<u32>,
    pub(super) disabled: Option<bool>,
    /// In milliseconds; of a provider.
    pub(super) warmup: Option<u64>,
    /// Higher ones are stronger among rules of the same host.
    pub(super) priority: i64,
    /// Parameters that have no effect here.
    pub(super) passed_over: Vec<String>,
}

impl Orders {
    /// The orders in the parameters at `fields`.
    ///
    /// # Errors
    /// A value that its parameter does not take, with its place.
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Error> {
        let mut orders = Self::default();
        for (key, value) in fields.iter() {
            if !NOT_ORDERS.contains(&key) && !key.starts_with('~') {
                orders
                    .add(key, value)
                    .map_err(|expected| wrong(&fields.at(key), value, expected))?;
            }
        }
        Ok(orders)
    }

    /// Passes over what is not of calls: an instance has a weight and is on or off, whoever said so.
    pub(super) fn keep_to_calls(&mut self) {
        let all = [
            ("weight", self.weight.take().is_some()),
            ("disabled", self.disabled.take().is_some()),
            ("warmup", self.warmup.take().is_some()),
        ];
        let ordered = all.iter().filter(|(_, is_ordered)| *is_ordered);
        self.passed_over.extend(ordered.map(|(name, _)| (*name).to_owned()));
    }

    /// Adds a parameter; fails with what its value has to be.
    fn add(&mut self, key: &str, value: &Value) -> Result<(), &'static str> {
        let name = key.rsplit_once('.').map_or(key, |(_, name)| name);
        let method = key.rsplit_once('.').map(|(method, _)| method);
        // What older versions write of all methods.
        let method = method.filter(|method| *method != "default").map(str::to_owned);
        let text = scalar(value).ok_or("a text or a number")?;
        let (setting, value) = match (name, &method) {
            ("timeout", _) => ("timeout", json!(millis(&text).ok_or(MILLIS)?)),
            // Dubbo takes what is below zero for zero.
            ("retries", _) => {
                let retries: i64 = text.parse().map_err(|_| "a number of retries such as 2")?;
                let retries = u32::try_from(retries.max(0)).map_err(|_| "a number of retries")?;
                ("retries", json!(retries))
            }
            ("loadbalance", _) => ("loadbalance", json!(text)),
            ("cluster", _) => ("cluster", json!(text)),
            ("weight", None) => {
                self.weight = Some(text.parse().map_err(|_| "a weight such as 100")?);
                return Ok(());
            }
            ("disabled", None) => {
                self.disabled = Some(text.parse().map_err(|_| "true or false")?);
                return Ok(());
            }
            ("warmup", None) => {
                let warmup = text.parse().map_err(|_| "a number of milliseconds")?;
                self.warmup = Some(warmup);
                return Ok(());
            }
            ("priority", None) => {
                self.priority = text.parse().map_err(|_| "a number")?;
                return Ok(());
            }
            _ => {
                self.passed_over.push(key.to_owned());
                return Ok(());
            }
        };
        self.calls.insert((method, setting), value);
        Ok(())
    }
}

const MILLIS: &str = "a number of milliseconds from 1 to 4294967295, such as 3000";

/// Milliseconds as a duration of the configuration.
fn millis(text: &str) -> Option<String> {
    let millis: u64 = text.parse().ok()?;
    (millis > 0 && millis <= u64::from(u32::MAX)).then(|| format!("{millis}ms"))
}
