//! What serde found and what it expected, in words for the author of the settings.

use serde::de::Unexpected;

/// Longer texts are cut in messages.
const SHOWN: usize = 60;

/// Why what was found is not what was expected, as a derived `Deserialize` calls that, and how to
/// write it.
pub(super) fn mismatch(found: Unexpected<'_>, expected: &str) -> String {
    let shown = show(found);
    match expected {
        "a boolean" => {
            format!("{shown} is neither true nor false: write one of them{}", unquoted(found))
        }
        "a string" | "path string" => match found {
            Unexpected::Seq | Unexpected::Map => {
                format!("{shown} is not a text: write one in quotes")
            }
            _ => format!("{shown} is not a text: write it in quotes"),
        },
        "a sequence" => match found {
            Unexpected::Seq | Unexpected::Map => format!("{shown} is not a list: write [ … ]"),
            Unexpected::Str(text) => format!("{shown} is not a list: write {}", as_list(text)),
            _ => format!("{shown} is not a list: write [{shown}]"),
        },
        "f32" | "f64" => {
            format!("{shown} is not a number: write one such as 0.5{}", unquoted(found))
        }
        "a map" => format!("{shown} is not a table: write {{ … }}"),
        other if other.starts_with("struct ") => format!("{shown} is not a table: write {{ … }}"),
        other => match (range(other), found) {
            (Some(range), Unexpected::Unsigned(_) | Unexpected::Signed(_)) => {
                format!("{shown} is out of range: write a whole number {range}")
            }
            (Some(range), _) => {
                format!("{shown} is not a whole number: write one {range}{}", unquoted(found))
            }
            (None, _) => format!("{shown} is not possible here: expected {other}"),
        },
    }
}

/// The list that was meant by a text such as `a,b`, `[a]` or `a`.
fn as_list(text: &str) -> String {
    let words = text.trim_matches(['[', ']']).split(',');
    let words = words.map(|word| word.trim().trim_matches(['"', '\'']));
    let quoted: Vec<String> =
        words.filter(|word| !word.is_empty()).map(|word| format!("{word:?}")).collect();
    match quoted.is_empty() || text.chars().count() > SHOWN {
        true => "[ … ]".to_owned(),
        false => format!("[{}]", quoted.join(", ")),
    }
}

/// Whether the mistake is that a number or a truth value stands in quotes.
fn unquoted(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Str(text) if text.parse::<f64>().is_ok() => ", without quotes",
        Unexpected::Str("true" | "false" | "yes" | "no" | "on" | "off") => ", without quotes",
        _ => "",
    }
}

/// The values of a type of whole numbers.
fn range(rust: &str) -> Option<String> {
    let between = |least: i64, most: u64| Some(format!("from {least} to {most}"));
    match rust {
        "u8" => between(0, u8::MAX.into()),
        "u16" => between(0, u16::MAX.into()),
        "u32" => between(0, u32::MAX.into()),
        "u64" | "u128" | "usize" => Some("from 0 on".to_owned()),
        "i8" => between(i8::MIN.into(), i8::MAX.unsigned_abs().into()),
        "i16" => between(i16::MIN.into(), i16::MAX.unsigned_abs().into()),
        "i32" => between(i32::MIN.into(), i32::MAX.unsigned_abs().into()),
        "i64" | "i128" | "isize" => between(i64::MIN, i64::MAX.unsigned_abs()),
        _ if rust.starts_with("a nonzero ") => Some("from 1 on".to_owned()),
        _ => None,
    }
}

fn show(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(is) => is.to_string(),
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Float(number) => format!("{number:?}"),
        Unexpected::Str(text) if text.chars().count() > SHOWN => {
            let start: String = text.chars().take(SHOWN).collect();
            format!("{start:?}…")
        }
        Unexpected::Str(text) => format!("{text:?}"),
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}
