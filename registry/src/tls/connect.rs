//! TCP, then TLS if the address asks for it.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;

use super::failure::{ConnectFailure, TlsFailure};
use super::files;
use super::settings::TlsSettings;
use super::stream::ServerStream;
use super::words;

/// What HTTP/2 is called where TLS chooses the protocol.
#[cfg(feature = "_grpc")]
pub(crate) const HTTP_2: &[&[u8]] = &[b"h2"];

/// Connects to `server`, which is `host:port`. `protocols` are those that a server with several may choose.
///
/// # Errors
/// See [`ConnectFailure`].
///
/// # Cancel safety
/// May be dropped at any time; a file that is being read is read to its end.
pub(crate) async fn connect(
    server: &str,
    tls: Option<&TlsSettings>,
    protocols: &'static [&'static [u8]],
) -> Result<ServerStream, ConnectFailure> {
    let config = match tls {
        Some(settings) => Some((settings, read(settings, protocols).await?)),
        None => None,
    };
    let stream = TcpStream::connect(server).await.map_err(ConnectFailure::Tcp)?;
    // Without it requests are late, no more.
    let _ = stream.set_nodelay(true);
    match config {
        None => Ok(ServerStream::plain(stream)),
        Some((settings, config)) => {
            let opened = shake_hands(server, settings, config, stream).await;
            opened.map_err(ConnectFailure::Tls)
        }
    }
}

/// What the files say, read where waiting for the disk is fine.
async fn read(
    settings: &TlsSettings,
    protocols: &'static [&'static [u8]],
) -> Result<ClientConfig, ConnectFailure> {
    let of = settings.clone();
    let failure = match spawn_blocking(move || files::read(&of, protocols)).await {
        Ok(Ok(config)) => return Ok(config),
        Ok(Err(why)) => TlsFailure::Ours(why),
        // Neither is for want of anything in our files, so it is no refusal.
        Err(ended) if ended.is_panic() => {
            TlsFailure::Theirs("the files of TLS are not read, as their reader panics".to_owned())
        }
        Err(_) => TlsFailure::Theirs("the runtime shuts down".to_owned()),
    };
    Err(ConnectFailure::Tls(failure))
}

async fn shake_hands(
    server: &str,
    settings: &TlsSettings,
    config: ClientConfig,
    stream: TcpStream,
) -> Result<ServerStream, TlsFailure> {
    let Some(name) = settings.name_of(server) else {
        let why = format!("{server} has no name that a certificate has: write server-name=NAME");
        return Err(TlsFailure::Ours(why));
    };
    let connecting = TlsConnector::from(Arc::new(config)).connect(name.clone(), stream);
    match timeout(settings.handshake, connecting).await {
        Ok(Ok(stream)) => Ok(ServerStream::tls(stream, server, settings)),
        Ok(Err(error)) => Err(words::failure(server, &name, settings, &error)),
        Err(_) => {
            let limit = settings.handshake;
            Err(TlsFailure::Theirs(format!(
                "{server} does not finish the TLS handshake within {limit:?}, check that it speaks TLS \
                 there"
            )))
        }
    }
}
