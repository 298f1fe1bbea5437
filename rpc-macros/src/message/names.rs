//! Names on the wire, derived from Rust's.
//!
//! | in Rust | in a `.proto` | in JSON and msgpack |
//! | --- | --- | --- |
//! | field `full_name` | `full_name` | `fullName` |
//! | variant `OutOfStock` without data | `OUT_OF_STOCK` | `OUT_OF_STOCK` |
//! | variant `OutOfStock` with data | `out_of_stock` | `outOfStock` |

use syn::Ident;
use syn::ext::IdentExt;

/// The name under which an argument or field travels in JSON and msgpack, unless it is given one.
pub(crate) fn wire_name(ident: &Ident) -> String {
    lower_camel(&snake(&ident.unraw().to_string()))
}

/// `user_id` or `UserId` to `user_id`.
pub(crate) fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut chars = name.chars().peekable();
    let mut previous: Option<char> = None;
    while let Some(c) = chars.next() {
        let after_word = previous.is_some_and(|p| p.is_lowercase() || p.is_ascii_digit());
        let before_word = previous.is_some_and(char::is_uppercase)
            && chars.peek().is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && (after_word || before_word) {
            out.push('_');
        }
        out.extend(c.to_lowercase());
        previous = Some(c);
    }
    out
}

/// `user_id` to `userId`, as protobuf makes JSON names: each underscore goes, what follows it is
/// raised.
pub(crate) fn lower_camel(snake: &str) -> String {
    let mut out = String::with_capacity(snake.len());
    let mut raise = false;
    for c in snake.chars() {
        match c {
            '_' => raise = true,
            _ if raise => {
                out.push(c.to_ascii_uppercase());
                raise = false;
            }
            _ => out.push(c),
        }
    }
    out
}

/// `out_of_stock` to `OutOfStock`.
pub(crate) fn upper_camel(snake: &str) -> String {
    lower_camel(&format!("_{snake}"))
}

/// `OutOfStock` to `OUT_OF_STOCK`.
pub(crate) fn upper_snake(name: &str) -> String {
    snake(name).to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_protobufs_spelling() {
        assert_eq!(lower_camel("user_id"), "userId");
        assert_eq!(lower_camel("x_1_y"), "x1Y");
        assert_eq!(upper_camel("out_of_stock"), "OutOfStock");
        assert_eq!(snake("OutOfStock"), "out_of_stock");
        assert_eq!(snake("HTTPError"), "http_error");
        assert_eq!(upper_snake("V2Beta"), "V2_BETA");
    }
}
