//! Attribute arguments: `#[service(…)]` on the trait and `#[rpc(…)]` on its methods.
//!
//! Turns text into values and reports what is not a value. `check.rs` decides whether the values
//! make sense together.
//!
//! | attribute | keys |
//! | --- | --- |
//! | `#[service(…)]` | `name`, `group`, `version`, `crate` |
//! | `#[rpc(…)]` on a method | `name`, `idempotent`, `oneway`, `timeout`, `retries`, `cluster`, `fallback` |
//!
//! An unknown key is an error that lists these; a key may occur once.

use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, LitInt, LitStr, Path, Token, parse_quote};

use crate::errors::{Errors, did_you_mean};
use crate::groups::ungrouped_expr;

const SERVICE_KEYS: &str = "name, group, version, crate";
const METHOD_KEYS: &str = "name, idempotent, oneway, timeout, retries, cluster, fallback";

/// What `#[service(…)]` says.
pub(crate) struct ServiceArgs {
    pub(crate) name: Option<LitStr>,
    pub(crate) group: Option<LitStr>,
    pub(crate) version: Option<LitStr>,
    /// The crate whose `__private` generated code names; `::dubhe` unless told.
    pub(crate) krate: Path,
}

/// What `#[rpc(…)]` says of a method.
#[derive(Default)]
pub(crate) struct MethodArgs {
    pub(crate) name: Option<LitStr>,
    pub(crate) idempotent: Option<Span>,
    pub(crate) oneway: Option<Span>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: Option<u32>,
    pub(crate) cluster: Option<LitStr>,
    pub(crate) fallback: Option<LitStr>,
}

impl ServiceArgs {
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut args =
            Self { name: None, group: None, version: None, krate: parse_quote!(::dubhe) };
        let settings = Punctuated::<Setting, Token![,]>::parse_terminated.parse2(tokens);
        for setting in accepted(settings, errors) {
            match setting.name.as_str() {
                "name" => args.name = setting.text("shop.Inventory", errors),
                "group" => args.group = setting.text("blue", errors),
                "version" => args.version = setting.text("1.0.0", errors),
                "crate" => args.krate = setting.path(errors).unwrap_or(args.krate),
                _ => setting.unknown(SERVICE_KEYS, errors),
            }
        }
        args
    }
}

impl MethodArgs {
    /// Takes the `#[rpc(…)]` attributes out of `attrs`.
    pub(crate) fn take(attrs: &mut Vec<Attribute>, errors: &mut Errors) -> Self {
        let mut settings = Vec::new();
        attrs.retain(|attr| {
            if !attr.path().is_ident("rpc") {
                return true;
            }
            match attr.parse_args_with(Punctuated::<Setting, Token![,]>::parse_terminated) {
                Ok(found) => settings.extend(found),
                Err(error) => errors.push(error),
            }
            false
        });
        let mut args = Self::default();
        for setting in accepted(Ok(settings), errors) {
            args.set(&setting, errors);
        }
        args
    }

    fn set(&mut self, setting: &Setting, errors: &mut Errors) {
        match setting.name.as_str() {
            "name" => self.name = setting.text("sayHello", errors),
            "idempotent" => self.idempotent = setting.flag(errors),
            "oneway" => self.oneway = setting.flag(errors),
            "timeout" => self.timeout = setting.duration(errors),
            "retries" => self.retries = setting.number(errors),
            "cluster" => self.cluster = setting.text("failover", errors),
            "fallback" => self.fallback = setting.text("[]", errors),
            _ => setting.unknown(METHOD_KEYS, errors),
        }
    }
}

/// The settings that occur once; the others are reported.
fn accepted(
    settings: syn::Result<impl IntoIterator<Item = Setting>>,
    errors: &mut Errors,
) -> Vec<Setting> {
    let mut accepted: Vec<Setting> = Vec::new();
    match settings {
        Err(error) => errors.push(error),
        Ok(settings) => {
            for setting in settings {
                if accepted.iter().any(|known| known.name == setting.name) {
                    let name = &setting.name;
                    errors.at(&setting.key, format_args!("`{name}` is set twice; keep one"));
                } else {
                    accepted.push(setting);
                }
            }
        }
    }
    accepted
}

/// The name of a setting; in its place many write a text, which the service or method is to be called.
pub(crate) fn key(input: ParseStream<'_>) -> syn::Result<Ident> {
    if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        let message = format!("every setting has a name: write `name = {:?}`", text.value());
        return Err(syn::Error::new(text.span(), message));
    }
    Ident::parse_any(input)
}

/// `key` or `key = value`.
struct Setting {
    key: Ident,
    name: String,
    value: Option<Expr>,
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key = key(input)?;
        let value = match input.parse::<Option<Token![=]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        Ok(Self { name: key.to_string(), key, value })
    }
}

impl Setting {
    fn literal(&self) -> Option<&Lit> {
        match self.value.as_ref().map(ungrouped_expr) {
            Some(Expr::Lit(ExprLit { lit, .. })) => Some(lit),
            _ => None,
        }
    }

    fn text(&self, example: &str, errors: &mut Errors) -> Option<LitStr> {
        match self.literal() {
            Some(Lit::Str(text)) => Some(text.clone()),
            _ => self.wrong(format_args!("a text: `{} = \"{example}\"`", self.name), errors),
        }
    }

    fn flag(&self, errors: &mut Errors) -> Option<Span> {
        match &self.value {
            None => Some(self.key.span()),
            Some(_) => self.wrong(format_args!("no value: write `{}`", self.name), errors),
        }
    }

    fn number(&self, errors: &mut Errors) -> Option<u32> {
        let number = match self.literal() {
            Some(Lit::Int(number)) => number.base10_parse().ok(),
            _ => None,
        };
        number.or_else(|| self.wrong(format_args!("a whole number: `{} = 2`", self.name), errors))
    }

    fn duration(&self, errors: &mut Errors) -> Option<Duration> {
        let duration = match self.literal() {
            Some(Lit::Str(text)) => parse_duration(text),
            _ => None,
        };
        duration.or_else(|| {
            let form = "a time above zero in `ms`, `s` or `m`: `timeout = \"300ms\"`";
            self.wrong(format_args!("{form}"), errors)
        })
    }

    fn path(&self, errors: &mut Errors) -> Option<Path> {
        match self.value.as_ref().map(ungrouped_expr) {
            Some(Expr::Path(path)) if path.qself.is_none() => Some(path.path.clone()),
            _ => self.wrong(format_args!("a path: `crate = ::dubhe`"), errors),
        }
    }

    fn wrong<T>(&self, form: std::fmt::Arguments<'_>, errors: &mut Errors) -> Option<T> {
        let message = format!("`{}` takes {form}", self.name);
        match &self.value {
            Some(value) => errors.at(value, message),
            None => errors.at(&self.key, message),
        }
        None
    }

    fn unknown(&self, known: &str, errors: &mut Errors) {
        let meant = did_you_mean(&self.name, known);
        let message = format!("unknown key `{}`{meant}, known: {known}", self.name);
        errors.at(&self.key, message);
    }
}

/// `300ms`, `1s` or `2m`; zero is no timeout.
fn parse_duration(text: &LitStr) -> Option<Duration> {
    // Rust's own grammar for a number with a suffix is the grammar wanted here.
    let number: LitInt = text.parse().ok()?;
    let value: u64 = number.base10_parse().ok()?;
    let millis = match number.suffix() {
        "ms" => value,
        "s" => value.checked_mul(1_000)?,
        "m" => value.checked_mul(60_000)?,
        _ => return None,
    };
    (millis > 0).then(|| Duration::from_millis(millis))
}
