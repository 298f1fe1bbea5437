//! Users of etcd over TLS.

use servers::{CertificateFiles, CertificateWish, SecureServer};

use super::*;
use crate::tls::TlsSettings;

/// What a role may read and write.
#[derive(Clone, PartialEq, Message)]
struct Grant {
    #[prost(string, tag = "1")]
    role: String,
    #[prost(message, optional, tag = "2")]
    allowed: Option<Allowed>,
}

#[derive(Clone, PartialEq, Message)]
struct Allowed {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(bytes = "vec", tag = "2")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    range_end: Vec<u8>,
}

async fn open_with(
    secure: &SecureServer<EtcdServer>,
    files: &CertificateFiles,
    login: (&str, &str),
) -> Result<EtcdTree, Error> {
    let server = secure.server.address();
    let (ca, cert, key) = (secure.authority.ca(), files.cert.display(), files.key.display());
    let url = format!("etcd://{server}?tls=true&ca={}&cert={cert}&key={key}", ca.display());
    let mut access = Arc::into_inner(access(&server, login)).unwrap();
    access.tls = TlsSettings::of(&RegistryUrl::parse(&url).unwrap()).unwrap();
    EtcdSession::open(&Arc::new(access), &server).await.map(EtcdTree::new)
}

#[tokio::test]
async fn users_log_in_over_tls_by_password_or_by_the_name_in_their_certificate() {
    let Some(secure) = SecureServer::start_etcd() else { return };
    let of_ann = CertificateWish { common_name: "ann", ..CertificateWish::default() };
    let of_ann = secure.authority.issue("ann", of_ann);
    let tree = open_with(&secure, &secure.client, ("", "")).await.unwrap();
    let names = |first: &str, second: &str| ByNames { first: first.into(), second: second.into() };
    for user in ["root", "ann"] {
        order(&tree, "/etcdserverpb.Auth/UserAdd", &names(user, "secret")).await;
    }
    order(&tree, "/etcdserverpb.Auth/RoleAdd", &names("lists", "")).await;
    const READ_AND_WRITE: i32 = 2;
    let allowed =
        Allowed { kind: READ_AND_WRITE, key: "/dubbo".into(), range_end: "/dubbp".into() };
    let grant = Grant { role: "lists".into(), allowed: Some(allowed) };
    order(&tree, "/etcdserverpb.Auth/RoleGrantPermission", &grant).await;
    for (user, role) in [("root", "root"), ("ann", "lists")] {
        order(&tree, "/etcdserverpb.Auth/UserGrantRole", &names(user, role)).await;
    }
    order(&tree, "/etcdserverpb.Auth/AuthEnable", &Nothing {}).await;

    let by_certificate = open_with(&secure, &of_ann, ("", "")).await.unwrap();
    put(&by_certificate, "/dubbo/a/1").await;
    let newest = watch::Sender::new(None);
    let mut watching = by_certificate.watch_children("/dubbo/a", ReadOf::Names, &newest);
    lists(1, &newest, &mut watching).await;
    let by_password = open_with(&secure, &secure.client, ("ann", "secret")).await.unwrap();
    put(&by_password, "/dubbo/a/2").await;
    lists(2, &newest, &mut watching).await;

    for (files, login, expected) in [
        (&secure.client, ("", ""), "grant a role of the user that our certificate names to read"),
        (&secure.client, ("ann", "wrong"), "check user name and password"),
    ] {
        let error = open_with(&secure, files, login).await.map(drop).unwrap_err();
        assert!(error.is_refused() && error.to_string().contains(expected), "{error}");
    }
}
