//! Pages for people, probes and scrapers: `GET /`, `/healthz`, `/readyz`, `/metrics`.
//!
//! They answer while the provider drains too: that is when a probe wants to know. None runs a
//! handler.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method as Verb, Response, StatusCode};
use rpc_core::server::{Phase, ServerState};
use serde_json::json;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
/// Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>, OpenMetrics' text form.
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The page that a request asks for, if it is for one.
pub(super) fn page(head: &Parts, server: &ServerState) -> Option<Response<Bytes>> {
    if head.method != Verb::GET && head.method != Verb::HEAD {
        return None;
    }
    let (status, content_type, body) = match head.uri.path() {
        "/" => (StatusCode::OK, JSON, served(server)),
        "/healthz" => (StatusCode::OK, TEXT, "ok\n".to_owned()),
        "/readyz" => match server.phase() {
            Phase::Serving => (StatusCode::OK, TEXT, "ready\n".to_owned()),
            Phase::Notice | Phase::Refusing | Phase::Closing => {
                (StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n".to_owned())
            }
        },
        "/metrics" if server.config().serves_metrics => {
            (StatusCode::OK, METRICS, server.dispatcher().metrics().render())
        }
        "/metrics" => {
            let text = "metrics are served on loopback only; set `provider.metrics = true`\n";
            (StatusCode::FORBIDDEN, TEXT, text.to_owned())
        }
        _ => return None,
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Some(response)
}

/// The services of this provider, as JSON.
fn served(server: &ServerState) -> String {
    let dispatcher = server.dispatcher();
    let services = dispatcher.services().iter().map(
        |service| json!({ "service": service.as_str(), "methods": dispatcher.methods(service) }),
    );
    let served = json!({
        "services": services.collect::<Vec<_>>(),
        "protocols": server.protocols().served().collect::<Vec<_>>(),
        "codecs": dispatcher.codecs().names().collect::<Vec<_>>(),
    });
    format!("{served:#}\n")
}
