//! The code of structs and argument lists. Each function makes one item.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use super::model::{Field, Head, Wire};
use super::{describe, faces};

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
    let describe = describe::record(head, fields, kind);
    let rest = match kind {
        Kind::Message => {
            let value = faces::value(head, "Compact");
            let message = faces::message(head, &merge_value(head), &TokenStream::new());
            let serde = faces::serde_impls(head, &write_fields(head));
            quote!(#value #message #serde)
        }
        Kind::Arguments => {
            let merge = merge_arguments(head, fields);
            let message = faces::message(head, &merge, &argument_text(head, fields));
            let serialize = faces::serialize(head, &write_fields(head));
            quote!(#message #serialize)
        }
        Kind::Variant => faces::value(head, "Compact"),
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
    let p = head.private();
    let defaults = fields.iter().map(|field| {
        let name = &field.ident;
        // Not `Default` itself: of a type that cannot travel, that is not what is to be said.
        let default = quote_spanned!(at(&field.ty)=> #p::absent());
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
    let default_heap = default_heap(&p, fields);
    let nests_within = nests_within(&p, fields, kind);
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
            const ENDLESS_DEFAULT_USE_OPTION_BOX: usize = #default_heap;

            #nests_within

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
                limits: &mut #p::Limits,
            ) -> ::core::result::Result<(), __D::Error> {
                match tag {
                    #(#member_tags => #p::Field::merge_serde(#members, deserializer, limits),)*
                    _ => #p::skip_value(deserializer, limits),
                }
            }
    };
    implement(head, quote!(#p::Record), body)
}

/// Bytes that the default of these fields holds outside of them.
pub(crate) fn default_heap(p: &TokenStream, fields: &[Field]) -> TokenStream {
    let heaps = fields
        .iter()
        .map(|Field { ty, .. }| quote_spanned!(at(ty)=> <#ty as #p::Field>::DEFAULT_HEAP));
    quote!(0usize #(+ #heaps)*)
}

/// The look at depth before a record is written.
fn nests_within(p: &TokenStream, fields: &[Field], kind: Kind) -> TokenStream {
    let shared = fields.iter().map(this);
    let within = match (kind, fields) {
        (Kind::Arguments, [field]) => {
            let this = this(field);
            quote!(#p::sole::nests_within(#this, levels))
        }
        _ => quote!(levels != 0 #(&& #p::Field::nests_within(#shared, levels - 1))*),
    };
    quote! {
        #[inline]
        fn nests_within(&self, levels: usize) -> bool {
            #within
        }
    }
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
    quote!(#p::serialize_whole(self, serializer))
}

pub(crate) fn merge_value(head: &Head) -> TokenStream {
    let p = head.private();
    quote!(#p::Value::merge_value(self, deserializer, limits))
}

/// What balancers hash.
fn argument_text(head: &Head, fields: &[Field]) -> TokenStream {
    let p = head.private();
    if fields.is_empty() {
        return quote! {
            fn argument_text(&self, _: usize, _: &mut ::std::string::String) -> bool {
                false
            }
        };
    }
    let arms = fields.iter().enumerate().map(|(index, field)| {
        let field = this(field);
        quote!(#index => #p::argument_text(#field, out),)
    });
    quote! {
        fn argument_text(&self, index: usize, out: &mut ::std::string::String) -> bool {
            match index {
                #(#arms)*
                _ => false,
            }
        }
    }
}

fn merge_arguments(head: &Head, fields: &[Field]) -> TokenStream {
    let p = head.private();
    match fields {
        [field] => {
            let member = &field.ident;
            quote_spanned! {at(&field.ty)=>
                #p::sole::merge_arguments(self, |list| &mut list.#member, deserializer, limits)
            }
        }
        _ => quote!(#p::merge_record(self, #p::Positions::Always, deserializer, limits)),
    }
}
