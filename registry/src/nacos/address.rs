//! The address of a Nacos registry: servers with both ports, login, namespace, group.

use std::sync::Arc;

use rpc_core::Error;

use super::connection::{GRPC_OFFSET, NacosServer};
use super::login::Login;
use super::{DEFAULT_GROUP, DEFAULT_PORT, Nacos, PUBLIC};
use crate::dubbo::Layout;
use crate::tls::TlsSettings;
use crate::{RegistryParams, RegistryUrl, sound};

impl Nacos {
    /// What the address says.
    pub(super) fn of(config: &RegistryParams) -> Result<Self, Error> {
        let url = RegistryUrl::parse(&config.url)?;
        let keys = ["namespace", "group", "register-mode", "register-consumer"];
        url.expect_keys(&[&keys[..], &TlsSettings::KEYS].concat())?;
        if !url.path.is_empty() {
            return Err(url.wrong("it takes no path: write a namespace as ?namespace=ID"));
        }
        if url.hosts.is_empty() {
            return Err(url.wrong("it needs a server, as in nacos://127.0.0.1:8848"));
        }
        if url.user.is_empty() && !url.password.is_empty() {
            return Err(
                url.wrong("it has a password and no user: write nacos://USER:PASSWORD@HOST")
            );
        }
        let token = config.token.as_ref().filter(|token| !token.is_empty());
        url.expect_user_of(token.map(String::as_str))?;
        let mut servers = Vec::with_capacity(url.hosts.len());
        for host in &url.hosts {
            let port = host.port.unwrap_or(DEFAULT_PORT).checked_add(GRPC_OFFSET);
            let port = port.ok_or_else(|| {
                url.wrong("the port has to leave room for that of gRPC, which is 1000 higher")
            })?;
            let grpc = crate::Host { port: Some(port), ..host.clone() };
            servers
                .push(NacosServer { http: host.address(DEFAULT_PORT), grpc: grpc.address(port) });
        }
        let name = |key: &str, default: &str| -> Result<Arc<str>, Error> {
            let name = url.query.get(key).map_or(default, String::as_str);
            let is_plain = |c: char| c.is_ascii_alphanumeric() || ".:_-".contains(c);
            if name.is_empty() || !name.chars().all(is_plain) {
                let name = sound::plain(name);
                let why = format!("{key} is `{name}`: Nacos takes letters, digits and `. : _ -`");
                return Err(url.wrong(&why));
            }
            Ok(name.into())
        };
        let (namespace, group) = (name("namespace", PUBLIC)?, name("group", DEFAULT_GROUP)?);
        let layout = Arc::new(Layout::of_services(&url, config, DEFAULT_PORT)?);
        Ok(Self {
            address: url.to_string().into(),
            servers,
            tls: TlsSettings::of(&url)?,
            login: Login {
                user: url.user,
                password: match token {
                    Some(token) if url.password.is_empty() => token.clone(),
                    _ => url.password,
                },
            },
            namespace,
            group,
            layout,
        })
    }
}
