//! Enums as data: without data, with data, and business errors.

use proc_macro2::Span;
use quote::format_ident;
use syn::ext::IdentExt;
use syn::{Expr, ExprLit, Fields, Ident, ItemEnum, Lit, Type};

use super::args::{FieldArgs, Place};
use super::check;
use super::model::{Field, Head, Wire};
use super::named_fields;
use crate::errors::Errors;

/// A variant of an enum.
pub(crate) struct Variant {
    pub(crate) ident: Ident,
    pub(crate) wire: Wire,
    pub(crate) holds: Holds,
    /// What `#[rpc(…)]` says of it.
    pub(crate) args: FieldArgs,
}

/// What a variant holds.
pub(crate) enum Holds {
    Nothing,
    One(Type),
    /// Fields, and the name of the hidden struct they are read into.
    Named(Vec<Field>, Ident),
}

/// Takes the variants of `item`, numbered, without their `#[rpc(…)]`.
pub(crate) fn variants(
    head: &Head,
    item: &mut ItemEnum,
    place: Place,
    errors: &mut Errors,
) -> Vec<Variant> {
    let mut found = Vec::new();
    for variant in &mut item.variants {
        let args = FieldArgs::take(&mut variant.attrs, place, errors);
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
            let mut named = named_fields(fields, false, errors);
            let payload = format_ident!("{}{}", head.ident.unraw(), variant.unraw());
            check::number(
                &Head::hidden(head, payload.clone()),
                named.iter_mut().map(|f| &mut f.wire),
                errors,
            );
            Holds::Named(named, payload)
        }
    }
}

/// A variant of an enum without data.
pub(crate) struct Unit {
    pub(crate) ident: Ident,
    /// The name on the wire, such as `OUT_OF_STOCK`.
    pub(crate) name: String,
    pub(crate) number: i32,
}

/// Takes the variants of an enum without data, without their `#[rpc(…)]`.
pub(crate) fn units(head: &Head, item: &mut ItemEnum, errors: &mut Errors) -> Vec<Unit> {
    let mut found: Vec<Unit> = Vec::new();
    let mut next = 0;
    for variant in &mut item.variants {
        let args = FieldArgs::take(&mut variant.attrs, Place::Message, errors);
        let discriminant = variant.discriminant.as_ref().map(|(_, value)| value);
        let explicit = args
            .tag
            .map(|(tag, span)| (i64::from(tag), span))
            .or_else(|| discriminant.and_then(|value| literal(value, errors)));
        let is_reserved =
            |number: i64| head.reserved.iter().any(|(tag, _)| i64::from(*tag) == number);
        while explicit.is_none() && is_reserved(next) {
            next += 1;
        }
        let (number, span) = explicit.unwrap_or_else(|| (next, variant.ident.span()));
        if explicit.is_some() && is_reserved(number) {
            errors.at_span(span, format_args!("number {number} is reserved; choose another"));
        }
        let number_32 = i32::try_from(number).unwrap_or_else(|_| {
            errors.at_span(span, "the number of a variant fits in i32");
            0
        });
        check_unit(&found, &variant.ident, number_32, span, errors);
        let name = match &args.name {
            Some(name) => name.value(),
            None => super::names::upper_snake(&variant.ident.unraw().to_string()),
        };
        if found.iter().any(|other| other.name == name) {
            errors.at_span(
                variant.ident.span(),
                format_args!(
                    "two variants are named `{name}` on the wire; rename one with \
                     `#[rpc(name = \"…\")]`"
                ),
            );
        }
        found.push(Unit { ident: variant.ident.clone(), name, number: number_32 });
        next = number + 1;
    }
    found
}

fn check_unit(found: &[Unit], ident: &Ident, number: i32, span: Span, errors: &mut Errors) {
    if found.is_empty() && number != 0 {
        errors.at_span(
            span,
            "the first variant has number 0, because it is the default; put another first or \
             remove its number",
        );
    }
    if let Some(other) = found.iter().find(|other| other.number == number) {
        errors.at_span(
            span,
            format_args!(
                "number {number} is that of `{}` already; give `{ident}` another",
                other.ident
            ),
        );
    }
}

/// The value of a discriminant that is a number as written.
fn literal(value: &Expr, errors: &mut Errors) -> Option<(i64, Span)> {
    let number = match value {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().ok(),
        Expr::Unary(syn::ExprUnary { op: syn::UnOp::Neg(_), expr, .. }) => match &**expr {
            Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => {
                number.base10_parse().ok().map(|number: i64| -number)
            }
            _ => None,
        },
        _ => None,
    };
    if number.is_none() {
        errors.at(value, "the number of a variant is written as a number, such as `= 3`");
    }
    Some((number?, syn::spanned::Spanned::span(value)))
}
