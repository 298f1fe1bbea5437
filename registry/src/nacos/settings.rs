//! Configurations of Nacos on one connection: values that outlive connections, by data id and group.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rpc_core::{Error, LatestReader};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::connection::NacosConnection;
use super::messages::{
    ConfigBatchListenRequest, ConfigKey, ConfigPublishRequest, ConfigQueryRequest,
    ConfigRemoveRequest, ListenedConfig,
};
use super::refusal::{NacosRefusal, code};

/// A digest that no content has: with it a configuration is set only if there is none.
const ABSENT: &str = "absent";

/// How often a change is tried while others change the same.
const TRIES: u32 = 10;

/// How often a value that must exist is read before it counts as missing. A server answers that there is
/// none for up to a second after it was set.
const READS: u32 = 4;

/// The pause between them.
const READ_PAUSE: Duration = Duration::from_millis(300);

/// How long it may take to see whether another has written what a server refused: long enough for those reads at up to
/// a quarter of a second for each.
const READS_LIMIT: Duration = Duration::from_secs(2);

/// How long a change is tried. An operation is given up after 5 s ([`Pace::request_timeout`](crate::Pace)), and before that
/// it has to tell why the server does not take it.
const CHANGE_LIMIT: Duration = Duration::from_secs(4);

/// How often it is looked at whether a change has stayed.
const LOOKS: u32 = 10;

/// The configurations of one connection, in one namespace.
#[derive(Debug)]
pub(super) struct Settings {
    connection: Arc<NacosConnection>,
    /// The namespace; the public one has no name here.
    tenant: String,
}

/// A configuration, by what names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct NacosSetting {
    pub(super) id: String,
    pub(super) group: String,
}

/// A value, and the digest by which the server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SettingValue {
    pub(super) text: String,
    md5: String,
}

impl Settings {
    pub(super) fn new(connection: Arc<NacosConnection>, namespace: &str) -> Self {
        let tenant = if namespace == super::PUBLIC { "" } else { namespace };
        Self { connection, tenant: tenant.to_owned() }
    }

    /// The value, if there is one.
    pub(super) async fn value(
        &self,
        setting: &NacosSetting,
    ) -> Result<Option<SettingValue>, Error> {
        self.read(setting).await.map_err(|refusal| self.refused("read", setting, &refusal))
    }

    /// As [`value`](Self::value), of one that somebody has set just now.
    pub(super) async fn value_just_set(
        &self,
        setting: &NacosSetting,
    ) -> Result<Option<SettingValue>, Error> {
        for _ in 1..READS {
            if let Some(value) = self.value(setting).await? {
                return Ok(Some(value));
            }
            sleep(READ_PAUSE).await;
        }
        self.value(setting).await
    }

