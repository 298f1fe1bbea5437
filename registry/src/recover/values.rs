//! The config centre of a registry: its texts as targets to follow.

use std::fmt;
use std::future::ready;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use rpc_core::Error;

use super::follow::{Ends, FollowBegun, Followed, WatchTarget};
use super::link::Link;
use super::tasks::Tasks;
use crate::backend::Session;
use crate::config_center::{
    ConfigCenter, ConfigSession, ConfigUpdates, ConfigValue, ConfigWatch, check_names, check_size,
    text_of,
};
use crate::sound::plain;

/// The config centre over the session of a registry.
#[derive(Debug)]
pub(super) struct Centre(pub(super) Arc<Tasks>);

#[async_trait]
impl ConfigCenter for Centre {
    fn address(&self) -> String {
        self.0.link.backend.address()
    }

    async fn get(&self, key: &str, group: &str) -> Result<Option<Arc<str>>, Error> {
        check_names(key, group)?;
        let link = self.0.open()?;
        let session = link.session().await?;
        let value = link.request(settings(&*session)?.get(key, group)).await?;
        text_of(value).map_err(|why| {
            let told = format!("`{}` of {}: {why}", plain(key), self.address());
            Error::invalid_config(told)
        })
    }

    async fn watch(&self, key: &str, group: &str) -> Result<ConfigWatch, Error> {
        check_names(key, group)?;
        self.0.open()?;
        let text = TextTarget { key: key.into(), group: group.into() };
        let is_known = |value: &ConfigValue| *value != ConfigValue::Pending;
        let FollowBegun { followed, values, trouble } =
            Followed::begin(&self.0, text, ConfigValue::Pending, is_known).await;
        Ok(ConfigWatch::new(values, trouble, move || followed.follow()))
    }

    async fn publish(&self, key: &str, group: &str, text: Option<&str>) -> Result<(), Error> {
        check_names(key, group)?;
        check_size(text.map_or(0, str::len)).map_err(|why| {
            Error::invalid_config(format!("the text for `{}`: {why}", plain(key)))
        })?;
        let link = self.0.open()?;
        let session = link.session().await?;
        let value = text.map(|text| Bytes::copy_from_slice(text.as_bytes()));
        link.request(settings(&*session)?.publish(key, group, value)).await
    }
}

fn settings(session: &dyn Session) -> Result<&dyn ConfigSession, Error> {
    let none = || Error::invalid_config("this session has no config centre, use another registry");
    session.settings().ok_or_else(none)
}

/// The text of one key.
struct TextTarget {
    key: Box<str>,
    group: Box<str>,
}

impl fmt::Display for TextTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        plain(&self.key).fmt(f)
    }
}

impl WatchTarget for TextTarget {
    type Update = Option<Bytes>;
    type Updates = ConfigUpdates;
    type Value = ConfigValue;

    fn updates(&self, _: &ConfigValue) -> ConfigUpdates {
        ConfigUpdates::default()
    }

    fn put(updates: &ConfigUpdates, value: Option<Bytes>) {
        updates.put(value);
    }

    fn watch<'a>(
        &'a self,
        session: &'a dyn Session,
        updates: &'a ConfigUpdates,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { settings(session)?.watch(&self.key, &self.group, updates).await })
    }

    fn read<'a>(&'a self, session: &'a dyn Session) -> BoxFuture<'a, Result<Option<Bytes>, Error>> {
        Box::pin(async { settings(session)?.get(&self.key, &self.group).await })
    }

    /// What is no text is logged once, and the last one stays.
    fn publish<'a>(
        &'a self,
        link: &'a Arc<Link>,
        value: Option<Bytes>,
        ends: &'a Ends<ConfigValue>,
    ) -> BoxFuture<'a, ()> {
        let present = match text_of(value) {
            Ok(Some(text)) => ConfigValue::Set(text),
            Ok(None) => ConfigValue::Absent,
            Err(why) => {
                if !ends.is_doubted_for(&why) {
                    let registry = link.backend.address();
                    tracing::warn!(
                        target: "dubhe::registry",
                        key = %self, registry, why,
                        "a value of the config centre is no text, the last one stays"
                    );
                }
                ends.doubt(&why);
                return Box::pin(ready(()));
            }
        };
        ends.values.send_if_other(present);
        ends.confirm();
        Box::pin(ready(()))
    }
}
