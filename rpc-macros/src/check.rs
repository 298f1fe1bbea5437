//! Every rule for a trait under `#[service]`, and what the user reads when it is broken.
//!
//! Nothing is generated unless all rules hold, and all that is broken is reported at once. Whether
//! a type has a form on the wire is not decided here but by the bounds of the generated code.

use std::collections::{HashMap, HashSet};

use syn::visit::Visit;
use syn::{
    Attribute, FnArg, GenericParam, Generics, Ident, LitStr, Pat, Receiver, TraitItem, Type,
    TypeParamBound, WherePredicate,
};

use crate::errors::Errors;
use crate::message::wire_name;
use crate::model::{Argument, Method, Service};
use crate::streams;
use crate::travels::{Travels, starts_with_self};

/// Reports every rule that `service` breaks.
pub(crate) fn check(service: &Service, errors: &mut Errors) {
    check_trait(service, errors);
    check_supertraits(service, errors);
    check_trait_generics(&service.item.generics, errors);
    check_identity(service, errors);
    for item in &service.item.items {
        check_is_method(item, errors);
    }
    for method in &service.methods {
        check_signature(method, errors);
        check_receiver(method, errors);
        check_arguments(method, errors);
        check_outcome(method, errors);
        check_one_way(method, errors);
        streams::check(method, errors);
        check_texts(method, errors);
    }
    check_names(service, errors);
}

fn check_trait(service: &Service, errors: &mut Errors) {
    let item = &service.item;
    if let Some(token) = &item.unsafety {
        let message = "a service trait is not `unsafe`: callers elsewhere cannot uphold a contract \
                       that only prose states; remove `unsafe`";
        errors.at(token, message);
    }
    if let Some(token) = &item.auto_token {
        errors.at(token, "a service trait is not `auto`: remove `auto`");
    }
    if item.items.is_empty() {
        let message = "a service needs a method: add `async fn name(&self) -> Result<()>;`";
        errors.at(&item.ident, message);
    }
}

/// `Send`, `Sync` and `'static` are there anyway, so writing them is fine.
fn check_supertraits(service: &Service, errors: &mut Errors) {
    for bound in &service.item.supertraits {
        let known = match bound {
            TypeParamBound::Trait(bound) => {
                ["Send", "Sync"].iter().any(|name| bound.path.is_ident(name))
            }
            TypeParamBound::Lifetime(lifetime) => lifetime.ident == "static",
            _ => false,
        };
        if !known {
            let message = "a service trait has no supertraits but `Send`, `Sync` and `'static`: \
                           the generated client would have to implement them; remove this one";
            errors.at(bound, message);
        }
    }
}

fn check_trait_generics(generics: &Generics, errors: &mut Errors) {
    for lifetime in generics.lifetimes() {
        let message = "a service trait has no lifetime parameters: what travels is owned; \
                       remove this one and use owned types";
        errors.at(lifetime, message);
    }
    let predicates = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    for predicate in predicates {
        if let WherePredicate::Type(bound) = predicate
            && matches!(&bound.bounded_ty, Type::Path(path) if starts_with_self(path))
        {
            let message = "a service trait cannot restrict `Self`: the generated client \
                           implements it too; remove this bound";
            errors.at(predicate, message);
        }
    }
}

/// Interface, group and version form a service key, whose separators they must not contain.
fn check_identity(service: &Service, errors: &mut Errors) {
    let args = &service.args;
    for (key, text) in [("name", &args.name), ("group", &args.group), ("version", &args.version)] {
        if let Some(text) = text {
            check_name(key, text, errors);
        }
    }
}

fn check_name(key: &str, text: &LitStr, errors: &mut Errors) {
    let value = text.value();
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "._-$".contains(c);
    if value.is_empty() || value.len() > 255 || !value.chars().all(is_letter) {
        let message = format!(
            "`{key}` is 1 to 255 ASCII letters, digits, `.`, `_`, `-` or `$`, because it \
             becomes a part of addresses and paths"
        );
        errors.at(text, message);
    }
}

fn check_is_method(item: &TraitItem, errors: &mut Errors) {
    let what = match item {
        TraitItem::Fn(_) => return,
        TraitItem::Type(_) => "associated types; give the trait a type parameter",
        TraitItem::Const(_) => "associated constants; make it a method or a constant of the module",
        TraitItem::Macro(_) => "macro calls; write its methods out",
        _ => "items of this kind; only methods",
    };
    errors.at(item, format_args!("a service trait has no {what}"));
}

fn check_signature(method: &Method, errors: &mut Errors) {
    let signature = &method.item.sig;
    if signature.asyncness.is_none() {
        let message = "a service method is `async`, because it may run elsewhere: \
                       write `async fn`";
        errors.at(signature.fn_token, message);
    }
    if let Some(token) = &signature.constness {
        errors.at(token, "a service method is not `const`: remove `const`");
    }
    if let Some(token) = &signature.unsafety {
        errors.at(token, "a service method is not `unsafe`: remove `unsafe`");
    }
    if let Some(token) = &signature.abi {
        errors.at(token, "a service method has Rust's own ABI: remove `extern`");
    }
    if let Some(token) = &signature.variadic {
        errors.at(token, "a service method has a fixed list of arguments: use `Vec<T>`");
    }
    check_method_generics(&signature.generics, errors);
    check_attributes(&method.item.attrs, "method", errors);
}

