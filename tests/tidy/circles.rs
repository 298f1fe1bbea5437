//! Circles between the modules of a crate, read from the paths in its files.
//!
//! A module is a file. It knows another if one of its paths, from `crate`, `self` or `super`, leads
//! there, re-exports followed to where a thing is; test modules, comments and strings count for
//! nothing, nor does what a file declares or re-exports of its own folder. A folder and its own
//! files may lean on each other while its `mod.rs` takes part: from outside they are one module.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{fail_on, own, read, sources};

/// Circles between modules that are meant: the crate, one of the modules, and why. At most two a crate.
const MEANT_CIRCLES: [(&str, &str, &str); 6] = [
    (
        "rpc-core",
        "body",
        "a body holds a message, a stream of bodies or the bytes of a codec, the \
     contract of a codec is the message, and what fails is a status, whose details are a body",
    ),
    (
        "rpc-core",
        "server::state",
        "a protocol serves with the state of a server, and that state \
     holds the table of protocols",
    ),
    (
        ".",
        "consumer",
        "clients keep their consumer alive, and the consumer puts settings in force \
     in its clients",
    ),
    (
        "protocols",
        "injvm::call",
        "a call inside the process hands itself to the pump of its stream",
    ),
    ("rpc-macros", "model", "what streams is read into the model and checked there"),
    (
        "rpc-macros",
        "message::expand",
        "each part of what a message expands to uses the frame of an \
     `impl`",
    ),
];

/// A module by the names on its way from the root, which is none of them.
type Module = Vec<String>;

/// What a crate consists of: module and text of each file.
type Files = BTreeMap<Module, String>;

/// The modules of each circle, sorted, and the paths that make it one.
fn circles(files: &Files) -> Vec<(BTreeSet<Module>, Vec<String>)> {
    let texts: Files = files.iter().map(|(at, text)| (at.clone(), code_of(text))).collect();
    let scope = Scope { exports: texts.iter().map(|(at, text)| (at, exports(text))).collect() };
    let known: BTreeMap<&Module, BTreeMap<Module, String>> =
        texts.iter().map(|(at, text)| (at, scope.known_to(at, text))).collect();
    let reach: BTreeMap<&Module, BTreeSet<&Module>> =
        known.keys().map(|from| (*from, reached(from, &known))).collect();
    let mut found = Vec::new();
    let mut done: BTreeSet<&Module> = BTreeSet::new();
    for (from, reached) in &reach {
        let back = |other: &&Module| reach[*other].contains(*from);
        let circle: BTreeSet<Module> =
            reached.iter().filter(|other| back(other)).map(|other| (*other).clone()).collect();
        if circle.len() < 2 || !done.insert(from) || circle.iter().any(|m| m < *from) {
            continue;
        }
        if !is_one_folder(&circle) {
            let edges = circle.iter().flat_map(|from| {
                let inside = known[from].iter().filter(|(to, _)| circle.contains(*to));
                inside.map(move |(to, path)| format!("{} -> {} by {path}", name(from), name(to)))
            });
            found.push((circle.clone(), edges.collect()));
        }
    }
    found
}

/// A module as people write it.
fn name(module: &Module) -> String {
    if module.is_empty() { "lib.rs".to_owned() } else { module.join("::") }
}

/// Whether these are files of one folder and its `mod.rs`.
fn is_one_folder(circle: &BTreeSet<Module>) -> bool {
    let head = circle.iter().min_by_key(|module| module.len());
    head.is_some_and(|head| circle.iter().all(|m| m.starts_with(head) && m.len() <= head.len() + 1))
}

fn reached<'a>(
    from: &'a Module,
    known: &'a BTreeMap<&'a Module, BTreeMap<Module, String>>,
) -> BTreeSet<&'a Module> {
    let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(module) = next.pop() {
        for to in known.get(module).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(to) {
                next.push(to);
            }
        }
    }
    reached
}

/// Without comments, strings and the test module.
fn code_of(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let mut code = String::new();
    for line in text[..end].lines() {
        // Who may see an item is not what it uses.
        let line = match line.split_once("pub(in ").and_then(|(_, rest)| rest.split_once(')')) {
            Some((_, item)) => item,
            None => line,
        };
        let line = line.split("//").next().unwrap_or_default();
        // A string that goes over lines leaves words, but hardly a path of ours.
        for (at, part) in line.split('"').enumerate() {
            if at % 2 == 0 {
                code.push_str(part);
            }
        }
        code.push('\n');
    }
    code
}

