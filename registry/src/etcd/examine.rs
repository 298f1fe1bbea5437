//! What one server of etcd tells of itself: its version, its part in the ensemble, its alarms, its clock.

use std::sync::Arc;

use rpc_core::Error;
use tokio::time::Instant;

use super::messages::{STATUS, StatusRequest, StatusResponse};
use super::session::{Access, EtcdSession};
use crate::check::Diagnosis;
use crate::diagnosis::Page;
use crate::{diagnosis, sound};

/// Opens a session with `server`, gives its lease back, and asks for what it tells.
pub(super) async fn examine(access: &Arc<Access>, server: &str) -> Result<Vec<Diagnosis>, Error> {
    let begun = Instant::now();
    let session = EtcdSession::open(access, server).await?;
    let took = diagnosis::show_ms(begun.elapsed());
    let status = session.link.call::<StatusResponse>(STATUS, &StatusRequest {}).await;
    session.link.revoke(session.link.lease).await;
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

/// What a server that opened no session tells by its pages, which need neither login nor majority.
pub(super) async fn recognize(access: &Access, server: &str) -> Option<Diagnosis> {
    let tls = access.tls.as_ref();
    let plain = async {
        match tls {
            Some(_) => diagnosis::page(server, "/version", None).await,
            None => None,
        }
    };
    let (version, health, plain) = tokio::join!(
        diagnosis::page(server, "/version", tls),
        diagnosis::page(server, "/health", tls),
        plain
    );
    let version_of = |page: Option<Page>| page?.member(&["etcdserver"]);
    if let Some(version) = version_of(plain) {
        let remedy = "leave out tls=true, or take its port for TLS";
        return Some(Diagnosis::fail(
            "server",
            server,
            format!("etcd {version}, in plain"),
            remedy,
        ));
    }
    let version = version_of(version)?;
    let told = |name| health.as_ref().and_then(|health: &Page| health.member(&[name]));
    let (seen, remedy) = match (told("health").as_deref(), told("reason")) {
        (Some("true"), _) => (
            format!("etcd {version}, which says that it is well"),
            "try again: it was too slow, or had no leader for a moment; else see its log",
        ),
        (_, why) => (
            match why.filter(|why| !why.is_empty()) {
                Some(why) => format!("etcd {version}, which says that it is not well: {why}"),
                None => format!("etcd {version}, which does not say that it is well"),
            },
            "start most of its servers, so that they have a leader; see `etcdctl endpoint status \
             --cluster`, `etcdctl alarm list` and its log",
        ),
    };
    Some(Diagnosis::fail("server", server, seen, remedy))
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