    /// Changes the value as `edit` says, which is asked again if another writer comes first.
    ///
    /// A change names the digest of what it replaces, and a server refuses it if that is not what it has. Nacos 2
    /// on a database of its own does not, so there it is looked at afterwards whether the change has stayed.
    pub(super) async fn edit(
        &self,
        setting: &NacosSetting,
        edit: &(dyn for<'a> Fn(Option<&'a str>) -> Option<String> + Send + Sync),
    ) -> Result<(), Error> {
        let mut last = None;
        let tried = timeout(CHANGE_LIMIT, self.try_edit(setting, edit, &mut last)).await;
        match (tried, last) {
            (Ok(Ok(true)), _) => Ok(()),
            (Ok(Err(error)), None) => Err(error),
            // Whatever else came of it says less than the refusal does.
            (_, last) => {
                let late = || "no change stays in time".to_owned();
                let why = last.map_or_else(late, |last| last.why);
                let why = format!("it is not taken, or others change it all the time: {why}");
                Err(self.error("cannot set", setting, &NacosRefusal { code: 0, why }))
            }
        }
    }

    /// Whether the value is as `edit` wants it after some tries; `last` is why the server refused the last of them.
    async fn try_edit(
        &self,
        setting: &NacosSetting,
        edit: &(dyn for<'a> Fn(Option<&'a str>) -> Option<String> + Send + Sync),
        last: &mut Option<NacosRefusal>,
    ) -> Result<bool, Error> {
        for attempt in 1..=TRIES {
            let present = self.value(setting).await?;
            let Some(text) = edit(present.as_ref().map(|value| &*value.text)) else {
                return Ok(true);
            };
            let md5 = present.as_ref().map_or(ABSENT, |value| &value.md5);
            match self.publish(setting, &text, Some(md5)).await {
                Ok(()) if self.connection.compares_digests() => return Ok(true),
                Ok(()) if self.has_stayed(setting, present.as_ref(), edit).await? => {
                    return Ok(true);
                }
                Ok(()) => continue,
                Err(refusal) if is_final(&refusal) => {
                    *last = None;
                    return Err(self.refused("set", setting, &refusal));
                }
                Err(refusal) => *last = Some(refusal),
            }
            // Another writer came first, or what we read was old: the server reads from a copy.
            sleep(Duration::from_millis(rand::random_range(20..100)) * attempt).await;
        }
        Ok(false)
    }

    /// Changes a value whose writers all write the same. Of those who are the first at the same time a server refuses
    /// all but one, which has written it for all.
    pub(super) async fn replace(
        &self,
        setting: &NacosSetting,
        edit: &(dyn for<'a> Fn(Option<&'a str>) -> Option<String> + Send + Sync),
    ) -> Result<(), Error> {
        let wanted =
            |present: Option<SettingValue>| edit(present.as_ref().map(|value| &*value.text));
        let told_by = Instant::now() + CHANGE_LIMIT;
        let Some(text) = wanted(self.value(setting).await?) else { return Ok(()) };
        let Err(refusal) = self.publish(setting, &text, None).await else { return Ok(()) };
        if !is_final(&refusal) {
            // Whatever else comes of it says less than the refusal does.
            let limit = told_by.min(Instant::now() + READS_LIMIT);
            let read = timeout_at(limit, self.value_just_set(setting)).await;
            if let Ok(Ok(value)) = read
                && wanted(value).is_none()
            {
                return Ok(());
            }
        }
        Err(self.refused("set", setting, &refusal))
    }

    /// Takes the value away, if there is one.
    pub(super) async fn remove(&self, setting: &NacosSetting) -> Result<(), Error> {
        let remove = ConfigRemoveRequest { key: self.key(setting) };
        let removed = self.connection.ask(&remove).await.map(drop);
        removed.map_err(|refusal| self.error("cannot remove", setting, &refusal))
    }

    /// Whether a change of ours is still there once those have written who read before it. What was `before`
    /// it may be read for a while yet.
    async fn has_stayed(
        &self,
        setting: &NacosSetting,
        before: Option<&SettingValue>,
        edit: &(dyn for<'a> Fn(Option<&'a str>) -> Option<String> + Send + Sync),
    ) -> Result<bool, Error> {
        let mut seen = 0;
        for _ in 0..LOOKS {
            sleep(Duration::from_millis(rand::random_range(100..200))).await;
            let value = self.value(setting).await?;
            if edit(value.as_ref().map(|value| &*value.text)).is_none() {
                seen += 1;
                if seen == 2 {
                    return Ok(true);
                }
            } else if seen > 0 || value.as_ref() != before {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Follows the value: the server hints at changes until the last that follows it is dropped.
    pub(super) async fn follow(&self, setting: &NacosSetting) -> Result<FollowedSetting, Error> {
        let hints = self.connection.pushes().follow_config(&setting.id, &setting.group);
        let connection = Arc::clone(&self.connection);
        let followed = FollowedSetting { connection, setting: setting.clone(), hints };
        let listened = ListenedConfig { key: self.key(setting), md5: "" };
        let listen = ConfigBatchListenRequest { listen: true, config_listen_contexts: [listened] };
        let asked = self.connection.ask(&listen).await;
        asked.map_err(|refusal| self.error("cannot follow", setting, &refusal))?;
        Ok(followed)
    }

    async fn read(&self, setting: &NacosSetting) -> Result<Option<SettingValue>, NacosRefusal> {
        let query = ConfigQueryRequest { key: self.key(setting) };
        for _ in 1..READS {
            match self.connection.ask(&query).await {
                Ok(answer) => {
                    let md5 = answer.md5.unwrap_or_default();
                    return Ok(answer.content.map(|text| SettingValue { text, md5 }));
                }
                Err(refusal) if refusal.code == code::NOT_FOUND => return Ok(None),
                Err(refusal) if is_being_changed(&refusal) => sleep(READ_PAUSE).await,
                Err(refusal) => return Err(refusal),
            }
        }
        let why = "it is being modified all the time".to_owned();
        Err(NacosRefusal { code: code::BEING_CHANGED, why })
    }

    async fn publish(
        &self,
        setting: &NacosSetting,
        content: &str,
        cas_md5: Option<&str>,
    ) -> Result<(), NacosRefusal> {
        let (key, addition_map) = (self.key(setting), BTreeMap::from([("type", "text")]));
        let publish = ConfigPublishRequest { key, content, cas_md5, addition_map };
        self.connection.ask(&publish).await.map(drop)
    }

    fn key<'a>(&'a self, setting: &'a NacosSetting) -> ConfigKey<'a> {
        ConfigKey { data_id: &setting.id, group: &setting.group, tenant: &self.tenant }
    }

    fn error(&self, doing: &str, setting: &NacosSetting, refusal: &NacosRefusal) -> Error {
        self.connection.error(&format!("{doing} {setting}"), refusal)
    }

    /// The error of what a server refuses to have done, for good or not.
    fn refused(&self, what: &str, setting: &NacosSetting, refusal: &NacosRefusal) -> Error {
        let (doing, remedy) = (format!("cannot {what}"), "use a name and a text that Nacos takes");
        match refusal.code == code::ILLEGAL && !is_being_changed(refusal) {
            true => self.connection.final_error(&format!("{doing} {setting}"), refusal, remedy),
            false => self.error(&doing, setting, refusal),
        }
    }
}

impl fmt::Display for NacosSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "configuration `{}` of group `{}`", self.id, self.group)
    }
}

