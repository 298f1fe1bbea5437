//! Reads what a server pushes, in its order, and answers.
//!
//! Lists may be long. They are read one after the other, outside of the runtime's threads, while other pushes are answered
//! however many wait: by those the server sees whether we live.

use std::pin::pin;
use std::sync::Arc;

use futures_util::stream::{Stream, StreamExt};

use super::messages::{MessageHead, PushAnswer, SUCCESS, read_json};
use super::payload::Payload;
use super::pushed_head::PushedHead;
use super::pushes::Pushes;
use super::unread_list::hosts_in;
use super::waiting_lists::WaitingLists;
use crate::grpc::GrpcFailure;
use crate::off_thread::off_thread_if_long;

/// The kind of a push that has the list of a service.
const LIST: &str = "NotifySubscriberRequest";

/// The kind of its answer.
const LIST_TAKEN: &str = "NotifySubscriberResponse";

/// The kind of a push after which the server wants us to go.
const RESET: &str = "ConnectResetRequest";

/// Takes the pushes of one connection.
pub(super) struct PushReader<'a, F> {
    /// The address of the registry, for logs.
    registry: &'a str,
    pushes: &'a Arc<Pushes>,
    /// Sends an answer of a kind.
    answer: F,
}

impl<'a, F: Fn(&str, &PushAnswer) -> Result<(), String>> PushReader<'a, F> {
    pub(super) fn new(registry: &'a str, pushes: &'a Arc<Pushes>, answer: F) -> Self {
        Self { registry, pushes, answer }
    }

    /// Reads until the stream ends or the server wants us to go; says why that is the end.
    pub(super) async fn read_all(
        &self,
        pushed: impl Stream<Item = Result<Payload, GrpcFailure>>,
    ) -> String {
        let waiting = WaitingLists::default();
        tokio::select! {
            biased;
            why = self.receive(pushed, &waiting) => why,
            why = self.read_lists(&waiting) => why,
        }
    }

    /// Answers what is short, and leaves lists to [`read_lists`](Self::read_lists).
    async fn receive(
        &self,
        pushed: impl Stream<Item = Result<Payload, GrpcFailure>>,
        waiting: &WaitingLists,
    ) -> String {
        let mut pushed = pin!(pushed);
        loop {
            match pushed.next().await {
                Some(Ok(list)) if list.kind() == LIST => {
                    self.note(LIST, self.have_wait(&list, waiting));
                }
                Some(Ok(push)) => {
                    self.note(push.kind(), self.take(&push));
                    if push.kind() == RESET {
                        return "it asked us to connect again, to spread its load".to_owned();
                    }
                }
                Some(Err(failure)) => return failure.to_string(),
                None => return "it closed the stream".to_owned(),
            }
        }
    }

    /// Has a list wait to be read. One that it replaces is answered: it came, and there is a newer one.
    fn have_wait(&self, list: &Payload, waiting: &WaitingLists) -> Result<(), String> {
        let head = PushedHead::of(&list.json())?;
        if !self.pushes.is_followed(&head.service) {
            return self.succeed(LIST_TAKEN, head.id);
        }
        match waiting.put(head, list.json()) {
            Some(replaced) => self.succeed(LIST_TAKEN, replaced.id),
            None => Ok(()),
        }
    }

    /// Reads lists as they came.
    async fn read_lists(&self, waiting: &WaitingLists) -> String {
        loop {
            let (pushes, json) = (Arc::clone(self.pushes), waiting.next().await);
            let read = off_thread_if_long(hosts_in(&json), move || pushes.service(json)).await;
            match read {
                Ok(read) => self.note(LIST, read.and_then(|id| self.succeed(LIST_TAKEN, id))),
                Err(error) => return error.to_string(),
            }
        }
    }

    /// Takes a push that is no list.
    fn take(&self, push: &Payload) -> Result<(), String> {
        let head: MessageHead = read_json(&push.json())?;
        let id = head.request_id;
        match push.kind() {
            "ConfigChangeNotifyRequest" => {
                self.pushes.config(&push.json())?;
                self.succeed("ConfigChangeNotifyResponse", id)
            }
            "ClientDetectionRequest" => self.succeed("ClientDetectionResponse", id),
            "SetupAckRequest" => self.succeed("SetupAckResponse", id),
            RESET => self.succeed("ConnectResetResponse", id),
            _ => {
                // 302 is Nacos' code for a request that nobody handles.
                let answer = PushAnswer { request_id: id, result_code: 500, error_code: 302 };
                (self.answer)("ErrorResponse", &answer)
            }
        }
    }

    fn succeed(&self, kind: &str, request_id: Option<String>) -> Result<(), String> {
        (self.answer)(kind, &PushAnswer { request_id, result_code: SUCCESS, error_code: 0 })
    }

