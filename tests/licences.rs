//! Every dependency may be used as `deny.toml` allows; checked with what cargo itself knows, so
//! that it holds also where `cargo deny` is not installed. Advisories are left to that.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// The list `allow = […]` of `deny.toml`.
fn allowed() -> BTreeSet<String> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml");
    let file: toml::Table = std::fs::read_to_string(manifest).unwrap().parse().unwrap();
    let list = file["licenses"]["allow"].as_array().unwrap();
    list.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// Whether an SPDX expression can be met by allowed licences alone: one side of an `OR`, every
/// side of an `AND`. Old manifests write `/` for `OR`.
fn is_met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let expression = expression.replace(['(', ')'], "").replace('/', " OR ");
    let one = |name: &str| allowed.contains(name.trim());
    // `A OR B AND C` binds the AND first; of `(A OR B) AND C` both readings ask for C.
    expression.split(" AND ").all(|part| part.split(" OR ").any(one))
}

#[test]
fn every_dependency_is_under_an_allowed_licence() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--all-features", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50, "cargo tells of {} packages only", packages.len());
    let allowed = allowed();
    let findings: Vec<String> = packages
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(|l| is_met(l, &allowed)))
        .map(|package| {
            format!("{} {}: {}", package["name"], package["version"], package["license"])
        })
        .collect();
    assert!(findings.is_empty(), "not allowed by deny.toml:\n  {}", findings.join("\n  "));
}

#[test]
fn the_text_of_each_licence_that_the_manifest_names_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: toml::Table =
        std::fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    assert_eq!(manifest["workspace"]["package"]["license"].as_str(), Some("MIT OR Apache-2.0"));
    for (file, says) in [("LICENSE-MIT", "WITHOUT WARRANTY"), ("LICENSE-APACHE", "Version 2.0")] {
        assert!(std::fs::read_to_string(root.join(file)).unwrap().contains(says), "{file}");
    }
}

#[test]
fn an_expression_needs_one_side_of_an_or_and_every_side_of_an_and() {
    let allowed: BTreeSet<String> = ["MIT", "Unicode-3.0"].map(str::to_owned).into();
    for met in ["MIT", "GPL-3.0 OR MIT", "Apache-2.0/MIT", "(MIT OR X) AND Unicode-3.0"] {
        assert!(is_met(met, &allowed), "{met}");
    }
    for unmet in ["GPL-3.0", "MIT AND GPL-3.0", ""] {
        assert!(!is_met(unmet, &allowed), "{unmet}");
    }
}