/// The `use` declarations of a file: whether others may take them from there, and their paths.
fn uses(code: &str) -> Vec<(bool, Vec<Vec<String>>)> {
    let mut found = Vec::new();
    for statement in code.split_inclusive(';') {
        let Some(start) = use_in(statement) else { continue };
        let before = statement[..start].rsplit('\n').next().unwrap_or_default();
        let tree = statement[start + "use ".len()..].trim_end_matches(';');
        found.push((before.contains("pub"), paths(tree)));
    }
    found
}

/// Where a statement says `use`, which is alone on its line but for who may take from it.
fn use_in(statement: &str) -> Option<usize> {
    let mut starts = statement.rmatch_indices("use ").map(|(at, _)| at);
    starts.find(|at| {
        let before = statement[..*at].rsplit('\n').next().unwrap_or_default().trim();
        before.is_empty() || before.starts_with("pub")
    })
}

/// The paths of a tree such as `crate::a::{b, c::d}`.
fn paths(tree: &str) -> Vec<Vec<String>> {
    let (mut found, mut depth, mut part) = (Vec::new(), 0, String::new());
    for sign in tree.chars().chain([',']) {
        match sign {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if sign != ',' || depth > 0 {
            part.push(sign);
            continue;
        }
        let item = std::mem::take(&mut part);
        let item = item.trim();
        match item.split_once('{') {
            Some((head, rest)) => {
                let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
                for path in paths(inner) {
                    found.push([segments(head), path].concat());
                }
            }
            None if item.is_empty() => {}
            None => found.push(segments(item.split(" as ").next().unwrap_or(item))),
        }
    }
    found
}

fn segments(path: &str) -> Vec<String> {
    let named = path.split("::").map(str::trim).filter(|part| !part.is_empty() && *part != "self");
    let first = path.trim_start().starts_with("self").then(|| "self".to_owned());
    first.into_iter().chain(named.map(str::to_owned)).collect()
}

/// What others may take from a file, and the path that it has it by.
fn exports(code: &str) -> BTreeMap<String, Vec<String>> {
    let public = uses(code).into_iter().filter(|(is_public, _)| *is_public);
    let paths = public.flat_map(|(_, paths)| paths);
    paths.filter_map(|path| Some((path.last()?.clone(), path.clone()))).collect()
}

struct Scope<'a> {
    exports: BTreeMap<&'a Module, BTreeMap<String, Vec<String>>>,
}

impl Scope<'_> {
    /// The modules that `code`, which is `at` this one, has a path to.
    fn known_to(&self, at: &Module, code: &str) -> BTreeMap<Module, String> {
        let mut known = BTreeMap::new();
        let declared = uses(code);
        let is_own = |path: &[String]| path[0] == "self" || self.has(&child(at, &path[0]));
        let used = declared.iter().flat_map(|(is_public, paths)| {
            paths.iter().filter(move |path| !(*is_public && is_own(path))).cloned()
        });
        for path in used.chain(self.spoken(at, code)) {
            let to = self.resolve(at, &path, 8).filter(|to| to != at);
            if let Some(to) = to {
                known.entry(to).or_insert_with(|| path.join("::"));
            }
        }
        known
    }

    /// The paths outside of `use` that may lead to modules.
    fn spoken(&self, at: &Module, code: &str) -> Vec<Vec<String>> {
        let is_word = |sign: char| sign.is_alphanumeric() || sign == '_' || sign == ':';
        let statements =
            code.split_inclusive(';').map(|one| one.split("use ").next().unwrap_or(one));
        let words = statements.flat_map(|one| one.split(|sign| !is_word(sign)));
        let words = words.filter(|word| word.contains("::"));
        let paths = words.map(segments).filter(|path| path.len() > 1);
        let is_path = |path: &Vec<String>| {
            ["crate", "super", "self"].contains(&&*path[0]) || self.has(&child(at, &path[0]))
        };
        paths.filter(is_path).collect()
    }

    fn has(&self, module: &Module) -> bool {
        self.exports.contains_key(module)
    }

    /// The module that `path`, as written `at` a module, leads into.
    fn resolve(&self, at: &Module, path: &[String], patience: u8) -> Option<Module> {
        let mut rest = path.iter();
        let mut to = match &*rest.next()?.clone() {
            "crate" => Vec::new(),
            "self" => at.clone(),
            // A module that is written inside of its file is that file.
            "super" if path[1..].first().is_none_or(|it| it == "*" || self.has(&child(at, it))) => {
                at.clone()
            }
            "super" => parent(at)?,
            first => child(at, first),
        };
        if !self.has(&to) {
            return None;
        }
        for part in rest {
            let next = if part == "super" { parent(&to)? } else { child(&to, part) };
            if self.has(&next) {
                to = next;
                continue;
            }
            let export = self.exports[&to].get(part).filter(|_| patience > 0);
            let from = export.and_then(|export| self.resolve(&to, export, patience - 1));
            return Some(from.unwrap_or(to));
        }
        Some(to)
    }
}

