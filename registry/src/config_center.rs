//! The config centre of a registry: small texts by key that people change while programs run.
//!
//! Users hold a [`ConfigCenter`]; a registry that has one implements [`ConfigSession`] beside its
//! [`Session`](crate::Session), over the same connection. That values are watched again after a
//! loss, read again from time to time and kept while the server is away is the work of
//! [`supervise`](crate::supervise), the same for all. What the texts mean is the reader's matter.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rpc_core::{Error, LatestReader, Trouble};

use crate::newest::Newest;
#[cfg(all(test, feature = "_dubbo"))]
use crate::newest::WatchNews;

/// Longest key and longest group, in bytes.
const MAX_NAME: usize = 512;

/// Largest value, in bytes: what ZooKeeper takes by default, with room for its key.
pub(crate) const MAX_VALUE: usize = 1_000_000;

/// The group of the overrides that stand beside the providers of a service, as consoles of Dubbo 2.6 write
/// them: the key is `INTERFACE:VERSION:GROUP`, the text a JSON list of `override://…`. In a registry with
/// Dubbo's layouts they are children of its category `configurators`, and only read here.
pub const OVERRIDES: &str = "configurators";

/// A place where people keep texts that programs follow, such as rules.
///
/// A text has a key and a group, which is `dubbo` for rules and [`OVERRIDES`] for those of a registry.
/// Both have 1 to 512 bytes, neither `/` nor control characters; a text has at most 1,000,000 bytes. An
/// empty text counts as absent.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), rpc_core::Error> {
/// use dubhe_registry::{ConfigValue, connect};
///
/// let registry = connect("memory://rules")?;
/// let centre = registry.config_center().expect("memory:// has one");
/// let mut rule = centre.watch("shop.configurators", "dubbo").await?;
/// assert_eq!(rule.latest(), ConfigValue::Absent);
///
/// centre.publish("shop.configurators", "dubbo", Some("enabled: true")).await?;
/// assert_eq!(rule.next().await, Some(ConfigValue::Set("enabled: true".into())));
/// centre.publish("shop.configurators", "dubbo", None).await?;
/// assert_eq!(rule.next().await, Some(ConfigValue::Absent));
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait ConfigCenter: fmt::Debug + Send + Sync + 'static {
    /// Its address for people, without password.
    fn address(&self) -> String;

    /// The text now, for tools; `None` if there is none. For up to a second after a change Nacos answers
    /// with what was before; a [watch](Self::watch) is told once it is there.
    ///
    /// # Errors
    /// A key or group that cannot be; the server does not answer; what is there is no text.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    async fn get(&self, key: &str, group: &str) -> Result<Option<Arc<str>>, Error>;

    /// Follows a text. Begins with what the server says if it answers within 1 s, else with
    /// [`ConfigValue::Pending`]: a server that is away is not an error.
    ///
    /// # Errors
    /// A key or group that cannot be; the registry was shut down.
    ///
    /// # Cancel safety
    /// Dropping the future ends the watch.
    async fn watch(&self, key: &str, group: &str) -> Result<ConfigWatch, Error>;

    /// Replaces a text, or takes it away, for tools and tests.
    ///
    /// # Errors
    /// A key, group or text that cannot be; the server does not answer.
    ///
    /// # Cancel safety
    /// If the future is dropped, the text may have been replaced or not.
    async fn publish(&self, key: &str, group: &str, text: Option<&str>) -> Result<(), Error>;
}

/// What a config centre says about a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigValue {
    /// Nothing is known yet.
    #[default]
    Pending,
    /// There is no text.
    Absent,
    /// The text.
    Set(Arc<str>),
}

/// Follows the text of one key; dropping it ends the watch.
///
/// While the server is away the last text stays, and [`trouble`](Self::trouble) has the reason. A
/// value that is no text, or too large, is logged, and the last text stays.
pub struct ConfigWatch {
    values: LatestReader<ConfigValue>,
    trouble: LatestReader<Option<Trouble>>,
    resume: Box<dyn Fn() -> bool + Send + Sync>,
}

impl ConfigWatch {
    /// A watch that reads from `values`; `resume` starts its tasks again in the runtime here, says
    /// whether they had ended, and keeps alive what they belong to.
    #[must_use]
    pub fn new(
        values: LatestReader<ConfigValue>,
        trouble: LatestReader<Option<Trouble>>,
        resume: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { values, trouble, resume: Box::new(resume) }
    }

    /// The newest value.
    #[must_use]
    pub fn latest(&self) -> ConfigValue {
        self.values.borrow().clone()
    }

    /// Waits for the next value; `None` once the registry has been shut down.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<ConfigValue> {
        self.values.changed().await.ok()?;
        Some(self.values.borrow_and_update().clone())
    }

    /// Follows [`latest`](Self::latest) without keeping the watch alive.
    #[must_use]
    pub fn values(&self) -> LatestReader<ConfigValue> {
        self.values.clone()
    }

    /// Why the server cannot be heard at present; `None` while it confirms the value.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble.borrow().clone()
    }

    /// Has the text followed again after the runtime has ended in which that was done; says whether
    /// it has. Needs a tokio runtime.
    pub fn resume(&self) -> bool {
        (self.resume)()
    }
}

