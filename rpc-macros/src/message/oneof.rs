//! The code of enums with data: a message of one `oneof`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Ident, Type};

use super::expand::{self, Kind, implement};
use super::model::{Field, Head};
use super::oneof_proto::proto;
use super::variants::{Holds, Variant};
use super::{describe, faces};

/// Everything an enum with data needs.
pub(crate) fn expand(head: &Head, variants: &[Variant]) -> TokenStream {
    let default = (!head.has_default).then(|| expand::default(head));
    let record = record(head, variants);
    let value = faces::value(head);
    let message = faces::message(head, &faces::Form::of_value(head), &TokenStream::new());
    let serde = faces::serde_impls(head);
    quote!(#default #record #value #message #serde)
}

/// The variants as fields of a message: `Record`, `Describe`, and what variants with named fields
/// are read into.
pub(crate) fn record(head: &Head, variants: &[Variant]) -> TokenStream {
    let p = head.private();
    let payloads = variants.iter().filter_map(|variant| payload(head, variant));
    let numbered: Vec<_> = travelling(variants).map(|variant| &variant.wire).collect();
    let schema = expand::schema(head, &numbered, &quote!(Never));
    let proto = proto(head, variants);
    let nests = variants.iter().map(|variant| nests_within(&p, variant));
    let (default_heap, empty) = (default_heap(&p, variants), empty(&p, variants));
    let (present, write_fields) = (present(variants), write_fields(head, variants));
    let (read_field, become_unknown) = (read_field(head, variants), become_unknown(&p, variants));
    let body = quote! {
        const SCHEMA: &'static #p::RecordSchema = #schema;
        const ENDLESS_DEFAULT_USE_OPTION_BOX: usize = #default_heap;

        #empty

        #[inline]
        fn nests_within(&self, __levels: usize) -> bool {
            match self { #(#nests)* }
        }

        #proto

        #present

        #write_fields

        #read_field

        #become_unknown
    };
    let record = implement(head, quote!(#p::Record), body);
    let describe = describe_variants(head, variants);
    quote!(#(#payloads)* #record #describe)
}

pub(super) fn travelling(variants: &[Variant]) -> impl Iterator<Item = &Variant> {
    variants.iter().filter(|variant| variant.args.status.is_none())
}

/// The first variant; of an error, the framework's status.
fn empty(p: &TokenStream, variants: &[Variant]) -> TokenStream {
    let status = variants.iter().find(|variant| variant.args.status.is_some());
    let empty = match (status, variants.first()) {
        (Some(Variant { ident, .. }), _) => {
            quote!(Self::#ident(#p::Status::unknown("no error of this type")))
        }
        (None, Some(Variant { ident, holds, .. })) => match holds {
            Holds::Nothing => quote!(Self::#ident),
            Holds::One(ty) => quote!(Self::#ident(<#ty as #p::oneof::VariantValue>::empty())),
            Holds::Named(fields, _) => {
                let names = fields.iter().map(|field| &field.ident);
                let faces = faces_of(p, fields);
                quote!(Self::#ident { #(#names: #faces::absent()),* })
            }
        },
        (None, None) => TokenStream::new(),
    };
    quote! {
        fn empty() -> Self {
            #empty
        }
    }
}

/// The hidden struct that the named fields of a variant are read into.
fn payload(head: &Head, variant: &Variant) -> Option<TokenStream> {
    let Holds::Named(fields, ident) = &variant.holds else {
        return None;
    };
    let name = variant.payload_name(head);
    let own = Head { docs: variant.wire.docs.clone(), ..Head::hidden(head, ident.clone(), name) };
    let names = fields.iter().map(|field| &field.ident);
    let types = fields.iter().map(|field| &field.ty);
    let generics = &own.generics;
    let clause = &generics.where_clause;
    let parameters = generics.type_params().map(|param| &param.ident);
    let code = expand::record(&own, fields, Kind::Variant);
    Some(quote! {
        struct #ident #generics #clause {
            #(#names: #types,)*
            __types: ::core::marker::PhantomData<fn() -> (#(#parameters,)*)>,
        }

        #code
    })
}

/// Names of bindings that no field of the user's can hide, nor they those of generated code.
pub(super) fn bindings(fields: &[Field]) -> Vec<Ident> {
    let binding = |field: &Field| format_ident!("__field_{}", field.ident.unraw());
    fields.iter().map(binding).collect()
}

pub(super) fn faces_of(p: &TokenStream, fields: &[Field]) -> Vec<TokenStream> {
    fields.iter().map(|field| expand::face(p, &field.ty)).collect()
}

/// `Self::Variant { name: __field_name, … }`
pub(super) fn pattern(variant: &Variant, fields: &[Field]) -> TokenStream {
    let (ident, bindings) = (&variant.ident, bindings(fields));
    let names = fields.iter().map(|field| &field.ident);
    quote!(Self::#ident { #(#names: #bindings),* })
}

/// The look at depth before the enum is written.
fn nests_within(p: &TokenStream, variant: &Variant) -> TokenStream {
    let Variant { ident, args, holds, .. } = variant;
    match holds {
        _ if args.status.is_some() => quote!(Self::#ident { .. } => true,),
        Holds::Nothing => {
            quote!(Self::#ident => #p::oneof::VariantValue::nests_within(&(), __levels),)
        }
        Holds::One(ty) => {
            let value = binding_at(ty);
            quote!(Self::#ident(__value) => <#ty as #p::oneof::VariantValue>::nests_within(#value, __levels),)
        }
        Holds::Named(fields, _) => {
            let (pattern, bindings) = (pattern(variant, fields), bindings(fields));
            let faces = faces_of(p, fields);
            // The variant is a message in a message.
            quote! {
                #pattern => {
                    __levels > 1 #(&& #faces::nests_within(#bindings, __levels - 2))*
                }
            }
        }
    }
}

/// Bytes that the default, which is the first variant, holds outside of itself.
fn default_heap(p: &TokenStream, variants: &[Variant]) -> TokenStream {
    match variants.first().map(|first| (&first.args.status, &first.holds)) {
        Some((None, Holds::One(ty))) => {
            quote_spanned!(expand::at(ty)=> <#ty as #p::oneof::VariantValue>::HEAP)
        }
        Some((None, Holds::Named(fields, _))) => expand::default_heap(p, fields),
        _ => quote!(0),
    }
}

/// The binding `value`, placed on the user's type, where rustc then says that it cannot travel.
pub(super) fn binding_at(ty: &Type) -> Ident {
    Ident::new("__value", expand::at(ty))
}

/// Turns `self` into the variant, keeping what it holds if it is that already, and reads into
/// what it holds by `read`. A default is paid for by `make` first.
pub(super) fn become_and(
    head: &Head,
    variant: &Variant,
    make: impl Fn(TokenStream) -> TokenStream,
    read: impl Fn(TokenStream, TokenStream) -> TokenStream,
) -> TokenStream {
    let (p, ident) = (head.private(), &variant.ident);
    match &variant.holds {
        Holds::Nothing => {
            let read = read(quote!(()), quote!(&mut ()));
            quote!({ *self = Self::#ident; #read })
        }
        Holds::One(ty) => {
            let value = binding_at(ty);
            let (make, read) = (make(quote!(#ty)), read(quote!(#ty), quote!(#value)));
            quote! {{
                if !::core::matches!(self, Self::#ident(_)) {
                    #make
                    *self = Self::#ident(<#ty as #p::oneof::VariantValue>::empty());
                }
                match self {
                    Self::#ident(#value) => #read,
                    _ => ::core::result::Result::Ok(()),
                }
            }}
        }
        Holds::Named(fields, payload) => {
            let (pattern, bindings) = (pattern(variant, fields), bindings(fields));
            let names: Vec<_> = fields.iter().map(|field| &field.ident).collect();
            let (_, arguments, _) = head.generics.split_for_impl();
            let turbofish = arguments.as_turbofish();
            let make = make(quote!(#payload #arguments));
            let read = read(quote!(#payload #arguments), quote!(&mut __payload));
            quote! {{
                #make
                let mut __payload = match ::core::mem::replace(self, <Self as #p::Record>::empty()) {
                    #pattern => #payload {
                        #(#names: #bindings,)*
                        __types: ::core::marker::PhantomData,
                    },
                    _ => <#payload #turbofish as #p::Record>::empty(),
                };
                let __outcome = #read;
                *self = Self::#ident { #(#names: __payload.#names),* };
                __outcome
            }}
        }
    }
}

/// The present variant is there; the framework's status does not travel.
fn present(variants: &[Variant]) -> TokenStream {
    let status = variants.iter().find(|variant| variant.args.status.is_some());
    let present = match status.map(|variant| &variant.ident) {
        Some(ident) => quote!(!::core::matches!(self, Self::#ident { .. }) as usize),
        None => quote!(1),
    };
    quote! {
        fn present(&self) -> usize {
            #present
        }
    }
}

fn write_fields(head: &Head, variants: &[Variant]) -> TokenStream {
    let p = head.private();
    let statuses = variants.iter().filter(|variant| variant.args.status.is_some());
    let statuses = statuses.map(|Variant { ident, .. }| quote!(Self::#ident { .. } => {}));
    let writes = travelling(variants).enumerate();
    let writes = writes.map(|(place, variant)| write_variant(head, place, variant));
    quote! {
        fn write_fields(&self, __writer: &mut dyn #p::Writer) {
            let __fields = <Self as #p::Record>::SCHEMA.fields;
            match self { #(#writes)* #(#statuses)* }
        }
    }
}

/// The arm that writes a variant as the only field of its message.
fn write_variant(head: &Head, place: usize, variant: &Variant) -> TokenStream {
    let (p, ident) = (head.private(), &variant.ident);
    let at = quote!(::core::option::Option::Some(&__fields[#place]));
    match &variant.holds {
        Holds::Nothing => {
            quote!(Self::#ident => #p::oneof::VariantValue::write_variant(&(), __writer, #at),)
        }
        Holds::One(ty) => {
            let value = binding_at(ty);
            quote!(Self::#ident(__value) => <#ty as #p::oneof::VariantValue>::write_variant(#value, __writer, #at),)
        }
        Holds::Named(fields, payload) => {
            let (pattern, bindings) = (pattern(variant, fields), bindings(fields));
            let access: Vec<_> = bindings.iter().map(|binding| quote!(#binding)).collect();
            let faces = faces_of(&p, fields);
            let present = expand::present(&faces, &access);
            let write = expand::write_fields(&faces, &access);
            let (_, arguments, _) = head.generics.split_for_impl();
            let turbofish = arguments.as_turbofish();
            quote! {
                #pattern => {
                    let __of = <#payload #turbofish as #p::Record>::SCHEMA;
                    __writer.begin_record(#at, __of, #present);
                    let __fields = __of.fields;
                    #write
                    __writer.end_record();
                }
            }
        }
    }
}

fn read_field(head: &Head, variants: &[Variant]) -> TokenStream {
    let p = head.private();
    let reads = travelling(variants).enumerate().map(|(place, variant)| {
        let make = |ty: TokenStream| quote!(__limits.take(<#ty as #p::oneof::VariantValue>::HEAP)?;);
        let read = |ty: TokenStream, value| {
            quote!(<#ty as #p::oneof::VariantValue>::read_variant(#value, __reader, __limits))
        };
        let read = become_and(head, variant, make, read);
        quote!(#place => #read)
    });
    quote! {
        fn read_field(
            &mut self,
            __at: usize,
            __reader: &mut dyn #p::Reader,
            __limits: &mut #p::Limits,
        ) -> #p::Read {
            // `null` for a variant says nothing.
            if __reader.null()? {
                return ::core::result::Result::Ok(());
            }
            match __at {
                #(#reads)*
                _ => ::core::result::Result::Ok(()),
            }
        }
    }
}

/// What a variant of another version reads as: the one for that, or the status of an error.
fn become_unknown(p: &TokenStream, variants: &[Variant]) -> Option<TokenStream> {
    let unknown = variants.iter().find_map(|Variant { ident, args, .. }| {
        let status = args.status.map(|_| quote!(<Self as #p::Record>::empty()));
        args.other.map(|_| quote!(Self::#ident)).or(status)
    })?;
    Some(quote! {
        fn become_unknown(&mut self) -> bool {
            *self = #unknown;
            true
        }
    })
}

/// The variants as fields, for descriptions.
fn describe_variants(head: &Head, variants: &[Variant]) -> TokenStream {
    let p = head.private();
    let fields = travelling(variants).map(|variant| {
        let shape = match &variant.holds {
            Holds::Nothing => quote!(<() as #p::Field>::shape),
            Holds::One(ty) => quote!(<#ty as #p::oneof::VariantValue>::variant_shape),
            Holds::Named(_, payload) => {
                let (_, arguments, _) = head.generics.split_for_impl();
                let turbofish = arguments.as_turbofish();
                quote!(<#payload #turbofish as #p::Field>::shape)
            }
        };
        describe::field_type(&p, &variant.wire, &shape)
    });
    let takes_unknown = become_unknown(&p, variants).is_some();
    let kind = describe::Kind::OneOf { takes_unknown };
    let message = describe::message_type(head, &quote!(#(#fields),*), kind);
    describe::implement_by(head, &message)
}
