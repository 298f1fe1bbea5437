//! The code of enums without data: numbers in protobuf, names elsewhere.

use proc_macro2::TokenStream;
use quote::quote;

use super::expand::implement;
use super::faces::serde_impls;
use super::model::Head;
use super::variants::Unit;

/// Everything an enum without data needs.
pub(crate) fn expand(head: &Head, variants: &[Unit]) -> TokenStream {
    let p = head.private();
    let enumeration = enumeration(head, variants);
    let value = value(head);
    let element = implement(head, quote!(#p::Element), TokenStream::new());
    let serde = serde_impls(head, &quote!(#p::serialize_enum(self, serializer)));
    let default = (!head.has_default).then(|| {
        let first = variants.first().map(|variant| &variant.ident);
        let body = quote!(fn default() -> Self { Self::#first });
        implement(head, quote!(::core::default::Default), body)
    });
    quote!(#default #enumeration #value #element #serde)
}

fn enumeration(head: &Head, variants: &[Unit]) -> TokenStream {
    let p = head.private();
    let (enum_name, docs) = (&head.name, &head.docs);
    let idents: Vec<_> = variants.iter().map(|variant| &variant.ident).collect();
    let names: Vec<_> = variants.iter().map(|variant| &variant.name).collect();
    let numbers: Vec<_> = variants.iter().map(|variant| variant.number).collect();
    let rust_names: Vec<_> = idents.iter().map(ToString::to_string).collect();
    let spellings = names
        .iter()
        .zip(&rust_names)
        .map(|(name, own)| if *name == own { quote!(#name) } else { quote!(#name | #own) });
    let body = quote! {
        fn number(&self) -> i32 {
            match self { #(Self::#idents => #numbers,)* }
        }

        fn from_number(number: i32) -> Self {
            match number {
                #(#numbers => Self::#idents,)*
                _ => <Self as ::core::default::Default>::default(),
            }
        }

        fn name(&self) -> &'static str {
            match self { #(Self::#idents => #names,)* }
        }

        fn from_name(name: &str) -> Self {
            match name {
                #(#spellings => Self::#idents,)*
                _ => <Self as ::core::default::Default>::default(),
            }
        }

        fn enum_type() -> #p::EnumType {
            #p::EnumType {
                name: #enum_name,
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

        fn serialize_value<__S: #p::serde::Serializer>(
            &self,
            serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error> {
            #p::serialize_enum(self, serializer)
        }

        fn merge_value<'__de, __D: #p::serde::Deserializer<'__de>>(
            &mut self,
            deserializer: __D,
            _: &mut #p::Limits,
        ) -> ::core::result::Result<(), __D::Error> {
            #p::merge_enum(self, deserializer)
        }

        fn value_type() -> #p::Type {
            #p::Type::Enum(<Self as #p::Enumeration>::enum_type())
        }
    };
    implement(head, quote!(#p::Value), body)
}
