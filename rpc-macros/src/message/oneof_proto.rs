//! Protobuf's form of enums with data.

use proc_macro2::TokenStream;
use quote::quote;

use super::model::{Field, Head, Wire};
use super::oneof::{become_and, binding_at, bindings, faces_of, pattern, travelling};
use super::variants::{Holds, Variant};

pub(super) fn proto(head: &Head, variants: &[Variant]) -> TokenStream {
    let p = head.private();
    let lens = variants.iter().map(|variant| proto_len(&p, variant));
    let encodes = variants.iter().map(|variant| proto_encode(&p, variant));
    let tags = travelling(variants).map(|variant| variant.wire.tag);
    let merges = travelling(variants).map(|variant| {
        let make = |ty: TokenStream| quote!(__input.take(<#ty as #p::oneof::VariantValue>::HEAP)?;);
        let read = |ty: TokenStream, value| {
            quote!(<#ty as #p::oneof::VariantValue>::merge_variant(#value, __wire, __input))
        };
        become_and(head, variant, make, read)
    });
    quote! {
        #[inline]
        fn fields_len(&self) -> usize {
            match self { #(#lens)* }
        }

        #[inline]
        fn encode_fields(&self, __out: &mut #p::BytesMut) {
            match self { #(#encodes)* }
        }

        #[inline]
        fn merge_tagged(
            &mut self,
            __tag: u32,
            __wire: #p::WireType,
            __input: &mut #p::Input<'_>,
        ) -> ::core::result::Result<(), #p::DecodeError> {
            let __merged = match __tag {
                #(#tags => #merges)*
                _ => #p::merge_unknown(self, __tag, __wire, __input),
            };
            __merged.map_err(|__error| #p::in_tagged(__error, <Self as #p::Record>::SCHEMA, __tag))
        }
    }
}

fn proto_len(p: &TokenStream, variant: &Variant) -> TokenStream {
    let Variant { ident, wire: Wire { tag, .. }, args, holds } = variant;
    match holds {
        _ if args.status.is_some() => quote!(Self::#ident { .. } => 0,),
        Holds::Nothing => quote!(Self::#ident => #p::oneof::VariantValue::variant_len(&(), #tag),),
        Holds::One(ty) => {
            let value = binding_at(ty);
            quote!(Self::#ident(__value) => <#ty as #p::oneof::VariantValue>::variant_len(#value, #tag),)
        }
        Holds::Named(fields, _) => {
            let (pattern, len) = (pattern(variant, fields), named_len(p, fields));
            quote!(#pattern => #p::oneof::nested_len(#tag, #len),)
        }
    }
}

fn named_len(p: &TokenStream, fields: &[Field]) -> TokenStream {
    let bindings = bindings(fields);
    let (faces, tags) = (faces_of(p, fields), fields.iter().map(|field| field.wire.tag));
    quote!(0 #(+ #faces::field_len(#bindings, #tags))*)
}

fn proto_encode(p: &TokenStream, variant: &Variant) -> TokenStream {
    let Variant { ident, wire: Wire { tag, .. }, args, holds } = variant;
    match holds {
        _ if args.status.is_some() => quote!(Self::#ident { .. } => {}),
        Holds::Nothing => {
            quote!(Self::#ident => #p::oneof::VariantValue::encode_variant(&(), #tag, __out),)
        }
        Holds::One(ty) => {
            let value = binding_at(ty);
            quote!(Self::#ident(__value) => <#ty as #p::oneof::VariantValue>::encode_variant(#value, #tag, __out),)
        }
        Holds::Named(fields, _) => {
            let (pattern, len) = (pattern(variant, fields), named_len(p, fields));
            let bindings = bindings(fields);
            let (faces, tags) = (faces_of(p, fields), fields.iter().map(|field| field.wire.tag));
            quote! {
                #pattern => {
                    #p::oneof::encode_head(#tag, #len, __out);
                    #(#faces::encode_field(#bindings, #tags, __out);)*
                }
            }
        }
    }
}
