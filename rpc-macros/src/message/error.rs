//! `#[error]`: an enum of business errors, with one variant for what the framework says.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{Ident, ItemEnum, Type};

use super::args::{Place, TypeArgs};
use super::expand::{self, implement};
use super::model::Head;
use super::variants::{self, Holds, Variant};
use super::{check, faces, foreign, names, oneof, proto};
use crate::errors::Errors;
use crate::groups::ungrouped;
use crate::names::lints;

const CODES: [&str; 16] = [
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

/// What `#[error(arguments)]` makes of `item`.
pub(crate) fn expand(arguments: TokenStream, mut item: ItemEnum) -> TokenStream {
    let (mut errors, lints) = (Errors::default(), lints(item.to_token_stream()));
    let args = TypeArgs::parse(arguments, &mut errors);
    foreign::no_serde_of_type(&mut item.attrs, false, &mut errors);
    let head = Head::new(args, &item.ident, &item.generics, &item.attrs);
    check::generics(&item.generics, &mut errors);
    proto::type_name(&head, &mut errors);
    let args = variants::args(&mut item, Place::ErrorVariant, &mut errors);
    let variants = variants::variants(&head, &mut item, args, &mut errors);
    let status = check_variants(&head, &variants, &mut errors);
    match (errors.into_tokens(), status) {
        (None, Some(status)) => {
            let code = code(&head, &variants, &status);
            quote!(#item #lints const _: () = { #code };)
        }
        (errors, _) => quote!(#item #errors),
    }
}

/// The rules beyond those of messages: exactly one variant is the status, and holds one. Returns
/// it.
fn check_variants(head: &Head, variants: &[Variant], errors: &mut Errors) -> Option<Ident> {
    let mut statuses = variants.iter().filter(|variant| variant.args.status.is_some());
    let first = statuses.next();
    for other in statuses {
        errors.at(
            &other.ident,
            "one variant holds the framework's status; remove `status` from the others",
        );
    }
    match first {
        Some(variant) => check_status(variant, errors),
        None => errors.at(
            &head.ident,
            "a call can also fail in the framework, so its error needs a variant for that; add \
             `#[rpc(status)] Status(Status)`",
        ),
    }
    if variants.len() < 2 && first.is_some() {
        errors.at(
            &head.ident,
            "an error has at least one variant of its own; without one return `Result<T>`",
        );
    }
    for code in variants.iter().filter_map(|variant| variant.args.code.as_ref()) {
        if !CODES.contains(&code.value().as_str()) {
            let known = CODES.join(", ");
            errors.at(code, format_args!("unknown code `{}`, available: {known}", code.value()));
        }
    }
    first.map(|variant| variant.ident.clone())
}

/// The variant for the framework's failures holds a status. What another name means, rustc knows alone;
/// of the types that everybody knows it is said in words.
fn check_status(variant: &Variant, errors: &mut Errors) {
    let message = format!(
        "the variant for the framework's failures holds a status; write `{}(Status)`, with `use \
         dubhe::Status;`",
        variant.ident
    );
    match &variant.holds {
        Holds::One(ty) => match ungrouped(ty) {
            Type::Path(path) if path.path.get_ident().is_none_or(|name| !is_known(name)) => {
                let last = path.path.segments.last();
                if last.is_some_and(|last| !last.arguments.is_none()) {
                    errors.at(ty, message);
                }
            }
            _ => errors.at(ty, message),
        },
        _ => errors.at(&variant.ident, message),
    }
}

/// Types of the language and its prelude.
fn is_known(name: &Ident) -> bool {
    const KNOWN: [&str; 15] = [
        "String", "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "isize", "u8", "u16",
        "u32", "u64", "usize",
    ];
    KNOWN.iter().any(|known| name == known)
}

/// The code of each variant.
fn code(head: &Head, variants: &[Variant], status: &Ident) -> TokenStream {
    let p = head.private();
    // No error of its own: what a status of another type reads as.
    let default = expand::default(head);
    let record = oneof::record(head, variants);
    let message = faces::message(head, &faces::Form::of_value(head), &TokenStream::new());
    let serialize = faces::serialize(head, &quote!(#p::write_with_serde(self, __serializer)));
    let (display, error) = (display(head, variants), std_error(head, status));
    let business = business(head, variants, status);
    let from = quote! {
        fn from(__status: #p::Status) -> Self {
            #p::BusinessError::from_status(__status)
        }
    };
    let from = implement(head, quote!(::core::convert::From<#p::Status>), from);
    quote!(#default #record #message #serialize #display #error #business #from)
}

/// `Display`: the `message` of each variant, else its doc comment, else its name in words.
fn display(head: &Head, variants: &[Variant]) -> TokenStream {
    let arms = variants.iter().map(|variant| {
        let Variant { ident, args, holds, .. } = variant;
        let text = match &args.message {
            _ if args.status.is_some() => {
                return quote!(Self::#ident(__status) => ::core::fmt::Display::fmt(__status, __f),);
            }
            None => {
                let text = plain_text(variant);
                return quote!(Self::#ident { .. } => __f.write_str(#text),);
            }
            Some(text) => text,
        };
        match holds {
            Holds::Nothing => quote!(Self::#ident => ::core::write!(__f, #text),),
            Holds::One(_) if text.value().contains("{0") => {
                quote!(Self::#ident(__0) => ::core::write!(__f, #text, __0),)
            }
            Holds::One(_) => quote!(Self::#ident(_) => ::core::write!(__f, #text),),
            Holds::Named(fields, _) => {
                let names: Vec<_> = fields.iter().map(|field| &field.ident).collect();
                // The text need not name every field.
                quote! {
                    Self::#ident { #(#names),* } => {
                        let _ = (#(#names,)*);
                        ::core::write!(__f, #text)
                    }
                }
            }
        }
    });
    let body = quote! {
        fn fmt(&self, __f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            match self { #(#arms)* }
        }
    };
    implement(head, quote!(::core::fmt::Display), body)
}

/// The first line of the variant's doc comment, else its name in words.
fn plain_text(variant: &Variant) -> String {
    let docs = variant.wire.docs.lines().next().unwrap_or_default();
    if docs.is_empty() {
        return names::snake(&variant.ident.unraw().to_string()).replace('_', " ");
    }
    docs.trim_end_matches('.').to_owned()
}

fn std_error(head: &Head, status: &Ident) -> TokenStream {
    let body = quote! {
        fn source(&self) -> ::core::option::Option<&(dyn ::std::error::Error + 'static)> {
            match self {
                Self::#status(__status) => ::std::error::Error::source(__status),
                _ => ::core::option::Option::None,
            }
        }
    };
    implement(head, quote!(::std::error::Error), body)
}

/// `BusinessError`: the way of a value into a status and back.
fn business(head: &Head, variants: &[Variant], status: &Ident) -> TokenStream {
    let p = head.private();
    let codes = variants.iter().map(|variant| {
        let (ident, code) = (&variant.ident, variant.args.code.as_ref());
        match code {
            _ if variant.args.status.is_some() => quote!(Self::#ident(__own) => __own.code(),),
            Some(code) => {
                let code = Ident::new(&camel(&code.value()), code.span());
                quote!(Self::#ident { .. } => #p::Code::#code,)
            }
            None => quote!(Self::#ident { .. } => #p::Code::FailedPrecondition,),
        }
    });
    let body = quote! {
        fn into_status(self) -> #p::Status {
            let __error = match self {
                Self::#status(__status) => return __status,
                __error => __error,
            };
            let __text = ::std::string::ToString::to_string(&__error);
            let __code = match &__error { #(#codes)* };
            #p::typed_status(__code, __text, &<Self as #p::Describe>::message_type().name, __error)
        }

        fn from_status(__status: #p::Status) -> Self {
            let __name = <Self as #p::Describe>::message_type().name;
            match #p::typed_error(&__status, &__name) {
                // A variant that is unknown here is none of ours.
                ::core::option::Option::None | ::core::option::Option::Some(Self::#status(_)) => {
                    Self::#status(__status)
                }
                ::core::option::Option::Some(__error) => __error,
            }
        }

        fn message_type() -> #p::MessageType {
            <Self as #p::Describe>::message_type()
        }
    };
    implement(head, quote!(#p::BusinessError), body)
}

/// `not_found` to `NotFound`.
fn camel(snake: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    };
    snake.split('_').map(word).collect()
}
