//! The code of newtypes: structs of one field without a name, which are in every form what they hold.

use proc_macro2::TokenStream;
use quote::quote;
use syn::visit::{self, Visit};
use syn::{Ident, ItemStruct, Type, TypePath};

use super::args::TypeArgs;
use super::expand::{default_of, implement};
use super::model::Head;
use super::{check, faces, foreign};
use crate::errors::Errors;
use crate::travels::starts_with_self;

/// Everything a newtype of `field` needs.
pub(crate) fn expand(args: TypeArgs, item: &mut ItemStruct, errors: &mut Errors) -> TokenStream {
    check_arguments(&args, errors);
    for field in &mut item.fields {
        check::conditions(&field.attrs, "field", errors);
        let message = "the field of a newtype has no name and number; remove this";
        foreign::refuse(&mut field.attrs, |attr| attr.path().is_ident("rpc"), message, errors);
        foreign::no_serde(&mut field.attrs, errors);
    }
    let item = &*item;
    let Some(field) = item.fields.iter().next() else { return TokenStream::new() };
    let head = Head::new(args, &item.ident, &item.generics, &item.attrs);
    check::generics(&item.generics, errors);
    check::travels(&field.ty, true, errors);
    Ends { own: &item.ident, errors }.visit_type(&field.ty);
    let p = head.private();
    let empty = quote!(<Self as #p::Value>::empty());
    let default = (!head.has_default).then(|| default_of(&head, &empty));
    let value = implement(&head, quote!(#p::Value), value(&p));
    let element = implement(&head, quote!(#p::Element), TokenStream::new());
    let newtype = implement(&head, quote!(#p::Newtype), newtype(&field.ty));
    let serialize = faces::serialize(&head, &quote!(#p::serialize_value(self, __serializer)));
    let deserialize = faces::deserialize(&head, &quote!(#p::deserialize_value(__deserializer)));
    let checks = head.generics.params.is_empty().then(|| {
        let ident = &head.ident;
        quote! {
            const _: bool = <#ident as #p::Value>::ENDLESS_NEWTYPE_USE_A_NAMED_FIELD;
            const _: () = ::core::assert!(
                !#p::NewtypeForm::<#ident>::IS_OPTION,
                "a newtype that may be nothing: put the `Option` around it, not in it",
            );
        }
    });
    quote!(#default #value #element #newtype #serialize #deserialize #checks)
}

fn check_arguments(args: &TypeArgs, errors: &mut Errors) {
    let named = args.name.as_ref().or(args.class.as_ref()).map(syn::LitStr::span);
    let reserved = args.reserved.first().map(|(_, span)| *span);
    for span in named.into_iter().chain(reserved) {
        errors.at_span(
            span,
            "a newtype is what it holds, and has no name and numbers of its own; remove this",
        );
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

fn newtype(ty: &Type) -> TokenStream {
    quote! {
        type Held = #ty;

        fn held(&self) -> &#ty {
            &self.0
        }

        fn held_mut(&mut self) -> &mut #ty {
            &mut self.0
        }

        fn of(__held: #ty) -> Self {
            Self(__held)
        }
    }
}

fn value(p: &TokenStream) -> TokenStream {
    let form = quote!(#p::NewtypeForm::<Self>);
    let merged = quote!(::core::result::Result<(), #p::DecodeError>);
    let as_field = as_field(p, &form, &merged);
    quote! {
        const WIRE: #p::WireType = #form::WIRE;
        const IS_MESSAGE: bool = #form::IS_MESSAGE;
        const IS_CHECKED: bool = #form::IS_CHECKED;
        const DEFAULT_HEAP: usize = #form::HEAP;
        const TAKES_NULL: bool = #form::TAKES_NULL;
        const ENDLESS_NEWTYPE_USE_A_NAMED_FIELD: bool = #form::IS_ENDLESS;

        #[inline]
        fn empty() -> Self {
            #form::empty()
        }

        #[inline]
        fn nests_within(&self, __levels: usize) -> bool {
            #form::nests_within(self, __levels)
        }

        #[inline]
        fn is_default(&self) -> bool {
            #form::is_default(self)
        }

        #[inline]
        fn body_len(&self) -> usize {
            #form::body_len(self)
        }

        #[inline]
        fn encode_body(&self, __out: &mut #p::BytesMut) {
            #form::encode_body(self, __out);
        }

        #[inline]
        fn merge_body(&mut self, __input: &mut #p::Input<'_>) -> #merged {
            #form::merge_body(self, __input)
        }

        fn write_value(&self, __writer: &mut dyn #p::Writer, __at: #p::At) {
            #form::write_value(self, __writer, __at);
        }

        fn read_value(
            &mut self,
            __reader: &mut dyn #p::Reader,
            __limits: &mut #p::Limits,
        ) -> #p::Read {
            #form::read_value(self, __reader, __limits)
        }

        fn value_type() -> #p::Type {
            #form::value_type()
        }

        #as_field
    }
}

/// The form as a field, which may be repeated.
fn as_field(p: &TokenStream, form: &TokenStream, merged: &TokenStream) -> TokenStream {
    quote! {
        #[inline]
        fn merge_tag(
            &mut self,
            __tag: u32,
            __wire: #p::WireType,
            __input: &mut #p::Input<'_>,
        ) -> #merged {
            #form::merge_whole(self, __tag, __wire, __input)
        }

        #[inline]
        fn field_nests_within(&self, __levels: usize) -> bool {
            #form::field_nests_within(self, __levels)
        }

        #[inline]
        fn value_field_len(&self, __tag: u32) -> usize {
            #form::field_len(self, __tag)
        }

        #[inline]
        fn encode_value_field(&self, __tag: u32, __out: &mut #p::BytesMut) {
            #form::encode_field(self, __tag, __out);
        }

        #[inline]
        fn merge_value_field(
            &mut self,
            __wire: #p::WireType,
            __input: &mut #p::Input<'_>,
        ) -> #merged {
            #form::merge_field(self, __wire, __input)
        }

        fn read_value_field(
            &mut self,
            __reader: &mut dyn #p::Reader,
            __limits: &mut #p::Limits,
        ) -> #p::Read {
            #form::read_field(self, __reader, __limits)
        }

        fn value_shape() -> #p::Shape {
            #form::shape()
        }
    }
}
