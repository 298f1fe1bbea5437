//! What speaks on a port where a registry was looked for and is not.
//!
//! Four short looks at the same time, each over a connection of its own: what it says unasked, what it
//! answers to a hello of TLS, to a question of HTTP, and to one of ZooKeeper. The first bytes tell enough.

use std::fmt;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the looks may take.
const LOOK: Duration = Duration::from_millis(400);

/// As many bytes as tell one protocol from another.
const ENOUGH: usize = 16;

/// A program that is not the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stranger {
    Tls,
    Http,
    Http2,
    Ssh,
    Redis,
    Dubbo,
    MySql,
    ZooKeeper,
}

/// A hello of TLS 1.2 that offers four common ciphers, without extensions; a server answers with its own
/// or with an alert, and either shows that it speaks TLS.
const TLS_HELLO: [u8; 56] = {
    let mut hello = [0x2a; 56];
    // A record of a handshake, TLS 1.0 as hellos have it, of 51 bytes: a client hello of 47.
    let head = [0x16, 3, 1, 0, 51, 1, 0, 0, 47, 3, 3];
    // After 32 random bytes: no session, four ciphers, no compression.
    let tail = [0, 0, 8, 0xc0, 0x2f, 0xc0, 0x2b, 0, 0x9c, 0, 0x2f, 1, 0];
    let mut i = 0;
    while i < head.len() {
        hello[i] = head[i];
        i += 1;
    }
    let mut i = 0;
    while i < tail.len() {
        hello[43 + i] = tail[i];
        i += 1;
    }
    hello
};

/// What speaks at `address`, if that can be told.
pub(super) async fn who_answers(address: &str) -> Option<Stranger> {
    let said = [&b""[..], &TLS_HELLO, b"GET / HTTP/1.0\r\n\r\n", b"srvr"];
    let looks = said.map(|said| timeout(LOOK, hear(address, said)));
    let heard = join_all(looks).await.into_iter().filter_map(|heard| heard.ok()?.ok());
    heard.into_iter().find_map(|heard| Stranger::of(&heard))
}

/// The first bytes of what is said there, after `said`.
async fn hear(address: &str, said: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(said).await?;
    let mut heard = Vec::with_capacity(ENOUGH);
    while heard.len() < ENOUGH && stream.read_buf(&mut heard).await? > 0 {
        // Enough for most; the rest may never come.
        if Stranger::of(&heard).is_some() {
            break;
        }
    }
    Ok(heard)
}

impl Stranger {
    fn of(heard: &[u8]) -> Option<Self> {
        match heard {
            [0x15 | 0x16, 3, ..] => Some(Self::Tls),
            [b'H', b'T', b'T', b'P', b'/', ..] => Some(Self::Http),
            // Settings, without flags, of the connection itself.
            [0, 0, _, 4, 0, 0, 0, 0, 0, ..] => Some(Self::Http2),
            [b'S', b'S', b'H', b'-', ..] => Some(Self::Ssh),
            [b'-', b'E', b'R', b'R', ..] => Some(Self::Redis),
            [0xda, 0xbb, ..] => Some(Self::Dubbo),
            // A length of three bytes, the first packet, version 10 of its protocol.
            [_, _, 0, 0, 10, b'0'..=b'9', ..] => Some(Self::MySql),
            [b'Z', b'o', b'o', b'k', ..] => Some(Self::ZooKeeper),
            // As it answers while it does not serve, and if it may not say more.
            [b'T', b'h', b'i', b's', b' ', b'Z', b'o', b'o', ..] => Some(Self::ZooKeeper),
            [b's', b'r', b'v', b'r', b' ', b'i', b's', b' ', ..] => Some(Self::ZooKeeper),
            _ => None,
        }
    }
}

impl fmt::Display for Stranger {
    /// What it is, and what helps.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => {
                "what answers there speaks TLS: write tls=true into the address (etcd, Nacos and \
                 ZooKeeper); if it is there, correct what the cause says of certificates"
            }
            Self::Http => {
                "what answers there speaks HTTP/1, as a web server or a provider does: correct \
                 host and port"
            }
            Self::Http2 => {
                "what answers there speaks HTTP/2 without TLS, as gRPC does: leave out tls=true if it \
                 is there; else correct host and port"
            }
            Self::Ssh => "what answers there is an SSH server: correct host and port",
            Self::Redis => "what answers there is Redis: correct host and port",
            Self::Dubbo => "what answers there is a provider: correct host and port",
            Self::MySql => "what answers there is MySQL: correct host and port",
            Self::ZooKeeper => {
                "what answers there is ZooKeeper: correct host and port, or the scheme"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hello_is_as_long_as_it_says() {
        assert_eq!(usize::from(TLS_HELLO[4]), TLS_HELLO.len() - 5);
        assert_eq!(usize::from(TLS_HELLO[8]), TLS_HELLO.len() - 9);
        assert_eq!(TLS_HELLO[43..46], [0, 0, 8]);
    }

    #[test]
    fn first_bytes_tell_what_speaks() {
        for (heard, expected) in [
            (&b"\x15\x03\x03\x00\x02\x02\x28"[..], Some(Stranger::Tls)),
            (b"HTTP/1.0 400 Bad", Some(Stranger::Http)),
            (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03", Some(Stranger::Http2)),
            (b"This ZooKeeper i", Some(Stranger::ZooKeeper)),
            (b"srvr is not exec", Some(Stranger::ZooKeeper)),
            (b"SSH-2.0-OpenSSH_", Some(Stranger::Ssh)),
            (b"-ERR unknown", Some(Stranger::Redis)),
            (b"\xda\xbb\x02\x14", Some(Stranger::Dubbo)),
            (b"J\x00\x00\x00\x0a8.0.36", Some(Stranger::MySql)),
            (b"Zookeeper versio", Some(Stranger::ZooKeeper)),
            (b"", None),
            (b"\x00\x00\x00\x29\x00\x00", None),
        ] {
            assert_eq!(Stranger::of(heard), expected, "{heard:?}");
        }
    }
}
