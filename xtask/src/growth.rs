//! What each message adds to a program and to its build, beside the derives of the plain crates: two
//! programs are made of either, with 1 message and with 101, each of 20 fields and used in three formats.
//!
//! Builds are measured in time of the processor, which does not grow with what else the machine does.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process::{Failure, cargo, root, run, target};

/// Messages in the longer program that the shorter does not have.
const MESSAGES: usize = 100;

/// Builds of one program, of which the quickest counts.
const BUILDS: usize = 2;

/// How much a message may add to a program, in bytes: what it was before messages and codecs were
/// parted.
const MOST_BYTES: f64 = 14_300.0;

/// Each field, and its type in prost's words.
const FIELDS: [(&str, &str); 20] = [
    ("id: u64", "uint64"),
    ("customer_id: u64", "uint64"),
    ("created_at: i64", "int64"),
    ("balance: i64", "int64"),
    ("count: u32", "uint32"),
    ("flags: u32", "uint32"),
    ("offset: i32", "int32"),
    ("delta: i32", "int32"),
    ("urgent: bool", "bool"),
    ("ratio: f32", "float"),
    ("total: f64", "double"),
    ("name: String", "string"),
    ("street_and_number: String", "string"),
    ("note: String", "string"),
    ("discount: Option<u32>", "uint32, optional"),
    ("coupon: Option<String>", "string, optional"),
    ("tags: Vec<String>", "string, repeated"),
    ("numbers: Vec<u64>", "uint64, repeated"),
    ("stock: BTreeMap<String, u32>", "btree_map = \"string, uint32\""),
    ("last: String", "string"),
];

/// A kind of message, as the source of a program.
struct Kind {
    name: &'static str,
    head: &'static str,
    message: fn(usize) -> String,
    /// What reads and writes one.
    usage: &'static str,
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "plain",
        head: "fn both<M: Default + prost::Message + serde::Serialize + serde::de::DeserializeOwned>() \
               -> usize {\n\
               let mut bytes = M::default().encode_to_vec();\n\
               M::decode(&bytes[..]).unwrap();\n\
               bytes.clear();\n\
               rmp_serde::encode::write_named(&mut bytes, &M::default()).unwrap();\n\
               let _: M = rmp_serde::from_slice(&bytes).unwrap();\n\
               bytes.clear();\n\
               serde_json::to_writer(&mut bytes, &M::default()).unwrap();\n\
               let _: M = serde_json::from_slice(&bytes).unwrap();\n\
               bytes.len()\n}\n",
        message: plain,
        usage: "both",
    },
    Kind {
        name: "Dubhe",
        head: "use rpc_core::{Params, codec::Limits, message::Message};\n\
               fn all<M: Default + Message>() -> usize {\n\
               let codecs = codecs::builtin();\n\
               codecs.names().map(|name| {\n\
               let codec = codecs.build(name, Params::new()).unwrap();\n\
               let mut bytes = bytes::BytesMut::new();\n\
               codec.encode(&M::default(), &mut bytes).unwrap();\n\
               let (mut message, mut limits) = (M::default(), Limits::default());\n\
               let length = bytes.len();\n\
               codec.decode(bytes.freeze(), &mut message, &mut limits).unwrap();\n\
               length\n}).sum()\n}\n",
        message: ours,
        usage: "all",
    },
];

fn plain(number: usize) -> String {
    let mut text = format!(
        "#[derive(Clone, PartialEq, prost::Message, serde::Serialize, serde::Deserialize)]\n\
                 #[serde(default, rename_all = \"camelCase\")]\nstruct M{number} {{\n"
    );
    for (index, (field, kind)) in FIELDS.iter().enumerate() {
        // Writing to a string never fails.
        let _ = writeln!(text, "#[prost({kind}, tag = \"{}\")] {field},", index + 1);
    }
    text + "}\n"
}

fn ours(number: usize) -> String {
    let fields = FIELDS.map(|(field, _)| field).join(", ");
    format!(
        "#[message(crate = rpc_core)]\n#[derive(Clone, PartialEq)]\nstruct M{number} {{ {fields} }}\n"
    )
}

/// Builds the programs and prints a row for each kind, or for those that are named.
pub(crate) fn bench(arguments: &[String]) -> Result<(), Failure> {
    let is_kind = |name: &String| KINDS.iter().any(|kind| kind.name == name);
    if !arguments.iter().all(is_kind) {
        return Err(Failure::new("usage: cargo xtask bench messages [plain | Dubhe]"));
    }
    let is_chosen =
        |kind: &&Kind| arguments.is_empty() || arguments.iter().any(|name| name == kind.name);
    println!("| | kB a message | release build of 100, s | dev build of 100, s |");
    println!("| --- | ---: | ---: | ---: |");
    let mut dearer = None;
    for kind in KINDS.iter().filter(is_chosen) {
        let short = Program::make(kind, 1)?;
        let long = Program::make(kind, 1 + MESSAGES)?;
        let [small, large] = [short.build(true)?, long.build(true)?];
        let bytes = large.bytes.saturating_sub(small.bytes) as f64 / MESSAGES as f64;
        let release = large.took.saturating_sub(small.took);
        let dev = long.build(false)?.took.saturating_sub(short.build(false)?.took);
        println!(
            "| {} | {:.1} | {:.1} | {:.1} |",
            kind.name,
            bytes / 1000.0,
            release.as_secs_f64(),
            dev.as_secs_f64()
        );
        if kind.name == "Dubhe" && bytes > MOST_BYTES {
            dearer = Some(bytes);
        }
    }
    match dearer {
        None => Ok(()),
        Some(bytes) => Err(Failure::new(format!(
            "a message adds {bytes:.0} bytes to a program, more than the {MOST_BYTES} it may: see what \
             its generated code has instead of calling"
        ))),
    }
}

