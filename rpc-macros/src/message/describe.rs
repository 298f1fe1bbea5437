//! The code that gives a message as data, for descriptors and `.proto` files.

use proc_macro2::TokenStream;
use quote::quote;

use super::expand::{self, implement};
use super::model::{Field, Head, Wire};

/// What kind of message is described.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Fields beside each other.
    Record,
    /// Fields that exclude each other, of which one may stand for those of other versions.
    OneOf { takes_unknown: bool },
}

/// A record as data.
pub(crate) fn record(head: &Head, fields: &[Field], kind: expand::Kind) -> TokenStream {
    let p = head.private();
    let types = fields.iter().map(|field| {
        let face = expand::face(&p, &field.ty);
        field_type(&p, &field.wire, &quote!(#face::shape))
    });
    match (kind, fields) {
        (expand::Kind::Arguments, [field]) => {
            let face = expand::face(&p, &field.ty);
            let own = message_type(head, &quote!(__field), Kind::Record);
            let body = quote! {
                fn message_type() -> #p::MessageType {
                    #face::describe_sole(|__field| #own, #(#types)*)
                }
            };
            implement(head, quote!(#p::Describe), body)
        }
        _ => implement_by(head, &message_type(head, &quote!(#(#types),*), Kind::Record)),
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

pub(crate) fn message_type(head: &Head, fields: &TokenStream, kind: Kind) -> TokenStream {
    let p = head.private();
    let (name, class, docs) = (&head.name, &head.class, &head.docs);
    let reserved = head.reserved.iter().map(|(tag, _)| tag);
    let is_oneof = kind != Kind::Record;
    let takes_unknown = kind == Kind::OneOf { takes_unknown: true };
    let parameters = head.generics.type_params().map(|param| &param.ident);
    quote! {
        #p::MessageType {
            id: ::core::option::Option::Some(::core::any::TypeId::of::<Self>()),
            name: #p::generic_name(#name, &[#(<#parameters as #p::Field>::shape),*]),
            class: #class,
            doc: #docs,
            fields: ::std::vec![#fields],
            is_oneof: #is_oneof,
            takes_unknown: #takes_unknown,
            reserved: ::std::vec![#(#reserved),*],
            length: ::core::option::Option::None,
        }
    }
}
