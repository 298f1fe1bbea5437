//! The server's side: generated dispatch and a handler, called by a played consumer.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use dubhe::ServiceKey;
use futures_util::task::AtomicWaker;
use protocols::Dubbo;
use rpc_core::protocol::Accepted;
use rpc_core::server::{Dispatcher, ServerConfig, ServerState};
use rpc_core::transport::{BoxTransport, TransportAddr};
use rpc_core::{BuildContext, Codecs, Extension, Metrics, NoConfig, Params};

use crate::recording::Recording;
use crate::replay::Consumer;
use crate::service::{PricesServer, Shop};
use crate::wire::Wire;
use crate::{BoxError, Load};

/// Answers the calls.
pub(crate) async fn run(codec: &str, recording: Recording, load: Load) -> Result<(), BoxError> {
    let wire = Wire::to(Consumer::new(recording, load));
    match tokio::spawn(serve(codec, Box::new(wire))?).await? {
        // The consumer has gone.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Err("the server ended the connection".into()),
    }
}

/// Serves one connection to its end.
pub(crate) fn serve(
    codec: &str,
    io: BoxTransport,
) -> Result<impl Future<Output = io::Result<()>> + Send + use<>, BoxError> {
    let codec = codecs::builtin().build(codec, Params::new())?;
    let mut dispatcher = Dispatcher::new(Codecs::new(codec, []), Metrics::new("provider"));
    let service = ServiceKey::new("shop.Prices");
    dispatcher.add(service, Arc::new(PricesServer::new(Shop)), |_, handler| handler)?;
    let protocols = protocols::table()?;
    let dubbo = Dubbo::build(NoConfig {}, &BuildContext::default())?;
    let config = ServerConfig::default();
    let server = Arc::new(ServerState::new(Arc::new(dispatcher), protocols, config));
    let driver = Arc::new(AtomicWaker::new());
    let guard = server.begin_connection(driver.clone());
    let (first, from) = (BytesMut::new(), TransportAddr::Named("replay".into()));
    let serving = dubbo.serve(Accepted { io, first, from, server, driver });
    Ok(async move {
        let _guard = guard;
        serving.await
    })
}
