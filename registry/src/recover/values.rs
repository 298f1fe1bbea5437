//! The config centre of a registry, kept up: texts are watched, watched again after every loss, and
//! read again every 30 s. While there is no session the last text stays.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use rpc_core::{Error, Trouble, runtime};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::link::{Link, RUNTIME_ENDED, State};
use super::pace::RetryPause;
use super::tasks::Tasks;
use crate::backend::Session;
use crate::config_center::{
    ConfigCenter, ConfigSession, ConfigUpdates, ConfigValue, ConfigWatch, check_names, check_size,
    text_of,
};
use crate::lock::locked;
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
        let link = Arc::clone(self.0.open()?);
        let (values, mut newest) = watch::channel(ConfigValue::Pending);
        let (troubled, trouble) = watch::channel(None);
        let ends = Ends { values, trouble: troubled };
        let followed = Arc::new(FollowedValue {
            tasks: Arc::clone(&self.0),
            key: key.into(),
            group: group.into(),
            ends: Mutex::new(Some(ends)),
            is_followed: AtomicBool::new(false),
        });
        followed.follow();
        let mut doubted = trouble.clone();
        let _ = timeout(link.pace.settle, async {
            tokio::select! {
                _ = newest.wait_for(|newest| *newest != ConfigValue::Pending) => {}
                _ = doubted.wait_for(Option::is_some) => {}
            }
        })
        .await;
        Ok(ConfigWatch::new(newest, trouble, move || followed.follow()))
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

/// The text of one key; it outlives the task that brings it, which ends with its runtime.
struct FollowedValue {
    tasks: Arc<Tasks>,
    key: Arc<str>,
    group: Arc<str>,
    /// `None` once the registry is shut down, which watchers are to notice.
    ends: Mutex<Option<Ends>>,
    is_followed: AtomicBool,
}

/// The senders of values, and of the reason why they are not confirmed.
#[derive(Clone)]
struct Ends {
    values: watch::Sender<ConfigValue>,
    trouble: watch::Sender<Option<Trouble>>,
}

impl FollowedValue {
    /// Has it followed in the runtime here, unless it is; says whether it was not.
    fn follow(self: &Arc<Self>) -> bool {
        if self.is_followed.load(Ordering::Acquire) || runtime::with_timers().is_err() {
            return false;
        }
        let Some(ends) = locked(&self.ends).clone() else { return false };
        if self.is_followed.swap(true, Ordering::AcqRel) {
            return false;
        }
        let _ = self.tasks.link.begin();
        let guard = FollowGuard { value: Arc::downgrade(self), is_over: false };
        let link = Arc::clone(&self.tasks.link);
        let task = Follow {
            state: link.state.subscribe(),
            link,
            key: Arc::clone(&self.key),
            group: Arc::clone(&self.group),
            ends,
        };
        self.tasks.spawn(async move {
            task.run_while_wanted().await;
            guard.over();
        });
        true
    }
}

/// Notes the end of the following task, even if it never began.
struct FollowGuard {
    value: Weak<FollowedValue>,
    /// Whether it ended by itself: nobody watches, or the registry is shut down.
    is_over: bool,
}

impl FollowGuard {
    fn over(mut self) {
        self.is_over = true;
    }
}

impl Drop for FollowGuard {
    fn drop(&mut self) {
        let Some(value) = self.value.upgrade() else { return };
        if self.is_over {
            locked(&value.ends).take();
            return;
        }
        if let Some(ends) = &*locked(&value.ends) {
            ends.doubt(RUNTIME_ENDED);
        }
        value.is_followed.store(false, Ordering::Release);
    }
}

impl Ends {
    /// The value is not confirmed any more, for this reason; it stays.
    fn doubt(&self, why: &str) {
        self.trouble.send_if_modified(|trouble| {
            let since = trouble.as_ref().map_or_else(Instant::now, |trouble| trouble.since);
            let present = Some(Trouble { error: why.into(), since });
            let is_news = *trouble != present;
            *trouble = present;
            is_news
        });
    }
}

/// The task of one key.
struct Follow {
    link: Arc<Link>,
    key: Arc<str>,
    group: Arc<str>,
    ends: Ends,
    state: watch::Receiver<State>,
}

