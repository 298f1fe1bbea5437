//! The rules of messages, each with what to do instead; all mistakes of a type are found at once.

use std::collections::HashMap;

use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{
    Attribute, Fields, GenericArgument, GenericParam, Generics, Ident, ItemEnum, LitStr,
    PathArguments, Type,
};

use super::args::FieldArgs;
use super::model::{Field, Head, Wire};
use super::proto;
use super::units::Unit;
use super::variants::{Holds, Variant};
use crate::conditions::is_conditional;
use crate::errors::Errors;
use crate::groups::ungrouped;
use crate::travels::Travels;

const MAX_TAG: u32 = (1 << 29) - 1;

/// Gives each field its number: the one it asks for, else the next after the field before it that
/// is not reserved. Reports numbers that cannot be.
pub(crate) fn number<'a>(
    head: &Head,
    wires: impl Iterator<Item = &'a mut Wire>,
    errors: &mut Errors,
) {
    proto::reserved(head, MAX_TAG, errors);
    let mut next = 1;
    let mut used: HashMap<u32, String> = HashMap::new();
    let mut names: HashMap<String, Span> = HashMap::new();
    for wire in wires {
        let (tag, span) = match wire.explicit {
            Some(explicit) => explicit,
            None => (free_from(next, head), wire.span),
        };
        check_tag(tag, span, wire.explicit.is_some(), head, errors);
        proto::field(&wire.name, wire.name_span, errors);
        if let Some(other) = used.insert(tag, wire.name.clone()) {
            errors.at_span(
                span,
                format_args!(
                    "number {tag} is that of `{other}` already; give one of them another with \
                     `#[rpc(tag = …)]`"
                ),
            );
        }
        if names.insert(wire.json.clone(), wire.span).is_some() {
            errors.at_span(
                wire.span,
                format_args!(
                    "two fields are named `{}` on the wire; rename one with \
                     `#[rpc(name = \"…\")]`",
                    wire.json
                ),
            );
        }
        wire.tag = tag;
        next = tag.saturating_add(1);
    }
}

fn free_from(mut tag: u32, head: &Head) -> u32 {
    while head.reserved.iter().any(|(reserved, _)| *reserved == tag) || is_protobufs(tag) {
        tag += 1;
    }
    tag
}

fn is_protobufs(tag: u32) -> bool {
    (19_000..20_000).contains(&tag)
}

/// A number that protobuf allows, and that is not reserved.
fn check_tag(tag: u32, span: Span, is_explicit: bool, head: &Head, errors: &mut Errors) {
    if !(1..=MAX_TAG).contains(&tag) || is_protobufs(tag) {
        errors.at_span(
            span,
            format_args!(
                "{tag} cannot be the number of a field; protobuf takes 1 to {MAX_TAG} without \
                 19000 to 19999"
            ),
        );
    }
    if is_explicit && head.reserved.iter().any(|(reserved, _)| *reserved == tag) {
        errors.at_span(
            span,
            format_args!(
                "number {tag} is reserved, because a removed field had it; choose another, or \
                 take it out of `reserved(…)` if no peer has ever sent it"
            ),
        );
    }
}

/// What can never travel, whatever it implements. `Self` can, where it is the type as written.
pub(crate) fn travels(ty: &Type, knows_self: bool, errors: &mut Errors) {
    Travels { errors, knows_self }.visit_type(ty);
}

/// Fields and variants are numbered and named on both ends, so none may come and go.
pub(crate) fn conditions(attrs: &[Attribute], on: &str, errors: &mut Errors) {
    for attr in attrs.iter().filter(|attr| is_conditional(attr)) {
        errors.at(
            attr,
            format_args!(
                "a {on} of a message cannot depend on `cfg`, because both ends must agree on it; \
                 put the `cfg` on the type"
            ),
        );
    }
}

/// Messages own their data, and live as long as they like.
pub(crate) fn generics(generics: &Generics, errors: &mut Errors) {
    for param in &generics.params {
        if let GenericParam::Lifetime(lifetime) = param {
            errors.at(
                lifetime,
                "a message owns its data and has no lifetimes; use `String`, `Vec<u8>` or `Bytes` \
                 in place of borrowed fields",
            );
        }
    }
}

/// The default of an enum is its first variant, in every language.
pub(crate) fn first_is_default(item: &ItemEnum, errors: &mut Errors) {
    if item.variants.is_empty() {
        errors.at(&item.ident, "an enum without variants has no value to send; add one");
    }
    for variant in item.variants.iter().skip(1) {
        if variant.attrs.iter().any(|attr| attr.path().is_ident("default")) {
            errors.at(
                variant,
                "the default of an enum in a message is its first variant; put this one first",
            );
        }
    }
}

/// What is unknown reads as one variant.
pub(crate) fn one_other(args: &[FieldArgs], errors: &mut Errors) {
    for span in args.iter().filter_map(|args| args.other).skip(1) {
        errors.at_span(span, "one variant takes what is unknown; remove `other` from the others");
    }
}

