//! Names that are known, in hardly more room than they have characters: there is one for each process that is listed.

use std::fmt;
use std::sync::Arc;

/// Sorted names, each once, all in one text.
#[derive(Default)]
pub(super) struct NameSet {
    all: Box<str>,
    /// Where each of them ends.
    ends: Box<[u32]>,
}

impl NameSet {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.at(middle).cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return true,
            }
        }
        false
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| self.at(at))
    }

    /// The names of `known` and these; `known` itself if it has them all. It takes as long for one as for as many as there
    /// are.
    pub(super) fn joined<'a>(
        known: Option<&Arc<Self>>,
        names: impl Iterator<Item = &'a str>,
    ) -> Option<Arc<Self>> {
        let is_new = |name: &&str| !known.is_some_and(|known| known.contains(name));
        let new: Vec<_> = names.filter(is_new).collect();
        if new.is_empty() {
            return known.cloned();
        }
        let mut all: Vec<_> = known.iter().flat_map(|known| known.iter()).chain(new).collect();
        // Most of it is in order.
        all.sort();
        all.dedup();
        Some(Arc::new(all.into_iter().collect()))
    }

    /// The names for which `is_out` says so, and the others. It takes as long for one as for all.
    pub(super) fn parted(&self, is_out: impl Fn(&str) -> bool) -> (Self, Self) {
        let (out, kept) = self.iter().partition::<Vec<_>, _>(|name| is_out(name));
        (out.into_iter().collect(), kept.into_iter().collect())
    }

    fn at(&self, at: usize) -> &str {
        let end = |at: usize| self.ends.get(at).map_or(self.all.len(), |end| *end as usize);
        let start = at.checked_sub(1).map_or(0, end);
        self.all.get(start..end(at)).unwrap_or_default()
    }
}

/// From names that are sorted. Of what is longer than 4 GiB together, which no server sends, the end is left out.
impl<'a> FromIterator<&'a str> for NameSet {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        let (mut all, mut ends) = (String::new(), Vec::new());
        for name in names {
            let Ok(end) = u32::try_from(all.len() + name.len()) else { break };
            all.push_str(name);
            ends.push(end);
        }
        Self { all: all.into(), ends: ends.into() }
    }
}

impl fmt::Debug for NameSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn it_knows_what_a_set_of_texts_knows() {
        let mut random = StdRng::seed_from_u64(7);
        let (mut names, mut expected) = (Arc::<NameSet>::default(), BTreeSet::<String>::new());
        for _ in 0..2000 {
            let some: Vec<_> = (0..random.random_range(0..6))
                .map(|_| "ab".repeat(random.random_range(0..9)))
                .collect();
            if random.random() {
                let new = some.iter().map(String::as_str);
                names = NameSet::joined(Some(&names), new).unwrap();
                expected.extend(some);
            } else {
                let is_out = |name: &str| some.iter().any(|one| one == name);
                let out: BTreeSet<_> = expected.extract_if(.., |name| is_out(name)).collect();
                let (taken, kept) = names.parted(is_out);
                assert!(taken.iter().eq(&out));
                names = kept.into();
            }
            assert!(names.iter().eq(&expected) && names.len() == expected.len());
            for length in 0..9 {
                let name = "ab".repeat(length);
                assert_eq!(names.contains(&name), expected.contains(&name));
            }
        }
    }
}
