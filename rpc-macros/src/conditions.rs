//! Recognizes `cfg` and `cfg_attr` on methods, arguments, fields and variants. They are refused there:
//! both ends must agree on these, and may be built with different features.

use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Meta};

use crate::names::idents;

/// Whether what `attr` stands on is there, or travels in its way, under some conditions only.
pub(crate) fn is_conditional(attr: &Attribute) -> bool {
    if attr.path().is_ident("cfg") {
        return true;
    }
    let is_rule = |tokens: TokenStream| {
        let found = idents(tokens);
        found.contains("cfg") || found.contains("rpc")
    };
    match &attr.meta {
        // The condition goes up to the first comma.
        Meta::List(list) if list.path.is_ident("cfg_attr") => {
            let is_comma =
                |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == ',');
            let tokens = list.tokens.clone().into_iter();
            is_rule(tokens.skip_while(|token| !is_comma(token)).collect())
        }
        _ => false,
    }
}