/// A variant of an enum with data has no number and name that a value could be kept under.
pub(crate) fn other_holds_nothing(variant: &syn::Variant, args: &FieldArgs, errors: &mut Errors) {
    if args.other.is_some() && !matches!(variant.fields, Fields::Unit) {
        errors.at(
            variant,
            format_args!(
                "the variant that takes what is unknown holds nothing in an enum with data; write \
                 `{}`",
                variant.ident
            ),
        );
    }
}

/// A variant that keeps what is unknown is not a value of its own.
pub(crate) fn kept(variant: &syn::Variant, args: &FieldArgs, is_first: bool, errors: &mut Errors) {
    if is_first {
        errors.at(
            &variant.ident,
            "the first variant is the default, and one that keeps what is unknown is none; put \
             another first",
        );
    }
    let name = args.name.as_ref().map(LitStr::span);
    let number = args.tag.map(|(_, span)| span);
    let discriminant = variant.discriminant.as_ref().map(|(_, value)| value.span());
    for span in [name, number, discriminant].into_iter().flatten() {
        errors.at_span(
            span,
            "a variant that keeps what is unknown has no name and number of its own; remove this",
        );
    }
}

/// A variant without data is written without brackets, so that each has one form.
pub(crate) fn bare(fields: impl ToTokens, variant: &Ident, errors: &mut Errors) {
    errors.at(fields, format_args!("a variant that holds nothing is written `{variant}`"));
}

/// The number of a variant without data, as protobuf and Java have it.
pub(crate) fn unit_number(number: i64, span: Span, errors: &mut Errors) -> i32 {
    match i32::try_from(number) {
        Ok(i32::MIN) => {
            errors.at_span(
                span,
                format_args!("{number} is the number of names that are unknown; choose another"),
            );
            i32::MIN
        }
        Ok(number) => number,
        Err(_) => {
            errors.at_span(span, "the number of a variant fits in i32");
            0
        }
    }
}

/// The number of a variant without data beside those before it.
pub(crate) fn unit(before: &[Unit], unit: &Unit, span: Span, errors: &mut Errors) {
    let Unit { ident, name, number } = unit;
    if before.is_empty() && *number != 0 {
        errors.at_span(
            span,
            "the first variant has number 0, because it is the default; put another first or \
             remove its number",
        );
    }
    if let Some(other) = before.iter().find(|other| other.number == *number) {
        errors.at_span(
            span,
            format_args!(
                "number {number} is that of `{}` already; give `{ident}` another",
                other.ident
            ),
        );
    }
    if before.iter().any(|other| other.name == *name) {
        errors.at_span(
            ident.span(),
            format_args!(
                "two variants are named `{name}` on the wire; rename one with \
                 `#[rpc(name = \"…\")]`"
            ),
        );
    }
}

/// A variant is read by its name in Rust, too, which no other may have on the wire; whether that is
/// so.
pub(crate) fn unit_names(units: &[Unit], errors: &mut Errors) -> bool {
    let mut are_apart = true;
    for Unit { ident, name, .. } in units {
        let mut others = units.iter().filter(|other| other.ident != *ident);
        if let Some(other) = others.find(|other| other.rust_name() == *name) {
            are_apart = false;
            errors.at_span(
                ident.span(),
                format_args!(
                    "`{ident}` is named `{name}` on the wire, which is how `{}` is written in \
                     Rust, and both are read: choose another name",
                    other.ident
                ),
            );
        }
    }
    are_apart
}

/// A field that is always there cannot hold the message itself: each default would make another.
pub(crate) fn default_ends(head: &Head, fields: &[Field], errors: &mut Errors) {
    let own = &head.ident;
    for Field { ty, .. } in fields.iter().filter(|field| is_boxed(&field.ty, own)) {
        errors.at(
            ty,
            format_args!(
                "each `{own}` would hold another `{own}` without end; write \
                 `Option<Box<{own}>>`, or `Vec<{own}>` for any number of them"
            ),
        );
    }
}

/// The same of an enum, whose default is its first variant.
pub(crate) fn first_ends(head: &Head, variants: &[Variant], errors: &mut Errors) {
    let own = &head.ident;
    let types: Vec<_> = match variants.first().map(|variant| &variant.holds) {
        Some(Holds::One(ty)) => vec![ty],
        Some(Holds::Named(fields, _)) => fields.iter().map(|field| &field.ty).collect(),
        Some(Holds::Nothing) | None => Vec::new(),
    };
    for ty in types.into_iter().filter(|ty| is_boxed(ty, own)) {
        errors.at(
            ty,
            format_args!(
                "the first variant is the default, and this one would hold another `{own}` \
                 without end; put a variant first that holds no `{own}`"
            ),
        );
    }
}

/// Whether the type is `own` in boxes, as it is written; what is hidden behind other types is
/// found by rustc in the constants of defaults.
fn is_boxed(ty: &Type, own: &Ident) -> bool {
    let Type::Path(path) = ungrouped(ty) else { return false };
    let Some(last) = path.path.segments.last() else { return false };
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return false };
    let is_own = |ty: &Type| match ungrouped(ty) {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| {
            path.path.segments.len() == 1 && (last.ident == "Self" || last.ident == *own)
        }),
        _ => false,
    };
    last.ident == "Box"
        && arguments.args.iter().any(|argument| match argument {
            GenericArgument::Type(inner) => is_own(inner) || is_boxed(inner, own),
            _ => false,
        })
}
