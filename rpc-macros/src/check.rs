//! Every rule for a trait under `#[service]`, and what the user reads when it is broken.
//!
//! Nothing is generated unless all rules hold, and all that is broken is reported at once. Whether
//! a type has a form on the wire is not decided here but by the bounds of the generated code.

use std::collections::HashSet;

use quote::ToTokens;
use syn::visit::Visit;
use syn::{
    Attribute, FnArg, GenericParam, Generics, LitStr, Pat, Receiver, TraitItem, Type,
    TypeParamBound, WherePredicate,
};

use crate::conditions::is_conditional;
use crate::errors::Errors;
use crate::groups::ungrouped;
use crate::model::{Argument, Method, Service};
use crate::names::idents;
use crate::travels::{Travels, starts_with_self};
use crate::{method_names, streams};

/// Reports every rule that `service` breaks.
pub(crate) fn check(service: &Service, errors: &mut Errors) {
    if is_async_trait(service, errors) {
        // What it made of the methods is not what the user wrote.
        return;
    }
    check_trait(service, errors);
    check_supertraits(service, errors);
    check_trait_generics(service, errors);
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
    method_names::check(service, errors);
}

/// Whether `#[async_trait]` stands above, or below and reports it.
fn is_async_trait(service: &Service, errors: &mut Errors) -> bool {
    let message = "the methods of a service are plain `async fn`: remove `#[async_trait]`";
    let mut attrs = service.item.attrs.iter();
    let below = attrs
        .find(|attr| attr.path().segments.last().is_some_and(|last| last.ident == "async_trait"));
    let is_above = service.methods.iter().any(|method| {
        method.item.sig.generics.lifetimes().any(|of| of.lifetime.ident == "async_trait")
    });
    match below {
        Some(attr) => errors.at(attr, message),
        None if is_above => errors.at(&service.item.ident, message),
        None => return false,
    }
    true
}

/// The trait itself: no `unsafe` or `auto`, a method at least, no supertraits that a client could
/// not implement.
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

/// Its parameters: types alone, which travel.
fn check_trait_generics(service: &Service, errors: &mut Errors) {
    let generics = &service.item.generics;
    for lifetime in generics.lifetimes() {
        let message = "a service trait has no lifetime parameters: what travels is owned; \
                       remove this one and use owned types";
        errors.at(lifetime, message);
    }
    let predicates = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    check_bounds(service, errors);
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

/// A parameter that travels says so. Whether its bounds do is decided by those of generated code.
fn check_bounds(service: &Service, errors: &mut Errors) {
    let generics = &service.item.generics;
    let bounded = idents(generics.where_clause.to_token_stream());
    let types = service.methods.iter().flat_map(|method| {
        method.argument_types().chain([&method.outcome.value]).map(ToTokens::to_token_stream)
    });
    let travelling: HashSet<String> = types.flat_map(idents).collect();
    for param in generics.type_params().filter(|param| param.bounds.is_empty()) {
        let name = param.ident.to_string();
        if travelling.contains(&name) && !bounded.contains(&name) {
            let message = format!(
                "`{name}` travels, so it needs a bound that says so: write `{name}: Element`, with \
                 `use dubhe::Element;`"
            );
            errors.at(param, message);
        }
    }
}

/// Interface, group and version form a service key, whose separators they must not contain.
fn check_identity(service: &Service, errors: &mut Errors) {
    let args = &service.args;
    method_names::check_ascii(
        &service.item.ident,
        args.name.is_none(),
        "#[service(name = \"…\")]",
        errors,
    );
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

/// The form of a method: a plain `async fn`.
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

/// A method has no parameters of its own, since both ends have to know its types.
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
    for attr in attrs.iter().filter(|attr| is_conditional(attr)) {
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
    method_names::check_arguments(method, errors);
    for input in &method.item.sig.inputs {
        if let FnArg::Receiver(receiver) = input {
            check_attributes(&receiver.attrs, "receiver", errors);
        }
    }
}

/// An argument has a name, under which it travels, and a type of its own.
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

/// The result is a `Result` of what travels.
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

/// A one-way method returns nothing, and so has nothing to fall back to.
fn check_one_way(method: &Method, errors: &mut Errors) {
    let (Some(span), true) = (method.args.oneway, method.outcome.is_result) else {
        return;
    };
    let is_unit =
        matches!(ungrouped(&method.outcome.value), Type::Tuple(tuple) if tuple.elems.is_empty());
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
    let Type::Path(path) = ungrouped(ty) else { return false };
    let last = path.path.segments.last();
    last.is_some_and(|last| last.ident == "Status")
}

/// The texts in the attribute: names that can be part of a path, and a fallback that is JSON.
fn check_texts(method: &Method, errors: &mut Errors) {
    method_names::check_ascii(
        method.name(),
        method.args.name.is_none(),
        "#[rpc(name = \"…\")]",
        errors,
    );
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
