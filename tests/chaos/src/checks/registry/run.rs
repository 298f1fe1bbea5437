//! Which checks are asked for, and running them.

use std::process::ExitCode;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::kind::Kind;
use super::server::Server;
use super::{ALL, RegistryCheck};
use crate::report::Report;

/// What is to be run.
#[derive(Debug, Default)]
struct Plan {
    quick: bool,
    kinds: Vec<Kind>,
    /// Names of checks; none for all.
    names: Vec<String>,
}

/// `registry [--quick] [--list] [--registry KIND]… [CHECK…]`; an error is a message for a person.
pub(crate) async fn run(args: &[String]) -> Result<ExitCode, String> {
    if args.iter().any(|arg| arg == "--list") {
        ALL.iter().for_each(|check| println!("{:<14} {}", check.name, check.what));
        return Ok(ExitCode::SUCCESS);
    }
    let plan = Plan::read(args)?;
    let mut report = Report::default();
    if plan.quick {
        // Most of the time is waiting, so kinds wait beside each other.
        let reports = plan.kinds.iter().map(|kind| {
            let mut report = Report::kept();
            let plan = &plan;
            async move {
                of_kind(&mut report, *kind, plan).await;
                report
            }
        });
        join_all(reports).await.into_iter().for_each(|part| report.add(part));
    } else {
        for kind in &plan.kinds {
            of_kind(&mut report, *kind, &plan).await;
        }
    }
    Ok(report.close())
}

impl Plan {
    fn read(args: &[String]) -> Result<Self, String> {
        let mut plan = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--quick" => plan.quick = true,
                "--registry" => {
                    let name = args.next().ok_or("--registry wants a kind")?;
                    let known = Kind::ALL.map(Kind::name).join(", ");
                    let kind = Kind::named(name);
                    plan.kinds.push(kind.ok_or_else(|| format!("unknown kind `{name}`: {known}"))?);
                }
                name if ALL.iter().any(|check| check.name == name) => plan.names.push(arg.clone()),
                name => {
                    let known: Vec<&str> = ALL.iter().map(|check| check.name).collect();
                    return Err(format!("unknown check `{name}`: {}", known.join(", ")));
                }
            }
        }
        if plan.kinds.is_empty() {
            plan.kinds = if plan.quick { Kind::QUICK.into() } else { Kind::ALL.into() };
        }
        Ok(plan)
    }

    /// Whether a check is to be run with registries of this kind.
    fn has(&self, check: &RegistryCheck, kind: Kind) -> bool {
        let is_asked_for = match &self.names[..] {
            [] => !self.quick || check.is_quick,
            names => names.iter().any(|name| name == check.name),
        };
        is_asked_for && (check.is_for)(kind)
    }
}

/// The checks of one kind, with one server.
async fn of_kind(report: &mut Report, kind: Kind, plan: &Plan) {
    let checks: Vec<_> = ALL.iter().filter(|check| plan.has(check, kind)).collect();
    let mut server = match Server::start(kind, plan.quick).await {
        Ok(Some(server)) => server,
        // Nobody takes what was not looked at for sound.
        Ok(None) => return report.left_out(&format!("{}: its server is not there", kind.name())),
        Err(error) => {
            report.begin(kind.name());
            return report.note("the server", &format!("does not start: {error}"), false);
        }
    };
    for check in checks {
        let begun = Instant::now();
        report.begin(&format!("{} of {}: {}", check.name, kind.name(), check.what));
        if let Err(error) = (check.run)(report, &mut server, plan.quick).await {
            report.note("the check itself", &format!("did not run to its end: {error}"), false);
            // Whatever it has left must not be held against the next.
            let revived = async {
                server.kill().await?;
                server.forget().await?;
                server.revive().await
            };
            if let Err(error) = revived.await {
                return report.note("the server", &format!("is not back: {error}"), false);
            }
        }
        report.took(begun.elapsed());
    }
}