impl fmt::Debug for ConfigWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigWatch")
            .field("latest", &*self.values.borrow())
            .field("trouble", &*self.trouble.borrow())
            .finish_non_exhaustive()
    }
}

/// The config centre of a session: the part that a registry with one implements.
///
/// Operations run concurrently with the others of the session, and never retry.
///
/// # Cancel safety
/// The future of an operation is dropped if it takes longer than
/// [`Pace::request_timeout`](crate::Pace); that of [`watch`](Self::watch), when nobody needs the
/// text any more.
#[async_trait]
pub trait ConfigSession: fmt::Debug + Send + Sync {
    /// The value now; `None`, or an empty one, if there is none.
    ///
    /// # Errors
    /// The session is lost.
    async fn get(&self, key: &str, group: &str) -> Result<Option<Bytes>, Error>;

    /// Puts the value, or its absence, into `updates` at once and after each change, until the watch
    /// or the session is lost.
    ///
    /// # Errors
    /// Why the watch ended.
    async fn watch(&self, key: &str, group: &str, updates: &ConfigUpdates) -> Result<(), Error>;

    /// Replaces the value; `None` takes it away, or makes it empty.
    ///
    /// # Errors
    /// The session is lost, or the server refuses.
    async fn publish(&self, key: &str, group: &str, value: Option<Bytes>) -> Result<(), Error>;
}

/// The receiver of a watch's values; it keeps the newest.
#[derive(Debug, Default)]
pub struct ConfigUpdates(Newest<Option<Bytes>>);

impl ConfigUpdates {
    /// Replaces the value. An equal one counts too: it confirms the present one.
    pub fn put(&self, value: Option<Bytes>) {
        self.0.put_if(value, |_, _| true);
    }

    /// A reader of what is put.
    #[cfg(all(test, feature = "_dubbo"))]
    pub(crate) fn subscribe(&self) -> LatestReader<WatchNews<Option<Bytes>>> {
        self.0.subscribe()
    }
}

impl AsRef<Newest<Option<Bytes>>> for ConfigUpdates {
    fn as_ref(&self) -> &Newest<Option<Bytes>> {
        &self.0
    }
}

/// The text in a value; `None` for an empty one.
pub(crate) fn text_of(value: Option<Bytes>) -> Result<Option<Arc<str>>, String> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    check_size(value.len())?;
    match std::str::from_utf8(&value) {
        Ok(text) => Ok(Some(text.into())),
        Err(error) => {
            Err(format!("it is not UTF-8 from byte {} on, save it as UTF-8", error.valid_up_to()))
        }
    }
}

/// Fails if `key` or `group` cannot be kept by every server.
pub(crate) fn check_names(key: &str, group: &str) -> Result<(), Error> {
    for (what, name) in [("key", key), ("group", group)] {
        let why = match name {
            "" => "it is empty".to_owned(),
            name if name.len() > MAX_NAME => {
                format!("it has {} bytes and may have {MAX_NAME}", name.len())
            }
            name if name.contains(|c: char| c == '/' || c.is_control()) => {
                "it has a `/` or a control character".to_owned()
            }
            _ => continue,
        };
        let name = crate::sound::plain(name);
        let told = format!("{what} `{name}` of a config centre: {why}, choose another");
        return Err(Error::invalid_config(told));
    }
    Ok(())
}

/// Fails if a text of this length is too large.
pub(crate) fn check_size(length: usize) -> Result<(), String> {
    match length > MAX_VALUE {
        true => Err(format!("it has {length} bytes and may have {MAX_VALUE}, make it shorter")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_path_and_no_server_takes_are_refused_in_words() {
        check_names("shop.Stock:1.0.0:blue.configurators", "dubbo").unwrap();
        let long = "k".repeat(513);
        for (key, group, told) in [
            ("", "dubbo", "key `` of a config centre: it is empty"),
            ("a/b", "dubbo", "key `a/b` of a config centre: it has a `/`"),
            ("k", "a\u{1b}", r"group `a\u{1b}` of a config centre: it has a `/` or a control"),
            (&long, "dubbo", "it has 513 bytes and may have 512"),
        ] {
            let error = check_names(key, group).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn a_value_that_is_no_text_is_told_and_an_empty_one_is_absent() {
        let text = |bytes: &'static [u8]| text_of(Some(Bytes::from_static(bytes)));
        assert_eq!(text(b"a: 1"), Ok(Some("a: 1".into())));
        assert_eq!((text(b""), text_of(None)), (Ok(None), Ok(None)));
        assert!(text(b"ab\xff").unwrap_err().contains("from byte 2 on"));
        let large = text_of(Some(vec![b'a'; MAX_VALUE + 1].into()));
        assert!(large.unwrap_err().contains("1000001 bytes and may have 1000000"));
    }
}
