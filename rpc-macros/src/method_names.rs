//! The rules for names of methods and arguments.

use std::collections::{HashMap, HashSet};

use syn::Ident;
use syn::ext::IdentExt;

use crate::errors::Errors;
use crate::message::{is_name, wire_name};
use crate::model::{Method, Service};
use crate::names::boxed;

/// Methods that a call of the generated client, or of an `Arc` of an implementation, would be
/// ambiguous with.
const TAKEN: [(&str, &str); 10] = [
    ("with", "the generated client's own method for call options"),
    ("broadcast", "the generated client's own method for calls to every provider"),
    ("connect", "how the generated client is made"),
    ("from_stub", "how the generated client is made"),
    ("stub", "how the generated client is looked into"),
    ("clone", "a method of everything that can be cloned, as the generated client can"),
    ("to_owned", "a method of everything that can be cloned, as the generated client can"),
    ("into", "a method of every type"),
    ("try_into", "a method of every type"),
    ("as_ref", "a method of `Arc`, behind which implementations stand"),
];

/// Reports names of methods that are taken, or given twice.
pub(crate) fn check(service: &Service, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for method in &service.methods {
        let name = method.wire_name();
        if let Some((own, what)) = TAKEN.iter().find(|(own, _)| method.name() == own) {
            let message = format!(
                "`{own}` is {what}: name this one otherwise, and add `#[rpc(name = \"{own}\")]` to \
                 keep its name on the wire"
            );
            errors.at(method.name(), message);
        }
        if let Some(other) = service.methods.iter().find(|of| *method.name() == boxed(of.name())) {
            let (name, other) = (method.name(), other.name());
            let message = format!(
                "`{name}` is the generated name of `{other}` behind a pointer: name this one \
                 otherwise, and add `#[rpc(name = \"{name}\")]` to keep its name on the wire"
            );
            errors.at(name, message);
        }
        if service
            .methods
            .iter()
            .take_while(|of| !std::ptr::eq(*of, method))
            .any(is_namesake(method))
        {
            let message =
                format!("two methods are called `{}`: name this one otherwise", method.name());
            errors.at(method.name(), message);
        } else if !seen.insert(name.clone()) {
            let message = format!(
                "`{name}` is the name of an earlier method on the wire: set another by \
                 `#[rpc(name = \"…\")]`"
            );
            errors.at_span(method.wire_name_span(), message);
        }
    }
}

fn is_namesake(method: &Method) -> impl Fn(&Method) -> bool {
    |other| other.name() == method.name()
}

/// Arguments travel by name, so each needs one of its own.
pub(crate) fn check_arguments(method: &Method, errors: &mut Errors) {
    let mut seen: HashMap<String, &Ident> = HashMap::new();
    for name in method.argument_names() {
        let on_wire = wire_name(name);
        if !is_name(&name.unraw().to_string()) {
            let message = format!(
                "`{name}` is not a valid name in a `.proto`: names consist of ASCII letters, \
                 digits and `_`; rename it"
            );
            errors.at(name, message);
        }
        if let Some(other) = seen.get(&on_wire) {
            let message = format!(
                "`{name}` and `{other}` are both `{on_wire}` on the wire: rename one of them"
            );
            errors.at(name, message);
        } else {
            seen.insert(on_wire, name);
        }
    }
}

/// A name that is one on the wire, too.
pub(crate) fn check_ascii(name: &Ident, is_on_wire: bool, attribute: &str, errors: &mut Errors) {
    if is_on_wire && !name.to_string().is_ascii() {
        let message = format!(
            "`{name}` would be a part of addresses and paths, which are of ASCII letters: name it \
             otherwise there by `{attribute}`"
        );
        errors.at(name, message);
    }
}
