//! `GreeterBroadcast`: the methods of the trait, each sent to every provider.
//!
//! They are methods of the type itself: their results differ from the trait's, so it does not implement
//! the trait.
//!
//! ```text
//! impl GreeterBroadcast {
//!     pub async fn hello(&self, name: String) -> Result<Vec<NodeResult<String, Status>>>;
//! }
//! ```

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;

use super::client::over_stub;
use super::{arguments, at, owned_generics, placed, results};
use crate::model::{Method, Service};

pub(super) fn expand(service: &Service) -> TokenStream {
    let lints = service.lints();
    let name = &service.names.broadcast;
    let doc = format!(
        "Calls every provider of [`{0}`] at once, and tells what each of them answered; made by \
         [`{1}::broadcast`].",
        service.item.ident, service.names.client
    );
    let type_ = over_stub(service, name, &doc);
    let generics = owned_generics(service);
    let (parameters, arguments, where_clause) = generics.split_for_impl();
    // A stream of requests cannot go to several, and nobody reads several streams of answers.
    let methods = service.methods.iter().filter(|method| !method.is_streaming());
    let methods = methods.map(|method| call(service, method));
    quote! {
        #type_

        #lints
        impl #parameters #name #arguments #where_clause {
            #(#methods)*
        }
    }
}

fn call(service: &Service, method: &Method) -> TokenStream {
    let p = service.private();
    let (attrs, name) = (&method.item.attrs, method.name());
    let (value, whole) = (&method.outcome.value, &method.outcome.whole);
    let (names, types) = (method.argument_names(), method.argument_types());
    let arguments = arguments::build(service, method);
    let broadcast = results::of(service, method, "broadcast");
    // On the user's types, where what is wrong with them belongs.
    let nodes =
        quote_spanned!(at(&method.outcome.value)=> #broadcast(&self.stub, #arguments).await);
    let span = at(method.outcome.error_type());
    let failure = {
        let p = placed(service, span);
        quote_spanned!(span=> #p::BusinessError::from_status(__status))
    };
    let doc = method.docs.is_empty().then(|| {
        let doc = format!("Calls `{}` of every provider.", name.unraw());
        quote!(#[doc = #doc])
    });
    quote! {
        #(#attrs)*
        #doc
        pub async fn #name(
            &self,
            #(#names: #types),*
        ) -> #p::Result<#p::Vec<#p::NodeResult<#value, <#whole as #p::Outcome>::Error>>> {
            match #nodes {
                #p::Ok(__nodes) => #p::Ok(#p::map_errors(__nodes, |__status| #failure)),
                #p::Err(__status) => #p::Err(__status),
            }
        }
    }
}
