//! Serde's formats behind the seam, for codecs of a program's own and for serializing a message.
//!
//! Serde drives its own reading and writing, so a message cannot be called value by value here: it
//! goes through a list of values, 24 bytes each, that is there meanwhile. A format that is to cost
//! less implements [`Writer`](super::Writer) and [`Reader`](super::Reader).

mod collect;
mod events;
mod give;
mod replay;
mod take;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserializer, Serializer};

use self::events::Events;
use super::Message;
use super::problem::Read;
use super::reader::Reader;
use super::traits::Value;
use super::unwritable;
use super::writer::Writer;
use crate::codec::{Limits, MAX_DEPTH};

/// Writes a message in a format of serde's.
///
/// Records are maps of names, absent fields are left out. Where the format is for people, 64-bit
/// integers are texts and bytes are base64, as protobuf's JSON mapping has it.
///
/// # Errors
/// Messages are nested too deep in it, and whatever the serializer reports.
pub fn write_with_serde<S: Serializer>(
    message: &dyn Message,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut collected = collect::Collect::new(serializer.is_human_readable());
    message.write(&mut collected);
    let events = collected.finish().map_err(S::Error::custom)?;
    give::serialize(&events, serializer)
}

/// Reads a message in a format of serde's over `message`. The format must describe itself.
///
/// What is held meanwhile may take as much memory as the limits allow, besides what the message
/// takes of them.
///
/// # Errors
/// Whatever the deserializer reports, values that do not fit, and what is past the limits.
pub fn read_with_serde<'de, D: Deserializer<'de>>(
    deserializer: D,
    message: &mut dyn Message,
    limits: &mut Limits,
) -> Result<(), D::Error> {
    read_value(deserializer, limits, |reader, limits| message.read(reader, limits))
}

/// Lets `read` read a value in a format of serde's.
///
/// # Errors
/// As [`read_with_serde`].
pub fn read_value<'de, D: Deserializer<'de>>(
    deserializer: D,
    limits: &mut Limits,
    read: impl FnOnce(&mut dyn Reader, &mut Limits) -> Read,
) -> Result<(), D::Error> {
    let is_text = deserializer.is_human_readable();
    let mut held = limits.clone();
    let mut events = Events::default();
    if let Err(error) = take::deserialize(deserializer, &mut events, &mut held) {
        // Whoever asks whether the limit was exceeded asks these.
        *limits = held;
        return Err(error);
    }
    read(&mut replay::Replay::new(&events, is_text), limits).map_err(D::Error::custom)
}

/// Writes a value that is no whole message in a format of serde's.
///
/// # Errors
/// As [`write_with_serde`].
pub fn serialize_value<T: Value, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut collected = collect::Collect::new(serializer.is_human_readable());
    if value.nests_within(MAX_DEPTH) {
        value.write_value(&mut collected, None);
    } else {
        collected.fail(unwritable::reason(|levels| value.nests_within(levels)));
    }
    let events = collected.finish().map_err(S::Error::custom)?;
    give::serialize(&events, serializer)
}

/// A value that is no whole message in a format of serde's, however much memory it takes.
///
/// # Errors
/// Whatever the deserializer reports, and values that do not fit.
pub fn deserialize_value<'de, T: Value, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let (mut value, limits) = (T::empty(), &mut Limits::of_depth_alone());
    read_value(deserializer, limits, |reader, limits| value.read_value(reader, limits))?;
    Ok(value)
}

/// A message in a format of serde's, however much memory it takes.
///
/// # Errors
/// Whatever the deserializer reports, values that do not fit, and messages that are nested too deep.
pub fn deserialize<'de, M: Message + Value, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<M, D::Error> {
    let mut message = M::empty();
    read_with_serde(deserializer, &mut message, &mut Limits::of_depth_alone())?;
    Ok(message)
}
