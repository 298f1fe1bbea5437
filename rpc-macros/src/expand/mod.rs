//! Code from a checked model; one generated item a function.
//!
//! ```text
//! trait Greeter                  interface.rs   with futures that are `Send`; for `Arc` and `Box`, too
//! struct GreeterHelloArguments   arguments.rs   one message for each method
//! struct __Greeter_Results       results.rs     what each method returns
//! struct GreeterClient           client.rs      the trait over a stub
//! struct GreeterBroadcast        broadcast.rs   the methods of the trait, sent to every provider
//! GreeterClient::SERVICE         descriptor.rs  the trait as data
//! struct GreeterServer<T>        server.rs      a handler over an implementation
//! trait DynGreeter               dynamic.rs     the trait behind a pointer
//! ```
//!
//! Generated code names nothing but `<crate>::__private::…`, what the user wrote, and its own
//! items, so that it means the same wherever the trait stands. Its bindings begin with two underscores:
//! a constant in scope would be matched in place of one of its name.

mod arguments;
mod broadcast;
mod client;
mod descriptor;
mod dynamic;
mod interface;
mod results;
mod server;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::spanned::Spanned;
use syn::{Generics, Ident, Type, parse_quote};

use crate::model::{Method, Service};

/// Everything that stands in place of the trait.
pub(crate) fn expand(service: &Service) -> TokenStream {
    let items = [
        interface::expand(service),
        arguments::expand(service),
        results::expand(service),
        client::expand(service),
        broadcast::expand(service),
        descriptor::expand(service),
        server::expand(service),
        dynamic::expand(service),
    ];
    quote!(#(#items)*)
}

/// The trait's parameters with what every generated type needs of them.
fn owned_generics(service: &Service) -> Generics {
    let mut generics = service.item.generics.clone();
    let parameters: Vec<Ident> = generics.type_params().map(|param| param.ident.clone()).collect();
    if !parameters.is_empty() {
        let clause = generics.make_where_clause();
        for parameter in parameters {
            clause.predicates.push(parse_quote!(#parameter: 'static));
        }
    }
    generics
}

/// `owned_generics`, and before them a parameter for whatever implements the trait.
fn implementation_generics(service: &Service) -> Generics {
    let p = service.private();
    let (implementation, bound) = (&service.names.implementation, service.bound());
    let mut generics = owned_generics(service);
    generics.params.insert(0, parse_quote!(#implementation));
    let predicates = &mut generics.make_where_clause().predicates;
    predicates.push(parse_quote!(#implementation: #bound + ?#p::Sized));
    generics
}

/// The field type that uses every parameter and owns none.
fn marker(service: &Service) -> TokenStream {
    let p = service.private();
    let parameters = service.item.generics.type_params().map(|param| &param.ident);
    quote!(#p::PhantomData<fn() -> (#(#parameters,)*)>)
}

/// `fn name(&self, …) -> impl Future + Send`, for the implementations that only pass calls on.
fn signature(service: &Service, method: &Method) -> TokenStream {
    let p = service.private();
    let (name, output) = (method.name(), &method.outcome.whole);
    let (names, types) = (method.argument_names(), method.argument_types());
    quote! {
        fn #name(&self, #(#names: #types),*) -> impl #p::Future<Output = #output> + #p::Send
    }
}

/// The path of everything generated code names, at the place of the code that uses it.
fn placed(service: &Service, span: Span) -> TokenStream {
    let path = service.private().into_iter().map(|mut token| {
        token.set_span(span);
        token
    });
    path.collect()
}

/// The place of `ty` for code that is generated all the same, so that no lint takes it for the
/// user's.
fn at(ty: &Type) -> Span {
    Span::call_site().located_at(ty.span())
}