fn child(of: &Module, name: &str) -> Module {
    of.iter().cloned().chain([name.to_owned()]).collect()
}

fn parent(of: &Module) -> Option<Module> {
    Some(of.split_last()?.1.to_vec())
}

#[test]
fn modules_of_a_crate_do_not_go_in_circles() {
    let crates = own().into_values().map(|folder| folder.trim_start_matches("./").to_owned());
    let crates: BTreeSet<String> = crates.chain([".".to_owned(), "cli".to_owned()]).collect();
    let (mut findings, mut unused) = (Vec::new(), MEANT_CIRCLES.to_vec());
    for folder in crates {
        let source = if folder == "." { "src".into() } else { Path::new(&folder).join("src") };
        let module = |path: &Path| {
            let inside = path.strip_prefix(&source).ok()?.with_extension("");
            let names = inside.iter().map(|name| name.to_string_lossy().into_owned());
            Some(names.filter(|name| !["mod", "lib", "main"].contains(&&**name)).collect())
        };
        let all = sources();
        let files = all.iter().filter_map(|path| Some((module(path)?, read(path)))).collect();
        let mut meant = 0;
        for (circle, paths) in circles(&files) {
            let is_meant = |(of, member, _): &(&str, &str, &str)| {
                *of == folder && circle.iter().any(|module| name(module) == *member)
            };
            match unused.iter().position(is_meant) {
                Some(at) => {
                    unused.remove(at);
                    meant += 1;
                }
                None => findings.push(format!("{folder}:\n    {}", paths.join("\n    "))),
            }
        }
        assert!(meant <= 2, "{folder}: two circles are enough, open one of them");
    }
    findings.extend(
        unused.iter().map(|(of, module, _)| format!("{of}: {module} is in none, remove it")),
    );
    fail_on(
        "move what both need below them, or give the reason in tests/tidy/circles.rs",
        &findings,
    );
}

#[test]
fn circles_are_found_through_re_exports_and_inline_paths() {
    let files = |files: &[(&str, &str)]| -> Files {
        files.iter().map(|(name, text)| (segments(name), (*text).to_owned())).collect()
    };
    let found = |texts: &[(&str, &str)]| -> Vec<String> {
        let circles = circles(&files(texts));
        circles.iter().map(|(c, _)| c.iter().map(name).collect::<Vec<_>>().join(" ")).collect()
    };
    let root = ("", "mod a;\nmod b;\npub use self::a::thing::Thing;\n");
    // Through the root, which re-exports what is in `a::thing`.
    let through = [
        root,
        ("a", "pub(crate) mod thing;\n"),
        ("a::thing", "use crate::{b::{Other, x}, c};\n"),
        ("b", "fn f() { crate::Thing::new() }\n"),
        ("c", "// crate::b\n"),
    ];
    assert_eq!(found(&through), ["a::thing b"]);
    // Neither comments, strings, tests nor the visibility of an item make one.
    let quiet = [
        ("a", "use super::b::B;\n"),
        (
            "b",
            "// crate::a\nconst A: &str = \"crate::a\";\n#[cfg(test)]\nmod tests {\n    use crate::a;\n}\n",
        ),
        ("", ""),
    ];
    assert_eq!(found(&quiet), [""; 0]);
    // A folder and its files are one module, also with a helper in its head; two folders are not.
    let folder = [("", ""), ("a", "mod x;\nfn f() { x::g() }\n"), ("a::x", "use super::f;\n")];
    assert_eq!(found(&folder), [""; 0]);
    let siblings =
        [("", ""), ("a", ""), ("a::x", "use super::y::Y;\n"), ("a::y", "use crate::a::x::X;\n")];
    assert_eq!(found(&siblings), ["a::x a::y"]);
}
