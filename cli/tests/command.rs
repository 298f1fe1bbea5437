//! The command itself: its settings, its load, its completions, and readers that go away.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use support::{PATIENCE, command, dubhe, run_with, shop};

#[tokio::test]
async fn config_shows_every_setting_and_who_set_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.toml");
    std::fs::write(&file, "[consumer]\ntimeout = \"3s\"\nretries = 1\n").unwrap();
    let file = file.to_str().unwrap();
    let mut settings = command(&["config", "--file", file, "--registry", "memory://x"]);
    settings.env("DUBHE_CONSUMER__RETRIES", "5");
    let run = run_with(settings, "").await.code(0);
    let line = |key: &str| {
        let found = run.out.lines().find(|line| line.starts_with(key)).unwrap();
        found.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(line("consumer.timeout"), ["consumer.timeout", "\"3s\"", &format!("{file}:2:11")]);
    assert_eq!(line("consumer.retries"), ["consumer.retries", "5", "DUBHE_CONSUMER__RETRIES"]);
    assert_eq!(line("consumer.codec"), ["consumer.codec", "\"protobuf\"", "default"]);
    assert!(line("registry.address").join(" ").contains("memory://x"));
    assert_eq!(line("registry.address").last().unwrap(), "--registry");
    let set = dubhe(&["config", "--set", "--json", "--file", file]).await.code(0).json();
    let timeout =
        json!({ "key": "consumer.timeout", "value": "3s", "origin": format!("{file}:2:11") });
    assert!(set["settings"].as_array().unwrap().contains(&timeout), "{set}");
    assert!(!set.to_string().contains("\"default\""), "{set}");
    let bare = dubhe(&["config", "--set"]).await.code(0);
    assert!(!bare.out.contains("registry.address"), "{}", bare.out);
    let address = dubhe(&["config", "--json"]).await.code(0).json();
    let dev = json!({ "key": "registry.address", "value": "dev://", "origin": "default" });
    assert!(address["settings"].as_array().unwrap().contains(&dev), "{address}");
}

#[tokio::test]
async fn an_argument_is_stronger_than_file_and_environment() {
    let mut run = command(&["config", "--set", "--registry", "memory://argument"]);
    run.env("DUBHE_REGISTRY__ADDRESS", "memory://environment");
    run_with(run, "").await.code(0).prints("memory://argument");
    let mut run = command(&["config", "--set"]);
    run.env("DUBHE_REGISTRY__ADDRESS", "memory://environment");
    run_with(run, "").await.code(0).prints("memory://environment");
}

#[tokio::test]
async fn a_secret_is_not_shown() {
    let run =
        dubhe(&["config", "--token", "hush", "--registry", "dubhe://:hush@x:1"]).await.code(0);
    assert!(!run.out.contains("hush"), "{}", run.out);
}

#[tokio::test]
async fn a_level_that_does_not_exist_is_told_instead_of_passed_over() {
    for (level, code) in [("wrong", 2), ("inof", 2), ("INFO", 0), ("off", 0), ("", 0)] {
        let mut run = command(&["config", "--set"]);
        run.env("DUBHE_LOG", level);
        run_with(run, "").await.code(code);
    }
    let mut run = command(&["config", "--set"]);
    run.env("DUBHE_LOG", "inof");
    let told = "DUBHE_LOG: unknown level `inof` (did you mean `info`?), available: off, error, warn, \
                info, debug, trace";
    run_with(run, "").await.code(2).says(told);
    let mut run = command(&["config", "--set", "-v"]);
    run.env("DUBHE_LOG", "wrong");
    run_with(run, "").await.code(0);
}

#[tokio::test]
async fn what_cannot_work_is_wrong_usage_and_points_at_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    std::fs::write(&file, "[consumer]\ntimeuot = \"3s\"\n").unwrap();
    let file = file.to_str().unwrap();
    let place = format!("{file}:2:1");
    for (args, says) in [
        (
            &["ls", "--registry", "dube://127.0.0.1:1"][..],
            "--registry: registry.address: unknown registry `dube` (did you mean `dubhe`?)",
        ),
        (&["ls", "--registry", "127.0.0.1"], "is not a registry's address"),
        (&["config", "--file", file], &place),
        (
            &["ls", "--file", "/nowhere.toml"],
            "--file: cannot read configuration file /nowhere.toml: No such file or directory (os \
             error 2); create it, or name another file",
        ),
        (&["ls", "x y"], "is not a service key"),
    ] {
        dubhe(args).await.code(2).says(says);
    }
}

