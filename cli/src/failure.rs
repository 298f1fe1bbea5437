//! How the command fails: what it prints and which code it exits with.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use dubhe::{AttemptOutcome, Code, Delivery, Error, Status};
use serde_json::{Value, json};

use crate::Outcome;
use crate::call::attempt_json;
use crate::options::Options;
use crate::output::{self, Table, millis, plain};

/// Somebody was asked, and it failed.
const FAILED: u8 = 1;
/// What was typed or configured is wrong; nothing was called.
const USAGE: u8 = 2;

/// Why a subcommand failed.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// In words.
    Text(String),
    /// A call; it tells of its attempts.
    Call(Box<Status>),
    /// It was told already, as a part of the result.
    Told,
    /// Whoever read the result has gone: there is nobody to tell.
    Unread,
}

impl Failure {
    /// Something asked for did not work.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { code: FAILED, kind: Kind::Text(message.into()) }
    }

    /// The command line or the configuration is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, kind: Kind::Text(message.into()) }
    }

    /// The result says already that it failed.
    fn told() -> Self {
        Self { code: FAILED, kind: Kind::Told }
    }

    /// The outcome of a result that tells of a failure, if `failed`: that nobody read it hides none.
    pub(crate) fn told_if(failed: bool, printed: Outcome) -> Outcome {
        match printed {
            Ok(()) | Err(Self { kind: Kind::Unread, .. }) if failed => Err(Self::told()),
            printed => printed,
        }
    }

    /// Prints it, and gives the code to exit with.
    pub(crate) fn report(self, options: &Options) -> ExitCode {
        let printed = match &self.kind {
            Kind::Told => Ok(()),
            Kind::Unread => return ExitCode::SUCCESS,
            Kind::Text(text) if options.json => {
                output::json(&json!({ "error": { "message": text } }))
            }
            Kind::Call(status) if options.json => {
                output::json(&json!({ "error": status_json(status) }))
            }
            Kind::Text(text) => error(text),
            Kind::Call(status) => error(&status_text(status)),
        };
        // Nobody listens; the code is all that is left to say.
        drop(printed);
        ExitCode::from(self.code)
    }
}

fn error(text: &str) -> Result<(), Failure> {
    Ok(writeln!(io::stderr().lock(), "error: {}", plain(text))?)
}

/// The status in a line, what decided it, and a table of the attempts.
fn status_text(status: &Status) -> String {
    let mut text = status.code().to_string();
    if let Some(call) = status.call() {
        text += &format!(" in {call}");
    }
    text += &format!(": {}", status.message());
    if status.delivery() != Delivery::Answered {
        text += &format!(" ({})", status.delivery().as_str());
    }
    if let Some(hint) = status.hint() {
        text += &format!("\n  decided by {hint}");
    }
    if status.attempts().is_empty() {
        if let Some(address) = status.address() {
            text += &format!("\n  answered by {address}");
        }
        return text;
    }
    let mut table = Table::new(["attempt", "address", "took", "code", "delivery", "why"]);
    for (number, attempt) in (1..).zip(status.attempts()) {
        table.row([
            format!("{number}"),
            attempt.address.to_string(),
            millis(attempt.elapsed),
            attempt.code.to_string(),
            attempt.delivery.as_str().to_owned(),
            attempt.message.clone(),
        ]);
    }
    text + "\n" + table.to_string().trim_end()
}

/// The status for programs.
pub(crate) fn status_json(status: &Status) -> Value {
    let attempts = status.attempts().iter().map(|attempt| {
        let failed = AttemptOutcome::Failed(attempt.clone());
        attempt_json(&attempt.address, None, attempt.elapsed, &failed)
    });
    json!({
        "code": status.code().name(),
        "message": status.message(),
        "delivery": status.delivery().as_str(),
        "call": status.call(),
        "address": status.address(),
        "decided_by": status.hint(),
        "attempts": attempts.collect::<Vec<_>>(),
    })
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        // Told by this process alone, before anybody was asked.
        let is_mistake = status.delivery() == Delivery::NotSent
            && status.address().is_none()
            && status.attempts().is_empty()
            && matches!(
                status.code(),
                Code::InvalidArgument | Code::Unimplemented | Code::FailedPrecondition
            );
        let code = if is_mistake { USAGE } else { FAILED };
        Self { code, kind: Kind::Call(Box::new(status)) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.is_unknown_name() || error.is_invalid_config() {
            true => Self::usage(error.to_string()),
            false => Self::failed(error.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self { code: FAILED, kind: Kind::Unread },
            _ => Self::failed(format!("cannot print: {error}")),
        }
    }
}
