//! A message as data: its fields with their numbers and names.
//!
//! What the items look like is read here; whether it makes sense is the business of `check.rs`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::{Attribute, Expr, ExprLit, Generics, Ident, Lit, LitStr, Meta, Path, Type, parse_quote};

use super::args::{FieldArgs, TypeArgs};
use super::names;

/// What all kinds of messages share.
pub(crate) struct Head {
    pub(crate) krate: Path,
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    /// The same with the bounds of impls: type parameters of messages are elements.
    pub(crate) bounded: Generics,
    /// The name in a `.proto`.
    pub(crate) name: String,
    /// Where that was given.
    pub(crate) name_span: Span,
    /// The name in formats that carry foreign type names; empty if it has none.
    pub(crate) class: String,
    pub(crate) docs: String,
    pub(crate) reserved: Vec<(u32, Span)>,
    /// Whether `Default` is the user's, derived or written.
    pub(crate) has_default: bool,
}

/// A field of a struct, of a variant or of an argument list.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    pub(crate) wire: Wire,
}

/// Number and names of a field or variant.
pub(crate) struct Wire {
    /// The number, once `check.rs` has given one to each.
    pub(crate) tag: u32,
    pub(crate) explicit: Option<(u32, Span)>,
    /// In snake case, as a `.proto` writes it.
    pub(crate) name: String,
    /// In lowerCamelCase, as JSON and msgpack write it.
    pub(crate) json: String,
    /// Its type's name in formats that carry foreign type names; empty if it has none.
    pub(crate) class: String,
    pub(crate) docs: String,
    pub(crate) span: Span,
    /// Where its name was given.
    pub(crate) name_span: Span,
}

impl Head {
    pub(crate) fn new(
        args: TypeArgs,
        ident: &Ident,
        generics: &Generics,
        attrs: &[Attribute],
    ) -> Self {
        let name_span = args.name.as_ref().map_or_else(|| ident.span(), LitStr::span);
        let name = args.name.map_or_else(|| ident.unraw().to_string(), |name| name.value());
        Self {
            name_span,
            ident: ident.clone(),
            bounded: bounded(generics.clone(), &args.krate),
            generics: generics.clone(),
            name,
            class: args.class.map(|class| class.value()).unwrap_or_default(),
            docs: docs(attrs),
            reserved: args.reserved,
            krate: args.krate,
            has_default: args.own_default || derives_default(attrs),
        }
    }

    /// The head of a struct that only generated code sees, with the parameters of `of`; its name
    /// in a `.proto` is `name`.
    pub(crate) fn hidden(of: &Self, ident: Ident, name: String) -> Self {
        Self {
            krate: of.krate.clone(),
            name,
            name_span: of.name_span,
            ident,
            generics: of.generics.clone(),
            bounded: of.bounded.clone(),
            class: String::new(),
            docs: String::new(),
            reserved: Vec::new(),
            has_default: false,
        }
    }

    /// The path of everything generated code names.
    pub(crate) fn private(&self) -> TokenStream {
        let krate = &self.krate;
        quote!(#krate::__private)
    }
}

impl Wire {
    pub(crate) fn new(ident: &Ident, args: &FieldArgs, attrs: &[Attribute]) -> Self {
        let name = match &args.name {
            Some(name) => name.value(),
            None => names::snake(&ident.unraw().to_string()),
        };
        Self {
            tag: 0,
            explicit: args.tag,
            json: names::lower_camel(&name),
            name,
            class: args.class.as_ref().map(LitStr::value).unwrap_or_default(),
            docs: docs(attrs),
            span: ident.span(),
            name_span: args.name.as_ref().map_or_else(|| ident.span(), LitStr::span),
        }
    }
}

fn bounded(mut generics: Generics, krate: &Path) -> Generics {
    for param in generics.type_params_mut() {
        param.bounds.push(parse_quote!(#krate::__private::Element));
    }
    generics
}

/// The text of doc comments, without the blank that follows the slashes.
pub(crate) fn docs(attrs: &[Attribute]) -> String {
    let lines = attrs.iter().filter_map(|attr| match &attr.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) => Some(line.value()),
            _ => None,
        },
        _ => None,
    });
    let trimmed = |line: String| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned();
    lines.map(trimmed).collect::<Vec<_>>().join("\n")
}

fn derives_default(attrs: &[Attribute]) -> bool {
    let mut found = false;
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("derive")) {
        // What cannot be read here is the business of `derive` itself.
        let _ = attr.parse_nested_meta(|meta| {
            found |= meta.path.segments.last().is_some_and(|last| last.ident == "Default");
            Ok(())
        });
    }
    found
}