    /// What is not understood has no answer.
    fn note(&self, kind: &str, taken: Result<(), String>) {
        if let Err(error) = taken {
            tracing::debug!(
                target: "dubhe::registry",
                registry = %self.registry, kind, error, "push not understood"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use futures_util::stream;
    use tokio::task::yield_now;

    use super::*;
    use crate::lock::locked;

    /// Turns that other tasks get at least. If the list were read on this thread, there would be one or none.
    const TURNS: usize = 50;

    fn list(time: u32, hosts: usize) -> Payload {
        let host = r#"{"ip":"10.0.0.1","port":1,"metadata":{"interface":"shop.Stock","a":"b"}}"#;
        let hosts = vec![host; hosts].join(",");
        let json = format!(
            r#"{{"requestId":"{time}","serviceInfo":{{"name":"G@@a","lastRefTime":{time},"hosts":[{hosts}]}}}}"#
        );
        Payload::new(LIST, "", json.into())
    }

    fn push(kind: &str, id: &str) -> Payload {
        Payload::new(kind, "", format!(r#"{{"requestId":"{id}"}}"#).into())
    }

    #[tokio::test]
    async fn a_long_push_is_read_beside_the_thread_and_in_its_order() {
        let pushes = Arc::new(Pushes::default());
        let _followed = ["a", "b"].map(|service| pushes.follow_service(service));
        let answered = Mutex::new(Vec::new());
        let answer = |_: &str, answer: &PushAnswer| {
            locked(&answered).push(answer.request_id.clone().unwrap());
            Ok(())
        };
        // It has to be read before the short one that follows, while the server looks whether we live.
        let short = list_of("b", 2, 1);
        let pushed = [list(1, 50_000), short, push("ClientDetectionRequest", "alive")];
        let pushed = stream::iter(pushed.map(Ok)).chain(stream::pending());
        let reader = PushReader::new("nacos://here", &pushes, answer);
        let mut reading = pin!(reader.read_all(pushed));
        let mut turns = 0;
        while locked(&answered).len() < 3 {
            tokio::select! {
                biased;
                why = &mut reading => panic!("{why}"),
                () = yield_now() => turns += 1,
            }
        }
        assert_eq!(*locked(&answered), ["alive", "1", "2"]);
        assert!(turns > TURNS, "{turns} turns");
        let made = ["a", "b"].map(|service| pushes.take_service(service).unwrap().made_ms());
        assert_eq!(made, [1, 2]);
    }

    fn list_of(service: &str, time: u32, hosts: usize) -> Payload {
        let json = String::from_utf8(list(time, hosts).json().to_vec()).unwrap();
        Payload::new(LIST, "", json.replace("G@@a", service).into())
    }

    /// The ids of what is answered, in that order, until there are so many.
    async fn answers(pushes: &Arc<Pushes>, pushed: Vec<Payload>, count: usize) -> Vec<String> {
        let answered = Mutex::new(Vec::new());
        let answer = |_: &str, answer: &PushAnswer| {
            locked(&answered).push(answer.request_id.clone().unwrap());
            Ok(())
        };
        let pushed = stream::iter(pushed.into_iter().map(Ok)).chain(stream::pending());
        let reader = PushReader::new("nacos://here", pushes, answer);
        let mut reading = pin!(reader.read_all(pushed));
        while locked(&answered).len() < count {
            tokio::select! {
                biased;
                why = &mut reading => panic!("{why}"),
                () = yield_now() => {}
            }
        }
        std::mem::take(&mut *locked(&answered))
    }

    #[tokio::test]
    async fn however_many_lists_wait_a_look_whether_we_live_is_answered_at_once() {
        let pushes = Arc::new(Pushes::default());
        let followed: Vec<_> = (0..20).map(|of| pushes.follow_service(&format!("s{of}"))).collect();
        let lists = (0..20).map(|of| list_of(&format!("G@@s{of}"), of, 5000));
        let pushed = lists.chain([push("ClientDetectionRequest", "alive")]).collect();
        let answered = answers(&pushes, pushed, 21).await;
        assert_eq!(answered[0], "alive");
        let in_order: Vec<_> = (0..20).map(|of| of.to_string()).collect();
        assert_eq!(answered[1..], in_order);
        assert_eq!(followed.len(), 20);
    }

    #[tokio::test]
    async fn of_lists_of_a_service_that_wait_the_newest_alone_is_read_and_all_are_answered() {
        let pushes = Arc::new(Pushes::default());
        let _followed = pushes.follow_service("a");
        let mut pushed: Vec<_> = (1..=100).map(|time| list(time, 500)).collect();
        pushed.push(list_of("G@@nobody_follows_it", 101, 1));
        pushed.push(push("ClientDetectionRequest", "alive"));
        let answered = answers(&pushes, pushed, 102).await;
        let alive = answered.iter().position(|id| id == "alive").unwrap();
        assert!(alive >= 98, "those that a newer one replaces are answered when it comes");
        assert_eq!(pushes.take_service("a").unwrap().made_ms(), 100);
        let all: BTreeSet<_> = answered.into_iter().collect();
        assert_eq!(all.len(), 102, "each once");
    }

    #[tokio::test]
    async fn each_kind_has_its_answer_and_what_is_not_understood_has_none() {
        let pushes = Arc::new(Pushes::default());
        let answered = Mutex::new(Vec::new());
        let answer = |kind: &str, answer: &PushAnswer| {
            locked(&answered).push((kind.to_owned(), answer.result_code));
            Ok(())
        };
        let broken = Payload::new("ClientDetectionRequest", "", b"{".to_vec());
        let listless = push("ConfigChangeNotifyRequest", "1");
        let known = [push("SetupAckRequest", "2"), push("Unheard", "3"), push(RESET, "4")];
        let pushed = [broken, listless].into_iter().chain(known).map(Ok);
        let reader = PushReader::new("nacos://here", &pushes, answer);
        let why = reader.read_all(stream::iter(pushed).chain(stream::pending())).await;
        assert!(why.contains("connect again"), "{why}");
        let expected =
            [("SetupAckResponse", 200), ("ErrorResponse", 500), ("ConnectResetResponse", 200)];
        assert_eq!(*locked(&answered), expected.map(|(kind, code)| (kind.to_owned(), code)));
    }
}