#[tokio::test]
async fn bench_measures_so_many_callers_or_so_many_calls_a_second() {
    let (registry, _one) = shop().await;
    let closed =
        ["bench", "test.Stock/left", "[\"a\", 1]", "--concurrency", "2", "--duration", "300ms"];
    let run = registry.dubhe(&closed).await.code(0);
    run.prints("P50").prints("P99.9").prints(", 0 failed").prints("#");
    let open =
        ["bench", "test.Stock/left", "[\"a\", 1]", "--rate", "50", "--duration", "1s", "--json"];
    let shown = registry.dubhe(&open).await.code(0).json();
    assert_eq!((&shown["succeeded"], &shown["failed"]), (&json!(50), &json!(0)));
    let counted = shown["histogram"].as_array().unwrap().iter();
    assert_eq!(counted.map(|bucket| bucket["count"].as_u64().unwrap()).sum::<u64>(), 50);
    assert!(shown["latency_ms"]["p99"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn a_rate_that_one_caller_cannot_keep_counts_from_when_calls_should_have_begun() {
    let (registry, _one) = shop().await;
    // 60 calls of 50 ms are due and one caller makes them: twelve at most begin, the last one late.
    let args = [
        "bench",
        "test.Stock/ponder",
        "[50]",
        "--rate",
        "100",
        "--duration",
        "600ms",
        "--concurrency",
        "1",
        "--timeout",
        "5s",
        "--json",
    ];
    let shown = registry.dubhe(&args).await.code(1).json();
    let (succeeded, rest) = (&shown["succeeded"], &shown["not_started"]);
    assert!((1..=12).contains(&succeeded.as_u64().unwrap()), "{shown}");
    assert_eq!(succeeded.as_u64().unwrap() + rest.as_u64().unwrap(), 60, "{shown}");
    assert!(shown["latency_ms"]["max"].as_f64().unwrap() > 300.0, "{shown}");
}

#[tokio::test]
async fn ctrl_c_again_gives_up_the_calls_under_way() {
    let (registry, _one) = shop().await;
    let args = [
        "bench",
        "test.Stock/ponder",
        "[600000]",
        "--timeout",
        "10m",
        "--duration",
        "10m",
        "--json",
    ];
    let mut child = command(&[&["--registry", &registry.url], &args[..]].concat()).spawn().unwrap();
    let id = child.id().unwrap();
    let under_way = || support::LONGEST.load(Ordering::Relaxed) == 600_000;
    let ended = tokio::time::timeout(PATIENCE, async {
        while !under_way() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Two at once may arrive as one.
        loop {
            support::signal(id, "INT").await;
            let waited = tokio::time::timeout(Duration::from_millis(200), child.wait()).await;
            if let Ok(status) = waited {
                return status.unwrap();
            }
        }
    });
    assert_eq!(ended.await.unwrap().code(), Some(1));
    let shown = child.wait_with_output().await.unwrap().stdout;
    let shown: serde_json::Value = serde_json::from_slice(&shown).unwrap();
    assert_eq!((&shown["succeeded"], &shown["failed"]), (&json!(0), &json!(0)));
    assert!(shown["given_up"].as_u64().unwrap() >= 1, "{shown}");
}

#[tokio::test]
async fn a_reader_that_goes_away_hides_no_failure() {
    let (registry, _one) = shop().await;
    for (args, code) in [
        (&["bench", "test.Stock/flee", "--concurrency", "1", "--duration", "200ms"][..], 1),
        (&["explain", "test.Stock/flee", "[]"], 1),
        (&["explain", "test.Stock/left", "[\"a\", 1]"], 0),
    ] {
        let mut child = command(&[&["--registry", &registry.url], args].concat()).spawn().unwrap();
        drop(child.stdout.take());
        let status = tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
}

#[tokio::test]
async fn bench_counts_failures_by_code_and_exits_with_1() {
    let (registry, _one) = shop().await;
    let args = ["bench", "test.Stock/flee", "--concurrency", "1", "--duration", "200ms"];
    registry.dubhe(&args).await.code(1).prints("unavailable").prints("gone");
    let write = [
        "bench",
        "test.Stock/take",
        "{\"sku\": \"a\", \"amount\": 1}",
        "--yes",
        "--duration",
        "100ms",
    ];
    registry.dubhe(&write).await.code(0);
}

#[tokio::test]
async fn bench_says_who_answered_how_often() {
    let (registry, one) = shop().await;
    let args = ["bench", "test.Stock/left", "[\"a\", 1]", "--rate", "50", "--duration", "200ms"];
    let run = registry.dubhe(&args).await.code(0);
    run.prints("PROVIDER").prints(&format!("{}  10\n", one.address()));
    let shown = registry.dubhe(&[&args[..], &["--json"]].concat()).await.code(0).json();
    assert_eq!(shown["providers"], json!([{ "address": one.address(), "answered": 10 }]));
    let refused = ["bench", "test.Stock/refuse", "--rate", "50", "--duration", "100ms", "--json"];
    let shown = registry.dubhe(&refused).await.code(1).json();
    assert_eq!(shown["providers"][0]["answered"], 5);
}

#[tokio::test]
async fn ctrl_c_ends_a_bench_early_and_prints_what_there_is() {
    let (registry, one) = shop().await;
    let args = ["bench", "test.Stock/left", "[\"a\", 1]", "--duration", "10m"];
    let child = command(&[&["--registry", &registry.url], &args[..]].concat()).spawn().unwrap();
    let id = child.id().unwrap();
    let is_called = || one.metrics().render().contains("method=\"left\",code=\"ok\"");
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_called() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap();
    support::signal(id, "INT").await;
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("P50") && printed.contains(", 0 failed"), "{printed}");
    assert_eq!(output.status.code(), Some(0));
}

#[tokio::test]
async fn completions_name_every_subcommand() {
    for shell in ["bash", "zsh", "fish"] {
        let run = dubhe(&["completions", shell]).await.code(0);
        for subcommand in
            ["registry", "ls", "call", "explain", "doctor", "config", "bench", "completions"]
        {
            assert!(run.out.contains(subcommand), "{shell}: {subcommand}");
        }
    }
    dubhe(&["completions", "cmd.exe"]).await.code(2).says("possible values");
}

#[tokio::test]
async fn shells_accept_their_completions() {
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let script = dubhe(&["completions", shell]).await.code(0).out;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dubhe");
        std::fs::write(&file, script).unwrap();
        let checked = tokio::process::Command::new(shell).arg(check).arg(&file).output().await;
        // Few machines have all three; every one has the first.
        let Ok(checked) = checked else {
            assert_ne!(shell, "bash");
            continue;
        };
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success() && said.is_empty(), "{shell}: {said}");
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_error() {
    let mut child = command(&["completions", "bash"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(0));
}

#[tokio::test]
async fn help_tells_the_exit_codes_and_what_every_subcommand_is_for() {
    let run = dubhe(&["--help"]).await.code(0).prints("Exit codes:");
    run.prints("Call a method").prints("Put load on a method and measure latencies");
    dubhe(&[]).await.code(2).says("Usage: dubhe");
}

#[tokio::test]
async fn the_page_of_the_command_has_a_section_for_every_subcommand() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/command.md");
    let page = std::fs::read_to_string(page).unwrap();
    let help = dubhe(&["--help"]).await.code(0).out;
    let (_, rest) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = rest.split_once("\n\n").unwrap();
    let names = commands.lines().filter_map(|line| line.split_whitespace().next());
    let names: Vec<&str> = names.filter(|name| *name != "help").collect();
    assert!(names.len() >= 7, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("\n## `dubhe {name}`\n")), "{name}");
        assert!(page.contains(&format!("\n$ dubhe {name}")), "{name}");
    }
}

#[tokio::test]
async fn a_method_is_told_from_a_service_in_a_group() {
    let (registry, _one) = shop().await;
    let run = registry.dubhe(&["config", "test.Stock/left"]).await.code(0);
    run.says("note: `test.Stock/left` is read as the service `left` of the group `test.Stock`")
        .says("`dubhe config test.Stock`");
    for service in ["test.Stock", "shop/test.Stock", "shop/left"] {
        assert_eq!(registry.dubhe(&["config", service]).await.code(0).err, "");
    }
}
