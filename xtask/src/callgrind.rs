//! Reads what callgrind wrote: instructions of each function, and who called whom how often.
//!
//! The format is that of valgrind's manual, "Callgrind Format Specification", as far as callgrind
//! writes it by default: one event, positions by line, names compressed to `(number) name`.

use std::collections::{BTreeMap, HashMap};

/// Instructions and calls of one run.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    /// Instructions of the whole run.
    pub(crate) total: u64,
    /// Instructions in each function itself.
    pub(crate) own: BTreeMap<String, u64>,
    /// For each pair of caller and called: how often, and the instructions below it.
    pub(crate) calls: BTreeMap<(String, String), (u64, u64)>,
}

impl Profile {
    /// Reads a file of callgrind's; lines of no interest are passed over.
    pub(crate) fn parse(text: &str) -> Self {
        let mut profile = Self::default();
        let (mut names, mut function, mut called) = (HashMap::new(), String::new(), String::new());
        let mut count = None;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("fn=") {
                function = resolve(&mut names, name);
            } else if let Some(name) = line.strip_prefix("cfn=") {
                called = resolve(&mut names, name);
            } else if let Some(calls) = line.strip_prefix("calls=") {
                count = first_number(calls);
            } else if line
                .starts_with(|start: char| start.is_ascii_digit() || "+-*".contains(start))
            {
                let cost = line.split(' ').nth(1).and_then(first_number).unwrap_or_default();
                if let Some(count) = count.take() {
                    let pair = (function.clone(), called.clone());
                    let entry = profile.calls.entry(pair).or_default();
                    *entry = (entry.0 + count, entry.1 + cost);
                } else {
                    profile.total += cost;
                    *profile.own.entry(function.clone()).or_default() += cost;
                }
            }
        }
        profile
    }

    /// How often functions were called that `is` holds for.
    pub(crate) fn count(&self, is: impl Fn(&str) -> bool) -> u64 {
        let calls = self.calls.iter().filter(|((_, called), _)| is(called));
        calls.map(|(_, (count, _))| count).sum()
    }

    /// The same without functions that `is` holds for and all that they called.
    pub(crate) fn without(mut self, is: impl Fn(&str) -> bool) -> Self {
        self.own.retain(|name, _| !is(name));
        let calls = std::mem::take(&mut self.calls);
        for ((caller, called), (count, cost)) in calls {
            match (is(&caller), is(&called)) {
                // Into it: everything below goes.
                (false, true) => self.total = self.total.saturating_sub(cost),
                // Out of it: nearly all of these call nothing themselves, as copying does not.
                (true, false) => {
                    if let Some(own) = self.own.get_mut(&called) {
                        *own = own.saturating_sub(cost);
                    }
                }
                (true, true) => {}
                (false, false) => {
                    self.calls.insert((caller, called), (count, cost));
                }
            }
        }
        self
    }

    /// What a run had more than `shorter`.
    pub(crate) fn minus(mut self, shorter: &Self) -> Self {
        self.total = self.total.saturating_sub(shorter.total);
        for (name, cost) in &mut self.own {
            *cost = cost.saturating_sub(shorter.own.get(name).copied().unwrap_or_default());
        }
        for (pair, (count, cost)) in &mut self.calls {
            let (less, cheaper) = shorter.calls.get(pair).copied().unwrap_or_default();
            (*count, *cost) = (count.saturating_sub(less), cost.saturating_sub(cheaper));
        }
        self
    }
}

/// `(7) name` gives a name its number, `(7)` is the name with that number. Names of deeper levels of
/// a recursion end in `'2`.
fn resolve(names: &mut HashMap<String, String>, text: &str) -> String {
    let Some((number, name)) = text.split_once(')') else { return text.to_owned() };
    let name = name.trim_start();
    if name.is_empty() {
        return names.get(number).cloned().unwrap_or_default();
    }
    let name =
        name.split('\'').next().filter(|plain| name.len() == plain.len() + 2).unwrap_or(name);
    names.insert(number.to_owned(), name.to_owned());
    name.to_owned()
}

fn first_number(text: &str) -> Option<u64> {
    text.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "version: 1\npositions: line\nevents: Ir\nsummary: 99\n\nfl=(1) main.rs\n\
        fn=(1) main\n10 5\ncfn=(2) far\ncalls=3 20\n+1 30\ncfn=(3) malloc\ncalls=2 0\n* 8\n\n\
        fn=(2)\n20 18\ncfi=(4) copy.S\ncfn=(4) copy\ncalls=3 0\n-2 12\n\nfn=(3)\n0 8\n\n\
        fn=(4)\n0 20\n\nfn=(5) again'2\n0 1\n";

    #[test]
    fn instructions_and_calls_are_told_by_function() {
        let run = Profile::parse(RUN);
        assert_eq!(run.total, 52);
        assert_eq!((run.own["main"], run.own["far"], run.own["again"]), (5, 18, 1));
        assert_eq!(run.count(|name| name == "malloc"), 2);
    }

    #[test]
    fn what_the_far_end_does_is_taken_off_with_all_that_it_calls() {
        let near = Profile::parse(RUN).without(|name| name == "far");
        assert_eq!(near.total, 22);
        assert_eq!((near.own.get("far"), near.own["copy"]), (None, 8));
        assert_eq!(near.count(|name| name == "far"), 0);
    }

    #[test]
    fn a_longer_run_minus_a_shorter_one_is_what_was_added() {
        let (short, long) = (Profile::parse(RUN), Profile::parse(&RUN.replace("10 5", "10 9")));
        let added = long.minus(&short);
        assert_eq!((added.total, added.own["main"], added.own["far"]), (4, 4, 0));
        assert_eq!(added.count(|name| name == "malloc"), 0);
    }
}
