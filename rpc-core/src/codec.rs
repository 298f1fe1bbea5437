//! The contract of a codec: a message to bytes and back, chosen by name.
//!
//! rpc-core knows no format; the codecs live in their own crate. A codec is handed an erased
//! [`Message`], which offers its values one by one ([`Writer`](crate::message::Writer),
//! [`Reader`](crate::message::Reader)), and protobuf's form of all of them. It does no I/O and keeps
//! no state of a call.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

pub use crate::decode_limits::{Exceeded, Limits};
use crate::error::Error;
use crate::message::Message;
use crate::status::Status;

/// Turns messages into the bytes of one format and back.
///
/// A codec has no parameters and no state: what it writes depends on the message alone, so that the
/// bytes of a call can be sent to several providers.
///
/// ```
/// use bytes::{BufMut, Bytes, BytesMut};
/// use rpc_core::Codec;
/// use rpc_core::codec::{CodecError, Limits};
/// use rpc_core::message::{Message, Returned, read_with_serde, write_with_serde};
///
/// /// JSON with line breaks.
/// #[derive(Debug)]
/// struct Pretty;
///
/// impl Codec for Pretty {
///     fn name(&self) -> &'static str {
///         "pretty"
///     }
///
///     fn content_subtype(&self) -> &'static str {
///         "pretty+json"
///     }
///
///     fn dubbo_id(&self) -> u8 {
///         31
///     }
///
///     fn encode(&self, message: &dyn Message, buf: &mut BytesMut) -> Result<(), CodecError> {
///         let mut json = serde_json::Serializer::pretty(buf.writer());
///         write_with_serde(message, &mut json).map_err(|error| CodecError::new("pretty", error))
///     }
///
///     fn decode(
///         &self,
///         bytes: Bytes,
///         message: &mut dyn Message,
///         limits: &mut Limits,
///     ) -> Result<(), CodecError> {
///         let mut json = serde_json::Deserializer::from_slice(&bytes);
///         read_with_serde(&mut json, message, limits)
///             .map_err(|error| CodecError::new("pretty", error))
///     }
/// }
///
/// # fn main() -> Result<(), CodecError> {
/// let mut buf = BytesMut::new();
/// Pretty.encode(&Returned("bob".to_owned()), &mut buf)?;
/// assert_eq!(&buf[..], b"{\n  \"value\": \"bob\"\n}");
///
/// let mut read = Returned(String::new());
/// Pretty.decode(buf.freeze(), &mut read, &mut Limits::default())?;
/// assert_eq!(read.0, "bob");
/// # Ok(())
/// # }
/// ```
pub trait Codec: fmt::Debug + Send + Sync + 'static {
    /// The name in configuration and in what instances publish, such as `protobuf`.
    fn name(&self) -> &'static str;

    /// The part of a content type after `application/`, such as `json`.
    fn content_subtype(&self) -> &'static str;

    /// The serialization id in a Dubbo2 header, 0 to 31; `docs/wire.md` has those in use. 31 is left to
    /// users.
    fn dubbo_id(&self) -> u8;

    /// Appends the bytes of `message` to `buf`.
    ///
    /// # Errors
    /// A value that the format cannot express. `buf` may then hold a part of it, which the caller cuts
    /// off.
    fn encode(&self, message: &dyn Message, buf: &mut BytesMut) -> Result<(), CodecError>;

    /// Reads `bytes` over `message`: fields that are absent keep their value, unknown ones are
    /// skipped. The message counts `limits` down; a codec passes them on, and need not look at them.
    /// Bytes after the message are an error.
    ///
    /// # Errors
    /// Bytes that are not of this format, are nested deeper than [`MAX_DEPTH`], or take more memory
    /// than the limits allow.
    fn decode(
        &self,
        bytes: Bytes,
        message: &mut dyn Message,
        limits: &mut Limits,
    ) -> Result<(), CodecError>;
}

/// The largest serialization id: the header of Dubbo2 has five bits for it.
const MAX_DUBBO_ID: u8 = 31;

/// How deep messages may be nested, in every codec.
pub const MAX_DEPTH: usize = 64;

/// Why bytes and message do not fit.
///
/// It is one pointer, so that those who have no error carry no room for one.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {}", .0.codec, .0.message)]
pub struct CodecError(Box<Misfit>);

#[derive(Debug, Clone)]
struct Misfit {
    codec: &'static str,
    message: String,
    /// The limit, if it takes more memory than that.
    decoded: Option<usize>,
}

impl CodecError {
    /// An error of the codec named `codec`; the message says what was wrong where.
    #[must_use]
    pub fn new(codec: &'static str, message: impl fmt::Display) -> Self {
        Self(Box::new(Misfit { codec, message: message.to_string(), decoded: None }))
    }

