//! The rules of messages, each with what to do instead; all mistakes of a type are found at once.

use std::collections::HashMap;

use proc_macro2::Span;
use syn::{GenericParam, Generics, ItemEnum};

use super::model::{Head, Wire};
use crate::errors::Errors;

const MAX_TAG: u32 = (1 << 29) - 1;

/// Gives each field its number: the one it asks for, else the next after the field before it that
/// is not reserved. Reports numbers that cannot be.
pub(crate) fn number<'a>(
    head: &Head,
    wires: impl Iterator<Item = &'a mut Wire>,
    errors: &mut Errors,
) {
    let mut next = 1;
    let mut used: HashMap<u32, String> = HashMap::new();
    let mut names: HashMap<String, Span> = HashMap::new();
    for wire in wires {
        let (tag, span) = match wire.explicit {
            Some(explicit) => explicit,
            None => (free_from(next, head), wire.span),
        };
        check_tag(tag, span, wire.explicit.is_some(), head, errors);
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
