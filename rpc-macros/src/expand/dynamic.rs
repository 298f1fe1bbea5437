//! `DynGreeter`: the trait behind a pointer, for injection.
//!
//! Its methods are hidden and have names of their own. `dyn DynGreeter` implements the trait, so
//! that users call the trait's methods:
//!
//! ```text
//! pub trait DynGreeter { fn boxed_hello(&self, name: String) -> BoxFuture<'_, Result<String>>; }
//! impl<T: Greeter> DynGreeter for T { … }
//! impl Greeter for dyn DynGreeter { … }
//! ```

use proc_macro2::TokenStream;
use quote::quote;

use super::{implementation_generics, owned_generics, signature};
use crate::model::{Method, Service};
use crate::names::boxed;

pub(super) fn expand(service: &Service) -> TokenStream {
    let items = [dynamic(service), blanket(service), interface(service)];
    quote!(#(#items)*)
}

/// The object-safe trait, with methods that return boxed futures.
fn dynamic(service: &Service) -> TokenStream {
    let lints = service.lints();
    let p = service.private();
    let (vis, dynamic, generics) =
        (&service.item.vis, &service.names.dynamic, &service.item.generics);
    let where_clause = &generics.where_clause;
    let methods = service.methods.iter().map(|method| boxed_signature(service, method));
    let doc = format!(
        "[`{0}`] behind a pointer: `Arc<dyn {dynamic}>` holds any implementation, and is one. \
         Implemented for everything that implements [`{0}`].",
        service.item.ident
    );
    quote! {
        #[doc = #doc]
        #lints
        #[allow(clippy::too_many_arguments)]
        #vis trait #dynamic #generics: #p::Send + #p::Sync + 'static #where_clause {
            #(#[doc(hidden)] #methods;)*
        }
    }
}

/// Every implementation of the trait implements it.
fn blanket(service: &Service) -> TokenStream {
    let lints = service.lints();
    let p = service.private();
    let (implementation, bound) = (&service.names.implementation, service.bound());
    let dynamic = &service.names.dynamic;
    let mut generics = implementation_generics(service);
    // `dyn DynGreeter` has the methods already.
    let predicates = &mut generics.make_where_clause().predicates;
    predicates.push(syn::parse_quote!(#implementation: #p::Sized));
    let (parameters, _, where_clause) = generics.split_for_impl();
    let (_, arguments, _) = service.item.generics.split_for_impl();
    let methods = service.methods.iter().map(|method| {
        let signature = boxed_signature(service, method);
        let (name, names) = (method.name(), method.argument_names());
        quote! {
            #signature { #p::Box::pin(<#implementation as #bound>::#name(self, #(#names),*)) }
        }
    });
    quote! {
        #lints
        impl #parameters #dynamic #arguments for #implementation #where_clause {
            #(#methods)*
        }
    }
}

fn interface(service: &Service) -> TokenStream {
    let lints = service.lints();
    let (dynamic, bound) = (&service.names.dynamic, service.bound());
    let generics = owned_generics(service);
    let (parameters, arguments, where_clause) = generics.split_for_impl();
    let methods = service.methods.iter().map(|method| {
        let signature = signature(service, method);
        let (boxed, names) = (boxed(method.name()), method.argument_names());
        quote!(#signature { <Self as #dynamic #arguments>::#boxed(self, #(#names),*) })
    });
    quote! {
        #lints
        impl #parameters #bound for dyn #dynamic #arguments #where_clause {
            #(#methods)*
        }
    }
}

fn boxed_signature(service: &Service, method: &Method) -> TokenStream {
    let p = service.private();
    let (boxed, output) = (boxed(method.name()), &method.outcome.whole);
    let (names, types) = (method.argument_names(), method.argument_types());
    quote!(fn #boxed(&self, #(#names: #types),*) -> #p::BoxFuture<'_, #output>)
}
