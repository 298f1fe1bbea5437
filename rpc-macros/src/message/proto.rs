//! The rules for names and numbers that protobuf has, so that every `.proto` which is printed is one.

use std::collections::HashMap;

use proc_macro2::Span;

use super::model::Head;
use super::units::Unit;
use crate::errors::Errors;

/// Words that begin something else where the name of a type may stand.
const WORDS: [&str; 37] = [
    "bool",
    "bytes",
    "double",
    "edition",
    "enum",
    "export",
    "extend",
    "extensions",
    "false",
    "fixed32",
    "fixed64",
    "float",
    "group",
    "import",
    "inf",
    "int32",
    "int64",
    "local",
    "map",
    "message",
    "nan",
    "oneof",
    "option",
    "optional",
    "package",
    "repeated",
    "required",
    "reserved",
    "returns",
    "rpc",
    "service",
    "sfixed32",
    "sfixed64",
    "stream",
    "string",
    "syntax",
    "true",
];

/// Further types of numbers.
const NUMBERS: [&str; 4] = ["sint32", "sint64", "uint32", "uint64"];

/// Whether a `.proto` can hold `name`.
pub(crate) fn is_name(name: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(is_inner)
}

/// The name of a type.
pub(crate) fn type_name(head: &Head, errors: &mut Errors) {
    let (name, remedy) = (&*head.name, "give the type another by `name = \"…\"` in its attribute");
    if !is_name(name) {
        errors.at_span(head.name_span, no_name(name, remedy));
    } else if WORDS.contains(&name) || NUMBERS.contains(&name) {
        errors.at_span(head.name_span, word(name, remedy));
    }
}

/// The name of a field, or of a variant that holds data.
pub(crate) fn field(name: &str, span: Span, errors: &mut Errors) {
    if !is_name(name) {
        errors.at_span(span, no_name(name, "give it another by `#[rpc(name = \"…\")]`"));
    }
}

/// The name of a variant without data.
pub(crate) fn unit(name: &str, span: Span, errors: &mut Errors) {
    field(name, span, errors);
    // Its enum is printed as `Value`, and the others begin something else in it.
    if ["Value", "option", "reserved"].contains(&name) {
        errors.at_span(span, word(name, "choose another"));
    }
}

fn no_name(name: &str, remedy: &str) -> String {
    format!(
        "`{}` is not a valid name in a `.proto`: names consist of ASCII letters, digits and `_` \
         and do not begin with a digit; {remedy}",
        name.escape_debug()
    )
}

fn word(name: &str, remedy: &str) -> String {
    format!("`{name}` means something else in a `.proto`; {remedy}")
}

/// Names of variants that protobuf takes for one: generators leave out the name of the enum, case
/// and underscores.
pub(crate) fn unit_labels(units: &[Unit], errors: &mut Errors) {
    let mut labels: HashMap<String, &Unit> = HashMap::new();
    for unit in units {
        match labels.insert(label(&unit.name), unit) {
            Some(other) if other.name != unit.name => errors.at_span(
                unit.ident.span(),
                format_args!(
                    "protobuf takes `{}` and `{}` for one name; rename one with \
                     `#[rpc(name = \"…\")]`",
                    other.name, unit.name
                ),
            ),
            _ => {}
        }
    }
}

/// The name as protoc compares it: without that of the enum, which is `Value`, in camel case.
fn label(name: &str) -> String {
    let mut rest = name;
    for expected in "value".chars() {
        rest = rest.trim_start_matches('_');
        match rest.chars().next() {
            Some(c) if c.eq_ignore_ascii_case(&expected) => rest = &rest[c.len_utf8()..],
            _ => {
                rest = name;
                break;
            }
        }
    }
    rest = rest.trim_start_matches('_');
    if rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit()) {
        rest = name;
    }
    let mut raise = true;
    let mut label = String::new();
    for c in rest.chars() {
        match c {
            '_' => raise = true,
            c if raise => {
                label.push(c.to_ascii_uppercase());
                raise = false;
            }
            c => label.push(c.to_ascii_lowercase()),
        }
    }
    label
}

/// Reserved numbers, each of which stands once and may be a number.
pub(crate) fn reserved(head: &Head, most: u32, errors: &mut Errors) {
    for (index, (number, span)) in head.reserved.iter().enumerate() {
        if head.reserved[..index].iter().any(|(other, _)| other == number) {
            errors.at_span(*span, format_args!("{number} is reserved twice; keep one"));
        }
        if !(1..=most).contains(number) {
            errors.at_span(*span, format_args!("{number} is never given; reserve 1 to {most}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_compared_as_protoc_does() {
        assert_eq!(label("VALUE_A"), label("A"));
        assert_eq!(label("VALUEA"), "A");
        assert_eq!(label("DARK_GREEN"), "DarkGreen");
        assert_ne!(label("FOO_BAR"), label("FOOBAR"));
        assert_eq!(label("VALUE"), "Value");
        assert_eq!(label("VALUE_2"), "Value2");
    }
}