/// Whether a change that was refused so is refused again.
fn is_final(refusal: &NacosRefusal) -> bool {
    matches!(refusal.code, 0 | code::NO_RIGHT | code::ILLEGAL) && !is_being_changed(refusal)
}

/// Whether it is refused only for now. The code is also that of a name that is none; the text is Nacos' "requested file is
/// being modified, please try later".
fn is_being_changed(refusal: &NacosRefusal) -> bool {
    refusal.code == code::BEING_CHANGED && refusal.why.contains("modified")
}

/// A configuration that is followed.
///
/// That its pushes end is not told to the server: those that come are ignored, and few.
#[derive(Debug)]
pub(super) struct FollowedSetting {
    connection: Arc<NacosConnection>,
    setting: NacosSetting,
    pub(super) hints: LatestReader<()>,
}

impl Drop for FollowedSetting {
    fn drop(&mut self) {
        let NacosSetting { id, group } = &self.setting;
        self.connection.pushes().leave_config(id, group);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::task::JoinSet;
    use tokio::time;

    use super::*;
    use crate::Pace;
    use crate::nacos::connection::NacosServer;
    use crate::nacos::login::Login;
    use crate::nacos::played::{DONE, listen, play};

    async fn settings_at(server: String) -> Settings {
        let server = NacosServer { http: server.clone(), grpc: server };
        let login = Login { user: String::new(), password: String::new() };
        let (registry, pushes) = ("nacos://".into(), Arc::default());
        let connection =
            NacosConnection::open(&registry, &server, (&login, None), "public", pushes).await;
        Settings::new(Arc::new(connection.unwrap()), "public")
    }

    #[tokio::test]
    async fn why_a_value_is_refused_is_told_in_time_whatever_comes_of_the_look_for_it() {
        let setting = NacosSetting { id: "shop".to_owned(), group: "g".to_owned() };
        let reads = [
            None,
            Some(r#"{"resultCode":500,"errorCode":300}"#),
            Some(r#"{"resultCode":500,"errorCode":400,"message":"it is being modified"}"#),
            Some(r#"{"resultCode":500,"errorCode":400,"message":"it is illegal"}"#),
            Some(r#"{"resultCode":500,"errorCode":500,"message":"it cannot be read either"}"#),
        ];
        for (read_again, is_edit) in reads.into_iter().flat_map(|it| [(it, false), (it, true)]) {
            let (_, listener) = listen().await;
            let server = listener.local_addr().unwrap().to_string();
            let mut serving = JoinSet::new();
            let has_refused = AtomicBool::new(false);
            serving.spawn(play(listener, move |kind| match kind {
                "ConfigPublishRequest" => {
                    has_refused.store(true, Ordering::Relaxed);
                    Some(r#"{"resultCode":500,"errorCode":500,"message":"the disk is full"}"#)
                }
                "ConfigQueryRequest" if has_refused.load(Ordering::Relaxed) => read_again,
                "ConfigQueryRequest" => Some(r#"{"resultCode":500,"errorCode":300}"#),
                _ => Some(DONE),
            }));
            let settings = settings_at(server).await;
            time::pause();
            let limit = Pace::default().request_timeout;
            let wanted = |_: Option<&str>| Some("a".to_owned());
            let outcome = timeout(limit, async {
                match is_edit {
                    true => settings.edit(&setting, &wanted).await,
                    false => settings.replace(&setting, &wanted).await,
                }
            });
            let error = outcome.await.expect("it comes in time").unwrap_err().to_string();
            time::resume();
            assert!(error.contains("the disk is full"), "{read_again:?}, {is_edit}: {error}");
        }
    }

    #[tokio::test]
    async fn a_value_that_nacos_never_takes_is_no_valid_setting() {
        let setting = NacosSetting { id: "shop@eu".to_owned(), group: "g".to_owned() };
        let (_, listener) = listen().await;
        let server = listener.local_addr().unwrap().to_string();
        let mut serving = JoinSet::new();
        serving.spawn(play(listener, |kind| match kind {
            "ConfigPublishRequest" => {
                Some(r#"{"resultCode":500,"errorCode":400,"message":"dataId is illegal"}"#)
            }
            "ConfigQueryRequest" => Some(r#"{"resultCode":500,"errorCode":300}"#),
            _ => Some(DONE),
        }));
        let settings = settings_at(server).await;
        let wanted = |_: Option<&str>| Some("a".to_owned());
        for outcome in
            [settings.edit(&setting, &wanted).await, settings.replace(&setting, &wanted).await]
        {
            let error = outcome.unwrap_err();
            assert!(error.is_invalid_config(), "{error}");
            let text = error.to_string();
            assert!(text.contains("`shop@eu`") && text.contains("dataId is illegal"), "{text}");
        }
    }
}
