//! Forms of values that serde does not know: durations, sizes, numbers with bounds.
//!
//! The modules here are for `#[serde(with = …)]`, the functions for `deserialize_with`, so that the
//! rest of the code only sees a `Duration` or a number. [`rpc_core::amount`] reads and writes the
//! text forms.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use rpc_core::amount;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A duration that may be zero.
pub(crate) mod duration {
    use std::time::Duration;

    use serde::Serializer;

    pub(crate) use super::amount::duration as deserialize;

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::amount::show_duration(*value))
    }
}

/// A duration longer than zero.
pub(crate) mod positive {
    pub(crate) use super::amount::positive_duration as deserialize;
    pub(crate) use super::duration::serialize;
}

/// A duration longer than zero that may be absent.
pub(crate) mod optional {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::duration::serialize(value, to),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        super::positive::deserialize(from).map(Some)
    }
}

/// A duration that may be zero, or absent.
pub(crate) mod duration_or_none {
    use std::time::Duration;

    use serde::Deserializer;

    pub(crate) use super::optional::serialize;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        super::duration::deserialize(from).map(Some)
    }
}

/// A number of bytes, one at least.
pub(crate) mod size {
    use serde::Serializer;

    pub(crate) use super::amount::size as deserialize;

    pub(crate) fn serialize<S: Serializer>(value: &usize, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::amount::show_size(*value))
    }
}

/// A share of a hundred.
pub(crate) fn percent<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    whole(from, 0..=100, "is not a percentage: write 0 to 100")
}

/// A number of something, one at least.
pub(crate) fn at_least_one<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    whole(from, 1..=u32::MAX, "is not a number of them: write a whole number, 1 at least")
}

/// A port to bind.
pub(crate) fn port<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    whole(from, 0..=u16::MAX, "is not a port: write 1 to 65535, or 0 for any that is free")
}

fn whole<'de, D: Deserializer<'de>, T: TryFrom<u64> + PartialOrd>(
    from: D,
    possible: RangeInclusive<T>,
    otherwise: &str,
) -> Result<T, D::Error> {
    let value = Value::deserialize(from)?;
    let number = value.as_u64().and_then(|number| T::try_from(number).ok());
    let number = number.filter(|number| possible.contains(number));
    number.ok_or_else(|| D::Error::custom(format!("{value} {otherwise}")))
}

/// An address to bind.
pub(crate) fn ip<'de, D: Deserializer<'de>>(from: D) -> Result<Option<IpAddr>, D::Error> {
    let value = Value::deserialize(from)?;
    let address = value.as_str().and_then(|text| text.parse().ok());
    address.map(Some).ok_or_else(|| {
        let remedy = "write one without a port in quotes, such as \"0.0.0.0\"";
        D::Error::custom(format!("{value} is not an IP address: {remedy}"))
    })
}

/// A folder.
pub(crate) fn folder<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    match Value::deserialize(from)? {
        Value::String(path) if !path.is_empty() => Ok(Some(path.into())),
        other => {
            Err(D::Error::custom(format!("{other} is not a folder: write its path in quotes")))
        }
    }
}
