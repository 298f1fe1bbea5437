//! What one server of etcd tells of itself: its version, its part in the ensemble, its alarms, its clock.

use std::sync::Arc;

use rpc_core::Error;
use tokio::time::Instant;

use super::messages::{STATUS, StatusRequest, StatusResponse};
use super::session::{Access, EtcdSession};
use crate::check::Diagnosis;
use crate::{diagnosis, sound};

/// Opens a session with `server`, gives its lease back, and asks for what it tells.
pub(super) async fn examine(access: &Arc<Access>, server: &str) -> Result<Vec<Diagnosis>, Error> {
    let begun = Instant::now();
    let session = EtcdSession::open(access, server).await?;
    let took = diagnosis::show_ms(begun.elapsed());
    let status = session.link.call::<StatusResponse>(STATUS, &StatusRequest {}).await;
    session.link.revoke().await;
    let login = match (&*access.user, session.link.is_logged_in()) {
        ("", _) => "etcd asks for none".to_owned(),
        (user, true) => format!("user `{}`", sound::plain(user)),
        (user, false) => format!("etcd asks for none, `{}` is not needed", sound::plain(user)),
    };
    let mut found = vec![described(server, status.ok(), &took)];
    found.push(Diagnosis::ok("login", server, login));
    let tls = access.tls.as_ref();
    // gRPC tells no time; the pages beside it do.
    found.push(match diagnosis::page(server, "/version", tls).await.and_then(|page| page.time) {
        Some(time) => time.diagnosis(server),
        None => Diagnosis::skip("clock", server, "etcd does not tell its time on this port"),
    });
    Ok(found)
}

fn described(server: &str, status: Option<StatusResponse>, took: &str) -> Diagnosis {
    // Who may not ask for it is let in all the same.
    let Some(status) = status else {
        return Diagnosis::ok("server", server, format!("etcd, a session in {took}"));
    };
    let part = match status.header.map(|header| header.member_id) {
        _ if status.is_learner => "learner",
        Some(me) if me == status.leader => "leader",
        _ => "follower",
    };
    let version = sound::plain(&status.version);
    let seen = format!("etcd {version}, {part}, a session in {took}");
    match &status.errors[..] {
        [] => Diagnosis::ok("server", server, seen),
        errors => {
            let seen = format!("{seen}; it reports {}", sound::plain(errors.join(", ")));
            let remedy = "see `etcdctl alarm list` and `etcdctl endpoint status`";
            Diagnosis::warn("server", server, seen, remedy)
        }
    }
}
