//! Enums with data and business errors as data.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{Fields, Ident, ItemEnum, Type};

use super::args::{FieldArgs, Place};
use super::check;
use super::foreign;
use super::model::{Field, Head, Wire};
use super::named_fields;
use super::names::upper_camel;
use crate::errors::Errors;

/// A variant of an enum.
pub(crate) struct Variant {
    pub(crate) ident: Ident,
    pub(crate) wire: Wire,
    pub(crate) holds: Holds,
    /// What `#[rpc(…)]` says of it.
    pub(crate) args: FieldArgs,
}

impl Variant {
    /// The name of the message of its named fields, in a `.proto`.
    pub(crate) fn payload_name(&self, head: &Head) -> String {
        let own = self.ident.unraw().to_string();
        // The name on the wire is one that a `.proto` can hold.
        let own = if own.is_ascii() { own } else { upper_camel(&self.wire.name) };
        format!("{}{own}", head.name)
    }
}

/// What a variant holds.
pub(crate) enum Holds {
    Nothing,
    One(Type),
    /// Fields, and the name of the hidden struct they are read into.
    Named(Vec<Field>, Ident),
}

/// What `#[rpc(…)]` says of each variant; taken out of `item`.
pub(crate) fn args(item: &mut ItemEnum, place: Place, errors: &mut Errors) -> Vec<FieldArgs> {
    let variants = item.variants.iter_mut();
    let args = variants.map(|variant| {
        check::conditions(&variant.attrs, "variant", errors);
        for field in variant.fields.iter_mut().filter(|field| field.ident.is_none()) {
            // What is said of the only value of a variant is said of the variant.
            let message = "the value of a variant has no attributes; put this on the variant";
            foreign::no_serde(&mut field.attrs, errors);
            foreign::refuse(&mut field.attrs, |_| true, message, errors);
        }
        FieldArgs::take(&mut variant.attrs, place, errors)
    });
    args.collect()
}

/// Whether no variant holds data, but for what an `other` keeps.
pub(crate) fn are_units(item: &ItemEnum, args: &[FieldArgs]) -> bool {
    item.variants.iter().zip(args).all(|(variant, args)| match &variant.fields {
        Fields::Unnamed(fields) => {
            fields.unnamed.is_empty() || (args.other.is_some() && fields.unnamed.len() == 1)
        }
        fields => fields.is_empty(),
    })
}

/// Takes the variants of `item`, numbered, of which `args` has been said.
pub(crate) fn variants(
    head: &Head,
    item: &mut ItemEnum,
    args: Vec<FieldArgs>,
    errors: &mut Errors,
) -> Vec<Variant> {
    let mut found = Vec::new();
    for (variant, args) in item.variants.iter_mut().zip(args) {
        check::other_holds_nothing(variant, &args, errors);
        let holds = holds(head, &variant.ident, &mut variant.fields, &args, errors);
        found.push(Variant {
            wire: Wire::new(&variant.ident, &args, &variant.attrs),
            ident: variant.ident.clone(),
            holds,
            args,
        });
    }
    let numbered = found.iter_mut().filter(|variant| variant.args.status.is_none());
    check::number(head, numbered.map(|variant| &mut variant.wire), errors);
    found
}

fn holds(
    head: &Head,
    variant: &Ident,
    fields: &mut Fields,
    args: &FieldArgs,
    errors: &mut Errors,
) -> Holds {
    match fields {
        Fields::Unit => Holds::Nothing,
        Fields::Unnamed(unnamed) if unnamed.unnamed.len() == 1 => {
            check::travels(&unnamed.unnamed[0].ty, args.status.is_none(), errors);
            Holds::One(unnamed.unnamed[0].ty.clone())
        }
        Fields::Unnamed(unnamed) if unnamed.unnamed.is_empty() => {
            check::bare(unnamed, variant, errors);
            Holds::Nothing
        }
        Fields::Unnamed(unnamed) => {
            if args.status.is_none() {
                errors.at(
                    unnamed,
                    "a variant holds one value, or fields with names; write `{ name: Type, … }`",
                );
            }
            Holds::Nothing
        }
        Fields::Named(_) => {
            let mut named = named_fields(fields, errors);
            // They stand in a struct of their own, whose `Self` is another.
            for field in &mut named {
                field.ty = with_own_name(head, &field.ty);
            }
            // No name that a type of the user's may have: it would be hidden by this one.
            let payload = format_ident!("__{}{}", head.ident.unraw(), variant.unraw());
            check::number(
                &Head::hidden(head, payload.clone(), String::new()),
                named.iter_mut().map(|f| &mut f.wire),
                errors,
            );
            Holds::Named(named, payload)
        }
    }
}

/// `ty` with the enum's name for `Self`.
fn with_own_name(head: &Head, ty: &Type) -> Type {
    let (ident, (_, arguments, _)) = (&head.ident, head.generics.split_for_impl());
    let own = quote!(#ident #arguments);
    // A type stays one: `Self` stands where a type may.
    syn::parse2(replaced(ty.to_token_stream(), &own)).unwrap_or_else(|_| ty.clone())
}

fn replaced(tokens: TokenStream, own: &TokenStream) -> TokenStream {
    let tokens = tokens.into_iter().map(|token| match token {
        TokenTree::Ident(ident) if ident == "Self" => own.clone(),
        TokenTree::Group(group) => {
            let inner = replaced(group.stream(), own);
            let mut replaced = Group::new(group.delimiter(), inner);
            replaced.set_span(group.span());
            TokenTree::Group(replaced).into()
        }
        other => other.into(),
    });
    tokens.collect()
}