    /// The error of a body that takes more than `limit` bytes of memory.
    pub(crate) fn exceeded(codec: &'static str, limit: usize) -> Self {
        let message = format!("the message takes more than the limit of {limit} bytes of memory");
        Self(Box::new(Misfit { codec, message, decoded: Some(limit) }))
    }

    /// The status of a call whose arguments could not be read or written.
    #[must_use]
    pub fn into_argument_status(self, call: &str) -> Status {
        if let Some(limit) = self.0.decoded {
            return Status::invalid_argument(format!(
                "arguments of {call} take more than the limit of {limit} bytes of memory; send \
                 less at a time or raise `provider.limits.decoded`"
            ));
        }
        Status::invalid_argument(format!("arguments of {call} do not fit: {self}"))
    }

    /// The status of a call whose answer could not be read or written.
    #[must_use]
    pub fn into_reply_status(self, call: &str) -> Status {
        if let Some(limit) = self.0.decoded {
            return Status::resource_exhausted(format!(
                "the reply of {call} takes more than the limit of {limit} bytes of memory; raise \
                 `consumer.limits.decoded` or ask for less"
            ));
        }
        Status::internal(format!("reply of {call} does not fit: {self}"))
    }
}

/// Codecs in order of preference; cheap to clone, never empty.
#[derive(Clone)]
pub struct Codecs(Arc<[Arc<dyn Codec>]>);

impl Codecs {
    /// `first`, then `others` without those of the same name.
    #[must_use]
    pub fn new(first: Arc<dyn Codec>, others: impl IntoIterator<Item = Arc<dyn Codec>>) -> Self {
        let mut list = vec![first];
        for codec in others {
            if list.iter().all(|known| known.name() != codec.name()) {
                list.push(codec);
            }
        }
        Self(list.into())
    }

    /// Checks that each codec can be distinguished from the others on the wire.
    ///
    /// # Errors
    /// A serialization id past 31, a name or content subtype that has other characters than lower-case
    /// letters, digits, `+`, `-`, `.` and `_`, or two codecs with the same id or content subtype.
    pub fn check(&self) -> Result<(), Error> {
        for (index, codec) in self.0.iter().enumerate() {
            let (name, id, subtype) = (codec.name(), codec.dubbo_id(), codec.content_subtype());
            if id > MAX_DUBBO_ID {
                return Err(Error::invalid_config(format!(
                    "the codec {name} has the serialization id {id}; the header has room for 0 to \
                     {MAX_DUBBO_ID}: let its `dubbo_id` return one that is free"
                )));
            }
            for (what, of, text) in
                [("name", "name", name), ("content subtype", "content_subtype", subtype)]
            {
                if !is_token(text) {
                    return Err(Error::invalid_config(format!(
                        "the codec {name} has the {what} {text:?}, which headers and registries do \
                         not carry: let its `{of}` be lower-case letters, digits, `+`, `-`, `.` and `_`"
                    )));
                }
            }
            for other in &self.0[..index] {
                let (of, same) = match (other.dubbo_id() == id, other.content_subtype() == subtype)
                {
                    (true, _) => ("dubbo_id", format!("serialization id {id}")),
                    (_, true) => ("content_subtype", format!("content subtype {subtype}")),
                    (false, false) => continue,
                };
                return Err(Error::invalid_config(format!(
                    "the codecs {} and {name} have the same {same}, so it is unclear which one \
                     bytes are of: let the `{of}` of one return another",
                    other.name()
                )));
            }
        }
        Ok(())
    }

    /// The preferred codec.
    #[must_use]
    #[inline]
    pub fn first(&self) -> &Arc<dyn Codec> {
        &self.0[0]
    }

    /// All of them, the preferred one first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Codec>> {
        self.0.iter()
    }

    /// Their names, the preferred one first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|codec| codec.name())
    }

    /// The codec of this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Arc<dyn Codec>> {
        self.0.iter().find(|codec| codec.name() == name)
    }

    /// The codec of this Dubbo2 serialization id.
    #[must_use]
    #[inline]
    pub fn by_dubbo_id(&self, id: u8) -> Option<&Arc<dyn Codec>> {
        self.0.iter().find(|codec| codec.dubbo_id() == id)
    }

    /// The codec of this content subtype.
    #[must_use]
    pub fn by_content_subtype(&self, subtype: &str) -> Option<&Arc<dyn Codec>> {
        self.0.iter().find(|codec| codec.content_subtype() == subtype)
    }

    /// Puts the codec named `name` first; `None` if it is not among them.
    #[must_use]
    pub fn preferring(&self, name: &str) -> Option<Self> {
        let first = self.by_name(name)?.clone();
        Some(Self::new(first, self.0.iter().cloned()))
    }
}

/// What a content type and a list of names in a registry can hold, and compare equal in.
fn is_token(text: &str) -> bool {
    let is_one = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.' | b'_');
    !text.is_empty() && text.bytes().all(is_one)
}

impl fmt::Debug for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
