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
            let value = faces::value(head);
            let message = faces::message(head, &faces::Form::of_value(head), &TokenStream::new());
            let serde = faces::serde_impls(head);
            quote!(#value #message #serde)
        }
        Kind::Arguments => {
            faces::message(head, &arguments_form(head, fields), &argument_text(head, fields))
        }
        Kind::Variant => faces::value(head),
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
    let wires: Vec<_> = fields.iter().map(|field| &field.wire).collect();
    let positions = match kind {
        Kind::Arguments => quote!(Always),
        Kind::Message | Kind::Variant => quote!(Compact),
    };
    let schema = schema(head, &wires, &positions);
    let default_heap = default_heap(&p, fields);
    let nests_within = nests_within(&p, fields, kind);
    let proto = match (kind, fields) {
        (Kind::Arguments, [field]) => sole_proto(&p, field),
        _ => proto(&p, fields),
    };
    let shared: Vec<_> = fields.iter().map(this).collect();
    let (present, write_fields) = (present(&p, &shared), write_fields(&p, &shared));
    let (places, exclusive) = (0..fields.len(), fields.iter().map(this_mut));
    let body = quote! {
        const SCHEMA: &'static #p::RecordSchema = #schema;
        const ENDLESS_DEFAULT_USE_OPTION_BOX: usize = #default_heap;

        #nests_within

        #proto

        fn present(&self) -> usize {
            #present
        }

        fn write_fields(&self, writer: &mut dyn #p::Writer) {
            let fields = <Self as #p::Record>::SCHEMA.fields;
            #write_fields
        }

        fn read_field(
            &mut self,
            at: usize,
            reader: &mut dyn #p::Reader,
            limits: &mut #p::Limits,
        ) -> #p::Read {
            match at {
                #(#places => #p::Field::read(#exclusive, reader, limits),)*
                _ => ::core::result::Result::Ok(()),
            }
        }
    };
    implement(head, quote!(#p::Record), body)
}

/// A record as static data.
pub(crate) fn schema(head: &Head, wires: &[&Wire], positions: &TokenStream) -> TokenStream {
    let (p, name) = (head.private(), &head.name);
    let fields = wires.iter().map(|Wire { tag, name, json, class, .. }| {
        let class = with_class(class);
        quote!(#p::FieldSchema::new(#tag, #json, #name) #class)
    });
    let class = with_class(&head.class);
    quote!(&#p::RecordSchema::new(#name, &[#(#fields),*], #p::Positions::#positions) #class)
}

/// What gives a schema its foreign name, if it has one.
pub(crate) fn with_class(class: &str) -> Option<TokenStream> {
    (!class.is_empty()).then(|| quote!(.with_class(#class)))
}

/// How many of the fields that are reached by `access` are not absent.
pub(crate) fn present(p: &TokenStream, access: &[TokenStream]) -> TokenStream {
    quote!(0usize #(+ (!#p::Field::is_absent(#access)) as usize)*)
}

/// Offers the fields that are reached by `access`, of the table `fields`.
pub(crate) fn write_fields(p: &TokenStream, access: &[TokenStream]) -> TokenStream {
    let places = 0..access.len();
    quote! {
        #(#p::Field::write(
            #access,
            writer,
            ::core::option::Option::Some(&fields[#places]),
        );)*
    }
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
            let merged = match tag {
                #(#tags => #p::Field::merge_field(#exclusive, wire, input),)*
                _ => input.skip(tag, wire),
            };
            merged.map_err(|error| #p::in_tagged(error, <Self as #p::Record>::SCHEMA, tag))
        }
    }
}

/// Protobuf's form of a list of exactly one argument.
fn sole_proto(p: &TokenStream, field: &Field) -> TokenStream {
    let (shared, exclusive, name) = (this(field), this_mut(field), &field.wire.json);
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
            #p::sole::merge_tagged(#exclusive, tag, wire, input, #name)
        }
    }
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

fn arguments_form(head: &Head, fields: &[Field]) -> faces::Form {
    let p = head.private();
    match fields {
        [field] => {
            let (member, this) = (&field.ident, this(field));
            let span = at(&field.ty);
            faces::Form {
                write: quote!(#p::sole::write(self, #this, writer)),
                read: quote_spanned! {span=>
                    #p::sole::read_argument(self, |list| &mut list.#member, reader, limits)
                },
            }
        }
        _ => faces::Form {
            write: quote!(#p::write_whole(self, writer)),
            read: quote!(#p::read_record(self, reader, limits)),
        },
    }
}
