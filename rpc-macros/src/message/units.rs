//! Enums without data as data: their variants with numbers and names.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::{Expr, ExprLit, Fields, Ident, ItemEnum, Lit, LitStr, Type};

use super::args::FieldArgs;
use super::check;
use super::model::Head;
use super::names::upper_snake;
use super::proto;
use crate::errors::Errors;
use crate::groups::ungrouped_expr;

/// The variants of an enum without data.
pub(crate) struct Units {
    /// Those with a number and a name.
    pub(crate) known: Vec<Unit>,
    pub(crate) other: Option<Other>,
}

/// A variant with a number and a name.
pub(crate) struct Unit {
    pub(crate) ident: Ident,
    /// The name on the wire, such as `OUT_OF_STOCK`.
    pub(crate) name: String,
    pub(crate) number: i32,
}

/// The variant that takes what is unknown.
pub(crate) struct Other {
    pub(crate) ident: Ident,
    /// What it keeps the unknown number or name as; without, it is one of the known ones.
    pub(crate) keeps: Option<Type>,
}

impl Unit {
    /// Its name in Rust, which is read, too.
    pub(crate) fn rust_name(&self) -> String {
        self.ident.unraw().to_string()
    }
}

/// The variants of `item`, of which `args` has been said.
pub(crate) fn units(
    head: &Head,
    item: &ItemEnum,
    args: Vec<FieldArgs>,
    errors: &mut Errors,
) -> Units {
    proto::reserved(head, i32::MAX.unsigned_abs(), errors);
    let mut units = Units { known: Vec::new(), other: None };
    let mut next = 0;
    for (variant, args) in item.variants.iter().zip(args) {
        if let (Some(_), Some(field)) = (args.other, variant.fields.iter().next()) {
            check::kept(variant, &args, units.known.is_empty(), errors);
            units.other =
                Some(Other { ident: variant.ident.clone(), keeps: Some(field.ty.clone()) });
            continue;
        }
        if !matches!(variant.fields, Fields::Unit) {
            check::bare(&variant.fields, &variant.ident, errors);
        }
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
        let name = match &args.name {
            Some(name) => name.value(),
            None => upper_snake(&variant.ident.unraw().to_string()),
        };
        let unit = Unit {
            ident: variant.ident.clone(),
            name,
            number: check::unit_number(number, span, errors),
        };
        let name_span = args.name.as_ref().map_or_else(|| unit.ident.span(), LitStr::span);
        proto::unit(&unit.name, name_span, errors);
        check::unit(&units.known, &unit, span, errors);
        if args.other.is_some() {
            units.other = Some(Other { ident: unit.ident.clone(), keeps: None });
        }
        units.known.push(unit);
        next = number + 1;
    }
    if check::unit_names(&units.known, errors) {
        proto::unit_labels(&units.known, errors);
    }
    units
}

/// The value of a discriminant that is a number as written.
fn literal(value: &Expr, errors: &mut Errors) -> Option<(i64, Span)> {
    let number = match ungrouped_expr(value) {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().ok(),
        Expr::Unary(syn::ExprUnary { op: syn::UnOp::Neg(_), expr, .. }) => {
            match ungrouped_expr(expr) {
                Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => {
                    number.base10_parse().ok().map(|number: i64| -number)
                }
                _ => None,
            }
        }
        _ => None,
    };
    if number.is_none() {
        errors.at(value, "the number of a variant is written as a number, such as `= 3`");
    }
    Some((number?, syn::spanned::Spanned::span(value)))
}
