//! What is logged about rules: each change is a line, whatever became of it.

use rpc_core::Error;

use super::book::RuleKey;
use super::collected::Configurators;

/// A rule was not put in force.
pub(crate) fn refused(key: &RuleKey, error: &Error) {
    let RuleKey { key: rule, centre: config_center, .. } = key;
    tracing::warn!(
        target: "dubhe::config",
        %rule, %config_center, %error, "a rule is refused, the last good one stays in force"
    );
}

/// A rule was put in force, or taken back.
pub(crate) fn in_force(key: &RuleKey, rule: Option<&Configurators>) {
    let RuleKey { key: name, centre: config_center, .. } = key;
    match rule {
        Some(_) => {
            tracing::info!(target: "dubhe::config", rule = %name, %config_center, "rule in force");
        }
        None => {
            tracing::info!(target: "dubhe::config", rule = %name, %config_center, "rule taken back");
        }
    }
    for note in rule.map(Configurators::notes).unwrap_or_default() {
        tracing::warn!(
            target: "dubhe::config",
            rule = %name, %config_center, note, "a part of a rule has no effect"
        );
    }
}
