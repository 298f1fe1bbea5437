//! The result of one check of what lies between this machine and a registry, for people and programs.

use std::fmt;

use rpc_core::Error;

use crate::sound;

/// One thing that was looked at: what was seen, and what helps if that is not as it should be.
///
/// ```
/// use dubhe_registry::{CheckResult, Diagnosis};
///
/// let closed = Diagnosis::fail("port", "10.0.0.1:2379", "refused", "start etcd there");
/// assert_eq!((closed.check, closed.result), ("port", CheckResult::Fail));
/// assert_eq!(closed.remedy.as_deref(), Some("start etcd there"));
/// assert!(Diagnosis::ok("port", "10.0.0.1:2379", "accepts").remedy.is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The kind of check, a short word for programs, such as `name`, `port` or `login`.
    pub check: &'static str,
    /// What was checked, such as `10.0.0.1:2379`.
    pub of: String,
    /// What came of it.
    pub result: CheckResult,
    /// What was seen; for a failure its cause, for a check that was skipped the reason.
    pub seen: String,
    /// What to do; `None` where nothing is to be done.
    pub remedy: Option<String>,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckResult {
    /// It is as it should be.
    Ok,
    /// It works, and may not be what is meant.
    Warn,
    /// It does not work.
    Fail,
    /// It was not looked at, because what it depends on does not work or cannot be told.
    Skip,
}

impl Diagnosis {
    /// It is as it should be.
    pub fn ok(check: &'static str, of: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { check, of: of.into(), result: CheckResult::Ok, seen: seen.into(), remedy: None }
    }

    /// It works, and may not be what is meant.
    pub fn warn(
        check: &'static str,
        of: impl Into<String>,
        seen: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let remedy = Some(remedy.into());
        Self { result: CheckResult::Warn, remedy, ..Self::ok(check, of, seen) }
    }

    /// It does not work.
    pub fn fail(
        check: &'static str,
        of: impl Into<String>,
        seen: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let remedy = Some(remedy.into());
        Self { result: CheckResult::Fail, remedy, ..Self::ok(check, of, seen) }
    }

    /// It was not looked at, and why.
    pub fn skip(check: &'static str, of: impl Into<String>, why: impl Into<String>) -> Self {
        Self { result: CheckResult::Skip, ..Self::ok(check, of, why) }
    }

    /// Whether the check has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.result == CheckResult::Fail
    }

    /// As a warning at most, because of `why`.
    pub(crate) fn no_failure(mut self, why: &str) -> Self {
        if self.has_failed() {
            self.result = CheckResult::Warn;
            self.remedy = Some(match self.remedy {
                Some(remedy) => format!("{why}; else {remedy}"),
                None => why.to_owned(),
            });
        }
        self
    }

    /// The failure that `error` of the registry at `address` is.
    pub(crate) fn of_error(
        check: &'static str,
        of: &str,
        (address, error): (&str, &Error),
        remedy: &str,
    ) -> Self {
        let text = error.to_string();
        // Every line is about this registry.
        let text = text.strip_prefix(&format!("registry {address}: ")).unwrap_or(&text);
        Self::fail(check, of, text, remedy)
    }

    /// What could not be read of a list, if anything.
    pub(crate) fn of_left_out(left_out: &sound::UnsoundInstances, of: &str) -> Self {
        let sound::UnsoundInstances { count, why } = left_out;
        match count {
            0 => Self::ok("entries", of, "all can be read"),
            count => Self::warn(
                "entries",
                of,
                format!("{count} cannot be read and are left out, such as {why}"),
                "correct the providers that register them, or delete what nobody registers any more",
            ),
        }
    }
}

impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
        })
    }
}

impl fmt::Display for Diagnosis {
    /// One line; text of others in it is shown without control characters, and cut after 1000 of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, of, result, seen, remedy } = self;
        write!(f, "{result} {check} {}: {}", sound::plain(of), sound::plain_line(seen))?;
        match remedy {
            Some(remedy) => write!(f, "; {}", sound::plain_line(remedy)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_all_that_helps_and_says_where_it_was_cut() {
        let (seen, remedy) = ("a server that ".repeat(20), "write ".repeat(50) + "tls=true");
        let line = Diagnosis::fail("port", "a:1", &seen, &remedy).to_string();
        assert_eq!(line, format!("fail port a:1: {seen}; {remedy}"));
        let line = Diagnosis::ok("entries", "a:1", "word ".repeat(1000)).to_string();
        assert!(line.ends_with("word word … (4000 characters more)"), "{line}");
        let line = Diagnosis::ok("entries", "a:1", "x".repeat(1001)).to_string();
        assert!(line.ends_with("xx … (1 character more)"), "{line}");
    }
}
