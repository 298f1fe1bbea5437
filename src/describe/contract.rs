//! Descriptions kept in a file, to be compared with those of a later version.
//!
//! The file is JSON with a version of its own. Members that are not known here are passed over, so a
//! file of a newer program is read; one whose form is another is refused by its version.

use std::collections::HashSet;

use rpc_core::client::ServiceClient;
use rpc_core::{Error, ServiceKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::collect::collect;
use super::types::ServiceDescription;

/// The version of the form that is written, and the newest that is read.
const FORM: u64 = 1;

/// Services as they are described at one time, for a file.
///
/// `dubhe idl --contract` writes one of running providers, and `dubhe diff` compares two. A test of a
/// program holds its traits against the file of the last release:
///
/// ```
/// # use dubhe::prelude::*;
/// # #[dubhe::service(name = "shop.Orders")]
/// # trait Orders { async fn find(&self, number: u64) -> Result<u64>; }
/// use dubhe::describe::{Contract, ServiceDescription, Severity};
///
/// # let released = Contract::new([ServiceDescription::of::<OrdersClient>()]).to_json();
/// # let released = released.replace("\"number\",", "\"id\",");
/// let released = Contract::parse(&released)?;
/// let now = Contract::new([ServiceDescription::of::<OrdersClient>()]);
/// let difference = released.difference(&now);
/// assert_eq!(difference.severity(), Severity::Breaking);
/// assert_eq!(difference.findings[0].change, "is called number, was id");
/// # Ok::<(), dubhe::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Contract {
    /// Its services.
    pub services: Vec<ServiceDescription>,
}

/// The form of the file.
#[derive(Serialize, Deserialize)]
struct ContractFile {
    contract: u64,
    services: Vec<ServiceDescription>,
}

impl ServiceDescription {
    /// The service of a client as its trait describes it, which no provider is asked for.
    #[must_use]
    pub fn of<C: ServiceClient>() -> Self {
        let of = C::DESCRIPTOR;
        collect(&ServiceKey::with_parts(of.interface, of.group, of.version), of, None)
    }
}

impl Contract {
    /// A contract of these services.
    #[must_use]
    pub fn new(services: impl IntoIterator<Item = ServiceDescription>) -> Self {
        Self { services: services.into_iter().collect() }
    }

    /// The contract as [`parse`](Self::parse) reads it, in lines, so that a change of it is one of few.
    #[must_use]
    pub fn to_json(&self) -> String {
        let file = ContractFile { contract: FORM, services: self.services.clone() };
        // Names and numbers can always be written.
        serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
    }

    /// Reads what [`to_json`](Self::to_json) wrote, or the answer of `dubhe.Describe/describe` in JSON.
    ///
    /// # Errors
    /// A text that is neither, with line and column; a form that is newer than this version; a service
    /// that stands twice.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |why: String| Err(Error::invalid_config(why));
        if text.trim().is_empty() {
            return wrong(format!("is empty: {SAVE}"));
        }
        if text.trim_start().starts_with("syntax") {
            return wrong(format!("is a `.proto`, which does not tell enough: {SAVE}"));
        }
        let unread = |error: serde_json::Error| {
            Error::invalid_config(format!("is not a contract: {error}; {SAVE}"))
        };
        let whole: Value = serde_json::from_str(text).map_err(unread)?;
        let services = match (whole.get("contract"), whole.get("service")) {
            (Some(form), _) => match form.as_u64() {
                Some(FORM) => serde_json::from_str::<ContractFile>(text).map_err(unread)?.services,
                Some(newer) if newer > FORM => {
                    return wrong(format!(
                        "is a contract of form {newer}, and this version reads {FORM}: update it"
                    ));
                }
                _ => return wrong(format!("is a contract of the form {form}, which is none")),
            },
            (None, Some(_)) => vec![serde_json::from_str(text).map_err(unread)?],
            (None, None) => {
                return wrong(format!(
                    "is JSON, but not a contract: it has neither `contract` nor `service`; {SAVE}"
                ));
            }
        };
        let mut known = HashSet::new();
        for described in &services {
            if !known.insert(&described.service) {
                return wrong(format!("has the service `{}` twice", described.service));
            }
        }
        Ok(Self { services })
    }

    /// The service of this key, `[group/]interface[:version]`.
    ///
    /// # Errors
    /// There is none, with those there are.
    pub fn service(&self, key: &str) -> Result<&ServiceDescription, Error> {
        let known = || self.services.iter().map(|described| described.service.as_str());
        let found = self.services.iter().find(|described| described.service == key);
        found.ok_or_else(|| Error::unknown_service("service", key, known()))
    }
}

const SAVE: &str = "save one by `dubhe idl --contract SERVICE`";
