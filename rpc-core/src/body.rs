//! What a call or a reply carries: a typed message, its bytes in one codec, or many of those.
//!
//! Encoding is late: a typed body is written straight into the connection's buffer where the codec
//! is known, and again (or from the cached bytes) if the call is sent again.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};

use crate::codec::{Codec, CodecError, Limits};
use crate::deadline::Deadline;
use crate::message::Message;
use crate::panics;
use crate::status::Status;
use crate::stream::{MessageSource, Messages, SharedStream, UntilEnd};

/// A typed message, encoded bytes, or a stream of them; cheap to clone. Clones of a stream share it.
#[derive(Clone)]
pub struct Body(Repr);

#[derive(Clone)]
enum Repr {
    Typed(Arc<Typed<dyn Message>>),
    Encoded { codec: Arc<dyn Codec>, bytes: Bytes, decoded: usize },
    Stream(Arc<SharedStream>),
}

struct Typed<M: ?Sized> {
    /// The bytes of the first form that was asked for by [`Body::encoded`]. Boxed, as few are asked for:
    /// a message is moved together with the room for them.
    cached: OnceLock<Box<(&'static str, Bytes)>>,
    message: M,
}

impl Body {
    /// A body that is encoded when its codec is known.
    #[must_use]
    #[inline]
    pub fn typed(message: impl Message) -> Self {
        Self(Repr::Typed(Arc::new(Typed { cached: OnceLock::new(), message })))
    }

    /// A body that is encoded already.
    #[must_use]
    #[inline]
    pub fn from_bytes(codec: Arc<dyn Codec>, bytes: Bytes) -> Self {
        Self(Repr::Encoded { codec, bytes, decoded: Limits::DECODED })
    }

    /// Limits the memory that reading this body may take; the default is 64 MiB. A typed body was
    /// made in this process and is not limited.
    #[must_use]
    #[inline]
    pub fn with_decoded_limit(mut self, bytes: usize) -> Self {
        if let Repr::Encoded { decoded, .. } = &mut self.0 {
            *decoded = bytes;
        }
        self
    }

    /// A body of many messages, which are made when they are read, once.
    #[must_use]
    pub fn stream(source: impl MessageSource) -> Self {
        Self(Repr::Stream(SharedStream::new(source)))
    }

    /// Whether it is a stream of messages.
    #[must_use]
    pub const fn is_stream(&self) -> bool {
        matches!(self.0, Repr::Stream(_))
    }

