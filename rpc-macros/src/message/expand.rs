//! The code of structs and argument lists. Each function makes one item.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Type, parse_quote};

use super::model::{Field, Head, Wire};

/// How a record reads from serde's form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A message, which may stand in other messages.
    Message,
    /// The arguments of a method.
    Arguments,
    /// The fields of an enum's variant, which exist while it is read.
    Variant,
}

/// Everything a struct of these fields needs.
pub(crate) fn record(head: &Head, fields: &[Field], kind: Kind) -> TokenStream {
    let default = (!head.has_default).then(|| default(head, fields, kind));
    let record = record_impl(head, fields, kind);
    let describe = describe(head, fields, kind);
    let rest = match kind {
        Kind::Message => {
            let value = value(head, "Compact");
            let message = message(head, &merge_value(head));
            let serde = serde_impls(head, &write_fields(head));
            quote!(#value #message #serde)
        }
        Kind::Arguments => {
            let message = message(head, &merge_arguments(head, fields));
            let serialize = serialize(head, &write_fields(head));
            quote!(#message #serialize)
        }
        Kind::Variant => value(head, "Compact"),
    };
    quote!(#default #record #describe #rest)
}

/// `impl <of> for` the type.
pub(crate) fn implement(head: &Head, of: TokenStream, body: TokenStream) -> TokenStream {
    let ident = &head.ident;
    let (params, _, clause) = head.bounded.split_for_impl();
    let (_, arguments, _) = head.generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #params #of for #ident #arguments #clause { #body }
    }
}

fn default(head: &Head, fields: &[Field], kind: Kind) -> TokenStream {
    let defaults = fields.iter().map(|field| {
        let name = &field.ident;
        let default = quote_spanned!(at(&field.ty)=> ::core::default::Default::default());
        quote!(#name: #default)
    });
    let marker = (kind == Kind::Variant).then(|| quote!(__types: ::core::marker::PhantomData));
    let body = quote! {
        fn default() -> Self {
            Self { #(#defaults,)* #marker }
        }
    };
    implement(head, quote!(::core::default::Default), body)
}

fn record_impl(head: &Head, fields: &[Field], kind: Kind) -> TokenStream {
    let p = head.private();
    let name = &head.name;
    let wires: Vec<_> = fields.iter().map(|field| &field.wire).collect();
    let (tags, tag_of) = (wires.iter().map(|wire| wire.tag), tag_of(&wires));
    let proto = match (kind, fields) {
        (Kind::Arguments, [field]) => sole_proto(&p, field),
        _ => proto(&p, fields),
    };
    let serialize_fields = match (kind, fields) {
        (Kind::Arguments, [field]) => {
            let (this, json) = (this(field), &field.wire.json);
            quote!(#p::sole::serialize(#this, #json, serializer))
        }
        _ => {
            let access: Vec<_> = fields.iter().map(this).collect();
            serialize_fields(&p, fields, &access)
        }
    };
    let members = fields.iter().map(this_mut);
    let member_tags = wires.iter().map(|wire| wire.tag);
    let body = quote! {
            const NAME: &'static str = #name;
            const TAGS: &'static [u32] = &[#(#tags),*];

            #tag_of

            #proto

            fn serialize_fields<__S: #p::serde::Serializer>(
                &self,
                serializer: __S,
            ) -> ::core::result::Result<__S::Ok, __S::Error> {
                #serialize_fields
            }

            fn merge_named<'__de, __D: #p::serde::Deserializer<'__de>>(
                &mut self,
                tag: u32,
                deserializer: __D,
            ) -> ::core::result::Result<(), __D::Error> {
                match tag {
                    #(#member_tags => #p::Field::merge_serde(#members, deserializer),)*
                    _ => #p::skip_value(deserializer),
                }
            }
    };
    implement(head, quote!(#p::Record), body)
}

/// The field, placed on the user's type, where rustc then says that the type cannot travel.
fn this(field: &Field) -> TokenStream {
    let member = &field.ident;
    quote_spanned!(at(&field.ty)=> &self.#member)
}

/// The field to be written to, placed likewise.
fn this_mut(field: &Field) -> TokenStream {
    let member = &field.ident;
    quote_spanned!(at(&field.ty)=> &mut self.#member)
}

/// The place of `ty` for code that is generated all the same, so that no lint takes it for the
/// user's.
pub(crate) fn at(ty: &Type) -> Span {
    Span::call_site().located_at(ty.span())
}

/// Finds a tag by either spelling of a name.
pub(crate) fn tag_of(wires: &[&Wire]) -> TokenStream {
    let arms = wires.iter().map(|wire| {
        let (name, json, tag) = (&wire.name, &wire.json, wire.tag);
        if name == json {
            quote!(#json => ::core::option::Option::Some(#tag),)
        } else {
            quote!(#json | #name => ::core::option::Option::Some(#tag),)
        }
    });
    quote! {
        fn tag_of(name: &str) -> ::core::option::Option<u32> {
            match name {
                #(#arms)*
                _ => ::core::option::Option::None,
            }
        }
    }
}

/// Protobuf's form of a record.
fn proto(p: &TokenStream, fields: &[Field]) -> TokenStream {
    let shared: Vec<_> = fields.iter().map(this).collect();
    let exclusive = fields.iter().map(this_mut);
    let tags: Vec<_> = fields.iter().map(|field| field.wire.tag).collect();
    quote! {
        #[inline]
        fn fields_len(&self) -> usize {
            0 #(+ #p::Field::field_len(#shared, #tags))*
        }

        #[inline]
        fn encode_fields(&self, out: &mut #p::BytesMut) {
            #(#p::Field::encode_field(#shared, #tags, out);)*
        }

        #[inline]
        fn merge_tagged(
            &mut self,
            tag: u32,
            wire: #p::WireType,
            input: &mut #p::Input,
        ) -> ::core::result::Result<(), #p::DecodeError> {
            match tag {
                #(#tags => #p::Field::merge_field(#exclusive, wire, input),)*
                _ => input.skip(tag, wire),
            }
        }
    }
}

/// Protobuf's form of a list of exactly one argument.
fn sole_proto(p: &TokenStream, field: &Field) -> TokenStream {
    let (shared, exclusive) = (this(field), this_mut(field));
    quote! {
        #[inline]
        fn fields_len(&self) -> usize {
            #p::sole::len(#shared)
        }

        #[inline]
        fn encode_fields(&self, out: &mut #p::BytesMut) {
            #p::sole::encode(#shared, out);
        }

        #[inline]
        fn merge_tagged(
            &mut self,
            tag: u32,
            wire: #p::WireType,
            input: &mut #p::Input,
        ) -> ::core::result::Result<(), #p::DecodeError> {
            #p::sole::merge_tagged(#exclusive, tag, wire, input)
        }
    }
}

/// Serde's form of fields that are reached by `access`.
pub(crate) fn serialize_fields(
    p: &TokenStream,
    fields: &[Field],
    access: &[TokenStream],
) -> TokenStream {
    let names = fields.iter().map(|field| &field.wire.json);
    quote! {
        let present = 0usize #(+ (!#p::Field::is_absent(#access)) as usize)*;
        #p::RecordWriter::new(serializer, present)? #(.field(#names, #access)?)* .end()
    }
}

pub(crate) fn write_fields(head: &Head) -> TokenStream {
    let p = head.private();
    quote!(#p::Record::serialize_fields(self, serializer))
}

pub(crate) fn merge_value(head: &Head) -> TokenStream {
    let p = head.private();
    quote!(#p::Value::merge_value(self, deserializer))
}

fn merge_arguments(head: &Head, fields: &[Field]) -> TokenStream {
    let p = head.private();
    match fields {
        [field] => {
            let member = &field.ident;
            quote_spanned!(at(&field.ty)=> #p::sole::merge_arguments(self, |list| &mut list.#member, deserializer))
        }
        _ => quote!(#p::merge_record(self, #p::Positions::Always, deserializer)),
    }
}

/// What lets a record stand in other messages; `positions` names how it reads from arrays.
pub(crate) fn value(head: &Head, positions: &str) -> TokenStream {
    let p = head.private();
    let positions = format_ident!("{positions}");
    let body = quote! {
        const IS_MESSAGE: bool = true;

        #[inline]
        fn body_len(&self) -> usize {
            #p::Record::fields_len(self)
        }

        #[inline]
        fn encode_body(&self, out: &mut #p::BytesMut) {
            #p::Record::encode_fields(self, out);
        }

        #[inline]
        fn merge_body(
            &mut self,
            input: &mut #p::Input,
        ) -> ::core::result::Result<(), #p::DecodeError> {
            #p::merge_nested(self, input)
        }

        #[inline]
        fn merge_tag(
            &mut self,
            tag: u32,
            wire: #p::WireType,
            input: &mut #p::Input,
        ) -> ::core::result::Result<(), #p::DecodeError> {
            #p::Record::merge_tagged(self, tag, wire, input)
        }

        fn serialize_value<__S: #p::serde::Serializer>(
            &self,
            serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error> {
            #p::Record::serialize_fields(self, serializer)
        }

        fn merge_value<'__de, __D: #p::serde::Deserializer<'__de>>(
            &mut self,
            deserializer: __D,
        ) -> ::core::result::Result<(), __D::Error> {
            #p::merge_record(self, #p::Positions::#positions, deserializer)
        }

        fn value_type() -> #p::Type {
            let message = <Self as #p::Describe>::message_type;
            #p::Type::Message(message().name, message)
        }
    };
    let value = implement(head, quote!(#p::Value), body);
    let element = implement(head, quote!(#p::Element), TokenStream::new());
    quote!(#value #element)
}

/// The object-safe face that codecs see.
pub(crate) fn message(head: &Head, merge_serde: &TokenStream) -> TokenStream {
    let p = head.private();
    let body = quote! {
        fn proto_len(&self) -> usize {
            #p::Record::fields_len(self)
        }

        fn encode_proto(&self, buf: &mut #p::BytesMut) {
            #p::Record::encode_fields(self, buf);
        }

        fn merge_proto(
            &mut self,
            bytes: #p::Bytes,
        ) -> ::core::result::Result<(), #p::DecodeError> {
            #p::merge_whole(self, bytes)
        }

        fn as_serialize(&self) -> &dyn #p::erased_serde::Serialize {
            self
        }

        fn merge_serde(
            &mut self,
            deserializer: &mut dyn #p::erased_serde::Deserializer<'_>,
        ) -> ::core::result::Result<(), #p::erased_serde::Error> {
            #merge_serde
        }
    };
    implement(head, quote!(#p::Message), body)
}

/// Serde's own traits, for messages: the same form as in codecs.
pub(crate) fn serde_impls(head: &Head, write: &TokenStream) -> TokenStream {
    let p = head.private();
    let ident = &head.ident;
    let serialize = serialize(head, write);
    let mut generics = head.bounded.clone();
    generics.params.insert(0, parse_quote!('__de));
    let (params, _, clause) = generics.split_for_impl();
    let (_, arguments, _) = head.generics.split_for_impl();
    quote! {
        #serialize

        #[automatically_derived]
        impl #params #p::serde::Deserialize<'__de> for #ident #arguments #clause {
            fn deserialize<__D: #p::serde::Deserializer<'__de>>(
                deserializer: __D,
            ) -> ::core::result::Result<Self, __D::Error> {
                let mut value = <Self as ::core::default::Default>::default();
                #p::Value::merge_value(&mut value, deserializer)?;
                ::core::result::Result::Ok(value)
            }
        }
    }
}

pub(crate) fn serialize(head: &Head, write: &TokenStream) -> TokenStream {
    let p = head.private();
    let body = quote! {
        fn serialize<__S: #p::serde::Serializer>(
            &self,
            serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error> {
            #write
        }
    };
    implement(head, quote!(#p::serde::Serialize), body)
}

fn describe(head: &Head, fields: &[Field], kind: Kind) -> TokenStream {
    let p = head.private();
    let types = fields.iter().map(|field| {
        let ty = &field.ty;
        field_type(&p, &field.wire, &quote!(<#ty as #p::Field>::shape))
    });
    let message = match (kind, fields) {
        (Kind::Arguments, [field]) => {
            let ty = &field.ty;
            let own = message_type(head, &quote!(field), false);
            quote!(#p::sole::describe::<#ty>(|field| #own, #(#types)*))
        }
        _ => message_type(head, &quote!(#(#types),*), false),
    };
    describe_impl(head, &message)
}

pub(crate) fn describe_impl(head: &Head, message: &TokenStream) -> TokenStream {
    let p = head.private();
    let body = quote!(fn message_type() -> #p::MessageType { #message });
    implement(head, quote!(#p::Describe), body)
}

pub(crate) fn field_type(p: &TokenStream, wire: &Wire, shape: &TokenStream) -> TokenStream {
    let Wire {
        tag,
        name,
        json,
        docs,
        ..
    } = wire;
    quote! {
        #p::FieldType { name: #name, json_name: #json, doc: #docs, tag: #tag, shape: #shape }
    }
}

pub(crate) fn message_type(head: &Head, fields: &TokenStream, is_oneof: bool) -> TokenStream {
    let p = head.private();
    let (name, docs) = (&head.name, &head.docs);
    let reserved = head.reserved.iter().map(|(tag, _)| tag);
    let parameters = head.generics.type_params().map(|param| &param.ident);
    quote! {
        #p::MessageType {
            name: #p::generic_name(#name, &[#(<#parameters as #p::Field>::shape),*]),
            doc: #docs,
            fields: ::std::vec![#fields],
            is_oneof: #is_oneof,
            reserved: ::std::vec![#(#reserved),*],
        }
    }
}
