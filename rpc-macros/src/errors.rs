//! Collects the mistakes in an item, so that the user sees all of them at once.
//!
//! Each becomes a `compile_error!` at the place of the mistake. If there are any, nothing else is
//! generated: half of a client would make the compiler report errors that the user did not make.

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

/// ` (did you mean …?)` if `name` is one slip of the hand away from a word of `known`, else
/// nothing.
pub(crate) fn did_you_mean(name: &str, known: &str) -> String {
    let words = known.split(|c: char| !c.is_alphanumeric() && c != '_');
    let nearest = words.into_iter().find(|word| !word.is_empty() && is_slip(name, word));
    nearest.map(|word| format!(" (did you mean `{word}`?)")).unwrap_or_default()
}

/// Whether one letter is too much, missing or another, or two neighbours are swapped.
fn is_slip(written: &str, meant: &str) -> bool {
    let (mut a, mut b) = (written.as_bytes(), meant.as_bytes());
    while let ([x, rest_a @ ..], [y, rest_b @ ..]) = (a, b)
        && x == y
    {
        (a, b) = (rest_a, rest_b);
    }
    while let ([rest_a @ .., x], [rest_b @ .., y]) = (a, b)
        && x == y
    {
        (a, b) = (rest_a, rest_b);
    }
    match (a, b) {
        ([_], [] | [_]) | ([], [_]) => true,
        ([x, y], [u, v]) => x == v && y == u,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_of_the_hand_is_recognised_and_two_are_not() {
        let known = "name, idempotent, oneway, timeout = \"300ms\"";
        for (written, meant) in [
            ("nmae", "name"),
            ("idempotnt", "idempotent"),
            ("one_way", "oneway"),
            ("timeour", "timeout"),
            ("names", "name"),
        ] {
            assert_eq!(did_you_mean(written, known), format!(" (did you mean `{meant}`?)"));
        }
        for other in ["retries", "nmea", "idemp", "n"] {
            assert_eq!(did_you_mean(other, known), "", "{other}");
        }
    }
}
