//! Java programs that tests run beside ours: compiled, and their jars fetched, by Maven.

use std::fs;
use std::path::Path;

use crate::process::{Failure, program, root, run};

/// Compiles the sources in a folder of the repository into `into`, and writes their class path to the file
/// `classpath` there, unless that was done.
pub(crate) fn prepare(source: &str, into: &Path) -> Result<(), Failure> {
    let source = root().join(source);
    // Maven leaves what has not changed as it is, so its files do not tell when that was.
    let done = into.join("done");
    if is_newer(&done, &source) {
        return Ok(());
    }
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", into.display()));
    fs::create_dir_all(into).map_err(failed)?;
    let mut maven = program("mvn");
    maven.args(["-q", "-B", "compile", "dependency:build-classpath", "-f"]);
    maven.arg(source.join("pom.xml"));
    maven.arg(format!("-Ddubhe.target={}", into.display()));
    maven.arg(format!("-Dmdep.outputFile={}", into.join("classpath").display()));
    run(&mut maven).map_err(|failure| {
        Failure::new(format!("{failure}; it takes Maven and Java 17 (Debian: apt install maven)"))
    })?;
    fs::write(done, "").map_err(failed)
}

/// Whether a file is younger than everything in a folder.
fn is_newer(file: &Path, folder: &Path) -> bool {
    let Ok(made) = file.metadata().and_then(|about| about.modified()) else { return false };
    let Ok(entries) = folder.read_dir() else { return false };
    entries.flatten().all(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => is_newer(file, &entry.path()),
        _ => entry.metadata().and_then(|about| about.modified()).is_ok_and(|at| at < made),
    })
}