    /// Whether it can be read, also if that was done before: a stream can be read once.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        match &self.0 {
            Repr::Stream(shared) => shared.is_whole(),
            Repr::Typed(_) | Repr::Encoded { .. } => true,
        }
    }

    /// Its messages; a body that is not a stream has one.
    ///
    /// # Errors
    /// `failed_precondition`, not sent: another reader has the stream, of this body or a clone.
    pub fn messages(&self) -> Result<Messages, Status> {
        match &self.0 {
            Repr::Stream(shared) => shared.read(),
            Repr::Typed(_) | Repr::Encoded { .. } => Ok(Messages::one(self.clone())),
        }
    }

    /// Waits until its first message is here, which stays, or until it has ended.
    ///
    /// # Errors
    /// Its error, if it fails before; another reader has the stream.
    ///
    /// # Cancel safety
    /// Dropping the future drops the stream, which cancels what it comes from.
    pub async fn begun(self) -> Result<Self, Status> {
        if !self.is_stream() {
            return Ok(self);
        }
        let mut messages = self.messages()?;
        poll_fn(|cx| messages.poll_begin(cx)).await?;
        Ok(Self::stream(messages))
    }

    /// Calls `end` at the end of the body, with the error, if any, which `end` may change. `end` is
    /// dropped uncalled if the body is not read to its end. The messages are read within `span` and
    /// until `deadline`.
    ///
    /// A body that is not a stream has ended already.
    ///
    /// # Errors
    /// What `end` returns for a body that is not a stream; `failed_precondition` if another reader
    /// has the stream.
    pub fn until_end<F>(
        self,
        span: &tracing::Span,
        deadline: Option<Deadline>,
        end: F,
    ) -> Result<Self, Status>
    where
        F: FnOnce(Result<(), Status>) -> Result<(), Status> + Send + Unpin + 'static,
    {
        match &self.0 {
            Repr::Stream(shared) => {
                Ok(Self::stream(UntilEnd::new(shared.read()?, span.clone(), deadline, end)))
            }
            Repr::Typed(_) | Repr::Encoded { .. } => end(Ok(())).map(|()| self),
        }
    }

    /// About how many bytes it will take; exact for encoded bodies and for protobuf, 0 for streams.
    #[must_use]
    #[inline]
    pub fn size_hint(&self) -> usize {
        match &self.0 {
            Repr::Typed(typed) => typed.message.proto_len(),
            Repr::Encoded { bytes, .. } => bytes.len(),
            Repr::Stream(_) => 0,
        }
    }

    /// Appends its bytes in `codec` to `buf`.
    ///
    /// # Errors
    /// The codec cannot express a value, or the body is encoded in another codec.
    #[inline]
    pub fn encode(&self, codec: &dyn Codec, buf: &mut BytesMut) -> Result<(), CodecError> {
        match &self.0 {
            Repr::Typed(typed) => match typed.cached.get().map(|cached| &**cached) {
                Some((name, bytes)) if *name == codec.name() => {
                    buf.extend_from_slice(bytes);
                    Ok(())
                }
                _ => encode(codec, &typed.message, buf),
            },
            Repr::Encoded { codec: own, bytes, .. } => {
                same_codec(&**own, codec)?;
                buf.extend_from_slice(bytes);
                Ok(())
            }
            Repr::Stream(_) => Err(many(codec.name())),
        }
    }

    /// Its bytes in `codec`; those of a typed body are cached for the next call with that codec.
    ///
    /// # Errors
    /// The codec cannot express a value, or the body is encoded in another codec.
    pub fn encoded(&self, codec: &dyn Codec) -> Result<Bytes, CodecError> {
        match &self.0 {
            Repr::Typed(typed) => {
                if let Some((name, bytes)) = typed.cached.get().map(|cached| &**cached)
                    && *name == codec.name()
                {
                    return Ok(bytes.clone());
                }
                let mut buf = BytesMut::with_capacity(typed.message.proto_len());
                encode(codec, &typed.message, &mut buf)?;
                let bytes = buf.freeze();
                // Losing the race, or another codec's bytes being there, only costs the cache.
                let _ = typed.cached.set(Box::new((codec.name(), bytes.clone())));
                Ok(bytes)
            }
            Repr::Encoded { codec: own, bytes, .. } => {
                same_codec(&**own, codec)?;
                Ok(bytes.clone())
            }
            Repr::Stream(_) => Err(many(codec.name())),
        }
    }

    /// Appends the text of the argument at `index` in the form of Java's `String.valueOf`, for
    /// hashing; returns `false` if the argument does not exist or the body is encoded.
    pub fn argument_text(&self, index: usize, out: &mut String) -> bool {
        match &self.0 {
            Repr::Typed(typed) => typed.message.argument_text(index, out),
            Repr::Encoded { .. } | Repr::Stream(_) => false,
        }
    }

    /// The codec of an encoded body.
    #[must_use]
    #[inline]
    pub fn codec(&self) -> Option<&Arc<dyn Codec>> {
        match &self.0 {
            Repr::Typed(_) | Repr::Stream(_) => None,
            Repr::Encoded { codec, .. } => Some(codec),
        }
    }

    /// Reads it as an `M`; moves it out if this is the only handle of a typed body.
    ///
    /// # Errors
    /// Those of [`decode`](Self::decode).
    pub fn into_message<M: Message + Default>(mut self) -> Result<M, CodecError> {
        if let Repr::Typed(typed) = &mut self.0
            && let Some(own) = Arc::get_mut(typed)
            && let Some(message) = (&mut own.message as &mut dyn Any).downcast_mut::<M>()
        {
            return Ok(std::mem::take(message));
        }
        match self.0 {
            Repr::Encoded { codec, bytes, decoded } => read(&*codec, bytes, decoded),
            Repr::Typed(_) | Repr::Stream(_) => self.decode(),
        }
    }

    /// Reads it into a new `M`.
    ///
    /// # Errors
    /// The bytes are not of their codec, do not fit `M`, or take more memory than they may; it is a
    /// stream.
    pub fn decode<M: Message + Default>(&self) -> Result<M, CodecError> {
        match &self.0 {
            Repr::Encoded { codec, bytes, decoded } => read(&**codec, bytes.clone(), *decoded),
            Repr::Typed(typed) => {
                // Calls inside one process meet typed bodies; protobuf's form is the common one.
                let mut message = M::default();
                let mut buf = BytesMut::with_capacity(typed.message.proto_len());
                let unfit = |error: &dyn fmt::Display| CodecError::new("in-process", error);
                typed.message.encode_proto(&mut buf).map_err(|error| unfit(&error))?;
                message
                    .merge_proto(buf.freeze(), &mut Limits::of_depth_alone())
                    .map_err(|error| unfit(&error))?;
                Ok(message)
            }
            Repr::Stream(_) => Err(many("in-process")),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Typed(_) => f.write_str("Body(typed)"),
            Repr::Stream(_) => f.write_str("Body(stream)"),
            Repr::Encoded { codec, bytes, .. } => {
                write!(f, "Body({} bytes of {})", bytes.len(), codec.name())
            }
        }
    }
}

