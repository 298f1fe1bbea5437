//! `GreeterClient`: the trait over a stub.
//!
//! A method puts its arguments into their message, calls the stub with it and its own index, and
//! turns the status of a failed call into the error of the method:
//!
//! ```text
//! impl Greeter for GreeterClient {
//!     async fn hello(&self, name: String) -> Result<String> {
//!         match String::call(&self.stub, 0, Arguments { name }).await {
//!             Ok(value) => Ok(value),
//!             Err(status) => Err(BusinessError::from_status(status)),
//!         }
//!     }
//! }
//! ```

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Ident;

use super::{arguments, at, marker, owned_generics, placed, results};
use crate::model::{Method, Service};

pub(super) fn expand(service: &Service) -> TokenStream {
    let items =
        [client(service), client_inherent(service), service_client(service), interface(service)];
    quote!(#(#items)*)
}

fn client(service: &Service) -> TokenStream {
    let doc = format!(
        "Calls [`{}`] wherever it is provided. A clone is cheap and shares its connections.",
        service.item.ident
    );
    over_stub(service, &service.names.client, &doc)
}

/// A type that is a stub and the trait's parameters.
pub(super) fn over_stub(service: &Service, name: &Ident, doc: &str) -> TokenStream {
    let lints = service.lints();
    let p = service.private();
    let (vis, generics) = (&service.item.vis, &service.item.generics);
    let (where_clause, marker) = (&generics.where_clause, marker(service));
    let traits = traits(service, name);
    quote! {
        #[doc = #doc]
        #lints
        #vis struct #name #generics #where_clause {
            stub: #p::Stub,
            marker: #marker,
        }

        #traits
    }
}

/// `with` and `broadcast`.
fn client_inherent(service: &Service) -> TokenStream {
    let lints = service.lints();
    let p = service.private();
    let (client, broadcast) = (&service.names.client, &service.names.broadcast);
    let generics = owned_generics(service);
    let (parameters, arguments, where_clause) = generics.split_for_impl();
    quote! {
        #lints
        impl #parameters #client #arguments #where_clause {
            /// The same client with these options for every call made through it.
            #[must_use]
            pub fn with(&self, __options: #p::CallOptions) -> Self {
                Self {
                    stub: #p::Stub::with_options(&self.stub, __options),
                    marker: #p::PhantomData,
                }
            }

            /// The same methods, sent to every provider at once: each gives the result of every
            /// one of them, whatever policy is configured.
            #[must_use]
            pub fn broadcast(&self) -> #broadcast #arguments {
                #broadcast {
                    stub: #p::Clone::clone(&self.stub),
                    marker: #p::PhantomData,
                }
            }
        }
    }
}

/// By hand, because derives would ask the trait's parameters to be `Clone` and `Debug`.
fn traits(service: &Service, name: &Ident) -> TokenStream {
    let p = service.private();
    let (parameters, arguments, where_clause) = service.item.generics.split_for_impl();
    let (text, lints) = (name.to_string(), service.lints());
    quote! {
        #lints
        impl #parameters #p::Clone for #name #arguments #where_clause {
            fn clone(&self) -> Self {
                Self {
                    stub: #p::Clone::clone(&self.stub),
                    marker: #p::PhantomData,
                }
            }
        }

        #lints
        impl #parameters #p::fmt::Debug for #name #arguments #where_clause {
            fn fmt(&self, __f: &mut #p::fmt::Formatter<'_>) -> #p::fmt::Result {
                __f.debug_tuple(#text).field(&self.stub).finish()
            }
        }
    }
}

/// The connection to the consumer, which makes clients of any service by this trait.
fn service_client(service: &Service) -> TokenStream {
    let p = service.private();
    let (client, lints) = (&service.names.client, service.lints());
    let generics = owned_generics(service);
    let (parameters, arguments, where_clause) = generics.split_for_impl();
    quote! {
        #lints
        impl #parameters #p::ServiceClient for #client #arguments #where_clause {
            const DESCRIPTOR: &'static #p::ServiceDescriptor = &Self::SERVICE;

            fn from_stub(__stub: #p::Stub) -> Self {
                Self {
                    stub: __stub,
                    marker: #p::PhantomData,
                }
            }

            fn stub(__client: &Self) -> &#p::Stub {
                &__client.stub
            }
        }
    }
}

fn interface(service: &Service) -> TokenStream {
    let lints = service.lints();
    let (client, bound) = (&service.names.client, service.bound());
    let generics = owned_generics(service);
    let (parameters, arguments, where_clause) = generics.split_for_impl();
    let methods = service.methods.iter().map(|method| call(service, method));
    quote! {
        #lints
        impl #parameters #bound for #client #arguments #where_clause {
            #(#methods)*
        }
    }
}

fn call(service: &Service, method: &Method) -> TokenStream {
    let p = service.private();
    let (name, output) = (method.name(), &method.outcome.whole);
    let (names, types) = (method.argument_names(), method.argument_types());
    let arguments = arguments::build(service, method);
    let call = results::of(service, method, "call");
    // On the user's types, where what is wrong with them belongs.
    let reply = quote_spanned!(at(&method.outcome.value)=> #call(&self.stub, #arguments).await);
    let span = at(method.outcome.error_type());
    let failure = {
        let p = placed(service, span);
        quote_spanned!(span=> #p::BusinessError::from_status(__status))
    };
    quote! {
        async fn #name(&self, #(#names: #types),*) -> #output {
            match #reply {
                #p::Ok(__value) => #p::Ok(__value),
                #p::Err(__status) => #p::Err(#failure),
            }
        }
    }
}
