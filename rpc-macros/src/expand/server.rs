//! `GreeterServer`: a handler over an implementation of the trait.
//!
//! It finds a method by its index in the descriptor, which both sides have from the same trait;
//! names are compared once, by the dispatcher:
//!
//! ```text
//! impl<T: Greeter> Handler for GreeterServer<T> {
//!     fn call(&self, index: usize, invocation: Invocation) -> ReplyFuture {
//!         match index {
//!             0 => Box::pin(async move {
//!                 let arguments = invocation.into_arguments::<Arguments>()?;
//!                 match T::hello(&service, arguments.name).await {
//!                     Ok(value) => Ok(value.into_reply()),
//!                     Err(error) => Err(error.into_status().with_delivery(Answered)),
//!                 }
//!             }),
//!             _ => no_such_method(index, invocation),
//!         }
//!     }
//! }
//! ```

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse_quote;

use super::{arguments, at, implementation_generics, marker, placed, results};
use crate::model::{Method, Service};

pub(super) fn expand(service: &Service) -> TokenStream {
    let items =
        [server(service), server_inherent(service), server_traits(service), handler(service)];
    quote!(#(#items)*)
}

fn server(service: &Service) -> TokenStream {
    let lints = service.lints();
    let p = service.private();
    let (vis, server) = (&service.item.vis, &service.names.server);
    let implementation = &service.names.implementation;
    let mut generics = service.item.generics.clone();
    generics.params.insert(0, parse_quote!(#implementation: ?#p::Sized));
    let (where_clause, marker) = (&generics.where_clause, marker(service));
    let doc = format!(
        "Serves an implementation of [`{}`]. A clone is cheap and serves the same one.",
        service.item.ident
    );
    quote! {
        #[doc = #doc]
        #lints
        #vis struct #server #generics #where_clause {
            service: #p::Arc<#implementation>,
            marker: #marker,
        }
    }
}

/// `new` and `from_arc`.
fn server_inherent(service: &Service) -> TokenStream {
    let lints = service.lints();
    let p = service.private();
    let (server, implementation) = (&service.names.server, &service.names.implementation);
    let generics = implementation_generics(service);
    let (parameters, arguments, where_clause) = generics.split_for_impl();
    quote! {
        #lints
        impl #parameters #server #arguments #where_clause {
            /// Serves this implementation.
            #[must_use]
            pub fn new(__service: #implementation) -> Self
            where
                #implementation: #p::Sized,
            {
                Self::from_arc(#p::Arc::new(__service))
            }

            /// Serves this implementation, which is held elsewhere too.
            #[must_use]
            pub fn from_arc(__service: #p::Arc<#implementation>) -> Self {
                Self {
                    service: __service,
                    marker: #p::PhantomData,
                }
            }
        }
    }
}

/// By hand, because derives would ask the implementation to be `Clone` and `Debug`.
fn server_traits(service: &Service) -> TokenStream {
    let p = service.private();
    let server = &service.names.server;
    let generics = implementation_generics(service);
    let (parameters, arguments, where_clause) = generics.split_for_impl();
    let (name, lints) = (server.to_string(), service.lints());
    quote! {
        #lints
        impl #parameters #p::Clone for #server #arguments #where_clause {
            fn clone(&self) -> Self {
                Self {
                    service: #p::Clone::clone(&self.service),
                    marker: #p::PhantomData,
                }
            }
        }

        #lints
        impl #parameters #p::fmt::Debug for #server #arguments #where_clause {
            fn fmt(&self, __f: &mut #p::fmt::Formatter<'_>) -> #p::fmt::Result {
                __f.write_str(#name)
            }
        }
    }
}

/// The table of methods by their index.
fn handler(service: &Service) -> TokenStream {
    let lints = service.lints();
    let p = service.private();
    let (server, client) = (&service.names.server, &service.names.client);
    let generics = implementation_generics(service);
    let (parameters, arguments, where_clause) = generics.split_for_impl();
    let (_, client_arguments, _) = service.item.generics.split_for_impl();
    let methods = service.methods.iter().enumerate();
    let arms = methods.map(|(index, method)| arm(service, index, method));
    quote! {
        #lints
        impl #parameters #p::Handler for #server #arguments #where_clause {
            fn descriptor(&self) -> &'static #p::ServiceDescriptor {
                <#client #client_arguments as #p::ServiceClient>::DESCRIPTOR
            }

            fn call(&self, __index: usize, __invocation: #p::Invocation) -> #p::ReplyFuture {
                match __index {
                    #(#arms)*
                    _ => #p::no_such_method(__index, __invocation),
                }
            }
        }
    }
}

/// One method of the table: reads the arguments, calls the implementation, wraps its outcome.
fn arm(service: &Service, index: usize, method: &Method) -> TokenStream {
    let p = service.private();
    let (implementation, bound) = (&service.names.implementation, service.bound());
    let name = method.name();
    let into_reply = results::of(service, method, "into_reply");
    let failure = {
        let span = at(method.outcome.error_type());
        let p = placed(service, span);
        quote_spanned!(span=> #p::BusinessError::into_status(__error))
    };
    let (read, passed) = read(service, method);
    quote! {
        #index => {
            let __service = #p::Clone::clone(&self.service);
            #p::Box::pin(async move {
                #read
                match <#implementation as #bound>::#name(&*__service, #passed).await {
                    #p::Ok(__value) => #p::Ok(#into_reply(__value)),
                    // Whatever became of calls the handler made itself: this one ran.
                    #p::Err(__error) => {
                        #p::Err(#p::Status::with_delivery(#failure, #p::Delivery::Answered))
                    }
                }
            })
        }
    }
}

/// The statement that reads the arguments, and what is passed on of them.
fn read(service: &Service, method: &Method) -> (TokenStream, TokenStream) {
    let p = service.private();
    let message = arguments::message(service, method);
    if let Some((values, of)) = method.streamed_argument() {
        let read = quote! {
            let #values = #p::Invocation::into_stream::<#message, #of>(
                __invocation,
                |__arguments| __arguments.#values,
            )?;
        };
        return (read, quote!(#values));
    }
    // Without arguments the message is read all the same: its bytes may be malformed.
    let let_arguments = match method.arguments.is_empty() {
        true => quote!(let _),
        false => quote!(let __arguments),
    };
    let names = method.argument_names();
    let read = quote!(#let_arguments = #p::Invocation::into_arguments::<#message>(__invocation)?;);
    (read, quote!(#(__arguments.#names),*))
}
