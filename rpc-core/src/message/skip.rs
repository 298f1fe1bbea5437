//! Passing over the value of an unknown field, which nests as deep as a known one may.
//!
//! Maps may be messages and count as such. Lists count where no message has one: in a list. Not
//! `IgnoredAny`, which counts nothing and so recurses as deep as a peer likes, or as deep as the
//! format happens to allow.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::read::enter;
use crate::codec::Limits;

/// Passes over a value.
#[derive(Debug)]
pub(super) struct Skip<'a> {
    is_in_list: bool,
    limits: &'a mut Limits,
}

impl<'a> Skip<'a> {
    pub(super) fn of(limits: &'a mut Limits) -> Self {
        Self { is_in_list: false, limits }
    }
}

macro_rules! skipped {
    ($($visit:ident($($ty:ty)?);)*) => {$(
        fn $visit<E: Error>(self $(, _: $ty)?) -> Result<(), E> {
            Ok(())
        }
    )*};
}

impl<'de> DeserializeSeed<'de> for Skip<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    skipped! {
        visit_bool(bool);
        visit_i64(i64);
        visit_i128(i128);
        visit_u64(u64);
        visit_u128(u128);
        visit_f64(f64);
        visit_str(&str);
        visit_bytes(&[u8]);
        visit_none();
        visit_unit();
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { is_in_list, limits } = self;
        if is_in_list {
            enter(limits)?;
        }
        while seq.next_element_seed(Skip { is_in_list: true, limits })?.is_some() {}
        if is_in_list {
            limits.leave();
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let limits = self.limits;
        enter(limits)?;
        while map.next_key_seed(Skip::of(limits))?.is_some() {
            map.next_value_seed(Skip::of(limits))?;
        }
        limits.leave();
        Ok(())
    }
}
