//! What changed in the methods of a service.

use std::collections::{BTreeSet, HashMap};

use rpc_core::MethodKind;

use super::fields::{Flow, MessagePair, Side};
use super::finding::{
    BodyForm, BodyPart, ChangeKind, Effect, Finding, Peers, ReadOutcome, RolloutOrder, Severity,
};
use super::index::Types;
use super::messages::{Subject, finding, remark};
use super::walk::Walk;
use crate::describe::types::{
    FieldDescription, MessageDescription, MethodDescription, ServiceDescription,
};

/// What changed between two descriptions of one service.
pub(super) fn compare<'a>(old: &'a Types<'a>, new: &'a Types<'a>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut walk = Walk::new(old, new);
    let added = new.service.methods.iter().filter(|method| old.method(&method.name).is_none());
    // Of several that take and return the same, the first.
    let signatures: HashMap<String, &str> = added
        .clone()
        .rev()
        .filter_map(|method| Some((signature(new, method)?, method.name.as_str())))
        .collect();
    for (index, method) in old.service.methods.iter().enumerate() {
        let Some(other) = new.method(&method.name) else {
            let renamed = signature(old, method);
            let renamed = renamed.and_then(|signature| signatures.get(&signature).copied());
            found.push(removed(old.service, method, renamed));
            continue;
        };
        let pair = MethodPair { old: (old, method), new: (new, other), index };
        let mut of_method = pair.compare(&mut walk);
        for finding in &mut of_method {
            finding.methods = vec![method.name.clone()];
        }
        found.extend(of_method);
    }
    found.extend(added.map(|method| added_method(new.service, method)));
    found.extend(walk.compare());
    found
}

fn path(service: &ServiceDescription, method: &MethodDescription) -> String {
    format!("{}/{}", service.service, method.name)
}

/// Every call of old callers is refused, whatever the codec.
pub(super) fn refused_calls() -> BTreeSet<Effect> {
    let flow = Flow { peers: Peers::OldCallers, part: BodyPart::Arguments };
    BodyForm::ALL.map(|form| flow.effect(form, (ReadOutcome::Refused, false))).into()
}

/// What it takes and returns, without its name; `None` if that costs more than is left.
fn signature(of: &Types<'_>, method: &MethodDescription) -> Option<String> {
    let bodies = [&method.arguments, &method.reply].map(|name| of.message(name));
    let fields = bodies.into_iter().flatten().flat_map(|message| &message.fields);
    let text = |field: &FieldDescription| {
        let key = field.key.as_ref().map_or(0, |key| key.name.len());
        field.json_name.len() + field.value.name.len() + key + 32
    };
    of.spend(of.service.messages.len() + fields.map(text).sum::<usize>())?;
    of.service.signature(method).split_once('(').map(|(_, rest)| rest.to_owned())
}

/// A method that is not there any more; `renamed` is a new one that takes and returns the same.
fn removed(old: &ServiceDescription, method: &MethodDescription, renamed: Option<&str>) -> Finding {
    let remedy = match renamed {
        Some(other) => {
            format!("`#[rpc(name = \"{}\")]` keeps the name, if it is {other} now", method.name)
        }
        None => "remove it when nobody calls it any more".to_owned(),
    };
    let found = finding(
        path(old, method),
        ChangeKind::MethodRemoved,
        "is gone: calls of it are refused".to_owned(),
        refused_calls(),
        true,
    );
    Finding { remedy, methods: vec![method.name.clone()], ..found }
}

/// A caller's call of it goes to providers that have it.
fn added_method(new: &ServiceDescription, method: &MethodDescription) -> Finding {
    let change = "is new: a provider that has it not refuses it, and the call goes to one that has";
    let found = remark(
        path(new, method),
        ChangeKind::MethodAdded,
        change.to_owned(),
        Severity::Compatible,
        "",
    );
    Finding {
        methods: vec![method.name.clone()],
        order: Some(RolloutOrder::ProvidersFirst),
        ..found
    }
}

