//! The code of newtypes: structs of one field without a name, which are in every form what they hold.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::visit::{self, Visit};
use syn::{Field, Ident, ItemStruct, Type, TypePath};

use super::args::TypeArgs;
use super::expand::{at, implement};
use super::model::Head;
use super::{check, faces};
use crate::errors::Errors;
use crate::travels::starts_with_self;

/// Everything a newtype of `field` needs.
pub(crate) fn expand(
    args: TypeArgs,
    item: &ItemStruct,
    field: &Field,
    errors: &mut Errors,
) -> TokenStream {
    check_arguments(&args, field, errors);
    let head = Head::new(args, &item.ident, &item.generics, &item.attrs);
    check::generics(&item.generics, errors);
    check::travels(&field.ty, true, errors);
    Ends { own: &item.ident, errors }.visit_type(&field.ty);
    let p = head.private();
    let default = (!head.has_default).then(|| {
        let body = quote!(fn default() -> Self { <Self as #p::Value>::empty() });
        implement(&head, quote!(::core::default::Default), body)
    });
    let value = implement(&head, quote!(#p::Value), value(&p, &field.ty));
    let element = implement(&head, quote!(#p::Element), TokenStream::new());
    let newtype = implement(&head, quote!(#p::Newtype), newtype(&field.ty));
    let serialize = faces::serialize(&head, &quote!(#p::serialize_value(self, __serializer)));
    let deserialize = faces::deserialize(&head, &quote!(#p::deserialize_value(__deserializer)));
    let checks = head.generics.params.is_empty().then(|| {
        let (ident, ty) = (&head.ident, &field.ty);
        let held = held(&p, ty);
        quote! {
            const _: bool = <#ident as #p::Value>::ENDLESS_NEWTYPE_USE_A_NAMED_FIELD;
            const _: () = ::core::assert!(
                !#held::IS_OPTION,
                "a newtype that may be nothing: put the `Option` around it, not in it",
            );
        }
    });
    quote!(#default #value #element #newtype #serialize #deserialize #checks)
}

fn check_arguments(args: &TypeArgs, field: &Field, errors: &mut Errors) {
    let named = args.name.as_ref().or(args.class.as_ref()).map(syn::LitStr::span);
    let reserved = args.reserved.first().map(|(_, span)| *span);
    for span in named.into_iter().chain(reserved) {
        errors.at_span(
            span,
            "a newtype is what it holds, and has no name and numbers of its own; remove this",
        );
    }
    check::conditions(&field.attrs, "field", errors);
    for attr in field.attrs.iter().filter(|attr| attr.path().is_ident("rpc")) {
        errors.at(attr, "the field of a newtype has no name and number; remove this");
    }
}

/// Reports a newtype of itself, whose type would have no end in a `.proto`.
struct Ends<'a> {
    own: &'a Ident,
    errors: &'a mut Errors,
}

impl<'ast> Visit<'ast> for Ends<'_> {
    fn visit_type_path(&mut self, path: &'ast TypePath) {
        if starts_with_self(path) || path.path.is_ident(self.own) {
            let own = self.own;
            self.errors.at(
                path,
                format_args!(
                    "`{own}` is what it holds, and would hold itself without end; give the field a \
                     name"
                ),
            );
        }
        visit::visit_type_path(self, path);
    }
}

fn held(p: &TokenStream, ty: &Type) -> TokenStream {
    quote_spanned!(at(ty)=> <#ty as #p::Item>)
}

fn newtype(ty: &Type) -> TokenStream {
    quote! {
        type Held = #ty;

        fn held(&self) -> &#ty {
            &self.0
        }

        fn of(__held: #ty) -> Self {
            Self(__held)
        }
    }
}

fn value(p: &TokenStream, ty: &Type) -> TokenStream {
    let item = held(p, ty);
    let merged = quote!(::core::result::Result<(), #p::DecodeError>);
    let as_field = as_field(p, &item, &merged);
    quote! {
        const WIRE: #p::WireType = #item::ITEM_WIRE;
        const IS_MESSAGE: bool = #item::OWN_IS_MESSAGE;
        const IS_CHECKED: bool = #item::ITEM_IS_CHECKED;
        const DEFAULT_HEAP: usize = #item::OWN_HEAP;
        const TAKES_NULL: bool = #item::ITEM_TAKES_NULL;
        const ENDLESS_NEWTYPE_USE_A_NAMED_FIELD: bool = #item::IS_ENDLESS;

        #[inline]
        fn empty() -> Self {
            Self(#item::own_absent())
        }

        #[inline]
        fn nests_within(&self, __levels: usize) -> bool {
            #item::item_nests_within(&self.0, __levels)
        }

        #[inline]
        fn is_default(&self) -> bool {
            #item::item_is_default(&self.0)
        }

        #[inline]
        fn body_len(&self) -> usize {
            #item::item_body_len(&self.0)
        }

        #[inline]
        fn encode_body(&self, __out: &mut #p::BytesMut) {
            #item::encode_item_body(&self.0, __out);
        }

        #[inline]
        fn merge_body(&mut self, __input: &mut #p::Input) -> #merged {
            #item::merge_item_body(&mut self.0, __input)
        }

        fn write_value(&self, __writer: &mut dyn #p::Writer, __at: #p::At) {
            #item::write_item(&self.0, __writer, __at);
        }

        fn read_value(
            &mut self,
            __reader: &mut dyn #p::Reader,
            __limits: &mut #p::Limits,
        ) -> #p::Read {
            #item::read_item(&mut self.0, __reader, __limits)
        }

        fn value_type() -> #p::Type {
            #item::item_type()
        }

        #as_field
    }
}

/// The form as a field, which may be repeated.
fn as_field(p: &TokenStream, item: &TokenStream, merged: &TokenStream) -> TokenStream {
    quote! {
        #[inline]
        fn merge_tag(
            &mut self,
            __tag: u32,
            __wire: #p::WireType,
            __input: &mut #p::Input,
        ) -> #merged {
            #item::merge_own_whole(&mut self.0, __tag, __wire, __input)
        }

        #[inline]
        fn field_nests_within(&self, __levels: usize) -> bool {
            #item::own_nests_within(&self.0, __levels)
        }

        #[inline]
        fn value_field_len(&self, __tag: u32) -> usize {
            #item::own_len(&self.0, __tag)
        }

        #[inline]
        fn encode_value_field(&self, __tag: u32, __out: &mut #p::BytesMut) {
            #item::encode_own(&self.0, __tag, __out);
        }

        #[inline]
        fn merge_value_field(
            &mut self,
            __wire: #p::WireType,
            __input: &mut #p::Input,
        ) -> #merged {
            #item::merge_own(&mut self.0, __wire, __input)
        }

        fn read_value_field(
            &mut self,
            __reader: &mut dyn #p::Reader,
            __limits: &mut #p::Limits,
        ) -> #p::Read {
            #item::read_own(&mut self.0, __reader, __limits)
        }

        fn value_shape() -> #p::Shape {
            #item::own_shape()
        }
    }
}
