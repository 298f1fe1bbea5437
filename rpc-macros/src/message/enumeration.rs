//! The code of enums without data: numbers in protobuf, names elsewhere.

use proc_macro2::TokenStream;
use quote::quote;

use super::expand::{implement, with_class};
use super::faces;
use super::model::Head;
use super::variants::Unit;

/// Everything an enum without data needs.
pub(crate) fn expand(head: &Head, variants: &[Unit]) -> TokenStream {
    let p = head.private();
    let enumeration = enumeration(head, variants);
    let value = value(head);
    let element = implement(head, quote!(#p::Element), TokenStream::new());
    let serialize = faces::serialize(head, &quote!(#p::serialize_enum(self, serializer)));
    let deserialize = faces::deserialize(head, &quote!(#p::deserialize_enum(deserializer)));
    let default = (!head.has_default).then(|| {
        let first = variants.first().map(|variant| &variant.ident);
        let body = quote!(fn default() -> Self { Self::#first });
        implement(head, quote!(::core::default::Default), body)
    });
    quote!(#default #enumeration #value #element #serialize #deserialize)
}

fn enumeration(head: &Head, variants: &[Unit]) -> TokenStream {
    let p = head.private();
    let (enum_name, docs) = (&head.name, &head.docs);
    let idents: Vec<_> = variants.iter().map(|variant| &variant.ident).collect();
    let names: Vec<_> = variants.iter().map(|variant| &variant.name).collect();
    let numbers: Vec<_> = variants.iter().map(|variant| variant.number).collect();
    let rust_names: Vec<_> = idents.iter().map(ToString::to_string).collect();
    let (class, class_name) = (with_class(&head.class), &head.class);
    let body = quote! {
        const SCHEMA: &'static #p::EnumSchema = &#p::EnumSchema::new(
            #enum_name,
            &[#(#p::VariantSchema::new(#numbers, #names, #rust_names)),*],
        ) #class;

        fn number(&self) -> i32 {
            match self { #(Self::#idents => #numbers,)* }
        }

        fn from_number(number: i32) -> Self {
            match number {
                #(#numbers => Self::#idents,)*
                _ => <Self as ::core::default::Default>::default(),
            }
        }

        fn enum_type() -> #p::EnumType {
            #p::EnumType {
                name: #enum_name,
                class: #class_name,
                doc: #docs,
                variants: ::std::vec![#(#p::VariantType {
                    name: #names,
                    rust_name: #rust_names,
                    number: #numbers,
                }),*],
            }
        }
    };
    implement(head, quote!(#p::Enumeration), body)
}

fn value(head: &Head) -> TokenStream {
    let p = head.private();
    let body = quote! {
        const WIRE: #p::WireType = #p::WireType::Varint;

        #[inline]
        fn is_default(&self) -> bool {
            #p::Enumeration::number(self) == 0
        }

        #[inline]
        fn body_len(&self) -> usize {
            #p::Value::body_len(&#p::Enumeration::number(self))
        }

        #[inline]
        fn encode_body(&self, out: &mut #p::BytesMut) {
            #p::Value::encode_body(&#p::Enumeration::number(self), out);
        }

        #[inline]
        fn merge_body(
            &mut self,
            input: &mut #p::Input,
        ) -> ::core::result::Result<(), #p::DecodeError> {
            let mut number = 0i32;
            #p::Value::merge_body(&mut number, input)?;
            *self = #p::Enumeration::from_number(number);
            ::core::result::Result::Ok(())
        }

        fn write_value(&self, writer: &mut dyn #p::Writer, at: #p::At) {
            let of = <Self as #p::Enumeration>::SCHEMA;
            writer.variant(at, of, #p::Enumeration::number(self));
        }

        fn read_value(
            &mut self,
            reader: &mut dyn #p::Reader,
            _: &mut #p::Limits,
        ) -> #p::Read {
            #p::read_enum(self, reader)
        }

        fn value_type() -> #p::Type {
            #p::Type::Enum(<Self as #p::Enumeration>::enum_type())
        }
    };
    implement(head, quote!(#p::Value), body)
}
