//! The protocol of the embedded registry's client and server: JSON in length-delimited frames.
//!
//! A frame is a 32-bit big-endian length and that many bytes of JSON. The client asks with a number
//! and is answered under it; pushes come unasked and always hold the whole list of a service.
//!
//! ```text
//! client                                              server
//! {"id":1,"ask":{"hello":{"version":1,…}}}      -->
//!                          <--  {"answer":{"id":1,"answer":{"welcome":{"renew_ms":10000,…}}}}
//! {"id":2,"ask":{"subscribe":{"service":"…",…}}} -->
//!                                         <--  {"answer":{"id":2,"answer":{"done":{}}}}
//!                                         <--  {"push":{"service":"…","listing":{…}}}
//! ```
//!
//! `docs/wire.md` has all messages. Either side ignores members that it does not know.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use rpc_core::{Instance, ServiceKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::secret::ClientSecret;
use crate::sound::{self, UnsoundInstances};

/// The version of this protocol; a server refuses others.
pub(crate) const VERSION: u32 = 1;

/// Largest frame a client accepts: 64 MiB, a list of about 200,000 instances.
pub(crate) const MAX_FROM_SERVER: usize = 64 * 1024 * 1024;

/// How much memory a reader keeps from one frame to the next, and goes ahead of one that comes.
const KEPT: usize = 64 * 1024;

/// From the client.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ClientMessage {
    pub(crate) id: u64,
    pub(crate) ask: Ask,
}

/// What a client asks for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Must come first.
    Hello {
        version: u32,
        token: String,
        /// By what the client is known again in its next session.
        #[serde(default)]
        secret: ClientSecret,
    },
    Register {
        instance: Instance,
    },
    Unregister {
        service: ServiceKey,
        address: Arc<str>,
        id: Arc<str>,
    },
    /// Extends the leases of all instances of this connection.
    Renew {},
    /// `known`: how many instances the subscriber has at present.
    Subscribe {
        service: ServiceKey,
        known: usize,
    },
    Unsubscribe {
        service: ServiceKey,
    },
    Fetch {
        service: ServiceKey,
    },
    Services {},
}

/// From the server, as a client reads it: the instances of a list that is pushed are read only if
/// they are new.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FromServer<'a> {
    Answer {
        id: u64,
        answer: ServerAnswer,
    },
    Push {
        service: ServiceKey,
        #[serde(borrow)]
        listing: RawVersion<'a>,
    },
    Bye {
        why: String,
    },
}

/// A [`Version`] whose instances are not read yet.
#[derive(Debug, Deserialize)]
pub(crate) struct RawVersion<'a> {
    pub(crate) revision: u64,
    #[serde(borrow)]
    pub(crate) instances: Vec<&'a RawValue>,
}

/// From the server.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ServerMessage {
    Answer {
        id: u64,
        answer: ServerAnswer,
    },
    /// The whole list of a service that is subscribed to.
    Push {
        service: ServiceKey,
        listing: Version,
    },
    /// The last frame before the server closes.
    Bye {
        why: String,
    },
}

/// What a server answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ServerAnswer {
    /// To a hello: how often to renew, how many clients there are, and what the server is.
    Welcome {
        renew_ms: u64,
        #[serde(default)]
        clients: usize,
        /// Its clock, in milliseconds since 1970; 0 from older servers.
        #[serde(default)]
        now_ms: u64,
        /// Its release; empty from older servers.
        #[serde(default)]
        release: String,
    },
    Done {},
    /// How many instances this connection holds, and how many clients there are.
    Renewed {
        held: usize,
        #[serde(default)]
        clients: usize,
    },
    Listing(Version),
    Services {
        services: Vec<ServiceKey>,
    },
    Refused {
        why: String,
    },
}

/// The list of a service at one revision.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Version {
    pub(crate) revision: u64,
    pub(crate) instances: Vec<Arc<Instance>>,
    /// How many of its instances could not be read.
    #[serde(skip)]
    pub(crate) left_out: UnsoundInstances,
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let RawVersion { revision, instances } = RawVersion::deserialize(deserializer)?;
        let (instances, left_out) = sound::read(&instances);
        Ok(Self { revision, instances, left_out })
    }
}

/// A message as a frame.
pub(crate) fn frame(message: &impl Serialize) -> Bytes {
    let mut writer = BytesMut::with_capacity(256).writer();
    writer.get_mut().put_u32(0);
    // Our own types have string keys only and writing to memory does not fail; an empty frame,
    // which the other side refuses, would be the worst outcome.
    let _ = serde_json::to_writer(&mut writer, message);
    let mut bytes = writer.into_inner();
    let length = u32::try_from(bytes.len() - 4).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes.freeze()
}

/// Reads frames; what was read of one survives if the future is dropped.
#[derive(Debug)]
pub(crate) struct FrameReader<R> {
    stream: R,
    buffer: BytesMut,
    max: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(stream: R, max: usize) -> Self {
        Self { stream, buffer: BytesMut::new(), max }
    }

    /// The message of the next frame; `None` where the other side closed between two frames.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let Some(body) = self.next_body().await? else { return Ok(None) };
        serde_json::from_slice(&body).map(Some).map_err(FrameError::Json)
    }

    /// The next frame without its length; `None` where the other side closed between two frames.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub(crate) async fn next_body(&mut self) -> Result<Option<BytesMut>, FrameError> {
        loop {
            if let Some(body) = self.take_body()? {
                return Ok(Some(body));
            }
            if self.stream.read_buf(&mut self.buffer).await.map_err(FrameError::Io)? == 0 {
                return match self.buffer.len() {
                    0 => Ok(None),
                    _ => Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into())),
                };
            }
        }
    }

    fn take_body(&mut self) -> Result<Option<BytesMut>, FrameError> {
        let Some(head) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*head) as usize;
        if length > self.max {
            return Err(match head {
                b"HTTP" => FrameError::Foreign("HTTP"),
                [0xda, 0xbb, ..] => FrameError::Foreign("the dubbo protocol"),
                _ => FrameError::Oversized(length, self.max),
            });
        }
        if self.buffer.len() < 4 + length {
            // Not more than a step ahead of what came: a length alone reserves nothing large.
            self.buffer.reserve((4 + length - self.buffer.len()).min(KEPT));
            return Ok(None);
        }
        self.buffer.advance(4);
        let body = self.buffer.split_to(length);
        if length > KEPT {
            // What follows would keep the memory of the whole frame for as long as the session.
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        Ok(Some(body))
    }
}

/// Why no frame could be read.
#[derive(Debug)]
pub(crate) enum FrameError {
    Io(io::Error),
    Oversized(usize, usize),
    /// The protocol that the peer speaks instead.
    Foreign(&'static str),
    Json(serde_json::Error),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "connection broken: {error}"),
            Self::Oversized(length, max) => write!(
                f,
                "frame of {length} bytes exceeds the limit of {max} (max_frame), or this is not \
                 the registry's protocol"
            ),
            Self::Foreign(what) => write!(
                f,
                "it speaks {what}; check host and port: what listens there is not a registry"
            ),
            // The text may quote the peer.
            Self::Json(error) => write!(f, "malformed frame: {}", sound::plain(error)),
        }
    }
}
