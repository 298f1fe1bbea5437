//! What the methods return, by their index, in one type that only generated code sees.
//!
//! Nothing else that is generated names those types in a bound, so that of one which cannot travel rustc
//! says so once, where it stands:
//!
//! ```text
//! struct __Greeter_Results;
//! impl Returns<0> for __Greeter_Results { type Value = String; }
//! ```

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};

use super::{at, marker, owned_generics, placed};
use crate::model::{Method, Service};

pub(super) fn expand(service: &Service) -> TokenStream {
    let (name, marker, lints) = (service.names.results(), marker(service), service.lints());
    let declared = &service.item.generics;
    let clause = &declared.where_clause;
    let generics = owned_generics(service);
    let (parameters, arguments, where_clause) = generics.split_for_impl();
    let methods = service.methods.iter().enumerate().map(|(index, method)| {
        let value = &method.outcome.value;
        let span = at(value);
        let p = placed(service, span);
        let returns = quote_spanned!(span=> #p::Returns<#index>);
        quote! {
            #lints
            impl #parameters #returns for #name #arguments #where_clause {
                type Value = #value;
            }
        }
    });
    quote! {
        #lints
        struct #name #declared (#marker) #clause;

        #(#methods)*
    }
}

/// A function behind what `method` returns.
pub(super) fn of(service: &Service, method: &Method, function: &str) -> TokenStream {
    let (p, name) = (service.private(), service.names.results());
    let index = service.methods.iter().position(|of| std::ptr::eq(of, method));
    let (_, arguments, _) = service.item.generics.split_for_impl();
    let function = Ident::new(function, at(&method.outcome.value));
    quote!(#p::ResultOf::<#name #arguments, #index>::#function)
}
