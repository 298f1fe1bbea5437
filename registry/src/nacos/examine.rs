//! What one server of Nacos tells of itself: its version and its clock by HTTP, and whether gRPC lets us in.

use rpc_core::Error;

use super::Nacos;
use crate::backend::Demand;
use crate::check::Diagnosis;
use crate::tls::TlsSettings;
use crate::{diagnosis, sound};

/// Where versions are told: by Nacos 3, and by Nacos 2.
const STATES: [&str; 2] = ["/nacos/v3/admin/core/state", "/nacos/v1/console/server/state"];

/// Looks at one of the two ports of a server.
pub(super) async fn examine(nacos: &Nacos, address: &str) -> Result<Vec<Diagnosis>, Error> {
    let Some(server) = nacos.servers.iter().find(|server| server.grpc == address) else {
        return Ok(http(address, nacos.tls.as_ref()).await);
    };
    // A session that opens has read a list.
    nacos.open(server, &Demand::default()).await?;
    let user = match &*nacos.login.user {
        "" => "none asked for".to_owned(),
        user => format!("user `{}`", sound::plain(user)),
    };
    Ok(vec![
        Diagnosis::ok("server", address, "Nacos, gRPC: a session is opened and lists are read"),
        Diagnosis::ok("login", address, user),
    ])
}

/// Looks at the port of HTTP.
async fn http(address: &str, tls: Option<&TlsSettings>) -> Vec<Diagnosis> {
    let (mut time, mut is_http) = (None, false);
    for path in STATES {
        let Some(page) = diagnosis::page(address, path, tls).await else { break };
        is_http = true;
        time = page.time.or(time);
        let version = page.member(&["version"]).or_else(|| page.member(&["data", "version"]));
        if let Some(version) = version {
            let seen = format!("Nacos {version}, HTTP");
            return vec![Diagnosis::ok("server", address, seen), clock(address, time)];
        }
    }
    match is_http {
        true => {
            let seen = "HTTP, and it does not tell whether it is Nacos";
            vec![Diagnosis::ok("server", address, seen), clock(address, time)]
        }
        false => {
            let remedy =
                "correct host and port: logins go there, and the port of gRPC is 1000 higher";
            vec![Diagnosis::warn("server", address, "it answers no HTTP", remedy)]
        }
    }
}

fn clock(address: &str, time: Option<diagnosis::ToldTime>) -> Diagnosis {
    match time {
        Some(time) => time.diagnosis(address),
        None => Diagnosis::skip("clock", address, "its pages do not tell it"),
    }
}
