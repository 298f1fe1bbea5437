//! Bytes of Dubbo2: headers, frames, events, and what stands around arguments and replies.

pub(crate) mod compact;
pub(crate) mod envelope;
pub(crate) mod event;
pub(crate) mod frames;
pub(crate) mod header;
mod primitives;

use self::compact::Compact;
use self::envelope::Envelope;
use self::header::HESSIAN2;

/// The envelope of bodies under this serialization id; `None` where calls are not spoken yet. Ids of
/// a program's own codecs are compact.
#[inline]
pub(crate) fn envelope_of(serialization: u8) -> Option<&'static dyn Envelope> {
    match serialization {
        HESSIAN2 => None,
        _ => Some(&Compact),
    }
}
