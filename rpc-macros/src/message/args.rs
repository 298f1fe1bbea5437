//! Attribute arguments: `#[message(…)]` on the type and `#[rpc(…)]` on fields and variants.

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Ident, LitInt, LitStr, Path, Token, parenthesized, parse_quote};

use super::foreign;
use crate::args::key;
use crate::errors::{Errors, did_you_mean};

/// What `#[message(…)]` says.
pub(crate) struct TypeArgs {
    /// The crate whose `__private` generated code names; `::dubhe` unless told.
    pub(crate) krate: Path,
    /// The name in a `.proto`, instead of the type's.
    pub(crate) name: Option<LitStr>,
    /// The name in formats that carry foreign type names.
    pub(crate) class: Option<LitStr>,
    /// Numbers that must not be used again.
    pub(crate) reserved: Vec<(u32, Span)>,
    /// Whether `Default` is the program's own.
    pub(crate) own_default: bool,
}

/// What `#[rpc(…)]` says of a field or variant.
#[derive(Default)]
pub(crate) struct FieldArgs {
    pub(crate) tag: Option<(u32, Span)>,
    pub(crate) name: Option<LitStr>,
    /// On a field: its type's name in formats that carry foreign type names.
    pub(crate) class: Option<LitStr>,
    /// On a variant: it takes what is unknown here.
    pub(crate) other: Option<Span>,
    /// On the variant of an error: the code of its status.
    pub(crate) code: Option<LitStr>,
    /// On the variant of an error: its text.
    pub(crate) message: Option<LitStr>,
    /// On the variant of an error: it holds what the framework says.
    pub(crate) status: Option<Span>,
}

/// Where the arguments stand, which decides what is allowed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Field,
    Variant,
    ErrorVariant,
}

impl TypeArgs {
    pub(crate) fn parse(tokens: proc_macro2::TokenStream, errors: &mut Errors) -> Self {
        let krate = parse_quote!(::dubhe);
        let mut args =
            Self { krate, name: None, class: None, reserved: Vec::new(), own_default: false };
        let parser = |input: ParseStream<'_>| {
            while !input.is_empty() {
                args.setting(input)?;
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(())
        };
        if let Err(error) = parser.parse2(tokens) {
            errors.push(error);
        }
        args
    }

    fn setting(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let key = key(input)?;
        match key.to_string().as_str() {
            "crate" => self.krate = value(input)?,
            "name" => self.name = Some(value(input)?),
            "class" => self.class = Some(value(input)?),
            "own_default" => self.own_default = true,
            "reserved" => {
                let list;
                parenthesized!(list in input);
                for number in Punctuated::<LitInt, Token![,]>::parse_terminated(&list)? {
                    self.reserved.push((number.base10_parse()?, number.span()));
                }
            }
            other => {
                let known =
                    "crate = path, name = \"…\", class = \"…\", reserved(2, 3), own_default";
                return Err(unknown(&key, other, known));
            }
        }
        Ok(())
    }
}

impl FieldArgs {
    /// Takes the `#[rpc(…)]` attributes out of `attrs`.
    pub(crate) fn take(attrs: &mut Vec<Attribute>, place: Place, errors: &mut Errors) -> Self {
        foreign::no_serde(attrs, errors);
        let mut args = Self::default();
        attrs.retain(|attr| {
            if !attr.path().is_ident("rpc") {
                return true;
            }
            let parsed = attr.parse_args_with(|input: ParseStream<'_>| {
                while !input.is_empty() {
                    args.setting(input, place)?;
                    if !input.is_empty() {
                        input.parse::<Token![,]>()?;
                    }
                }
                Ok(())
            });
            if let Err(error) = parsed {
                errors.push(error);
            }
            false
        });
        args
    }

    fn setting(&mut self, input: ParseStream<'_>, place: Place) -> syn::Result<()> {
        let key = key(input)?;
        let is_error = place == Place::ErrorVariant;
        match key.to_string().as_str() {
            "tag" => {
                let number: LitInt = value(input)?;
                self.tag = Some((number.base10_parse()?, number.span()));
            }
            "name" => self.name = Some(value(input)?),
            "class" if !is_error => self.class = Some(value(input)?),
            "other" if place == Place::Variant => self.other = Some(key.span()),
            "other" if is_error => {
                let text = "an error takes what is unknown in its `status` variant; remove `other`";
                return Err(syn::Error::new(key.span(), text));
            }
            "code" if is_error => self.code = Some(value(input)?),
            "message" if is_error => self.message = Some(value(input)?),
            "status" if is_error => self.status = Some(key.span()),
            other => {
                let known = match place {
                    Place::Field => "tag = 3, name = \"…\", class = \"…\"",
                    Place::Variant => "tag = 3, name = \"…\", class = \"…\", other",
                    Place::ErrorVariant => {
                        "tag = 3, name = \"…\", code = \"not_found\", message = \"…\", status"
                    }
                };
                return Err(unknown(&key, other, known));
            }
        }
        Ok(())
    }
}

fn unknown(key: &Ident, name: &str, known: &str) -> syn::Error {
    let meant = did_you_mean(name, known);
    let text = format!("unknown argument `{name}`{meant}, available: {known}");
    syn::Error::new(key.span(), text)
}

/// What follows an equals sign.
fn value<T: Parse>(input: ParseStream<'_>) -> syn::Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}
