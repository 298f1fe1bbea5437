//! Attributes that have no place on a message, such as those of serde, and what to write instead.

use syn::Attribute;

use crate::errors::Errors;

/// Takes those attributes away that have no place here, so that rustc says nothing of them, too.
pub(crate) fn refuse(
    attrs: &mut Vec<Attribute>,
    is_refused: impl Fn(&Attribute) -> bool,
    message: impl std::fmt::Display,
    errors: &mut Errors,
) {
    attrs.retain(|attr| {
        let is_refused = is_refused(attr);
        if is_refused {
            errors.at(attr, &message);
        }
        !is_refused
    });
}

/// What serde is told elsewhere: a message has the same form in every codec, which is no choice of
/// serde's.
pub(crate) fn no_serde(attrs: &mut Vec<Attribute>, errors: &mut Errors) {
    let is_serde = |attr: &Attribute| attr.path().is_ident("serde");
    let message = "serde is not asked how a message is written, which is alike in every codec: \
                   write `#[rpc(name = \"…\")]` for another name, and remove this";
    refuse(attrs, is_serde, message, errors);
}

/// The same of a type, and the derives that it has already: `Deserialize` only if `has_both`.
pub(crate) fn no_serde_of_type(attrs: &mut Vec<Attribute>, has_both: bool, errors: &mut Errors) {
    no_serde(attrs, errors);
    let known: &[&str] = if has_both { &["Serialize", "Deserialize"] } else { &["Serialize"] };
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("derive")) {
        // What cannot be read here is the business of `derive` itself.
        let _ = attr.parse_nested_meta(|meta| {
            if let Some(last) = meta.path.segments.last()
                && known.iter().any(|name| last.ident == name)
            {
                errors.at(
                    &meta.path,
                    format_args!(
                        "the attribute implements `{}` already, with the form that every codec \
                         has; remove this",
                        last.ident
                    ),
                );
            }
            Ok(())
        });
    }
}
