//! The code of enums without data: numbers in protobuf, names elsewhere.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::expand::{at, default_of, implement, with_class};
use super::faces;
use super::model::Head;
use super::units::{Other, Unit, Units};

/// Everything an enum without data needs.
pub(crate) fn expand(head: &Head, units: &Units) -> TokenStream {
    let p = head.private();
    let enumeration = enumeration(head, units);
    let value = value(head, units);
    let element = implement(head, quote!(#p::Element), TokenStream::new());
    let serialize = faces::serialize(head, &quote!(#p::serialize_enum(self, __serializer)));
    let deserialize = faces::deserialize(head, &quote!(#p::deserialize_value(__deserializer)));
    let empty = quote!(<Self as #p::Value>::empty());
    let default = (!head.has_default).then(|| default_of(head, &empty));
    let key = implement(head, quote!(#p::MapKey), key(&p));
    quote!(#default #enumeration #value #element #key #serialize #deserialize)
}

fn enumeration(head: &Head, Units { known, other }: &Units) -> TokenStream {
    let p = head.private();
    let (enum_name, docs) = (&head.name, &head.docs);
    let idents: Vec<_> = known.iter().map(|unit| &unit.ident).collect();
    let names: Vec<_> = known.iter().map(|unit| &unit.name).collect();
    let numbers: Vec<_> = known.iter().map(|unit| unit.number).collect();
    let rust_names: Vec<_> = known.iter().map(Unit::rust_name).collect();
    let (unknown, number_of_other) = other.as_ref().map(|other| unknown(&p, other)).unzip();
    let takes_unknown = other.is_some();
    let reserved = head.reserved.iter().map(|(number, _)| number);
    let (class, class_name) = (with_class(&head.class), &head.class);
    let body = quote! {
        const SCHEMA: &'static #p::EnumSchema = &#p::EnumSchema::new(
            #enum_name,
            &[#(#p::VariantSchema::new(#numbers, #names, #rust_names)),*],
        ) #class;

        fn number(&self) -> i32 {
            match self { #(Self::#idents => #numbers,)* #number_of_other }
        }

        fn from_number(__number: i32) -> ::core::option::Option<Self> {
            match __number {
                #(#numbers => ::core::option::Option::Some(Self::#idents),)*
                _ => ::core::option::Option::None,
            }
        }

        #unknown

        fn enum_type() -> #p::EnumType {
            #p::EnumType {
                id: ::core::option::Option::Some(::core::any::TypeId::of::<Self>()),
                name: #enum_name,
                class: #class_name,
                doc: #docs,
                takes_unknown: #takes_unknown,
                reserved: ::std::vec![#(#reserved),*],
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

/// What becomes of the unknown, and the arm that gives its number again.
fn unknown(p: &TokenStream, other: &Other) -> (TokenStream, TokenStream) {
    let Other { ident, keeps } = other;
    let Some(ty) = keeps else {
        let from_unknown = quote! {
            fn from_unknown(_: &#p::Variant) -> ::core::option::Option<Self> {
                ::core::option::Option::Some(Self::#ident)
            }
        };
        return (from_unknown, TokenStream::new());
    };
    // On the user's type, where what is wrong with it belongs.
    let kept = quote_spanned!(at(ty)=> <#ty as #p::Unrecognized>);
    let keeps = quote! {
        const KEEPS: bool = true;

        fn from_unknown(__variant: &#p::Variant) -> ::core::option::Option<Self> {
            ::core::option::Option::Some(Self::#ident(#kept::keep(__variant)))
        }

        fn kept_name(&self) -> ::core::option::Option<&str> {
            match self {
                Self::#ident(__kept) => #kept::name(__kept),
                _ => ::core::option::Option::None,
            }
        }
    };
    (
        keeps,
        quote!(Self::#ident(__kept) => #kept::number(__kept, <Self as #p::Enumeration>::SCHEMA),),
    )
}

/// What a key of a map needs; whether a map takes it depends on what the user derives.
fn key(p: &TokenStream) -> TokenStream {
    quote! {
        fn key_text(&self) -> ::std::string::String {
            #p::enum_key_text(self)
        }

        fn offer_key(&self, __writer: &mut dyn #p::Writer) {
            #p::offer_enum_key(self, __writer);
        }

        fn next_key(
            __reader: &mut dyn #p::Reader,
            __scope: &mut #p::ReadScope,
            __limits: &mut #p::Limits,
        ) -> #p::Read<::core::option::Option<Self>> {
            #p::next_enum_key(__reader, __scope, __limits)
        }
    }
}

fn value(head: &Head, units: &Units) -> TokenStream {
    let p = head.private();
    let first = units.known.first().map(|unit| &unit.ident);
    let body = quote! {
        const WIRE: #p::WireType = #p::WireType::Varint;

        #[inline]
        fn empty() -> Self {
            Self::#first
        }

        #[inline]
        fn is_default(&self) -> bool {
            #p::Enumeration::number(self) == 0
        }

        #[inline]
        fn body_len(&self) -> usize {
            #p::Value::body_len(&#p::Enumeration::number(self))
        }

        #[inline]
        fn encode_body(&self, __out: &mut #p::BytesMut) {
            #p::Value::encode_body(&#p::Enumeration::number(self), __out);
        }

        #[inline]
        fn merge_body(
            &mut self,
            __input: &mut #p::Input<'_>,
        ) -> ::core::result::Result<(), #p::DecodeError> {
            #p::merge_enum(self, __input)
        }

        fn write_value(&self, __writer: &mut dyn #p::Writer, __at: #p::At) {
            #p::write_enum(self, __writer, __at);
        }

        fn read_value(
            &mut self,
            __reader: &mut dyn #p::Reader,
            __limits: &mut #p::Limits,
        ) -> #p::Read {
            #p::read_enum(self, __reader, __limits)
        }

        fn value_type() -> #p::Type {
            #p::Type::Enum(<Self as #p::Enumeration>::enum_type())
        }
    };
    implement(head, quote!(#p::Value), body)
}
