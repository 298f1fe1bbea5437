//! A type that others can see has a name of its own, so that a search by name finds one thing.
//!
//! What a file keeps to itself may be called as it likes, and so may the model of the macros, which mirrors
//! what it expands to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::{fail_on, read, sources};

/// Names that stand for a thing in each place, and why.
const SHARED: [(&str, &str); 3] = [
    ("Inner", "the part behind the pointer of the type beside it"),
    ("Json", "a codec and a protocol are named as configuration names them"),
    ("Describe", "the trait of messages, and the service `dubhe.Describe`"),
];

/// Where the product's sources are.
const PRODUCT: [&str; 7] = [
    "src/",
    "cli/src/",
    "cluster/src/",
    "codecs/src/",
    "protocols/src/",
    "registry/src/",
    "rpc-core/src/",
];

/// The name of the type that a line declares for others.
fn declared(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub")?;
    let rest = match rest.strip_prefix('(') {
        Some(inside) => inside.split_once(')')?.1,
        None => rest,
    };
    let rest = rest.trim_start();
    let kinds = ["struct ", "enum ", "trait ", "type "];
    let name = kinds.iter().find_map(|kind| rest.strip_prefix(kind))?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
    Some(&name[..end])
}

#[test]
fn a_type_that_others_see_has_a_name_of_its_own() {
    let mut places: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    let is_product = |path: &PathBuf| {
        let path = path.to_string_lossy();
        PRODUCT.iter().any(|folder| path.starts_with(folder)) && !path.contains("/tests")
    };
    for path in sources().into_iter().filter(is_product) {
        for name in read(&path).lines().filter_map(declared) {
            places.entry(name.to_owned()).or_default().insert(path.clone());
        }
    }
    assert!(places.contains_key("Invocation"), "the walk finds no types");
    let shared = |name: &String| SHARED.iter().any(|(known, _)| known == name);
    let found = places.iter().filter(|(name, places)| places.len() > 1 && !shared(name));
    let found = found.map(|(name, places)| {
        let places: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
        format!("`{name}` is declared in {}: rename all but one", places.join(" and "))
    });
    fail_on("the name of a type is unique", &found.collect::<Vec<String>>());
}
