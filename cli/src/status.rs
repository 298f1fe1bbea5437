//! How a call went, for people and for programs: its status and its attempts, in one form wherever
//! they come from.

use std::time::Duration;

use dubhe::{
    AttemptLog, AttemptOutcome, Delivery, DirectoryState, DynamicClient, Metadata, Source, Status,
};
use serde_json::{Value, json};

use crate::output::{TextTable, millis, ms};

/// The status in a line, its business error, why it ended there, and a table of the attempts.
pub(crate) fn status_text(status: &Status) -> String {
    let mut text = status.code().to_string();
    if let Some(call) = status.call() {
        text += &format!(" in {call}");
    }
    text += &format!(": {}", status.message());
    if status.delivery() != Delivery::Answered {
        text += &format!(" ({})", status.delivery().as_str());
    }
    if let Some(details) = details_text(status) {
        text += &format!("\n  {details}");
    }
    if let Some(ending) = status.ending() {
        text += &format!("\n  {ending}");
    }
    if status.attempts().is_empty() {
        if let Some(address) = status.address() {
            text += &format!("\n  answered by {address}");
        }
        return text;
    }
    let mut table = TextTable::new(["attempt", "address", "took", "code", "delivery", "why"]);
    for (number, attempt) in (1..).zip(status.attempts()) {
        table.row([
            format!("{number}"),
            attempt.address.to_string(),
            millis(attempt.elapsed),
            attempt.code.to_string(),
            attempt.delivery.as_str().to_owned(),
            attempt.message.clone(),
        ]);
    }
    text + "\n" + table.to_string().trim_end()
}

/// The typed business error in a line: `ShopError {"outOfStock":{"left":3}}`.
pub(crate) fn details_text(status: &Status) -> Option<String> {
    let type_name = &status.details()?.type_name;
    let value = DynamicClient::details(status);
    Some(value.map_or_else(|| type_name.to_string(), |value| format!("{type_name} {value}")))
}

/// Why an instance was not reached: what the attempt met that had the most time. Those after it
/// tell how little was left.
pub(crate) fn why_unreached(status: &Status) -> &str {
    let attempts = status.attempts().iter();
    let longest = attempts.max_by_key(|attempt| attempt.elapsed);
    longest.map_or_else(|| status.message(), |attempt| &attempt.message)
}

/// The status for programs.
pub(crate) fn status_json(status: &Status) -> Value {
    let attempts = status.attempts().iter().map(|attempt| {
        let failed = AttemptOutcome::Failed(attempt.clone());
        attempt_json(&attempt.address, None, attempt.elapsed, &failed)
    });
    // In the form that HTTP has them in.
    let details = status.details().map(
        |details| json!({ "type": &*details.type_name, "value": DynamicClient::details(status) }),
    );
    json!({
        "code": status.code().name(),
        "message": status.message(),
        "details": details.into_iter().collect::<Vec<_>>(),
        "delivery": status.delivery().as_str(),
        "call": status.call(),
        "address": status.address(),
        "decided_by": status.hint(),
        "attempts": attempts.collect::<Vec<_>>(),
    })
}

/// Key/values for programs: a list of the values of each key, bytes in base64.
pub(crate) fn metadata_json(metadata: &Metadata) -> Value {
    let mut all = serde_json::Map::new();
    for (key, value) in metadata.iter() {
        let values = all.entry(key).or_insert_with(|| json!([]));
        values.as_array_mut().into_iter().for_each(|values| values.push(json!(value.to_string())));
    }
    Value::Object(all)
}

/// The attempts of a call for programs.
pub(crate) fn attempts_json(log: &AttemptLog) -> Value {
    let records = log.records();
    let records = records.iter();
    records.map(|a| attempt_json(&a.address, Some(a.begun), a.elapsed, &a.outcome)).collect()
}

/// An attempt for programs; a status does not tell when its attempts began.
fn attempt_json(
    address: &str,
    begun: Option<Duration>,
    elapsed: Duration,
    outcome: &AttemptOutcome,
) -> Value {
    let (outcome, why) = match outcome {
        AttemptOutcome::Replied => ("replied", None),
        AttemptOutcome::Failed(why) => ("failed", Some(why)),
        _ => ("given_up", None),
    };
    json!({
        "address": address,
        "begun_ms": begun.map(ms),
        "elapsed_ms": ms(elapsed),
        "outcome": outcome,
        "code": why.map(|why| why.code.name()),
        "delivery": why.map(|why| why.delivery.as_str()),
        "message": why.map(|why| why.message.as_str()),
    })
}

/// The failure that a call was answered in the place of, for programs; null if a provider answered.
pub(crate) fn fallback_json(log: &AttemptLog) -> Value {
    log.fell_back_from().map_or(Value::Null, |status| status_json(&status))
}

/// The replaced failure, for people.
pub(crate) fn fallback_text(log: &AttemptLog) -> Option<String> {
    let status = log.fell_back_from()?;
    Some(format!("no provider's answer, but the fallback for a failure: {}", status_text(&status)))
}

/// What the list is worth, for programs.
pub(crate) fn directory_json(directory: &DirectoryState) -> Value {
    let source = match directory.source {
        Source::Pending => "pending",
        Source::Live => "live",
        Source::Cache { .. } => "cache",
        _ => "unknown",
    };
    let trouble = directory.trouble.as_ref().map(
        |trouble| json!({ "since_ms": ms(trouble.since.elapsed()), "error": &*trouble.error }),
    );
    json!({
        "source": source,
        "trouble": trouble,
        "age_ms": ms(directory.age),
        "endpoints": directory.endpoints,
        "held": directory.held,
        "candidates": directory.candidates,
    })
}
