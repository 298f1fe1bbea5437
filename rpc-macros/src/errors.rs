//! Collects what is wrong with an item, so that the user sees all of it at once.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// The mistakes found so far, in order.
#[derive(Default)]
pub(crate) struct Errors(Option<syn::Error>);

impl Errors {
    /// Adds a mistake under all of `tokens`.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Adds a mistake at `span`.
    pub(crate) fn at_span(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(syn::Error::new(span, message));
    }

    /// Adds a mistake that has its place and message already.
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            none => *none = Some(error),
        }
    }

    /// What the macro answers in place of code, if anything was wrong.
    pub(crate) fn into_tokens(self) -> Option<TokenStream> {
        self.0.map(|error| error.into_compile_error())
    }
}
