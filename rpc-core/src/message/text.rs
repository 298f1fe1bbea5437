//! The text of an argument, for what hashes it: as Java's `String.valueOf` writes it for strings,
//! integers, booleans, `null`, and lists and maps of these, so that peers in Java hash the same.
//!
//! Floats, bytes and messages have a stable text of our own. Entries of maps are sorted, because a
//! `HashMap` gives them in a different order in every process.

use std::fmt::Write as _;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::traits::Field;
use super::write::Written;
use crate::codec::MAX_DEPTH;

/// Nothing in a message fails; the trait wants an error that can be made of anything.
type Error = serde::de::value::Error;

/// Appends the text of an argument; `false` if it has none.
pub fn argument_text<T: Field>(value: &T, out: &mut String) -> bool {
    value.nests_within(MAX_DEPTH) && append(&Written(value), out)
}

/// Appends the text of `value`; `false`, and nothing appended, if it has none.
pub fn append<T: Serialize + ?Sized>(value: &T, out: &mut String) -> bool {
    let start = out.len();
    let written = value.serialize(Text(out)).is_ok();
    if !written {
        out.truncate(start);
    }
    written
}

fn text_of<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    let mut text = String::new();
    value.serialize(Text(&mut text)).map(|()| text)
}

struct Text<'a>(&'a mut String);

/// `[a, b]`
struct List<'a> {
    out: &'a mut String,
    is_empty: bool,
}

/// `{k=v, l=w}`
struct Entries<'a> {
    out: &'a mut String,
    key: String,
    entries: Vec<String>,
}

impl<'a> Text<'a> {
    fn put(self, text: &str) -> Result<(), Error> {
        self.0.push_str(text);
        Ok(())
    }

    fn list(self) -> Result<List<'a>, Error> {
        self.0.push('[');
        Ok(List { out: self.0, is_empty: true })
    }

    fn entries(self) -> Result<Entries<'a>, Error> {
        Ok(Entries { out: self.0, key: String::new(), entries: Vec::new() })
    }
}

macro_rules! displayed {
    ($($name:ident($ty:ty) as $form:literal;)*) => {$(
        fn $name(self, value: $ty) -> Result<(), Error> {
            // Writing to a string never fails.
            let _ = write!(self.0, $form, value);
            Ok(())
        }
    )*};
}

impl<'a> Serializer for Text<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = List<'a>;
    type SerializeMap = Entries<'a>;
    type SerializeStruct = Entries<'a>;
    type SerializeStructVariant = Entries<'a>;

    displayed! {
        serialize_bool(bool) as "{}";
        serialize_i8(i8) as "{}";
        serialize_i16(i16) as "{}";
        serialize_i32(i32) as "{}";
        serialize_i64(i64) as "{}";
        serialize_u8(u8) as "{}";
        serialize_u16(u16) as "{}";
        serialize_u32(u32) as "{}";
        serialize_u64(u64) as "{}";
        serialize_f32(f32) as "{:?}";
        serialize_f64(f64) as "{:?}";
        serialize_char(char) as "{}";
        serialize_bytes(&[u8]) as "{:?}";
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.put(value)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.put("null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.put("null")
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), Error> {
        self.put(name)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.put(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'a>, Error> {
        self.list()
    }

    fn serialize_tuple(self, _: usize) -> Result<List<'a>, Error> {
        self.list()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List<'a>, Error> {
        self.list()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<List<'a>, Error> {
        self.list()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'a>, Error> {
        self.entries()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Entries<'a>, Error> {
        self.entries()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Entries<'a>, Error> {
        self.entries()
    }
}

impl List<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if !std::mem::take(&mut self.is_empty) {
            self.out.push_str(", ");
        }
        value.serialize(Text(self.out))
    }

    fn close(self) -> Result<(), Error> {
        self.out.push(']');
        Ok(())
    }
}

impl Entries<'_> {
    fn entry<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Error> {
        self.entries.push(format!("{key}={}", text_of(value)?));
        Ok(())
    }

    fn close(mut self) -> Result<(), Error> {
        self.entries.sort_unstable();
        self.out.push('{');
        self.out.push_str(&self.entries.join(", "));
        self.out.push('}');
        Ok(())
    }
}

macro_rules! lists {
    ($($role:ident by $method:ident;)*) => {$(
        impl $role for List<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }

            fn end(self) -> Result<(), Error> {
                self.close()
            }
        }
    )*};
}

lists! {
    SerializeSeq by serialize_element;
    SerializeTuple by serialize_element;
    SerializeTupleStruct by serialize_field;
    SerializeTupleVariant by serialize_field;
}

macro_rules! structs {
    ($($role:ident;)*) => {$(
        impl $role for Entries<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.entry(key, value)
            }

            fn end(self) -> Result<(), Error> {
                self.close()
            }
        }
    )*};
}

structs! {
    SerializeStruct;
    SerializeStructVariant;
}

impl SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key = text_of(key)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = std::mem::take(&mut self.key);
        self.entry(&key, value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn text<T: Field>(value: T) -> String {
        let mut out = String::from("> ");
        assert!(argument_text(&value, &mut out));
        out
    }

    #[test]
    fn texts_are_those_of_java() {
        assert_eq!(text("bob".to_owned()), "> bob");
        assert_eq!(text(String::new()), "> ");
        assert_eq!(text(i64::MIN), "> -9223372036854775808");
        assert_eq!(text(u64::MAX), "> 18446744073709551615");
        assert_eq!(text(7_u8), "> 7");
        assert_eq!(text(true), "> true");
        assert_eq!(text(None::<String>), "> null");
        assert_eq!(text(Some(5_i32)), "> 5");
        assert_eq!(text(vec![1_i64, 2, 3]), "> [1, 2, 3]");
        assert_eq!(text(Vec::<String>::new()), "> []");
    }

    #[test]
    fn maps_have_one_text_whatever_their_order() {
        let entries = ["c", "a", "b"].map(|key| (key.to_owned(), 1_u64));
        assert_eq!(text(HashMap::from(entries)), "> {a=1, b=1, c=1}");
    }
}
