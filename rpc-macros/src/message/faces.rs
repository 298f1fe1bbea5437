//! The faces a record shows besides its fields: a value in other messages, a message to codecs, a
//! type to serde.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse_quote;

use super::expand::implement;
use super::model::Head;

/// What lets a record stand in other messages.
pub(crate) fn value(head: &Head) -> TokenStream {
    let p = head.private();
    let body = quote! {
        const IS_MESSAGE: bool = true;
        const DEFAULT_HEAP: usize = <Self as #p::Record>::ENDLESS_DEFAULT_USE_OPTION_BOX;

        #[inline]
        fn empty() -> Self {
            <Self as #p::Record>::empty()
        }

        #[inline]
        fn nests_within(&self, __levels: usize) -> bool {
            #p::Record::nests_within(self, __levels)
        }

        #[inline]
        fn body_len(&self) -> usize {
            #p::Record::fields_len(self)
        }

        #[inline]
        fn encode_body(&self, __out: &mut #p::BytesMut) {
            #p::Record::encode_fields(self, __out);
        }

        #[inline]
        fn merge_body(
            &mut self,
            __input: &mut #p::Input<'_>,
        ) -> ::core::result::Result<(), #p::DecodeError> {
            #p::merge_nested(self, __input)
        }

        #[inline]
        fn merge_tag(
            &mut self,
            __tag: u32,
            __wire: #p::WireType,
            __input: &mut #p::Input<'_>,
        ) -> ::core::result::Result<(), #p::DecodeError> {
            #p::Record::merge_tagged(self, __tag, __wire, __input)
        }

        fn write_value(&self, __writer: &mut dyn #p::Writer, __at: #p::At) {
            #p::write_record(self, __writer, __at);
        }

        fn read_value(
            &mut self,
            __reader: &mut dyn #p::Reader,
            __limits: &mut #p::Limits,
        ) -> #p::Read {
            #p::read_record(self, __reader, __limits)
        }

        fn value_type() -> #p::Type {
            let __message = <Self as #p::Describe>::message_type;
            #p::Type::Message(__message().name, __message)
        }
    };
    let value = implement(head, quote!(#p::Value), body);
    let element = implement(head, quote!(#p::Element), TokenStream::new());
    let ends = head.generics.params.is_empty().then(|| {
        let ident = &head.ident;
        // Makes rustc look for a default without end even if nobody asks for the constant.
        quote!(const _: usize = <#ident as #p::Record>::ENDLESS_DEFAULT_USE_OPTION_BOX;)
    });
    quote!(#value #element #ends)
}

/// How a whole message is written and read.
pub(crate) struct Form {
    pub(crate) write: TokenStream,
    pub(crate) read: TokenStream,
}

impl Form {
    /// As the value itself.
    pub(crate) fn of_value(head: &Head) -> Self {
        let p = head.private();
        Self {
            write: quote!(#p::write_whole(self, __writer)),
            read: quote!(#p::read_record(self, __reader, __limits)),
        }
    }
}

/// The object-safe face that codecs see; `more` are methods that only some have.
pub(crate) fn message(head: &Head, form: &Form, more: &TokenStream) -> TokenStream {
    let p = head.private();
    let Form { write, read } = form;
    let body = quote! {
        fn proto_len(&self) -> usize {
            #p::len_whole(self)
        }

        fn encode_proto(
            &self,
            __buf: &mut #p::BytesMut,
        ) -> #p::Read {
            #p::encode_whole(self, __buf)
        }

        fn merge_proto(
            &mut self,
            __bytes: #p::Bytes,
            __limits: &mut #p::Limits,
        ) -> ::core::result::Result<(), #p::DecodeError> {
            #p::merge_whole(self, __bytes, __limits)
        }

        fn write(&self, __writer: &mut dyn #p::Writer) {
            #write
        }

        fn read(
            &mut self,
            __reader: &mut dyn #p::Reader,
            __limits: &mut #p::Limits,
        ) -> #p::Read {
            #read
        }

        #more
    };
    implement(head, quote!(#p::Message), body)
}

/// Serde's own traits, for messages: the same form as in codecs.
pub(crate) fn serde_impls(head: &Head) -> TokenStream {
    let p = head.private();
    let serialize = serialize(head, &quote!(#p::write_with_serde(self, __serializer)));
    let deserialize = deserialize(head, &quote!(#p::deserialize(__deserializer)));
    quote!(#serialize #deserialize)
}

pub(crate) fn serialize(head: &Head, write: &TokenStream) -> TokenStream {
    let p = head.private();
    let body = quote! {
        fn serialize<__S: #p::serde::Serializer>(
            &self,
            __serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error> {
            #write
        }
    };
    implement(head, quote!(#p::serde::Serialize), body)
}

pub(crate) fn deserialize(head: &Head, read: &TokenStream) -> TokenStream {
    let p = head.private();
    let ident = &head.ident;
    let mut generics = head.bounded.clone();
    generics.params.insert(0, parse_quote!('__de));
    let (params, _, clause) = generics.split_for_impl();
    let (_, arguments, _) = head.generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #params #p::serde::Deserialize<'__de> for #ident #arguments #clause {
            fn deserialize<__D: #p::serde::Deserializer<'__de>>(
                __deserializer: __D,
            ) -> ::core::result::Result<Self, __D::Error> {
                #read
            }
        }
    }
}
