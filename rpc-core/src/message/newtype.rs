//! Newtypes: a struct of one field without a name is in every form what it holds.

use super::item::Item;
use super::map::MapKey;
use super::problem::Read;
use super::reader::{ReadScope, Reader};
use super::traits::Value;
use super::writer::Writer;
use crate::codec::Limits;

/// What the macros write for a newtype.
pub trait Newtype: Value {
    /// What it holds.
    type Held: Item;

    /// What it holds.
    fn held(&self) -> &Self::Held;

    /// The newtype of it.
    fn of(held: Self::Held) -> Self;
}

impl<T: Newtype> MapKey for T
where
    T::Held: MapKey,
{
    #[inline]
    fn offer_key(&self, writer: &mut dyn Writer) {
        self.held().offer_key(writer);
    }

    fn key_text(&self) -> String {
        self.held().key_text()
    }

    fn next_key(
        reader: &mut dyn Reader,
        scope: &mut ReadScope,
        limits: &mut Limits,
    ) -> Read<Option<Self>> {
        Ok(T::Held::next_key(reader, scope, limits)?.map(T::of))
    }
}
