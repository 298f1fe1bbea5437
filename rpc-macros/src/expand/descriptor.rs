//! The trait as data: constants of the generated client.
//!
//! They say everything about a service without its code: names, kinds, what attributes set, and the
//! types of arguments, results and errors. `.proto` files, `dubhe.Describe` and the checks of policies
//! and fallbacks read them.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;

use super::{arguments, at, owned_generics, placed, results};
use crate::model::{Method, Service};
use crate::streams::streamed;

pub(super) fn expand(service: &Service) -> TokenStream {
    let p = service.private();
    let (client, lints) = (&service.names.client, service.lints());
    let generics = owned_generics(service);
    let (parameters, arguments, where_clause) = generics.split_for_impl();
    let methods = service.methods.iter().map(|method| method_descriptor(service, method));
    let (interface, docs) = (service.interface(), &service.docs);
    let settings = [("group", &service.args.group), ("version", &service.args.version)]
        .into_iter()
        .filter_map(|(key, value)| {
            let key = syn::Ident::new(key, proc_macro2::Span::call_site());
            value.as_ref().map(|value| quote!(.#key(#value)))
        });
    quote! {
        #lints
        impl #parameters #client #arguments #where_clause {
            const METHODS: &'static [#p::MethodDescriptor] = &[#(#methods),*];
            const SERVICE: #p::ServiceDescriptor =
                #p::ServiceDescriptor::new(#interface, Self::METHODS) #(#settings)* .doc(#docs);
        }
    }
}

fn method_descriptor(service: &Service, method: &Method) -> TokenStream {
    let p = service.private();
    let (name, docs) = (method.wire_name(), &method.docs);
    let message = arguments::message(service, method);
    let message_type = results::of(service, method, "message_type");
    let make_fallback = results::of(service, method, "make_fallback");
    let (settings, kind) = (settings(service, method), kind(service, method));
    let signature = signature(service, method);
    let error = {
        let (outcome, span) = (&method.outcome.whole, at(method.outcome.error_type()));
        let p = placed(service, span);
        quote_spanned!(span=> <<#outcome as #p::Outcome>::Error as #p::BusinessError>::DESCRIBED)
    };
    quote! {
        #p::MethodDescriptor::new(
            #name,
            <#message as #p::Describe>::message_type,
            #message_type,
        )
        .doc(#docs)
        .signature(#signature)
        .error(#error)
        .make_fallback(#make_fallback)
        .kind(#kind)
        #(#settings)*
    }
}

/// Arguments and result, one by one.
fn signature(service: &Service, method: &Method) -> TokenStream {
    let p = service.private();
    let arguments = method.arguments.iter().map(|argument| {
        let ty = &*argument.item.ty;
        let ty = streamed(ty).unwrap_or(ty);
        let (name, span) = (argument.name.unraw().to_string(), at(ty));
        let p = placed(service, span);
        quote_spanned!(span=> #p::ArgumentType { name: #name, shape: <#ty as #p::Field>::shape })
    });
    let result = results::of(service, method, "shape");
    quote!(#p::Signature::new(&[#(#arguments),*], #result))
}

fn kind(service: &Service, method: &Method) -> TokenStream {
    let p = service.private();
    if method.args.oneway.is_some() {
        return quote!(#p::MethodKind::OneWay);
    }
    let streams_request = method.streamed_argument().is_some();
    let streams_reply = results::of(service, method, "STREAMS");
    quote!(#p::MethodKind::answered(#streams_request, #streams_reply))
}

/// A call of the builder for each thing that is set.
fn settings(service: &Service, method: &Method) -> Vec<TokenStream> {
    let p = service.private();
    let args = &method.args;
    let mut settings = Vec::new();
    if args.idempotent.is_some() {
        settings.push(quote!(.idempotent()));
    }
    if let Some(timeout) = args.timeout {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        settings.push(quote!(.timeout(#p::Duration::from_millis(#millis))));
    }
    if let Some(retries) = args.retries {
        settings.push(quote!(.retries(#retries)));
    }
    if let Some(cluster) = &args.cluster {
        settings.push(quote!(.cluster(#cluster)));
    }
    if let Some(fallback) = &args.fallback {
        settings.push(quote!(.fallback(#fallback)));
    }
    settings
}
