//! Who hears of whom: what a foreign list has to say, and what in it is of the foreigners' own making.

use std::collections::BTreeSet;

use crate::listed::{Listed, OURS};
use crate::server::Kind;
use crate::world::{Cast, Language};

/// Whether consumers of `language` are told of this provider at `level`. dubbo-go tells its directories of
/// other protocols than that of the reference at the interface level of some registries alone. How Java and Go
/// see each other in applications is theirs.
pub(crate) fn sees(kind: Kind, language: Language, level: &str, cast: &Cast) -> bool {
    let is_told = match cast.language {
        Language::Rust if language == Language::Go => level == "interface" && kind != Kind::Etcd,
        Language::Rust => true,
        own => level == "interface" || own == language,
    };
    cast.mode.is_listed_at(level) && is_told
}

/// Whether a list of dubbo-go is `wanted` as far as it depends on us: it has ours as they are. Those of its own
/// kind may be missing for a while, and at etcd they stay when they have left.
pub(crate) fn is_fine_in_go(
    wanted: &BTreeSet<Listed>,
    seen: &BTreeSet<Listed>,
    is_lossy: bool,
) -> bool {
    let of_ours = |list: &BTreeSet<Listed>| -> BTreeSet<Listed> {
        list.iter().filter(|one| one.scheme == OURS).cloned().collect()
    };
    let (wanted, seen) = (of_ours(wanted), of_ours(seen));
    wanted == seen || is_lossy && seen.is_subset(&wanted)
}

/// Whether dubbo-go may miss a provider that is listed: at Nacos one was handed on twice and another not at all,
/// as if its client sorted the list meanwhile.
pub(crate) fn is_lossy(kind: Kind, level: &str) -> bool {
    matches!(kind, Kind::Nacos2 | Kind::Nacos3) && level == "interface"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Mode;

    #[test]
    fn java_is_told_of_ours_at_both_levels_and_go_where_it_asks_for_no_protocol() {
        let ours = Cast::ours("a");
        let is_seen = |kind, language, level| sees(kind, language, level, &ours);
        assert!(is_seen(Kind::ZooKeeper, Language::Java, "interface"));
        assert!(is_seen(Kind::Nacos3, Language::Java, "application"));
        assert!(is_seen(Kind::ZooKeeper, Language::Go, "interface"));
        assert!(!is_seen(Kind::ZooKeeper, Language::Go, "application"));
        assert!(!is_seen(Kind::Etcd, Language::Go, "interface"));
        let instance = Cast::theirs("b", Language::Java, Mode::Instance);
        assert!(!sees(Kind::ZooKeeper, Language::Java, "interface", &instance));
    }

    #[test]
    fn a_list_of_go_is_held_to_ours_alone() {
        let one = |scheme: &str, id: &str| {
            let url = format!("{scheme}://127.0.0.1:1/s?application=a&dubhe.id={id}");
            Listed::of_url(&url).expect("it is a URL")
        };
        let wanted = BTreeSet::from([one(OURS, "1"), one("dubbo", "")]);
        assert!(is_fine_in_go(&wanted, &BTreeSet::from([one(OURS, "1")]), false));
        let old = BTreeSet::from([one(OURS, "0")]);
        assert!(!is_fine_in_go(&wanted, &old, false));
        assert!(!is_fine_in_go(&wanted, &old, true), "what it has of ours has to be right");
        assert!(!is_fine_in_go(&wanted, &BTreeSet::new(), false));
        assert!(is_fine_in_go(&wanted, &BTreeSet::new(), true));
    }
}
