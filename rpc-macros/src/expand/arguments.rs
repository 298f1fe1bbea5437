//! The messages that the arguments of methods form, `GreeterHelloArguments` in a `.proto`.
//!
//! One for a call, or for each value of an argument that streams; private to the module of the trait.
//! What makes a struct a message is in `message`. For `async fn hello(&self, name: String)`:
//!
//! ```text
//! struct __Greeter_hello_Arguments7 { name: String }
//! impl Message for __Greeter_hello_Arguments7 { … }
//! ```

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{GenericParam, Generics, WherePredicate};

use crate::model::{Method, Service};
use crate::names::idents;
use crate::streams::streamed;

pub(super) fn expand(service: &Service) -> TokenStream {
    let messages = service.methods.iter().map(|method| {
        crate::message::expand_arguments(
            &service.args.krate,
            &service.names.arguments(method.name()),
            service.names.arguments_name(method.name()),
            &service.lints(),
            &used_generics(service, method),
            &method
                .arguments
                .iter()
                .map(|argument| {
                    let ty = &*argument.item.ty;
                    (argument.name.clone(), streamed(ty).unwrap_or(ty).clone())
                })
                .collect::<Vec<_>>(),
        )
    });
    quote!(#(#messages)*)
}

/// The message type of `method`, as a path in expressions and types.
pub(super) fn message(service: &Service, method: &Method) -> TokenStream {
    let name = service.names.arguments(method.name());
    let generics = used_generics(service, method);
    let (_, parameters, _) = generics.split_for_impl();
    let parameters = parameters.as_turbofish();
    quote!(#name #parameters)
}

/// What a call of `method` sends, made of variables that are named like its arguments.
pub(super) fn build(service: &Service, method: &Method) -> TokenStream {
    let p = service.private();
    let (name, names) = (service.names.arguments(method.name()), method.argument_names());
    match method.streamed_argument() {
        Some((values, _)) => {
            quote!(#p::Streaming::into_body(#values, |#values| #name { #values }))
        }
        None => quote!(#name { #(#names),* }),
    }
}

/// The parameters of the trait that the arguments use: a type may have no others. Bounds that
/// speak of others are left to the trait.
fn used_generics(service: &Service, method: &Method) -> Generics {
    let used = method.argument_types();
    let used: HashSet<_> = used.flat_map(|ty| idents(ty.to_token_stream())).collect();
    let mut generics = service.item.generics.clone();
    let names: HashSet<_> = generics.params.iter().map(parameter_name).collect();
    let others: HashSet<_> = names.difference(&used).cloned().collect();
    let params = std::mem::take(&mut generics.params).into_iter();
    generics.params = params.filter(|param| !others.contains(&parameter_name(param))).collect();
    for param in generics.type_params_mut() {
        param.default = None;
        without(&others, &mut param.bounds);
    }
    if let Some(clause) = &mut generics.where_clause {
        for predicate in &mut clause.predicates {
            if let WherePredicate::Type(predicate) = predicate {
                without(&others, &mut predicate.bounds);
            }
        }
        without(&others, &mut clause.predicates);
    }
    generics
}

/// Removes the elements that speak of one of `names`.
fn without<T: ToTokens, P: Default>(names: &HashSet<String>, list: &mut Punctuated<T, P>) {
    let all = std::mem::take(list).into_iter();
    *list = all.filter(|element| idents(element.to_token_stream()).is_disjoint(names)).collect();
}

fn parameter_name(param: &GenericParam) -> String {
    match param {
        GenericParam::Type(param) => param.ident.to_string(),
        GenericParam::Const(param) => param.ident.to_string(),
        GenericParam::Lifetime(param) => param.lifetime.to_string(),
    }
}
