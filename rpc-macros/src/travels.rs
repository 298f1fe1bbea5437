//! Types that can never travel between processes, as far as their text shows it: borrows, `impl` and
//! `dyn`, `Self`. The bounds of the generated code decide whether a named type has a form on the wire.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Lifetime, TypeImplTrait, TypePath, TypeReference, TypeTraitObject};

use crate::errors::Errors;

/// Reports the parts of a type that can never travel, whatever they implement.
pub(crate) struct Travels<'e> {
    pub(crate) errors: &'e mut Errors,
    /// Whether `Self` is one type wherever it is written.
    pub(crate) knows_self: bool,
}

impl<'ast> Visit<'ast> for Travels<'_> {
    fn visit_type_reference(&mut self, ty: &'ast TypeReference) {
        let message = "a borrowed value cannot travel: use an owned type, such as `String` for \
                       `&str` or `Vec<T>` for `&[T]`";
        self.errors.at(ty, message);
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident != "static" {
            let message = "a borrowed value cannot travel: use an owned type without a lifetime";
            self.errors.at(lifetime, message);
        }
    }

    fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
        let message = "`impl Trait` has no form on the wire, because both ends must know the type: \
                       name a concrete type, or give the trait a type parameter";
        self.errors.at(ty, message);
    }

    fn visit_type_trait_object(&mut self, ty: &'ast TypeTraitObject) {
        let message = "`dyn Trait` has no form on the wire, because both ends must know the type: \
                       name a concrete type, or an enum of those that occur";
        self.errors.at(ty, message);
    }

    fn visit_type_path(&mut self, path: &'ast TypePath) {
        if starts_with_self(path) && !self.knows_self {
            let message = "`Self` is another type on each end: name a concrete type";
            self.errors.at_span(path.span(), message);
        } else {
            visit::visit_type_path(self, path);
        }
    }
}

/// Whether a path is `Self` or leads from it.
pub(crate) fn starts_with_self(path: &TypePath) -> bool {
    let first = path.path.segments.first();
    path.qself.is_none() && first.is_some_and(|first| first.ident == "Self")
}
