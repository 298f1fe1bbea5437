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
    let default = (!head.has_default).then(|| default(head));
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

/// `Default`, which is what the type is where nothing was sent: by a macro whose name says what to do
/// where the program has one, too.
pub(crate) fn default(head: &Head) -> TokenStream {
    let p = head.private();
    default_of(head, &quote!(<Self as #p::Record>::empty()))
}

/// `Default` by this expression.
pub(super) fn default_of(head: &Head, body: &TokenStream) -> TokenStream {
    let (p, ident) = (head.private(), &head.ident);
    let (params, _, clause) = head.bounded.split_for_impl();
    let (_, arguments, _) = head.generics.split_for_impl();
    quote! {
        #p::derive_default_below_the_attribute_or_say_own_default_in_it! {
            [#params] [#ident #arguments] [#clause] #body
        }
    }
}

fn empty(head: &Head, fields: &[Field], kind: Kind) -> TokenStream {
    let p = head.private();
    let defaults = fields.iter().map(|field| {
        let name = &field.ident;
        let face = face(&p, &field.ty);
        quote!(#name: #face::absent())
    });
    let marker = (kind == Kind::Variant).then(|| quote!(__types: ::core::marker::PhantomData));
    quote! {
        #[inline]
        fn empty() -> Self {
            Self { #(#defaults,)* #marker }
        }
    }
}

fn record_impl(head: &Head, fields: &[Field], kind: Kind) -> TokenStream {
    let p = head.private();
    let wires: Vec<_> = fields.iter().map(|field| &field.wire).collect();
    let positions = match kind {
        Kind::Arguments => quote!(Always),
        Kind::Message | Kind::Variant => quote!(Compact),
    };
    let schema = schema(head, &wires, &positions);
    let (default_heap, empty) = (default_heap(&p, fields), empty(head, fields, kind));
    let nests_within = nests_within(&p, fields, kind);
    let proto = match (kind, fields) {
        (Kind::Arguments, [field]) => sole_proto(&p, field),
        _ => proto(&p, fields),
    };
    let shared: Vec<_> = fields.iter().map(this).collect();
    let faces: Vec<_> = fields.iter().map(|field| face(&p, &field.ty)).collect();
    let present = present(&faces, &shared);
    let write_fields = write_fields(&faces, &shared);
    let (places, exclusive) = (0..fields.len(), fields.iter().map(this_mut));
    let body = quote! {
        const SCHEMA: &'static #p::RecordSchema = #schema;
        const ENDLESS_DEFAULT_USE_OPTION_BOX: usize = #default_heap;

        #empty

        #nests_within

        #proto

        fn present(&self) -> usize {
            #present
        }

        fn write_fields(&self, __writer: &mut dyn #p::Writer) {
            let __fields = <Self as #p::Record>::SCHEMA.fields;
            #write_fields
        }

        fn read_field(
            &mut self,
            __at: usize,
            __reader: &mut dyn #p::Reader,
            __limits: &mut #p::Limits,
        ) -> #p::Read {
            match __at {
                #(#places => #faces::read(#exclusive, __reader, __limits),)*
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
pub(crate) fn present(faces: &[TokenStream], access: &[TokenStream]) -> TokenStream {
    quote!(0usize #(+ (!#faces::is_absent(#access)) as usize)*)
}

/// Offers the fields that are reached by `access`, of the table `fields`.
pub(crate) fn write_fields(faces: &[TokenStream], access: &[TokenStream]) -> TokenStream {
    let places = 0..access.len();
    quote! {
        #(#faces::write(
            #access,
            __writer,
            ::core::option::Option::Some(&__fields[#places]),
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
            let (face, this) = (face(p, &field.ty), this(field));
            quote!(#face::sole_nests_within(#this, __levels))
        }
        _ => {
            let faces = fields.iter().map(|field| face(p, &field.ty));
            quote!(__levels != 0 #(&& #faces::nests_within(#shared, __levels - 1))*)
        }
    };
    quote! {
        #[inline]
        fn nests_within(&self, __levels: usize) -> bool {
            #within
        }
    }
}

/// The type as a field. All that is asked of it is asked this way: of one that cannot travel, rustc
/// then says the same thing at the same place each time, and shows it once.
pub(crate) fn face(p: &TokenStream, ty: &Type) -> TokenStream {
    quote_spanned!(at(ty)=> <#ty as #p::Field>)
}

/// The field.
fn this(field: &Field) -> TokenStream {
    let member = &field.ident;
    quote!(&self.#member)
}

/// The field to be written to.
fn this_mut(field: &Field) -> TokenStream {
    let member = &field.ident;
    quote!(&mut self.#member)
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
    let faces: Vec<_> = fields.iter().map(|field| face(p, &field.ty)).collect();
    quote! {
        #[inline]
        fn fields_len(&self) -> usize {
            0 #(+ #faces::field_len(#shared, #tags))*
        }

        #[inline]
        fn encode_fields(&self, __out: &mut #p::BytesMut) {
            #(#faces::encode_field(#shared, #tags, __out);)*
        }

        #[inline]
        fn merge_tagged(
            &mut self,
            __tag: u32,
            __wire: #p::WireType,
            __input: &mut #p::Input<'_>,
        ) -> ::core::result::Result<(), #p::DecodeError> {
            let __merged = match __tag {
                #(#tags => #faces::merge_field(#exclusive, __wire, __input),)*
                _ => __input.skip(__tag, __wire),
            };
            __merged.map_err(|__error| #p::in_tagged(__error, <Self as #p::Record>::SCHEMA, __tag))
        }
    }
}

/// Protobuf's form of a list of exactly one argument.
fn sole_proto(p: &TokenStream, field: &Field) -> TokenStream {
    let (shared, exclusive, name) = (this(field), this_mut(field), &field.wire.json);
    let face = face(p, &field.ty);
    quote! {
        #[inline]
        fn fields_len(&self) -> usize {
            #face::sole_len(#shared)
        }

        #[inline]
        fn encode_fields(&self, __out: &mut #p::BytesMut) {
            #face::encode_sole(#shared, __out);
        }

        #[inline]
        fn merge_tagged(
            &mut self,
            __tag: u32,
            __wire: #p::WireType,
            __input: &mut #p::Input<'_>,
        ) -> ::core::result::Result<(), #p::DecodeError> {
            #face::merge_sole(#exclusive, __tag, __wire, __input, #name)
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
        let (face, field) = (face(&p, &field.ty), this(field));
        quote!(#index => #face::argument_text(#field, __out),)
    });
    quote! {
        fn argument_text(&self, __index: usize, __out: &mut ::std::string::String) -> bool {
            match __index {
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
            let face = face(&p, &field.ty);
            faces::Form {
                write: quote!(#face::write_sole(#this, self, __writer)),
                read: quote! {
                    #face::read_sole(self, |__list| &mut __list.#member, __reader, __limits)
                },
            }
        }
        _ => faces::Form {
            write: quote!(#p::write_whole(self, __writer)),
            read: quote!(#p::read_record(self, __reader, __limits)),
        },
    }
}
