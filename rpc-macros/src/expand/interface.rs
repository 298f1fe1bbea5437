//! The trait itself, with futures that say they are `Send`, and its implementations for pointers.
//!
//! An `async fn` of a trait promises nothing about its future, so it becomes a function that returns
//! one; users implement it with `async fn` all the same:
//!
//! ```text
//! pub trait Greeter: Send + Sync + 'static {
//!     fn hello(&self, name: String) -> impl Future<Output = Result<String>> + Send;
//! }
//! ```

use proc_macro2::TokenStream;
use quote::quote;

use super::{implementation_generics, signature};
use crate::model::{Method, Service};

pub(super) fn expand(service: &Service) -> TokenStream {
    let interface = interface(service);
    let pointers = ["Arc", "Box"].map(|pointer| {
        let pointer = syn::Ident::new(pointer, proc_macro2::Span::call_site());
        pointer_impl(service, &pointer)
    });
    quote!(#interface #(#pointers)*)
}

fn interface(service: &Service) -> TokenStream {
    let p = service.private();
    let item = &service.item;
    let (attrs, vis, ident, generics) = (&item.attrs, &item.vis, &item.ident, &item.generics);
    let (where_clause, token) = (&generics.where_clause, &item.trait_token);
    let methods = service.methods.iter().map(|method| declaration(service, method));
    quote! {
        #(#attrs)*
        #[allow(clippy::manual_async_fn)]
        #vis #token #ident #generics: #p::Send + #p::Sync + 'static #where_clause {
            #(#methods)*
        }
    }
}

fn declaration(service: &Service, method: &Method) -> TokenStream {
    let p = service.private();
    let (attrs, signature) = (&method.item.attrs, &method.item.sig);
    let (token, name, inputs) = (&signature.fn_token, &signature.ident, &signature.inputs);
    let output = &method.outcome.whole;
    let body = match &method.item.default {
        Some(body) => quote!({ async move #body }),
        None => quote!(;),
    };
    quote! {
        #(#attrs)*
        #token #name(#inputs) -> impl #p::Future<Output = #output> + #p::Send #body
    }
}

/// An `Arc` or `Box` of an implementation is one too.
fn pointer_impl(service: &Service, pointer: &syn::Ident) -> TokenStream {
    let lints = service.lints();
    let p = service.private();
    let (implementation, bound) = (&service.names.implementation, service.bound());
    let generics = implementation_generics(service);
    let (parameters, _, where_clause) = generics.split_for_impl();
    let methods = service.methods.iter().map(|method| {
        let signature = signature(service, method);
        let (name, names) = (method.name(), method.argument_names());
        quote!(#signature { <#implementation as #bound>::#name(&**self, #(#names),*) })
    });
    quote! {
        #lints
        impl #parameters #bound for #p::#pointer<#implementation> #where_clause {
            #(#methods)*
        }
    }
}
