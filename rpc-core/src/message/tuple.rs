//! Tuples of two to six: arrays of as many values in formats with names, messages of as many fields in
//! protobuf.

use bytes::BytesMut;

use super::item::Item;
use super::problem::{Problem, Read};
use super::reader::{ReadScope, Reader};
use super::returned::generic_name;
use super::traits::{Element, Field, Value};
use super::wire::{DecodeError, Input, TooDeep};
use super::writer::{At, Writer};
use crate::codec::Limits;
use crate::descriptor::{FieldType, MessageType, Shape, Type};

/// The fields in protobuf.
const NAMES: [&str; 6] = ["first", "second", "third", "fourth", "fifth", "sixth"];

macro_rules! tuples {
    ($($count:literal: $($ty:ident . $at:tt = $tag:literal),*;)*) => {$(
        impl<$($ty: Item),*> Value for ($($ty,)*) {
            const IS_CHECKED: bool = true;
            const DEFAULT_HEAP: usize = 0 $(+ $ty::DEFAULT_HEAP)*;
            const ENDLESS_NEWTYPE_USE_A_NAMED_FIELD: bool = false $(| $ty::IS_ENDLESS)*;

            fn empty() -> Self {
                ($($ty::absent(),)*)
            }

            fn nests_within(&self, levels: usize) -> bool {
                levels != 0 $(&& self.$at.nests_within(levels - 1))*
            }

            fn body_len(&self) -> usize {
                0 $(+ self.$at.field_len($tag))*
            }

            fn encode_body(&self, out: &mut BytesMut) {
                $(self.$at.encode_field($tag, out);)*
            }

            fn merge_body(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
                input.message(|input, tag, wire| match tag {
                    $($tag => {
                        let merged = self.$at.merge_field(wire, input);
                        merged.map_err(|error| error.at_index($at))
                    })*
                    _ => input.skip(tag, wire),
                })
            }

            fn write_value(&self, writer: &mut dyn Writer, at: At) {
                writer.begin_list(at, $count);
                $(write(&self.$at, writer);)*
                writer.end_list();
            }

            fn read_value(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
                if reader.null()? {
                    *self = Self::empty();
                    return Ok(());
                }
                if !limits.enter() {
                    return Err(TooDeep.into());
                }
                let mut scope = limits.scope();
                reader.begin_list(&mut scope)?;
                $(
                    scope.takes_null = $ty::ITEM_TAKES_NULL;
                    next(reader, &mut scope, $at, $count)?;
                    let read = self.$at.read(reader, limits);
                    read.map_err(|problem| problem.at_index($at))?;
                )*
                limits.leave();
                match reader.next_item(&mut scope)? {
                    true => Err(wrong_length($count, &"more")),
                    false => Ok(()),
                }
            }

            fn value_type() -> Type {
                let describe = || message_type(&[$($ty::shape),*]);
                Type::Tuple(describe().name, describe)
            }
        }

        impl<$($ty: Item),*> Element for ($($ty,)*) {}
    )*};
}

tuples! {
    2: A.0 = 1, B.1 = 2;
    3: A.0 = 1, B.1 = 2, C.2 = 3;
    4: A.0 = 1, B.1 = 2, C.2 = 3, D.3 = 4;
    5: A.0 = 1, B.1 = 2, C.2 = 3, D.3 = 4, E.4 = 5;
    6: A.0 = 1, B.1 = 2, C.2 = 3, D.3 = 4, E.4 = 5, F.5 = 6;
}

/// Offers one value, in whose place nothing may be missing.
fn write<T: Field>(value: &T, writer: &mut dyn Writer) {
    if value.is_absent() {
        writer.null(None);
    } else {
        value.write(writer, None);
    }
}

fn next(reader: &mut dyn Reader, scope: &mut ReadScope, at: usize, of: usize) -> Read {
    if reader.next_item(scope)? { Ok(()) } else { Err(wrong_length(of, &at)) }
}

#[cold]
fn wrong_length(expected: usize, found: &dyn std::fmt::Display) -> Problem {
    Problem::new(format_args!("an array of {expected} was expected, not of {found}"))
}

/// The message that holds the values in protobuf.
fn message_type(shapes: &[fn() -> Shape]) -> MessageType {
    let fields = NAMES.into_iter().zip(1..).zip(shapes).map(|((name, tag), shape)| FieldType {
        name,
        json_name: name,
        doc: "",
        tag,
        shape: *shape,
    });
    let (name, fields) = (generic_name("Tuple", shapes), fields.collect());
    MessageType { name, fields, ..MessageType::default() }
}
