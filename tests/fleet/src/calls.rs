//! What came of the calls of a foreign consumer, and whether it may make them once more.

use tokio::time::Duration;

/// How long it may take until the first call of a consumer is answered whose list is there: Java hands a list to its
/// invokers after 5 s if it changes often.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// How long a consumer may lose calls when those whom it calls came back: its list is right by then.
const RECOVERED: Duration = Duration::from_secs(60);

/// Whether a consumer may lose calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Losses {
    /// Nobody whom it calls has gone: once one call is answered, all are.
    None,
    /// Providers of its own kind, or the registry, have gone, whether they came back or not. How soon it goes on is its own doing,
    /// and what it loses until then is told.
    UntilItRecovers,
}

/// What came of calls, as a peer tells it: `called 200 ok=199 failed=1 by=a:100,b:99 why=…`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Called<'a> {
    ok: u64,
    failed: u64,
    by: &'a str,
    /// Why one of them failed, the last.
    why: &'a str,
}

/// What a consumer is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Make a single call, after a pause.
    Probe,
    /// Make all calls; after a pause if it has lost some.
    Call { pauses: bool },
    /// Nothing: it is known whether all is right.
    Done { is_right: bool },
}

/// The calls that a consumer has made for one check.
#[derive(Debug)]
pub(crate) struct Calls {
    losses: Losses,
    is_answered: bool,
    probes: u64,
    rounds: u64,
    lost: u64,
    why: String,
}

impl<'a> Called<'a> {
    /// Reads what a peer tells; `None` if it is something else.
    pub(crate) fn read(told: &'a str) -> Option<Self> {
        let (counts, why) = told.split_once(" why=")?;
        let mut words = counts.strip_prefix("called ")?.split(' ').skip(1);
        let mut value = |key: &str| words.next()?.strip_prefix(key);
        let (ok, failed) = (value("ok=")?.parse().ok()?, value("failed=")?.parse().ok()?);
        Some(Self { ok, failed, by: value("by=")?, why })
    }

    /// Whether one of the calls came to one of `ours`, which are names with their addresses.
    fn has_strayed(&self, ours: &[(&str, &str)]) -> bool {
        let answered = self.by.split(',').filter_map(|share| share.split_once(':'));
        let mut answered = answered.map(|(who, _)| who);
        answered.any(|who| ours.iter().any(|(name, _)| *name == who))
            || ours.iter().any(|(_, address)| names(self.why, address))
    }
}

impl Calls {
    pub(crate) fn new(losses: Losses) -> Self {
        let (is_answered, why) = (false, String::new());
        Self { losses, is_answered, probes: 0, rounds: 0, lost: 0, why }
    }

    /// Takes in what came of the last calls, `after` the first was asked for.
    pub(crate) fn next(
        &mut self,
        called: &Called<'_>,
        ours: &[(&str, &str)],
        after: Duration,
    ) -> Next {
        if called.has_strayed(ours) {
            return Next::Done { is_right: false };
        }
        let is_whole = called.ok > 0 && called.failed == 0;
        if !is_whole {
            called.why.clone_into(&mut self.why);
        }
        if !self.is_answered {
            let limit = match self.losses {
                Losses::None => FIRST_ANSWER,
                Losses::UntilItRecovers => RECOVERED,
            };
            self.is_answered = is_whole;
            self.probes += u64::from(!is_whole);
            return match is_whole {
                true => Next::Call { pauses: false },
                false if after > limit => Next::Done { is_right: false },
                false => Next::Probe,
            };
        }
        self.rounds += u64::from(!is_whole);
        self.lost += called.failed;
        let may_go_on = self.losses == Losses::UntilItRecovers && after <= RECOVERED;
        match is_whole {
            false if may_go_on => Next::Call { pauses: true },
            is_right => Next::Done { is_right },
        }
    }

    /// What was made again, if anything.
    pub(crate) fn told(&self) -> String {
        let Self { probes, rounds, lost, why, .. } = self;
        match (probes, rounds) {
            (0, 0) => String::new(),
            _ => format!(
                " (lost: {probes} calls before the first answer, {lost} in {rounds} rounds; the last: {why})"
            ),
        }
    }
}

/// Whether `text` names this address, and not a longer one that begins with it.
fn names(text: &str, address: &str) -> bool {
    let mut rests = text.match_indices(address).map(|(at, _)| &text[at + address.len()..]);
    rests.any(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [(&str, &str); 1] = [("rust-a", "127.0.0.1:4000")];
    const SOON: Duration = Duration::from_secs(1);

    fn next(calls: &mut Calls, told: &str, after: Duration) -> Next {
        calls.next(&Called::read(told).expect("it is an answer"), &OURS, after)
    }

    fn lost(calls: &mut Calls, after: Duration) -> Next {
        next(calls, "called 200 ok=199 failed=1 by=java:199 why=no provider", after)
    }

    fn first(losses: Losses) -> Calls {
        let mut calls = Calls::new(losses);
        let answer = next(&mut calls, "called 1 ok=1 failed=0 by=java:1 why=", SOON);
        assert_eq!(answer, Next::Call { pauses: false });
        calls
    }

    #[test]
    fn where_nobody_has_gone_one_lost_call_is_a_failure() {
        let mut calls = first(Losses::None);
        assert_eq!(lost(&mut calls, SOON), Next::Done { is_right: false });
        assert!(calls.told().contains("1 in 1 rounds; the last: no provider"), "{}", calls.told());
        let mut calls = first(Losses::None);
        let all = next(&mut calls, "called 200 ok=200 failed=0 by=java:150,go:50 why=", SOON);
        assert_eq!((all, calls.told()), (Next::Done { is_right: true }, String::new()));
    }

    #[test]
    fn a_first_answer_is_waited_for_and_not_for_long() {
        let mut calls = Calls::new(Losses::None);
        let none = "called 1 ok=0 failed=1 by= why=no provider";
        assert_eq!(next(&mut calls, none, FIRST_ANSWER), Next::Probe);
        assert_eq!(next(&mut calls, none, FIRST_ANSWER + SOON), Next::Done { is_right: false });
        assert!(calls.told().contains("2 calls before the first answer"), "{}", calls.told());
    }

    #[test]
    fn what_is_lost_after_restarts_is_counted_and_ends() {
        let mut calls = first(Losses::UntilItRecovers);
        assert_eq!(lost(&mut calls, SOON), Next::Call { pauses: true });
        assert_eq!(lost(&mut calls, SOON), Next::Call { pauses: true });
        assert!(calls.told().contains("2 in 2 rounds"), "{}", calls.told());
        assert_eq!(lost(&mut calls, RECOVERED + SOON), Next::Done { is_right: false });
    }

    #[test]
    fn a_call_that_came_to_ours_is_a_failure_whatever_came_of_it() {
        for told in [
            "called 2 ok=2 failed=0 by=java:1,rust-a:1 why=",
            "called 2 ok=1 failed=1 by=java:1 why=tried dubbo://127.0.0.1:4000/s once",
        ] {
            let mut calls = first(Losses::UntilItRecovers);
            assert_eq!(next(&mut calls, told, SOON), Next::Done { is_right: false }, "{told}");
        }
        let other = "called 2 ok=1 failed=1 by=java:1 why=tried 127.0.0.1:40001 and rust-a";
        let again = next(&mut first(Losses::UntilItRecovers), other, SOON);
        assert_eq!(again, Next::Call { pauses: true }, "it is another address");
        for other in ["unknown call", "called 2 ok=x failed=0 by= why=", "called 2 ok=2"] {
            assert_eq!(Called::read(other), None, "{other}");
        }
    }
}