impl Follow {
    /// Ends when the last watcher has gone or the registry is shut down.
    async fn run_while_wanted(mut self) {
        let mut closing = self.link.closing.subscribe();
        let values = self.ends.values.clone();
        tokio::select! {
            () = self.run() => {}
            () = values.closed() => {}
            _ = closing.wait_for(|closing| *closing) => {}
        }
    }

    /// Follows one session after the other.
    async fn run(&mut self) {
        let mut backoff = RetryPause::new(self.link.pace);
        loop {
            let state = self.state.borrow_and_update().clone();
            let Some(session) = state.session() else {
                if let State::Down(error) = &state {
                    self.ends.doubt(&error.to_string());
                    if self.link.is_left() {
                        // With pauses, as it may not have been a runtime that ended it.
                        sleep(backoff.pause()).await;
                        let _ = self.link.begin();
                    }
                }
                if self.state.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let began = Instant::now();
            let error = self.follow_session(&*session).await;
            self.ends.doubt(&error.to_string());
            let key = &self.key;
            tracing::debug!(
                target: "dubhe::registry",
                %key, %error, "watch of a value ended, beginning it again"
            );
            if began.elapsed() >= self.link.pace.longest_pause {
                backoff.reset();
            }
            tokio::select! {
                () = sleep(backoff.pause()) => {}
                _ = self.state.changed() => {}
            }
        }
    }

    /// Follows one session until it is lost, or its watch or a reading fails.
    async fn follow_session(&self, session: &dyn Session) -> Error {
        let settings = match settings(session) {
            Ok(settings) => settings,
            Err(error) => return error,
        };
        let (updates, mut newest) = ConfigUpdates::new();
        let mut replaced = self.state.clone();
        let watching = settings.watch(&self.key, &self.group, &updates);
        let reading = self.read_again(settings, &updates);
        tokio::pin!(watching, reading);
        loop {
            let ended = tokio::select! {
                biased;
                _ = newest.changed() => None,
                ended = &mut watching => {
                    Some(ended.err().unwrap_or_else(|| Error::closed("the watch ended")))
                }
                // A watch may not notice the end of its session: an old one is not trusted.
                _ = replaced.changed() => Some(Error::closed("the session ended")),
                error = &mut reading => Some(error),
            };
            // Also at the end: a value that came before it counts.
            if (ended.is_none() || newest.has_changed().unwrap_or(false))
                && let Some(value) = newest.borrow_and_update().clone()
            {
                self.publish(value);
            }
            if let Some(error) = ended {
                return error;
            }
        }
    }

    /// Reads the value again from time to time, as a watch may have missed a change.
    async fn read_again(&self, settings: &dyn ConfigSession, updates: &ConfigUpdates) -> Error {
        loop {
            sleep(self.link.pace.until_reconcile()).await;
            match self.link.request(settings.get(&self.key, &self.group)).await {
                Ok(value) => updates.put(value),
                Err(error) => return error,
            }
        }
    }

    /// Hands a value to the watchers; what is no text is logged, and the last one stays.
    fn publish(&self, value: Option<Bytes>) {
        let present = match text_of(value) {
            Ok(Some(text)) => ConfigValue::Set(text),
            Ok(None) => ConfigValue::Absent,
            Err(why) => {
                self.tell(&why);
                return;
            }
        };
        self.ends.values.send_if_modified(|value| {
            let is_news = *value != present;
            *value = present;
            is_news
        });
        // Set after the value, so that no reader takes the old one for confirmed.
        self.ends.trouble.send_if_modified(|trouble| trouble.take().is_some());
    }

    /// Logs once what is wrong with the value, which is also its trouble.
    fn tell(&self, why: &str) {
        let is_told = self.ends.trouble.borrow().as_ref().is_some_and(|known| &*known.error == why);
        if !is_told {
            let (key, registry) = (plain(&self.key), self.link.backend.address());
            tracing::warn!(
                target: "dubhe::registry",
                key, registry, why, "a value of the config centre is no text, the last one stays"
            );
        }
        self.ends.doubt(why);
    }
}