fn check_method_generics(generics: &Generics, errors: &mut Errors) {
    for parameter in &generics.params {
        let what = match parameter {
            GenericParam::Lifetime(_) => "lifetime parameters: what travels is owned",
            GenericParam::Type(_) => {
                "type parameters, because both ends must know its types: name a concrete type, \
                 or move the parameter to the trait"
            }
            GenericParam::Const(_) => {
                "const parameters, because both ends must know its types: move the parameter to \
                 the trait"
            }
        };
        errors.at(parameter, format_args!("a service method has no {what}"));
    }
    if let Some(clause) = &generics.where_clause {
        let message = "a service method has no where clause: move the bound to the trait";
        errors.at(clause, message);
    }
}

/// Methods are counted, so none may come and go; what else stands on them is the user's affair.
fn check_attributes(attrs: &[Attribute], on: &str, errors: &mut Errors) {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("cfg")) {
        let message = format!(
            "a {on} of a service cannot depend on `cfg`, because both ends must agree on it: \
             put the `cfg` on the trait"
        );
        errors.at(attr, message);
    }
}

fn check_receiver(method: &Method, errors: &mut Errors) {
    let remedy = "a service method takes `&self`, because many calls run at once";
    match method.item.sig.receiver() {
        None => {
            let message = format!("{remedy}: add `&self` as the first argument");
            errors.at(method.name(), message);
        }
        Some(receiver) if !is_plain_reference(receiver) => {
            let message = format!("{remedy}: write `&self`");
            errors.at(receiver, message);
        }
        Some(_) => {}
    }
}

fn is_plain_reference(receiver: &Receiver) -> bool {
    let by_reference = matches!(&receiver.reference, Some((_, None)));
    by_reference && receiver.mutability.is_none() && receiver.colon_token.is_none()
}

fn check_arguments(method: &Method, errors: &mut Errors) {
    for argument in &method.arguments {
        check_argument(argument, method.item.default.is_some(), errors);
    }
    check_argument_names(method, errors);
    for input in &method.item.sig.inputs {
        if let FnArg::Receiver(receiver) = input {
            check_attributes(&receiver.attrs, "receiver", errors);
        }
    }
}

fn check_argument(argument: &Argument, has_body: bool, errors: &mut Errors) {
    for attr in &argument.item.attrs {
        let message = "an argument of a service method has no attributes: remove this one";
        errors.at(attr, message);
    }
    match &*argument.item.pat {
        Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => {
            if let Some(token) = name.mutability.as_ref().filter(|_| !has_body) {
                let message = "`mut` belongs to the implementation: remove it here";
                errors.at(token, message);
            }
        }
        pattern => {
            let message = "an argument of a service method needs a name, because it travels under \
                           it: write `name: Type` and take it apart in the body";
            errors.at(pattern, message);
        }
    }
    Travels { errors, knows_self: false }.visit_type(&argument.item.ty);
}

/// Arguments travel by name, so each needs one of its own.
fn check_argument_names(method: &Method, errors: &mut Errors) {
    let mut seen: HashMap<String, &Ident> = HashMap::new();
    for name in method.argument_names() {
        let on_wire = wire_name(name);
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

fn check_outcome(method: &Method, errors: &mut Errors) {
    if !method.outcome.is_result {
        let message = "a service method returns `Result<T>`, because every call can fail on its \
                       way; for typed business errors write `Result<T, E>` with `#[error]` on `E`";
        match &method.item.sig.output {
            syn::ReturnType::Default => errors.at(&method.item.sig, message),
            syn::ReturnType::Type(_, ty) => errors.at(ty, message),
        }
        return;
    }
    Travels { errors, knows_self: false }.visit_type(&method.outcome.value);
    if let Some(error) = &method.outcome.error {
        Travels { errors, knows_self: false }.visit_type(error);
    }
}

fn check_one_way(method: &Method, errors: &mut Errors) {
    let (Some(span), true) = (method.args.oneway, method.outcome.is_result) else {
        return;
    };
    let is_unit = matches!(&method.outcome.value, Type::Tuple(tuple) if tuple.elems.is_empty());
    let has_business_error = method.outcome.error.as_ref().is_some_and(|error| !is_status(error));
    if !is_unit || has_business_error {
        let message = "a `oneway` method has no answer: let it return `Result<()>`, or remove \
                       `oneway`";
        errors.at(&method.outcome.whole, message);
    }
    if method.args.fallback.is_some() {
        let message = "a `oneway` method has no answer that `fallback` could stand for: remove \
                       one of them";
        errors.at_span(span, message);
    }
}

fn is_status(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let last = path.path.segments.last();
    last.is_some_and(|last| last.ident == "Status")
}

fn check_texts(method: &Method, errors: &mut Errors) {
    if let Some(name) = &method.args.name {
        check_name("name", name, errors);
    }
    if let Some(cluster) = &method.args.cluster {
        check_name("cluster", cluster, errors);
    }
    if let Some(fallback) = &method.args.fallback
        && fallback.value().trim().is_empty()
    {
        let message = "`fallback` is the answer as JSON, such as `[]`, `null` or `\"none\"`";
        errors.at(fallback, message);
    }
}

fn check_names(service: &Service, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for method in &service.methods {
        let name = method.wire_name();
        for (own, purpose) in [("with", "call options"), ("broadcast", "calls to every provider")] {
            if method.name() == own {
                let message = format!(
                    "`{own}` is the generated client's own method for {purpose}: name this one \
                     otherwise, and add `#[rpc(name = \"{own}\")]` to keep its name on the wire"
                );
                errors.at(method.name(), message);
            }
        }
        if !seen.insert(name.clone()) {
            let message = format!(
                "`{name}` is the name of an earlier method on the wire: set another by \
                 `#[rpc(name = \"…\")]`"
            );
            errors.at_span(method.wire_name_span(), message);
        }
    }
}
