//! The attributes of Dubhe: [`macro@message`], and its services and errors.
//!
//! Each goes through the same stages: arguments, model, check, expand. The macros know no crate of
//! the workspace; they print paths into `<crate>::__private`, where `<crate>` is `::dubhe` unless
//! `crate = …` says otherwise.

mod errors;
mod message;

use proc_macro::TokenStream;
use syn::{Item, ItemEnum, ItemStruct, parse_macro_input};

/// Makes a struct or enum a message.
#[proc_macro_attribute]
pub fn message(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as Item);
    message::expand(arguments.into(), item).into()
}

/// Makes an enum the business error of methods.
#[proc_macro_attribute]
pub fn error(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemEnum);
    message::error::expand(arguments.into(), item).into()
}

/// Makes a struct the argument list of a method, as `#[service]` does; for tests of that form.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn arguments(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemStruct);
    message::expand_arguments_of(arguments.into(), &item).into()
}
