//! What is logged about rules: each change is a line, whatever became of it.

use rpc_core::Error;

use super::book::RuleKey;
use super::collected::Configurators;
use super::item::Party;

/// A rule was not put in force.
pub(crate) fn refused(key: &RuleKey, error: &Error) {
    let RuleKey { key: rule, centre: config_center, .. } = key;
    tracing::warn!(
        target: "dubhe::config",
        %rule, %config_center, %error, "a rule is refused, the last good one stays in force"
    );
}

/// A rule was put in force for `party`, or taken back.
pub(crate) fn in_force(key: &RuleKey, rule: Option<&Configurators>, party: &Party) {
    let RuleKey { key: name, centre: config_center, .. } = key;
    let Some(rule) = rule else {
        tracing::info!(target: "dubhe::config", rule = %name, %config_center, "rule taken back");
        return;
    };
    let misplaced = rule.misplaced(key);
    if let Some(why) = &misplaced {
        tracing::warn!(
            target: "dubhe::config",
            rule = %name, %config_center, why, "a rule does not stand at the key of what it is for"
        );
    }
    // One item of a list may stand elsewhere, and the others hold.
    if rule.counts_for(party, key.service.as_ref()) {
        tracing::info!(target: "dubhe::config", rule = %name, %config_center, "rule in force");
    } else if misplaced.is_none() {
        tracing::info!(
            target: "dubhe::config",
            rule = %name, %config_center, "rule read, nothing in it is for this program"
        );
    }
    for note in rule.notes() {
        tracing::warn!(
            target: "dubhe::config",
            rule = %name, %config_center, note, "a part of a rule has no effect"
        );
    }
}

/// A rule names a method that nobody here calls.
pub(crate) fn stranger(key: &RuleKey, error: &Error) {
    let RuleKey { key: rule, centre: config_center, .. } = key;
    tracing::warn!(
        target: "dubhe::config",
        %rule, %config_center, %error, "a rule orders something for a method that no client here has"
    );
}
