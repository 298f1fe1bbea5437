//! The repository checks itself: heads, sizes, who knows whom, and what the docs must list.
//!
//! These are the rules of the house that neither compiler nor clippy knows. Each message names the
//! file, the rule and what to do. A file or function that is over its size on purpose says so: a
//! line of its head, or of the comment above it, begins with "Long because".

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/default_features.rs"]
mod default_features;
#[path = "tidy/type_names.rs"]
mod type_names;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Code lines of a file, before and in its test module.
const FILE_LIMIT: usize = 350;
/// Code lines of a `mod.rs` or `lib.rs`.
const MODULE_LIMIT: usize = 150;
/// Code lines of a function, from its signature to its closing brace.
const FUNCTION_LIMIT: usize = 60;

/// Which folder may depend on which others of ours: always, and for its tests alone.
const MAY_KNOW: [(&str, &[&str], &[&str]); 18] = [
    ("rpc-core", &[], &[]),
    ("rpc-macros", &[], &["rpc-core"]),
    ("protocols", &["rpc-core"], &[]),
    ("codecs", &["rpc-core"], &["rpc-macros"]),
    ("registry", &["rpc-core"], &["tests/servers"]),
    ("cluster", &["rpc-core"], &[]),
    (
        ".",
        &["rpc-core", "rpc-macros", "protocols", "codecs", "registry", "cluster"],
        &["tests/servers"],
    ),
    ("cli", &["."], &["tests/servers"]),
    ("examples", &["."], &[]),
    ("tests/chaos", &[".", "registry", "tests/servers"], &[]),
    ("tests/codecs", &["rpc-core", "codecs", "rpc-macros"], &[]),
    ("tests/peer", &["."], &[]),
    ("tests/cost", &[".", "rpc-core", "codecs", "protocols"], &[]),
    ("tests/fleet", &[".", "registry", "rpc-core", "tests/servers"], &[]),
    ("tests/outside", &["."], &[]),
    ("tests/scale", &[".", "registry", "rpc-core", "tests/servers"], &[]),
    ("tests/servers", &[], &[]),
    ("xtask", &[], &[]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    let text = fs::read_to_string(root().join(path));
    text.unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// Every file below the root with one of these endings, relative to it, sorted; nothing hidden or
/// built.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && (!name.starts_with('.') || name == ".ci") {
                folders.push(path);
            } else if path.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Source files; the cases of compile tests are input, not part of the house.
fn sources() -> Vec<PathBuf> {
    let mut files = files(&[".rs"]);
    files.retain(|path| !path.to_string_lossy().contains("tests/ui/"));
    assert!(files.len() > 20, "the walk over the repository finds no sources");
    files
}

fn fail_on(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

fn is_code(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with("//")
}

fn code_lines(lines: &[&str]) -> usize {
    lines.iter().filter(|line| is_code(line)).count()
}

/// The lines before the test module, and those of it.
fn split_tests(text: &str) -> (Vec<&str>, Vec<&str>) {
    let mut lines: Vec<&str> = text.lines().collect();
    let is_start = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1] == "mod tests {";
    let start = lines.windows(2).position(is_start).unwrap_or(lines.len());
    let tests = lines.split_off(start);
    (lines, tests)
}

#[test]
fn every_source_file_opens_by_saying_what_it_is() {
    let without = sources().into_iter().filter(|path| !read(path).starts_with("//! "));
    let findings: Vec<String> = without.map(|path| path.display().to_string()).collect();
    fail_on("begin the file with `//! ` and what, why, and what it leaves to others", &findings);
}

#[test]
fn files_are_small() {
    let mut findings = Vec::new();
    for path in sources() {
        let text = read(&path);
        let (code, tests) = split_tests(&text);
        // What tests share is code of its own, not the contents page of a folder.
        let is_contents = path.ends_with("mod.rs") || path.ends_with("lib.rs");
        let is_module = is_contents && !path.components().any(|part| part.as_os_str() == "tests");
        let limit = if is_module { MODULE_LIMIT } else { FILE_LIMIT };
        let excused = text.lines().take_while(|line| line.starts_with("//!"));
        let is_excused = excused.into_iter().any(|line| line.starts_with("//! Long because"));
        for (lines, limit) in [(code_lines(&code), limit), (code_lines(&tests), FILE_LIMIT)] {
            if lines > limit && !is_excused {
                findings.push(format!("{}: {lines} code lines, limit {limit}", path.display()));
            }
        }
    }
    fail_on("split the file, or say `//! Long because …` in its head", &findings);
}

/// Line numbers and lengths of functions, by the indentation that rustfmt gives them.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let words: Vec<&str> = code.split(' ').take_while(|word| *word != "fn").collect();
        let is_qualifier =
            |word: &&str| word.starts_with("pub") || ["const", "async"].contains(word);
        if !code.contains("fn ") || !words.iter().all(is_qualifier) {
            continue;
        }
        let body = lines[at..].iter().position(|line| line.ends_with('{'));
        let signature = lines[at..].iter().position(|line| line.ends_with([';', '}']));
        if let Some(body) = body.filter(|body| signature.is_none_or(|end| *body < end)) {
            let close = format!("{}}}", &line[..line.len() - code.len()]);
            let inside = lines[at + body..].iter().take_while(|line| !line.starts_with(&close));
            let end = at + body + inside.count();
            found.push((at + 1, code_lines(&lines[at..=end.min(lines.len() - 1)])));
        }
    }
    found
}

