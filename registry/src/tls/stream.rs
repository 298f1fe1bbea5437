//! The bytes of a connection, encrypted or not.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::failure::refusal;
use super::settings::TlsSettings;
use super::words;

/// A connection with a server.
///
/// A server may refuse our certificate after the handshake, with its first bytes: that is an error of which
/// [`refusal`](super::refusal) tells what to do.
#[derive(Debug)]
pub(crate) struct ServerStream(Way);

#[derive(Debug)]
enum Way {
    Plain(TcpStream),
    Tls(Box<Encrypted>),
}

#[derive(Debug)]
struct Encrypted {
    stream: TlsStream<TcpStream>,
    server: Arc<str>,
    has_certificate: bool,
    /// Why a write failed, while it is waited for what the server has said before it hung up.
    failed: Option<io::Error>,
}

impl ServerStream {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self(Way::Plain(stream))
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>, server: &str, settings: &TlsSettings) -> Self {
        let (server, has_certificate) = (server.into(), settings.own.is_some());
        Self(Way::Tls(Box::new(Encrypted { stream, server, has_certificate, failed: None })))
    }

    /// Whether it is encrypted.
    #[cfg(feature = "_grpc")]
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.0, Way::Tls(_))
    }

    /// Our own address.
    #[cfg(feature = "nacos")]
    pub(crate) fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        match &self.0 {
            Way::Plain(stream) => stream.local_addr(),
            Way::Tls(way) => way.stream.get_ref().0.local_addr(),
        }
    }
}

impl Encrypted {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        polled.map(|read| match read {
            // A server that dies says no goodbye. Every protocol here knows where a message ends, so the
            // end of the stream cuts none short unnoticed.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(words::later(&self.server, self.has_certificate, error)),
            Ok(()) => Ok(()),
        })
    }

    /// Writes by `write`. A server that refuses us says why and hangs up; a write may notice that first, and
    /// then waits for what was said. That is here or lost already, so it does not wait long.
    fn poll_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TlsStream<TcpStream>>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.failed.is_none() {
            match write(Pin::new(&mut self.stream), cx) {
                Poll::Ready(Err(error)) => self.failed = Some(error),
                written => return written,
            }
        }
        let mut byte = [0];
        let read = ready!(self.poll_read(cx, &mut ReadBuf::new(&mut byte)));
        let failed = self.failed.take().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
        Poll::Ready(Err(match read {
            Err(cause) if refusal(&cause).is_some() => cause,
            Err(_) | Ok(()) => failed,
        }))
    }
}

impl AsyncRead for ServerStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Way::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Way::Tls(way) => way.poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for ServerStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Way::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Way::Tls(way) => way.poll_write(cx, |stream, cx| stream.poll_write(cx, buf)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Way::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Way::Tls(way) => way.poll_write(cx, |stream, cx| stream.poll_flush(cx)),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Way::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Way::Tls(way) => way.poll_write(cx, |stream, cx| stream.poll_shutdown(cx)),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Way::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Way::Tls(way) => way.poll_write(cx, |stream, cx| stream.poll_write_vectored(cx, bufs)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Way::Plain(stream) => stream.is_write_vectored(),
            Way::Tls(way) => way.stream.is_write_vectored(),
        }
    }
}
