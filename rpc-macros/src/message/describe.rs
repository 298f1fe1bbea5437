//! The code that gives a message as data, for descriptors and `.proto` files.

use proc_macro2::TokenStream;
use quote::quote;

use super::expand::{Kind, implement};
use super::model::{Field, Head, Wire};

/// A record as data.
pub(crate) fn record(head: &Head, fields: &[Field], kind: Kind) -> TokenStream {
    let p = head.private();
    let types = fields.iter().map(|field| {
        let ty = &field.ty;
        field_type(&p, &field.wire, &quote!(<#ty as #p::Field>::shape))
    });
    match (kind, fields) {
        (Kind::Arguments, [field]) => {
            let ty = &field.ty;
            let own = message_type(head, &quote!(field), false);
            let body = quote! {
                fn message_type() -> #p::MessageType {
                    #p::sole::describe::<#ty>(|field| #own, #(#types)*)
                }
            };
            implement(head, quote!(#p::Describe), body)
        }
        _ => implement_by(head, &message_type(head, &quote!(#(#types),*), false)),
    }
}

pub(crate) fn implement_by(head: &Head, message: &TokenStream) -> TokenStream {
    let p = head.private();
    let body = quote!(fn message_type() -> #p::MessageType { #message });
    implement(head, quote!(#p::Describe), body)
}

pub(crate) fn field_type(p: &TokenStream, wire: &Wire, shape: &TokenStream) -> TokenStream {
    let Wire { tag, name, json, docs, .. } = wire;
    quote! {
        #p::FieldType { name: #name, json_name: #json, doc: #docs, tag: #tag, shape: #shape }
    }
}

pub(crate) fn message_type(head: &Head, fields: &TokenStream, is_oneof: bool) -> TokenStream {
    let p = head.private();
    let (name, class, docs) = (&head.name, &head.class, &head.docs);
    let reserved = head.reserved.iter().map(|(tag, _)| tag);
    let parameters = head.generics.type_params().map(|param| &param.ident);
    quote! {
        #p::MessageType {
            name: #p::generic_name(#name, &[#(<#parameters as #p::Field>::shape),*]),
            class: #class,
            doc: #docs,
            fields: ::std::vec![#fields],
            is_oneof: #is_oneof,
            reserved: ::std::vec![#(#reserved),*],
        }
    }
}
