//! Recognizes the protocol of a connection by its first bytes, since all protocols share one port.
//!
//! Each protocol of the table looks at them; the first that recognises them has the connection. The
//! bytes are handed to that protocol, which reads them again. The caller limits the time.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use rpc_core::protocol::Sniff;
use rpc_core::transport::BoxTransport;
use rpc_core::{Protocol, Protocols};
use tokio::io::AsyncReadExt;

/// How many first bytes are looked at: those of HTTP/2's preface, the longest that is known.
const MOST: usize = 24;

/// Reads until the protocol is known; returns it and what was read.
pub(super) async fn sniff(
    io: &mut BoxTransport,
    protocols: &Protocols,
) -> io::Result<(Arc<dyn Protocol>, BytesMut)> {
    let mut first = BytesMut::with_capacity(4096);
    loop {
        let mut possible = false;
        for protocol in protocols.iter() {
            match protocol.sniff(&first) {
                Sniff::Yes => return Ok((protocol.clone(), first)),
                Sniff::NotYet => possible = true,
                Sniff::No => {}
            }
        }
        if !possible || first.len() >= MOST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, stranger(&first)));
        }
        if io.read_buf(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The log text about a peer that speaks none of the protocols.
fn stranger(first: &[u8]) -> String {
    if let [0x16] | [0x16, 3, ..] = first {
        return "the peer speaks TLS, this port takes none; call it in the clear".to_owned();
    }
    let seen = first.iter().copied().take(8).collect::<Vec<_>>();
    format!("no protocol begins with `{}`", seen.escape_ascii())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn sniffed(bytes: &[u8], step: usize) -> io::Result<&'static str> {
        let (mut client, server) = tokio::io::duplex(1);
        let mut server: BoxTransport = Box::new(server);
        let write = async {
            for part in bytes.chunks(step) {
                // The far side may have decided and gone.
                let _ = client.write_all(part).await;
            }
            drop(client);
        };
        let protocols = crate::table().unwrap();
        let (_, found) = tokio::join!(write, async {
            let sniffed = sniff(&mut server, &protocols).await;
            drop(server);
            sniffed
        });
        found.map(|(protocol, _)| protocol.names()[0])
    }

    #[tokio::test]
    async fn every_protocol_is_told_by_its_first_bytes_however_they_are_cut() {
        for step in 1..24 {
            assert_eq!(sniffed(b"\xda\xbb\xe2\x00", step).await.unwrap(), "dubbo");
            let (http1, http2) =
                (b"POST /Greeter/hello HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
            assert_eq!(sniffed(http1, step).await.unwrap(), "json");
            assert_eq!(sniffed(http2, step).await.unwrap(), "json");
        }
    }

    #[tokio::test]
    async fn anything_else_is_refused_and_named() {
        for (bytes, told) in [
            (&b"\xda\xbc"[..], "no protocol begins with"),
            (b"PRX", "no protocol begins with"),
            (b"hello\n", "no protocol begins with"),
            (b"\x16\x03\x01", "the peer speaks TLS"),
        ] {
            let error = sniffed(bytes, 1).await.unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
        }
        assert!(sniffed(b"PO", 1).await.is_err());
    }
}
