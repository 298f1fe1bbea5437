//! Every identifier that generated code introduces, in one place.

use std::collections::HashSet;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{format_ident, quote};
use syn::Ident;
use syn::ext::IdentExt;

/// The names that belong to one trait.
pub(crate) struct Names {
    pub(crate) client: Ident,
    pub(crate) broadcast: Ident,
    pub(crate) server: Ident,
    pub(crate) dynamic: Ident,
    /// A type parameter that occurs nowhere in the trait: whatever implements it.
    pub(crate) implementation: Ident,
    interface: Ident,
}

impl Names {
    /// The names for the trait `interface`, whose text is `tokens`.
    pub(crate) fn new(interface: &Ident, tokens: TokenStream) -> Self {
        let interface = interface.unraw();
        // Where the trait is, and generated all the same: no lint asks whether they are used.
        let span = Span::call_site().located_at(interface.span());
        Self {
            client: format_ident!("{interface}Client", span = span),
            broadcast: format_ident!("{interface}Broadcast", span = span),
            server: format_ident!("{interface}Server", span = span),
            dynamic: format_ident!("Dyn{interface}", span = span),
            implementation: unused("T", tokens),
            interface,
        }
    }

    /// The message that the arguments of `method` form. How long the name of the trait is stands
    /// behind, so that no other trait and method make the same one.
    pub(crate) fn arguments(&self, method: &Ident) -> Ident {
        let (interface, len) = (&self.interface, self.interface.to_string().len());
        // Placed where the method is, and generated all the same: no lint looks at its spelling.
        let span = Span::call_site().located_at(method.span());
        format_ident!("__{interface}_{}_Arguments{len}", method.unraw(), span = span)
    }

    /// What says which type each method returns.
    pub(crate) fn results(&self) -> Ident {
        let span = Span::call_site().located_at(self.interface.span());
        format_ident!("__{}_Results", self.interface, span = span)
    }

    /// The name of that message in a `.proto`.
    pub(crate) fn arguments_name(&self, method: &Ident) -> String {
        let mut camel = String::new();
        for word in method.unraw().to_string().split('_') {
            let mut letters = word.chars();
            camel.extend(letters.next().into_iter().flat_map(char::to_uppercase));
            camel.push_str(letters.as_str());
        }
        // A `.proto` has ASCII letters alone.
        let plain = |c: char| if c.is_ascii() { c } else { '_' };
        format!("{}{camel}Arguments", self.interface).chars().map(plain).collect()
    }
}

/// The boxed form of `method`. Another name than its own, or a call would be ambiguous wherever
/// both traits are in scope.
pub(crate) fn boxed(method: &Ident) -> Ident {
    let span = Span::call_site().located_at(method.span());
    format_ident!("boxed_{}", method.unraw(), span = span)
}

/// The attribute for code generated of `item` that uses what is deprecated in it. Only where that is
/// so: where a lint is forbidden, allowing it is an error.
pub(crate) fn lints(item: TokenStream) -> TokenStream {
    match idents(item).contains("deprecated") {
        true => quote!(#[allow(deprecated)]),
        false => TokenStream::new(),
    }
}

/// All identifiers in `tokens`.
pub(crate) fn idents(tokens: TokenStream) -> HashSet<String> {
    let mut found = HashSet::new();
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => drop(found.insert(ident.to_string())),
            TokenTree::Group(group) => found.extend(idents(group.stream())),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    found
}

/// `name`, with as many underscores before it as make it new in `tokens`.
fn unused(name: &str, tokens: TokenStream) -> Ident {
    let taken = idents(tokens);
    let mut name = name.to_owned();
    while taken.contains(&name) {
        name.insert(0, '_');
    }
    format_ident!("{name}")
}
