//! Each feature by itself: what compiles only together with another is found here.

use std::fs;
use std::path::Path;

use crate::process::{Failure, cargo, root, run};

/// Checks every crate that has features: with none, then with each alone. A feature that a crate only
/// passes on changes nothing in it, and is checked where it is passed to.
pub(crate) fn check(_: &[String]) -> Result<(), Failure> {
    let mut folders = members(&read("Cargo.toml")?);
    folders.insert(0, ".".to_owned());
    for folder in folders {
        let manifest = format!("{folder}/Cargo.toml");
        let features = features(&read(&manifest)?);
        if features.is_empty() {
            continue;
        }
        let check = ["check", "--no-default-features", "--manifest-path", &manifest];
        run(&mut cargo(check))?;
        let sources = sources(&root().join(&folder).join("src"))?;
        for feature in features.iter().filter(|feature| is_used(&sources, feature)) {
            run(cargo(check).args(["--features", feature]))?;
        }
    }
    Ok(())
}

fn read(path: &str) -> Result<String, Failure> {
    fs::read_to_string(root().join(path))
        .map_err(|error| Failure::new(format!("cannot read {path}: {error}")))
}

/// The text of every source file below `folder`.
fn sources(folder: &Path) -> Result<String, Failure> {
    let failed = |error| Failure::new(format!("cannot read {}: {error}", folder.display()));
    let mut text = String::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            text.push_str(&sources(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            text.push_str(&fs::read_to_string(&path).map_err(failed)?);
        }
    }
    Ok(text)
}

/// Whether something of a crate depends on its feature.
fn is_used(sources: &str, feature: &str) -> bool {
    sources.contains(&format!("feature = \"{feature}\""))
}

/// The folders in `members = […]`.
fn members(manifest: &str) -> Vec<String> {
    let list = manifest.split_once("members = [").map_or("", |(_, rest)| rest);
    let list = list.split_once(']').map_or("", |(list, _)| list);
    let quoted = list.split('"').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

/// The names in `[features]`, without the default set.
fn features(manifest: &str) -> Vec<String> {
    let lines = manifest.lines().skip_while(|line| *line != "[features]").skip(1);
    let section = lines.take_while(|line| !line.starts_with('['));
    let names = section.filter_map(|line| line.split_once(" = ["));
    let names = names.map(|(name, _)| name.trim_matches('"'));
    // Those with `_` are parts of others.
    names.filter(|name| *name != "default" && !name.starts_with('_')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_that_is_only_passed_on_is_not_used() {
        let code = "#[cfg(feature = \"store\")]\nmod store;\n#[cfg(all(unix, feature = \"etcd\"))]";
        let used = ["store", "etcd", "dns"].map(|feature| is_used(code, feature));
        assert_eq!(used, [true, true, false]);
    }

    #[test]
    fn members_and_features_are_read_from_manifests() {
        let root = "[workspace]\nmembers = [\n    \"a\",\n    \"b\",\n]\nexclude = [\"c\"]\n";
        assert_eq!(members(root), ["a", "b"]);
        let manifest = "[features]\ndefault = [\"x\"]\n_part = []\nx = []\ny = [\n    \"x\",\n]\n\n[dependencies]\nz = [1]\n";
        assert_eq!(features(manifest), ["x", "y"]);
        assert!(features("[package]\nname = \"a\"\n").is_empty());
    }
}
