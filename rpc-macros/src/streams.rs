//! Where `Streaming<T>` may be in a service: as the only argument, and as the value of a result.
//!
//! It is recognized by its name, like `Result`; an alias of it is refused by the bounds of the generated
//! code.

use syn::visit::{self, Visit};
use syn::{GenericArgument, PathArguments, Type, TypePath};

use crate::errors::Errors;
use crate::groups::ungrouped;
use crate::model::Method;

/// The `T` of a `Streaming<T>`.
pub(crate) fn streamed(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ungrouped(ty) else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Streaming")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(of)) if arguments.args.len() == 1 => Some(of),
        _ => None,
    }
}

/// Reports streams of `method` where there can be none.
pub(crate) fn check(method: &Method, errors: &mut Errors) {
    for argument in &method.arguments {
        let ty = &*argument.item.ty;
        check_alone(ty, errors);
        if streamed(ty).is_some() && method.arguments.len() > 1 {
            let message = "a stream is the only argument of its method: remove the others, or make \
                           them a part of its first message";
            errors.at(ty, message);
        }
        if let (Some(_), Some(span)) = (streamed(ty), method.args.oneway) {
            let message = "a `oneway` method takes no stream, because no caller would learn that it \
                           broke off: remove `oneway`, or take a `Vec<T>`";
            errors.at_span(span, message);
        }
    }
    check_alone(&method.outcome.value, errors);
    if let Some(error) = &method.outcome.error {
        Nested(errors).visit_type(error);
    }
    if let (Some(_), Some(fallback)) = (streamed(&method.outcome.value), &method.args.fallback) {
        let message = "`fallback` stands for an answer that is one value, and this one is a \
                       stream: remove `fallback`";
        errors.at(fallback, message);
    }
}

/// A stream may be all of a type, and no part of it.
fn check_alone(ty: &Type, errors: &mut Errors) {
    Nested(errors).visit_type(streamed(ty).unwrap_or(ty));
}

/// Reports every `Streaming` inside a type.
struct Nested<'e>(&'e mut Errors);

impl<'ast> Visit<'ast> for Nested<'_> {
    fn visit_type_path(&mut self, path: &'ast TypePath) {
        if path.path.segments.last().is_some_and(|last| last.ident == "Streaming") {
            let message = "a stream travels by itself, not inside another type: let `Streaming<T>` \
                           be the only argument, or the value of the `Result`, with a `T` that is \
                           one value";
            self.0.at(path, message);
        } else {
            visit::visit_type_path(self, path);
        }
    }
}