/// Encodes `message`. A codec or a message that panics fails this call alone: it runs while the buffer
/// that all calls of a connection share is locked.
fn encode(codec: &dyn Codec, message: &dyn Message, buf: &mut BytesMut) -> Result<(), CodecError> {
    // What was appended by then is taken back by whoever asked, as after any error.
    panics::catch(|| codec.encode(message, buf)).unwrap_or_else(|panic| {
        let what = format_args!("encoding the message panicked: {panic}");
        Err(CodecError::new(codec.name(), what))
    })
}

/// Reads an `M`, which may take `decoded` bytes of memory.
fn read<M: Message + Default>(
    codec: &dyn Codec,
    bytes: Bytes,
    decoded: usize,
) -> Result<M, CodecError> {
    let (mut message, mut limits) = (M::default(), Limits::new(decoded));
    // Asked of the limits, because the codec's error is text by then.
    codec.decode(bytes, &mut message, &mut limits).map_err(|error| match limits.is_exceeded() {
        true => CodecError::exceeded(codec.name(), decoded),
        false => error,
    })?;
    Ok(message)
}

fn many(codec: &'static str) -> CodecError {
    CodecError::new(codec, "the body is a stream of messages, where one is expected")
}

fn same_codec(own: &dyn Codec, asked: &dyn Codec) -> Result<(), CodecError> {
    if own.name() == asked.name() {
        return Ok(());
    }
    let own = own.name();
    Err(CodecError::new(asked.name(), format_args!("the body is already encoded as {own}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Read, Reader, Writer};

    #[derive(Debug)]
    struct Panicking;

    impl Codec for Panicking {
        fn name(&self) -> &'static str {
            "panicking"
        }

        fn content_subtype(&self) -> &'static str {
            "panicking"
        }

        fn dubbo_id(&self) -> u8 {
            31
        }

        fn encode(&self, _: &dyn Message, buf: &mut BytesMut) -> Result<(), CodecError> {
            buf.extend_from_slice(b"half of it");
            panic!("as it does");
        }

        fn decode(&self, _: Bytes, _: &mut dyn Message, _: &mut Limits) -> Result<(), CodecError> {
            Ok(())
        }
    }

    #[derive(Debug)]
    struct Empty;

    impl Message for Empty {
        fn proto_len(&self) -> usize {
            0
        }

        fn encode_proto(&self, _: &mut BytesMut) -> Result<(), crate::message::Problem> {
            Ok(())
        }

        fn merge_proto(
            &mut self,
            _: Bytes,
            _: &mut Limits,
        ) -> Result<(), crate::message::DecodeError> {
            Ok(())
        }

        fn write(&self, _: &mut dyn Writer) {}

        fn read(&mut self, _: &mut dyn Reader, _: &mut Limits) -> Read {
            Ok(())
        }
    }

    #[test]
    fn a_codec_that_panics_fails_the_call_and_nobody_else() {
        let body = Body::typed(Empty);
        let error = body.encode(&Panicking, &mut BytesMut::new()).unwrap_err();
        assert!(error.to_string().contains("encoding the message panicked"), "{error}");
        assert!(body.encoded(&Panicking).is_err());
    }
}