#[test]
fn functions_are_small() {
    let sample =
        "impl A {\n    pub fn a(\n        &self,\n    ) {\n        b();\n    }\n}\nfn c();\n";
    assert_eq!(functions(sample), [(2, 5)], "functions are measured wrongly");
    let mut findings = Vec::new();
    for path in sources() {
        let text = read(&path);
        let lines: Vec<&str> = text.lines().collect();
        for (line, length) in functions(&text) {
            let above = lines[..line - 1].iter().rev();
            let mut above = above.map(|l| l.trim_start()).take_while(|l| l.starts_with(['/', '#']));
            if length > FUNCTION_LIMIT && !above.any(|line| line.contains("// Long because")) {
                let path = path.display();
                findings.push(format!("{path}:{line}: {length} lines, limit {FUNCTION_LIMIT}"));
            }
        }
    }
    fail_on("split the function, or say `// Long because …` above it", &findings);
}

/// The manifests of the workspace by their folders.
fn manifests() -> BTreeMap<String, toml::Table> {
    let mut members = vec![".".to_owned()];
    let workspace = manifest(".");
    for member in workspace["workspace"]["members"].as_array().unwrap() {
        members.push(member.as_str().unwrap().to_owned());
    }
    members.into_iter().map(|folder| (folder.clone(), manifest(&folder))).collect()
}

