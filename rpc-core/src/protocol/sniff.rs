//! Tells the faces of one port apart by the first bytes.
//!
//! `da bb` is Dubbo2; `PRI * HTTP/2.0` is HTTP/2; an HTTP method and a blank is HTTP/1. No two
//! prefixes conflict, so at most the length of HTTP/2's preface is looked at. The caller owns the
//! deadline.

use std::io;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;

use super::dubbo;
use crate::transport::BoxTransport;

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    Dubbo,
    Http1,
    Http2,
}

const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const METHODS: [&[u8]; 9] = [
    b"GET ",
    b"POST ",
    b"PUT ",
    b"HEAD ",
    b"PATCH ",
    b"TRACE ",
    b"DELETE ",
    b"OPTIONS ",
    b"CONNECT ",
];

/// Reads until the face is known; returns it and what was read.
pub(crate) async fn sniff(io: &mut BoxTransport) -> io::Result<(Face, BytesMut)> {
    let mut first = BytesMut::with_capacity(4096);
    loop {
        match decide(&first) {
            Decision::Is(face) => return Ok((face, first)),
            Decision::Never => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, stranger(&first)));
            }
            Decision::NotYet => {}
        }
        if io.read_buf(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// What is said of a peer that speaks none of the faces.
fn stranger(first: &[u8]) -> String {
    if let [0x16] | [0x16, 3, ..] = first {
        return "the peer speaks TLS, this port takes none; call it in the clear".to_owned();
    }
    let seen = first.iter().copied().take(8).collect::<Vec<_>>();
    format!("no protocol begins with `{}`", seen.escape_ascii())
}

enum Decision {
    Is(Face),
    NotYet,
    Never,
}

fn decide(bytes: &[u8]) -> Decision {
    let candidates = [(&dubbo::MAGIC[..], Face::Dubbo), (HTTP2, Face::Http2)]
        .into_iter()
        .chain(METHODS.map(|method| (method, Face::Http1)));
    let mut possible = false;
    for (prefix, face) in candidates {
        if bytes.starts_with(prefix) {
            return Decision::Is(face);
        }
        possible |= prefix.starts_with(bytes);
    }
    if possible { Decision::NotYet } else { Decision::Never }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn sniffed(bytes: &[u8], step: usize) -> io::Result<Face> {
        let (mut client, server) = tokio::io::duplex(1);
        let mut server: BoxTransport = Box::new(server);
        let write = async {
            for part in bytes.chunks(step) {
                // The far side may have decided and gone.
                let _ = client.write_all(part).await;
            }
            drop(client);
        };
        let (_, face) = tokio::join!(write, async {
            let sniffed = sniff(&mut server).await;
            drop(server);
            sniffed
        });
        face.map(|(face, _)| face)
    }

    #[tokio::test]
    async fn every_face_is_told_by_its_first_bytes_however_they_are_cut() {
        for step in 1..24 {
            assert_eq!(sniffed(b"\xda\xbb\xe2\x00", step).await.unwrap(), Face::Dubbo);
            assert_eq!(
                sniffed(b"POST /Greeter/hello HTTP/1.1\r\n", step).await.unwrap(),
                Face::Http1
            );
            assert_eq!(sniffed(HTTP2, step).await.unwrap(), Face::Http2);
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
