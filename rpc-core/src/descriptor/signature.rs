//! What a method takes and gives, as data.

use super::types::{Shape, Type};

/// The arguments and the result of a method.
///
/// Formats that describe the types of a call beside its values read it, as hessian2 does, and tools
/// that call methods without a stub.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Signature {
    /// Its arguments in the order of declaration. Of one that streams, the type of its values.
    pub arguments: &'static [ArgumentType],
    /// What it returns; of a reply that streams, the type of its values.
    pub result: fn() -> Shape,
}

/// An argument of a method.
#[derive(Debug, Clone, Copy)]
pub struct ArgumentType {
    /// Its name in Rust.
    pub name: &'static str,
    /// Its type.
    pub shape: fn() -> Shape,
}

impl Signature {
    /// The signature of these arguments and this result.
    #[must_use]
    pub const fn new(arguments: &'static [ArgumentType], result: fn() -> Shape) -> Self {
        Self { arguments, result }
    }

    /// Whether its only argument is a message, which then is the whole body.
    #[must_use]
    pub fn takes_message(&self) -> bool {
        match self.arguments {
            [only] => matches!((only.shape)(), Shape::Single(Type::Message(..))),
            _ => false,
        }
    }
}
