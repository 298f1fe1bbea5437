//! Breaks fleets of real processes on purpose, and judges what their callers saw.
//!
//! `cargo xtask chaos cluster [--quick] [NAME…]`
//! `cargo xtask chaos registry [--quick] [--registry KIND]… [NAME…]`
//!
//! Registry and providers are processes of their own on loopback; they are killed, stopped, told
//! to end, and cut off by a proxy that refuses, resets, delays or swallows. The consumer is this
//! process: it calls at a fixed rate whatever happens, and every call is accounted for, here and
//! in the ledgers of the providers. The figures to reach are those of the field's own documents;
//! each check names them. The last line is `chaos: N checks, 0 failed`,
//! and says how many were left out.

mod alarms;
mod api;
mod checks;
mod fleet;
mod idle;
mod ledger;
mod load;
mod provider;
mod proxy;
mod report;

use std::process::ExitCode;

use self::report::Report;

const USAGE: &str = "usage: chaos cluster [--quick] [NAME…]
       chaos registry [--quick] [--registry KIND]… [NAME…]
with --list they name their checks; KIND is embedded, zookeeper, etcd, zookeeper3, etcd3, nacos3 or nacos2";

/// What goes wrong with the harness itself: a message for a person.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|role| role == "registry") {
        let ready = checks::registry::enter_namespace().and_then(|()| alarms::listen());
        if let Err(error) = ready {
            return told_wrong(&format!("cannot start: {error}"));
        }
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return told_wrong(&format!("cannot start: {error}")),
    };
    runtime.block_on(run(&args))
}

async fn run(args: &[String]) -> ExitCode {
    let role = match args.first().map(String::as_str) {
        Some("as-registry") => fleet::become_registry(&args[1..]).await,
        Some("as-idle") => idle::run(&args[1..]).await,
        Some("as-provider") => provider::run(&args[1..]).await,
        Some("cluster") => return cluster(&args[1..]).await,
        Some("registry") => {
            let done = checks::registry::run(&args[1..]).await;
            return done.unwrap_or_else(|wrong| told_wrong(&format!("{wrong}\n{USAGE}")));
        }
        _ => return told_wrong(USAGE),
    };
    match role {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chaos {}: {error}", args[0]);
            ExitCode::FAILURE
        }
    }
}

async fn cluster(args: &[String]) -> ExitCode {
    if args.iter().any(|arg| arg == "--list") {
        checks::ALL.iter().for_each(|check| println!("{:<22} {}", check.name, check.what));
        return ExitCode::SUCCESS;
    }
    let quick = args.iter().any(|arg| arg == "--quick");
    let names: Vec<&String> = args.iter().filter(|arg| *arg != "--quick").collect();
    if let Some(name) =
        names.iter().find(|name| checks::ALL.iter().all(|c| c.name != name.as_str()))
    {
        return told_wrong(&format!("unknown check `{name}`\n{USAGE}"));
    }
    let mut report = Report::default();
    for check in checks::ALL {
        if names.is_empty() || names.iter().any(|name| *name == check.name) {
            report.begin(&format!("{}: {}", check.name, check.what));
            if let Err(error) = (check.run)(&mut report, quick).await {
                report.note("the check itself", &format!("did not run to its end: {error}"), false);
            }
        }
    }
    report.close()
}

fn told_wrong(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::from(2)
}