/// A program that was written.
struct Program {
    folder: PathBuf,
    name: String,
}

/// A program that was built: how large it is without symbols, and how long its own part took.
struct Built {
    bytes: u64,
    took: Duration,
}

impl Program {
    fn make(kind: &Kind, messages: usize) -> Result<Self, Failure> {
        let name = format!("growth-{}-{messages}", kind.name.to_lowercase());
        let folder = target().join("growth").join(&name);
        let mut main = format!(
            "use std::collections::BTreeMap;\n#[allow(unused_imports)] use rpc_macros::message;\n{}",
            kind.head
        );
        let mut calls = String::new();
        for number in 0..messages {
            main += &(kind.message)(number);
            // Writing to a string never fails.
            let _ = write!(calls, "{}::<M{number}>() + ", kind.usage);
        }
        let _ = writeln!(main, "fn main() {{ println!(\"{{}}\", {calls} 0); }}");
        write(&folder.join("src/main.rs"), &main)?;
        write(&folder.join("Cargo.toml"), &manifest(&name))?;
        // The versions of the repository.
        let lock = fs::read(root().join("Cargo.lock"))
            .map_err(|error| Failure::new(format!("Cargo.lock: {error}")))?;
        fs::write(folder.join("Cargo.lock"), lock)
            .map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
        Ok(Self { folder, name })
    }

    /// Builds what it needs, then the program by itself, several times.
    fn build(&self, release: bool) -> Result<Built, Failure> {
        let manifest = self.folder.join("Cargo.toml");
        let built = target().join("growth/target");
        let main = self.folder.join("src/main.rs");
        let once = || {
            let mut command = cargo(["build", "--quiet", "--manifest-path"]);
            command.arg(&manifest).arg("--target-dir").arg(&built);
            command.args(release.then_some("--release"));
            run(&mut command)
        };
        once()?;
        let mut took = Duration::MAX;
        for _ in 0..BUILDS {
            let text = fs::read_to_string(&main)
                .map_err(|error| Failure::new(format!("{}: {error}", main.display())))?;
            // Another text, so that nothing is taken from the build before.
            write(&main, &format!("{text}// once more\n"))?;
            let began = builds_took()?;
            once()?;
            took = took.min(builds_took()?.saturating_sub(began));
        }
        let program = built.join(if release { "release" } else { "debug" }).join(&self.name);
        let size = fs::metadata(&program)
            .map_err(|error| Failure::new(format!("{}: {error}", program.display())))?;
        Ok(Built { bytes: size.len(), took })
    }
}

/// Time of the processor that the programs took which this one has waited for.
fn builds_took() -> Result<Duration, Failure> {
    const PAGE: &str = "/proc/self/stat";
    let text = fs::read_to_string(PAGE).map_err(|error| {
        Failure::new(format!("{PAGE}: {error}; builds are measured on Linux alone"))
    })?;
    let ticks = children_ticks(&text)
        .ok_or_else(|| Failure::new(format!("{PAGE} is not as Linux writes it: {text}")))?;
    // A tick is a hundredth of a second in everything Linux tells programs.
    Ok(Duration::from_millis(10 * ticks))
}

/// Fields 16 and 17: ticks of waited-for children, in programs and in the kernel.
fn children_ticks(stat: &str) -> Option<u64> {
    // The name of the program, in brackets, may hold anything; field 3 follows it.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(13);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn manifest(name: &str) -> String {
    let root = root().display();
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         bytes = \"1\"\ncodecs = {{ path = \"{root}/codecs\", package = \"dubhe-codecs\" }}\n\
         prost = {{ version = \"0.14\", features = [\"derive\"] }}\nrmp-serde = \"1\"\n\
         rpc-core = {{ path = \"{root}/rpc-core\", package = \"dubhe-rpc-core\" }}\n\
         rpc-macros = {{ path = \"{root}/rpc-macros\", package = \"dubhe-rpc-macros\" }}\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\nserde_json = \"1\"\n\n\
         [profile.release]\nstrip = true\nincremental = false\n\n[profile.dev]\nincremental = false\n\n\
         [workspace]\n"
    )
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error| Failure::new(format!("{}: {error}", path.display()));
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
    fs::write(path, text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_builds_is_read_behind_any_name_of_a_program() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 1 2 3 4 5 6 700 80 20 0 1 0";
        assert_eq!(children_ticks(stat), Some(780));
        assert_eq!(children_ticks("7 (a) S 1"), None);
    }
}