fn manifest(folder: &str) -> toml::Table {
    let path = Path::new(folder).join("Cargo.toml");
    toml::from_str(&read(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn names(manifest: &toml::Table, section: &str) -> Vec<String> {
    let section = manifest.get(section).and_then(toml::Value::as_table);
    section.map_or_else(Vec::new, |table| table.keys().cloned().collect())
}

/// Our own crates by the name that manifests use, and their folders.
fn own() -> BTreeMap<String, String> {
    let workspace = manifest(".");
    let all = workspace["workspace"]["dependencies"].as_table().unwrap().clone();
    let with_path = all.into_iter().filter_map(|(name, value)| {
        let path = value.get("path")?.as_str()?.to_owned();
        Some((name, path))
    });
    with_path.collect()
}

#[test]
fn crates_know_only_whom_they_may() {
    let own = own();
    let mut findings = Vec::new();
    for (folder, manifest) in manifests() {
        let Some((_, always, in_tests)) = MAY_KNOW.iter().find(|(known, ..)| *known == folder)
        else {
            findings.push(format!("{folder}: add it to the table in tests/tidy.rs"));
            continue;
        };
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for name in names(&manifest, section) {
                if manifest[section][&name].get("path").is_some() {
                    findings.push(format!("{folder}: write {name}.workspace = true, not a path"));
                }
                let Some(target) = own.get(&name) else {
                    continue;
                };
                let is_test = section == "dev-dependencies" && in_tests.contains(&&**target);
                if !always.contains(&&**target) && !is_test {
                    findings.push(format!("{folder}: must not know {name}"));
                }
            }
        }
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        if lints.and_then(toml::Value::as_bool) != Some(true) {
            findings.push(format!("{folder}: inherit the lints: [lints] workspace = true"));
        }
    }
    fail_on("see the table of crates in docs/architecture.md", &findings);
}

#[test]
fn every_dependency_has_its_reason() {
    let own = own();
    let mut used: BTreeSet<String> = BTreeSet::new();
    for manifest in manifests().values() {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            used.extend(names(manifest, section));
        }
        if let Some(workspace) = manifest.get("workspace").and_then(toml::Value::as_table) {
            used.extend(names(workspace, "dependencies"));
        }
    }
    used.retain(|name| !own.contains_key(name));
    let page = read(Path::new("docs/dependencies.md"));
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let listed: BTreeMap<&str, &str> = rows.collect();
    let mut findings = Vec::new();
    for name in &used {
        let has_reason = listed.get(&**name).is_some_and(|reason| reason.len() > 10);
        if !has_reason {
            findings.push(format!("{name}: add a row `| `{name}` | why |`"));
        }
    }
    let gone = listed.keys().filter(|name| !used.contains(**name));
    findings.extend(gone.map(|name| format!("{name}: nobody depends on it, remove its row")));
    fail_on("docs/dependencies.md has a row for each dependency", &findings);
}

#[test]
fn every_extension_is_in_the_docs() {
    let page = fs::read_to_string(root().join("docs/extending.md")).unwrap_or_default();
    let mut findings = Vec::new();
    for path in sources() {
        let is_ours = ["codecs/src", "registry/src", "cluster/src", "rpc-core/src", "src"];
        if !is_ours.iter().any(|folder| path.starts_with(folder)) || path.ends_with("tests.rs") {
            continue;
        }
        let text = read(&path);
        let mut is_extension = false;
        for line in split_tests(&text).0 {
            if line.starts_with("impl") {
                is_extension = line.contains(" Extension<") || line.contains("Extension<dyn");
            }
            let Some((_, value)) = line
                .split_once("str = \"")
                .filter(|(name, _)| is_extension && name.contains("const NAME: "))
            else {
                continue;
            };
            let name = value.trim_end_matches("\";");
            if !page.contains(&format!("`{name}`")) {
                findings.push(format!("{}: `{name}`", path.display()));
            }
        }
    }
    fail_on("docs/extending.md must list the extension", &findings);
}

/// The targets of the log lines and spans in `text`, by line; `None` for one that has the path of its
/// module.
fn targets(text: &str) -> Vec<(usize, Option<&str>)> {
    const MACROS: [&str; 7] = ["trace", "debug", "info", "warn", "error", "event", "span"];
    let is_macro = |name: &str| MACROS.contains(&name.trim_end_matches("_span"));
    let found = text.match_indices("tracing::").filter_map(|(at, path)| {
        let (name, arguments) = text[at + path.len()..].split_once("!(")?;
        let target = arguments.trim_start().strip_prefix("target: \"");
        let target = target.and_then(|target| target.split_once('"'));
        let line = text[..at].matches('\n').count() + 1;
        is_macro(name).then_some((line, target.map(|(target, _)| target)))
    });
    found.collect()
}

#[test]
fn every_log_line_has_a_target_that_is_in_the_docs() {
    let sample = "let _ =\n tracing::info_span!(\n target: \"dubhe::a\", b);\ntracing::warn!(c);\n";
    assert_eq!(targets(sample), [(2, Some("dubhe::a")), (4, None)], "targets are read wrongly");
    let page = read(Path::new("docs/guide/observability.md"));
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `dubhe::")?.split_once("` | "));
    let mut unused: BTreeSet<String> = rows.map(|(name, _)| format!("dubhe::{name}")).collect();
    let listed = unused.clone();
    let (mut findings, mut lines) = (Vec::new(), 0);
    let crates = ["rpc-core", "protocols", "codecs", "registry", "cluster", "", "cli"];
    let ours = crates.map(|folder| Path::new(folder).join("src"));
    for path in sources().iter().filter(|path| ours.iter().any(|ours| path.starts_with(ours))) {
        let text = read(path);
        for (line, target) in targets(&text) {
            lines += 1;
            match target {
                Some(target) if listed.contains(target) => drop(unused.remove(target)),
                _ => findings.push(format!("{}:{line}: {target:?}", path.display())),
            }
        }
        if text.contains("use tracing::{info") {
            findings.push(format!("{}: write `tracing::info!`, whole", path.display()));
        }
    }
    assert!(lines > 50, "the walk finds only {lines} log lines");
    findings.extend(unused.into_iter().map(|target| format!("{target}: nothing has it")));
    let rule = "begin with `target: \"dubhe::…\"`, one of docs/guide/observability.md";
    fail_on(rule, &findings);
}

#[test]
fn nothing_is_left_lying_about() {
    // Written in two parts, so that this file does not find itself.
    let open = ["TO", "FIX"].map(|start| [start, if start == "TO" { "DO" } else { "ME" }].concat());
    let banned = [
        (["#[ign", "ore"].concat(), "run the test, or delete it"),
        (["../sha", "red"].concat(), "the repository must stand alone"),
        (["crates", ".io"].concat(), "name no registry's host"),
        (["pypi", ".org"].concat(), "name no registry's host"),
        (["python", "hosted.org"].concat(), "name no registry's host"),
        (["npmjs", ".org"].concat(), "name no registry's host"),
        (["proxy.golang", ".org"].concat(), "name no registry's host"),
        (["maven", ".org"].concat(), "name no registry's host"),
    ];
    let mut findings = Vec::new();
    for path in files(&[".rs", ".toml", ".md", ".py", ".sh", ".proto", ".yml", "run"]) {
        let text = read(&path);
        for (at, line) in text.lines().enumerate() {
            let place = format!("{}:{}", path.display(), at + 1);
            for (text, remedy) in &banned {
                if line.contains(&**text) {
                    findings.push(format!("{place}: `{text}`: {remedy}"));
                }
            }
            for word in &open {
                if line.contains(&**word) && !line.contains(&format!("{word}(")) {
                    findings.push(format!("{place}: give it an owner: {word}(name): …"));
                }
            }
        }
    }
    fail_on("what is unfinished has an owner, what is foreign stays outside", &findings);
}
