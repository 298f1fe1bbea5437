//! Which checks are asked for, and running them.

use std::process::ExitCode;

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::kind::Kind;
use super::progress::Progress;
use super::server::Server;
use super::{ALL, RegistryCheck, TURNS};
use crate::BoxError;
use crate::report::Report;

/// Calls a second, of all kinds together, and of each in a short run.
const RATE: u32 = 2000;
const QUICK_RATE: u32 = 300;

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
    let (progress, turns) = (Progress::new(), Semaphore::new(TURNS as usize));
    let starting = Semaphore::new(1);
    // Most of the time is waiting, so kinds wait beside each other.
    let parts = plan.kinds.iter().map(|kind| {
        let (progress, turns, starting) = (&progress, &turns, &starting);
        let run = KindRun { kind: *kind, plan: &plan, progress, turns, starting };
        async move { run.all().await }
    });
    let parts = tokio::select! {
        parts = join_all(parts) => parts,
        never = progress.tell_all() => match never {},
    };
    // Whoever names kinds leaves out the others: of those that are run, a whole run has to show all.
    let mut report = Report::of(plan.quick);
    parts.into_iter().for_each(|part| report.add(part));
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

    /// Calls a second for each kind, of those that all kinds share.
    fn rate(&self) -> u32 {
        let kinds = u32::try_from(self.kinds.len()).unwrap_or(u32::MAX).max(1);
        if self.quick { QUICK_RATE } else { RATE / kinds }
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

/// The checks of one kind, beside those of others.
struct KindRun<'a> {
    kind: Kind,
    plan: &'a Plan,
    progress: &'a Progress,
    turns: &'a Semaphore,
    /// One server starts at a time: Nacos gives up where its database is slow.
    starting: &'a Semaphore,
}

impl KindRun<'_> {
    /// All of them, one after the other, with one server.
    async fn all(&self) -> Report {
        let mut report = Report::kept();
        let (kind, plan) = (self.kind, self.plan);
        let started = {
            // Nobody closes it.
            let _turn = self.starting.acquire().await;
            Server::start(kind, plan.quick, plan.rate()).await
        };
        match started {
            Ok(Some(mut server)) => {
                for check in ALL.iter().filter(|check| plan.has(check, kind)) {
                    let goes_on = self.one(check, &mut report, &mut server).await;
                    report.print_kept();
                    if !goes_on {
                        break;
                    }
                }
            }
            // Nobody takes what was not looked at for sound.
            Ok(None) => report.left_out(&format!("{}: its server is not there", kind.name())),
            Err(error) => {
                report.begin(kind.name());
                report.note("the server", &format!("does not start: {error}"), false);
            }
        }
        report.print_kept();
        report
    }

    /// One of them, when it is its turn; returns whether the server can be used for another.
    async fn one(&self, check: &RegistryCheck, report: &mut Report, server: &mut Server) -> bool {
        let turns = (check.turns)(self.kind);
        // Nobody closes it.
        let _turn = self.turns.acquire_many(turns).await;
        let (begun, name) = (Instant::now(), format!("{} of {}", check.name, self.kind.name()));
        self.progress.begins(&name);
        report.begin(&format!("{name}: {}", check.what));
        let failures = report.failures();
        let done = (check.run)(report, server, self.plan.quick).await;
        let mut goes_on = true;
        if let Err(error) = done {
            report.note("the check itself", &format!("did not run to its end: {error}"), false);
            // Whatever it has left must not be held against the next.
            let revived = async {
                server.kill().await?;
                server.forget().await?;
                server.revive().await
            };
            if let Err(error) = revived.await {
                report.note("the server", &format!("is not back: {error}"), false);
                goes_on = false;
            }
        }
        if report.failures() > failures
            && let Err(error) = self.keep_logs(check, report, server)
        {
            report.remark(&format!("its servers' logs are lost: {error}"));
        }
        report.took(begun.elapsed());
        self.progress.ends(&name);
        goes_on
    }

    /// Keeps what its servers say of a check that failed, beside this program.
    fn keep_logs(
        &self,
        check: &RegistryCheck,
        report: &mut Report,
        server: &Server,
    ) -> Result<(), BoxError> {
        let folder = std::env::current_exe()?.with_file_name("chaos-logs");
        let folder = folder.join(format!("{}-{}", check.name, self.kind.name()));
        if server.keep_logs(&folder)? > 0 {
            report.remark(&format!("its servers' logs are in {}", folder.display()));
        }
        Ok(())
    }
}
