//! Who depends on the facade and asks for nothing else gets no TLS, no resolver, no database and no reader of
//! YAML, and so builds none.

use std::collections::BTreeSet;
use std::process::Command;

/// What only features that are off by default bring.
const OPTIONAL: [&str; 8] = [
    "chrono",
    "hickory-resolver",
    "redb",
    "ring",
    "rustls",
    "rustls-native-certs",
    "serde-saphyr",
    "tokio-rustls",
];

/// The crates that a user of the facade builds, with these arguments.
fn crates(arguments: &[&str]) -> BTreeSet<String> {
    let tree = ["tree", "--package", "dubhe", "--edges", "normal,build", "--target", "all"];
    let listed = Command::new(env!("CARGO"))
        .args(tree)
        .args(["--prefix", "none", "--format", "{p}", "--locked"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).unwrap();
    names.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn default_features_bring_no_tls_no_resolver_no_database_and_no_yaml() {
    let (few, all) = (crates(&[]), crates(&["--all-features"]));
    assert!(few.contains("tokio") && few.is_subset(&all), "{few:?}");
    for name in OPTIONAL {
        assert!(!few.contains(name), "{name} is built without a feature that needs it");
        assert!(all.contains(name), "{name} is brought by no feature, take it off the list");
    }
}
