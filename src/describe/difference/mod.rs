//! Whether two versions of a contract understand each other: what changed, who breaks, in which codec.
//!
//! The codecs find values differently (protobuf by number, msgpack and JSON by name), so each change is
//! followed in each of them, in both directions: old callers of new providers, and new callers of old
//! ones. The rules are a model of the codecs, `content.rs` for single values, `numbered.rs` and `named.rs`
//! for what stands around them, `fields.rs` for messages; the tests in `tests/difference` encode with one version and
//! decode with the other, and compare. What a change of behaviour means is nothing that a contract tells.

mod budget;
mod content;
mod crossing;
mod enums;
mod fields;
mod finding;
mod index;
mod messages;
mod methods;
mod named;
mod numbered;
mod sample_texts;
mod samples;
mod slot;
mod walk;

use std::collections::{HashMap, HashSet};
use std::fmt;

use self::budget::Budget;
pub use self::finding::{
    BodyForm, BodyPart, ChangeKind, Effect, Finding, Peers, ReadOutcome, RolloutOrder, Severity,
};
use self::index::Types;
use super::contract::Contract;
use super::types::ServiceDescription;

/// What changed from one version of a contract to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// Each change, in the order of the contract.
    pub findings: Vec<Finding>,
}

impl ServiceDescription {
    /// What changed from this version of a service to `newer`, and who breaks by it in which codec.
    ///
    /// What the descriptions of older providers do not tell is taken as unchanged; types that they
    /// leave out or that are not known here are findings of their own, and so is that a description is
    /// larger than any that people write. Documentation and answers in place of failures are not compared.
    #[must_use]
    pub fn difference(&self, newer: &Self) -> Difference {
        let mut findings = Vec::new();
        if self.service != newer.service {
            let found = gone(self, format!("is {} now", newer.service));
            findings.push(Finding { kind: ChangeKind::ServiceKey, ..found });
        }
        findings.extend(compare(self, newer));
        for finding in &mut findings {
            finding.service.clone_from(&self.service);
        }
        Difference { findings }
    }
}

impl Contract {
    /// What changed from this version to `newer`, service by service. Where each has one alone, these
    /// are compared, whatever their keys.
    #[must_use]
    pub fn difference(&self, newer: &Self) -> Difference {
        if let ([old], [new]) = (&self.services[..], &newer.services[..]) {
            return old.difference(new);
        }
        let mut findings = Vec::new();
        let newest: HashMap<&str, &ServiceDescription> =
            newer.services.iter().map(|new| (&*new.service, new)).collect();
        for old in &self.services {
            match newest.get(&*old.service) {
                Some(new) => findings.extend(old.difference(new).findings),
                None => findings.push(gone(old, "is gone".to_owned())),
            }
        }
        let known: HashSet<&str> = self.services.iter().map(|old| &*old.service).collect();
        let is_new = |new: &&ServiceDescription| !known.contains(&*new.service);
        for new in newer.services.iter().filter(is_new) {
            let (place, kind) = (new.service.clone(), ChangeKind::ServiceAdded);
            let (change, service) = ("is new".to_owned(), new.service.clone());
            let found = messages::remark(place, kind, change, Severity::Compatible, "");
            findings.push(Finding { service, ..found });
        }
        Difference { findings }
    }
}

/// What changed in the methods and their types, as far as there is time.
fn compare(old: &ServiceDescription, new: &ServiceDescription) -> Vec<Finding> {
    let not_compared = |what: &str| {
        let (place, kind) = (old.service.clone(), ChangeKind::NotCompared);
        messages::remark(place, kind, what.to_owned(), Severity::Risky, "compare it by eye")
    };
    let budget = Budget::new(Budget::UNITS);
    let sides = (Types::new(old, &budget), Types::new(new, &budget));
    let (Some(old), Some(new)) = (&sides.0, &sides.1) else {
        return vec![not_compared("has names of more than 1000 bytes, which are not compared")];
    };
    let mut findings = methods::compare(old, new);
    if budget.is_spent() {
        findings.push(not_compared("has so many types that not all were compared"));
    }
    findings
}

/// A service that callers of the old version do not find.
fn gone(old: &ServiceDescription, change: String) -> Finding {
    let (place, kind) = (old.service.clone(), ChangeKind::ServiceRemoved);
    let change = format!("{change}: callers of the old version find no provider");
    let found = messages::finding(place, kind, change, methods::refused_calls(), true);
    let remedy = "serve the old one, too, as long as it is called".to_owned();
    Finding { service: old.service.clone(), remedy, ..found }
}

impl Difference {
    /// How grave the gravest change is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        let severities = self.findings.iter().map(|finding| finding.severity);
        severities.max().unwrap_or(Severity::Compatible)
    }

    /// Whether callers break as soon as providers are updated.
    #[must_use]
    pub fn is_breaking(&self) -> bool {
        self.severity() == Severity::Breaking
    }

    /// The same for programs that use these codecs alone. Changes that matter in others only are
    /// compatible then.
    #[must_use]
    pub fn in_forms(mut self, forms: &[BodyForm]) -> Self {
        for finding in &mut self.findings {
            finding.keep_forms(forms);
        }
        self
    }
}

/// The changes, service by service, the gravest first, each with who reads what and with what helps.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut services: Vec<&str> = Vec::new();
        for finding in &self.findings {
            if !services.contains(&finding.service.as_str()) {
                services.push(&finding.service);
            }
        }
        for service in &services {
            if services.len() > 1 {
                writeln!(f, "{service}")?;
            }
            let of_service = self.findings.iter().filter(|it| it.service == *service);
            let mut sorted: Vec<&Finding> = of_service.collect();
            sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
            sorted.into_iter().try_for_each(|finding| write!(f, "{finding}"))?;
        }
        Ok(())
    }
}
