//! Writing serde's form of records: maps of names, absent options left out.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::traits::Field;

/// A field in serde's form, by reference.
#[derive(Debug)]
pub(super) struct Written<'a, T>(pub(super) &'a T);

impl<T: Field> Serialize for Written<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize_field(serializer)
    }
}

/// Writes the fields of a record one after the other.
#[derive(Debug)]
pub struct RecordWriter<M>(M);

impl<M: SerializeMap> RecordWriter<M> {
    /// Starts a record of `present` fields.
    ///
    /// # Errors
    /// Whatever the serializer reports.
    pub fn new<S>(serializer: S, present: usize) -> Result<Self, S::Error>
    where
        S: Serializer<SerializeMap = M>,
    {
        serializer.serialize_map(Some(present)).map(Self)
    }

    /// Writes a field, unless it is absent.
    ///
    /// # Errors
    /// Whatever the serializer reports.
    pub fn field<T: Field>(mut self, name: &'static str, value: &T) -> Result<Self, M::Error> {
        if !value.is_absent() {
            self.0.serialize_entry(name, &Written(value))?;
        }
        Ok(self)
    }

    /// Ends the record.
    ///
    /// # Errors
    /// Whatever the serializer reports.
    pub fn end(self) -> Result<M::Ok, M::Error> {
        self.0.end()
    }
}