/// A method of both versions, each with its service.
struct MethodPair<'a> {
    old: (&'a Types<'a>, &'a MethodDescription),
    new: (&'a Types<'a>, &'a MethodDescription),
    /// Of the old one.
    index: usize,
}

impl<'a> MethodPair<'a> {
    /// What changed in the method itself; its types are left to `walk`.
    fn compare(&self, walk: &mut Walk<'a>) -> Vec<Finding> {
        let (old, new) = (self.old.1, self.new.1);
        let mut found = Vec::new();
        found.extend(self.kind());
        found.extend(self.idempotence());
        found.extend(self.caller_defaults());
        let arguments = (&*old.arguments, &*new.arguments);
        let reply = (&*old.reply, &*new.reply);
        found.extend(self.body(arguments, BodyPart::Arguments, walk));
        found.extend(self.body(reply, BodyPart::Reply, walk));
        found.extend(self.error(walk));
        found
    }

    fn place(&self) -> String {
        path(self.old.0.service, self.old.1)
    }

    fn kind(&self) -> Option<Finding> {
        let (old, new) = (self.old.1.kind(), self.new.1.kind());
        let (Some(old), Some(new)) = (old, new) else {
            return Some(remark(
                self.place(),
                ChangeKind::NotCompared,
                "is of a kind that this version does not know".to_owned(),
                Severity::Risky,
                "update what compares it",
            ));
        };
        if old == new {
            return None;
        }
        let change = format!("is {new}, was {old}");
        let (kind, place) = (ChangeKind::MethodKind, self.place());
        if old.is_streaming() || new.is_streaming() {
            let found = finding(place, kind, change, refused_calls(), true);
            let remedy = "add a method in place of changing this one".to_owned();
            return Some(Finding { remedy, ..found });
        }
        // Whether a call waits is the caller's choice; the provider runs the method all the same.
        Some(match new {
            MethodKind::OneWay => remark(
                place,
                kind,
                change,
                Severity::Risky,
                "new callers no longer hear of failures, and old ones get an empty result",
            ),
            _ => remark(place, kind, change, Severity::Compatible, ""),
        })
    }

    fn idempotence(&self) -> Option<Finding> {
        let (old, new) = (self.old.1.is_idempotent, self.new.1.is_idempotent);
        let (place, kind) = (self.place(), ChangeKind::Idempotence);
        let (change, order, remedy) = match (old, new) {
            (true, false) => (
                "may no longer run twice: old callers still send calls again that may have run",
                RolloutOrder::CallersFirst,
                "let every caller have the new version before running it twice does harm",
            ),
            (false, true) => (
                "may run twice: new callers send calls again that may have run, to old providers, too",
                RolloutOrder::ProvidersFirst,
                "let every provider have the new version first",
            ),
            _ => return None,
        };
        let found = remark(place, kind, change.to_owned(), Severity::Risky, remedy);
        Some(Finding { order: Some(order), ..found })
    }

    /// What the attribute sets is set by each caller for itself.
    fn caller_defaults(&self) -> Option<Finding> {
        let (old, new) = (self.old.1, self.new.1);
        let text = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
        let ms = |value: Option<u64>| text(value.map(|ms| format!("{ms}ms")));
        let count = |value: Option<u32>| text(value.map(|count| count.to_string()));
        let settings = [
            ("timeout", ms(old.timeout_ms), ms(new.timeout_ms)),
            ("retries", count(old.retries), count(new.retries)),
            ("cluster", text(old.cluster.clone()), text(new.cluster.clone())),
        ];
        let changed = settings.into_iter().filter(|(_, old, new)| old != new);
        let words: Vec<String> =
            changed.map(|(name, old, new)| format!("{name} is {new}, was {old}")).collect();
        (!words.is_empty()).then(|| {
            let change = format!("{}; for new callers alone", words.join("; "));
            let kind = ChangeKind::CallerDefaults;
            remark(self.place(), kind, change, Severity::Compatible, "")
        })
    }

    /// The message of a body: left to `walk`, unless what it is to its method has changed.
    fn body(
        &self,
        (old, new): (&str, &str),
        part: BodyPart,
        walk: &mut Walk<'a>,
    ) -> Option<Finding> {
        let sides = (self.side(self.old.0, old), self.side(self.new.0, new));
        let (Some(one), Some(other)) = sides else {
            return Some(remark(
                format!("{} {part}", self.place()),
                ChangeKind::NotCompared,
                "are not described".to_owned(),
                Severity::Risky,
                "compare it by eye",
            ));
        };
        let is_empty = one.message.fields.is_empty() || other.message.fields.is_empty();
        let (was_own, is_own) = match part {
            BodyPart::Arguments => (is_list(self.old.1), is_list(self.new.1)),
            _ => (is_wrapped(one.message), is_wrapped(other.message)),
        };
        if was_own != is_own && !is_empty {
            return Some(self.other_body(one, other, part, is_own));
        }
        let subject = match part {
            _ if !(was_own || is_own) => None,
            BodyPart::Arguments => Some(Subject::Arguments(self.place())),
            _ => Some(Subject::Result),
        };
        walk.add((old, new), part, self.index, subject);
        None
    }

    fn side(&self, types: &'a Types<'a>, name: &str) -> Option<Side<'a>> {
        types.message(name).map(|message| Side { types, message })
    }

    fn other_body(&self, old: Side<'a>, new: Side<'a>, part: BodyPart, is_own: bool) -> Finding {
        let parts = [part].into();
        let pair = MessagePair { old, new, parts: &parts, is_error: false };
        let effects = pair.spend().map(|()| pair.effects_of_whole()).unwrap_or_default();
        let (change, remedy) = match (part, is_own) {
            (BodyPart::Arguments, true) => (
                format!("the body is a list of arguments, was the message {}", old.message.name),
                "add a field to the message in place of an argument",
            ),
            (BodyPart::Arguments, false) => (
                format!("the body is the message {}, was a list of arguments", new.message.name),
                "add a method in place of changing this one",
            ),
            (_, true) => (
                format!("the result is a single value, was the message {}", old.message.name),
                "add a method in place of changing this one",
            ),
            (_, false) => (
                format!("the result is the message {}, was a single value", new.message.name),
                "add a method in place of changing this one",
            ),
        };
        let place = format!("{} {part}", self.place());
        let found = finding(place, ChangeKind::BodyShape, change, effects, true);
        Finding { remedy: remedy.to_owned(), ..found }
    }

    fn error(&self, walk: &mut Walk<'a>) -> Option<Finding> {
        let place = format!("{} error", self.place());
        let (old, new) = (self.old.1.error.as_deref(), self.new.1.error.as_deref());
        let kind = ChangeKind::ErrorType;
        let alone = |peers: Peers, is_new| {
            let flow = Flow { peers, part: BodyPart::Error };
            BodyForm::ALL.map(|form| flow.effect(form, (ReadOutcome::StatusAlone, is_new)))
        };
        Some(match (old, new) {
            (None, None) => return None,
            (Some(one), Some(other)) if one == other => {
                walk.add((one, other), BodyPart::Error, self.index, None);
                return None;
            }
            (None, Some(new)) => {
                let change = format!("is the typed error {new}, was a status");
                finding(place, kind, change, alone(Peers::OldCallers, true).into(), true)
            }
            (Some(old), None) => {
                let change = format!("is a status, was the typed error {old}");
                let effects = alone(Peers::OldCallers, false).into();
                let found = finding(place, kind, change, effects, false);
                let remedy = "remove it when no caller matches on it any more".to_owned();
                Finding { severity: Severity::Risky, remedy, ..found }
            }
            (Some(old), Some(new)) => {
                let change = format!("is the typed error {new}, was {old}");
                let both = [Peers::OldCallers, Peers::NewCallers];
                let effects = both.into_iter().flat_map(|peers| alone(peers, false)).collect();
                let found = finding(place, kind, change, effects, true);
                let remedy = format!("`#[error(name = \"{old}\")]` keeps the name");
                Finding { remedy, ..found }
            }
        })
    }
}

/// Whether its arguments are a message of their own; a provider that is too old to say is asked by how
/// such messages are called.
fn is_list(method: &MethodDescription) -> bool {
    match method.takes_message {
        Some(takes) => !takes,
        None => method.argument_count != Some(1) || method.arguments.ends_with("Arguments"),
    }
}

/// Whether a reply is a single value in a message of its own.
fn is_wrapped(reply: &MessageDescription) -> bool {
    match &reply.fields[..] {
        [only] => only.name == "value" && only.tag == 1 && reply.name.ends_with("Reply"),
        _ => false,
    }
}
