//! `#[message]`: structs and enums that travel in every codec, and the argument lists of methods.
//!
//! ```text
//! args.rs                       #[message(…)] and #[rpc(…)] on fields
//! model.rs, units.rs, variants.rs   structs, enums without data and enums with data, as data
//! check.rs, proto.rs, foreign.rs    the rules, ours and those of protobuf; attributes of others
//! expand.rs, faces.rs           the code of structs and argument lists
//! enumeration.rs                the code of enums without data
//! oneof.rs, oneof_proto.rs      the code of enums with data
//! error.rs                      #[error]
//! describe.rs                   the type as data, for descriptors and `.proto` files
//! names.rs                      names on the wire
//! ```
//!
//! The generated code holds static tables and calls functions of `rpc_core::message`; how a value
//! looks in a format is decided there, once for all types.

mod args;
mod check;
mod describe;
mod enumeration;
pub(crate) mod error;
mod expand;
mod faces;
mod foreign;
mod model;
mod names;
mod newtype;
mod oneof;
mod oneof_proto;
mod proto;
mod units;
mod variants;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{Fields, Generics, Ident, Item, ItemEnum, ItemStruct, Path, Type};

use self::args::{FieldArgs, Place, TypeArgs};
use self::expand::Kind;
use self::model::{Field, Head, Wire};
use crate::errors::Errors;
use crate::names::lints;

/// What is wrong with an argument's name in a `.proto`, if anything is.
pub(crate) use self::proto::is_name;

pub(crate) use self::names::wire_name;

/// What `#[message(arguments)]` makes of `item`.
pub(crate) fn expand(arguments: TokenStream, item: Item) -> TokenStream {
    let (mut errors, lints) = (Errors::default(), lints(item.to_token_stream()));
    let args = TypeArgs::parse(arguments, &mut errors);
    let (item, code) = match item {
        Item::Struct(mut item) => {
            foreign::no_serde_of_type(&mut item.attrs, true, &mut errors);
            let code = expand_struct(args, &mut item, &mut errors);
            (quote!(#item), code)
        }
        Item::Enum(mut item) => {
            foreign::no_serde_of_type(&mut item.attrs, true, &mut errors);
            let code = expand_enum(args, &mut item, &mut errors);
            (quote!(#item), code)
        }
        other => {
            errors.at(&other, "a message is a struct or an enum; put `#[message]` on one of these");
            (quote!(#other), TokenStream::new())
        }
    };
    match errors.into_tokens() {
        Some(errors) => quote!(#item #errors),
        None => quote!(#item #lints const _: () = { #code };),
    }
}

fn expand_struct(args: TypeArgs, item: &mut ItemStruct, errors: &mut Errors) -> TokenStream {
    if let Fields::Unnamed(fields) = &item.fields {
        if fields.unnamed.len() == 1 {
            return newtype::expand(args, item, errors);
        }
        errors.at(
            fields,
            "the fields of a message have names, but for the one of a newtype; write \
             `{ name: Type, … }`",
        );
    }
    let head = Head::new(args, &item.ident, &item.generics, &item.attrs);
    check::generics(&item.generics, errors);
    proto::type_name(&head, errors);
    let mut fields = named_fields(&mut item.fields, errors);
    check::number(&head, fields.iter_mut().map(|field| &mut field.wire), errors);
    check::default_ends(&head, &fields, errors);
    expand::record(&head, &fields, Kind::Message)
}

fn expand_enum(args: TypeArgs, item: &mut ItemEnum, errors: &mut Errors) -> TokenStream {
    let head = Head::new(args, &item.ident, &item.generics, &item.attrs);
    check::generics(&item.generics, errors);
    proto::type_name(&head, errors);
    check::first_is_default(item, errors);
    let args = variants::args(item, Place::Variant, errors);
    check::one_other(&args, errors);
    if variants::are_units(item, &args) {
        let variants = units::units(&head, item, args, errors);
        return enumeration::expand(&head, &variants);
    }
    let variants = variants::variants(&head, item, args, errors);
    check::first_ends(&head, &variants, errors);
    oneof::expand(&head, &variants)
}

/// The named fields, without their `#[rpc(…)]`.
fn named_fields(fields: &mut Fields, errors: &mut Errors) -> Vec<Field> {
    let mut found = Vec::new();
    for field in fields {
        check::conditions(&field.attrs, "field", errors);
        let args = FieldArgs::take(&mut field.attrs, Place::Field, errors);
        if let Some(ident) = &field.ident {
            check::travels(&field.ty, true, errors);
            found.push(Field {
                ident: ident.clone(),
                ty: field.ty.clone(),
                wire: Wire::new(ident, &args, &field.attrs),
            });
        }
    }
    found
}

/// [`expand_arguments`] of a struct as written.
pub(crate) fn expand_arguments_of(arguments: TokenStream, item: &ItemStruct) -> TokenStream {
    let mut errors = Errors::default();
    let args = TypeArgs::parse(arguments, &mut errors);
    let field = |field: &syn::Field| Some((field.ident.clone()?, field.ty.clone()));
    let fields: Vec<_> = item.fields.iter().filter_map(field).collect();
    let (name, lints) = (item.ident.unraw().to_string(), lints(item.to_token_stream()));
    let code = expand_arguments(&args.krate, &item.ident, name, &lints, &item.generics, &fields);
    errors.into_tokens().unwrap_or(code)
}

/// A struct `ident` of the arguments of a method, and all it needs to travel: `Message`,
/// `Default`, `Describe`. Its bounds are those of `generics`, its name in a `.proto` is `name`.
pub(crate) fn expand_arguments(
    krate: &Path,
    ident: &Ident,
    name: String,
    lints: &TokenStream,
    generics: &Generics,
    fields: &[(Ident, Type)],
) -> TokenStream {
    let head = Head {
        krate: krate.clone(),
        ident: ident.clone(),
        bounded: generics.clone(),
        generics: generics.clone(),
        name,
        name_span: ident.span(),
        class: String::new(),
        docs: String::new(),
        reserved: Vec::new(),
        has_default: false,
    };
    let field = |(index, (ident, ty)): (usize, &(Ident, Type))| Field {
        ident: ident.clone(),
        ty: ty.clone(),
        wire: Wire {
            tag: u32::try_from(index).unwrap_or(u32::MAX - 1) + 1,
            ..Wire::new(ident, &FieldArgs::default(), &[])
        },
    };
    let (names, types): (Vec<_>, Vec<_>) = fields.iter().map(|(name, ty)| (name, ty)).unzip();
    let fields: Vec<_> = fields.iter().enumerate().map(field).collect();
    let code = expand::record(&head, &fields, Kind::Arguments);
    let clause = &generics.where_clause;
    quote! {
        #lints
        struct #ident #generics #clause { #(#names: #types),* }

        #lints
        const _: () = { #code };
    }
}
