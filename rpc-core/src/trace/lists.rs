//! The lists of trace context, cut to the size that every participant must pass on.
//!
//! Metadata has a limit, so without the cut a peer could make our own calls fail.

/// Members of `tracestate`, and its characters. Source: Trace Context, 3.3.1.1 and 3.3.1.5.
const STATE_MEMBERS: usize = 32;
const STATE_LEN: usize = 512;
/// Longer members are dropped first.
const STATE_MEMBER_LEN: usize = 128;

/// Members of `baggage`, and its bytes. Source: Baggage, 3.3.2.
const BAGGAGE_MEMBERS: usize = 64;
const BAGGAGE_LEN: usize = 8192;

/// The value of `tracestate` that these headers make together.
pub(super) fn state<'a>(values: impl Iterator<Item = &'a str>) -> Option<String> {
    let members: Vec<&str> = members(values).collect();
    let is_long = |members: &[&str]| joined_len(members) > STATE_LEN;
    let kept = match is_long(&members) {
        true => members.into_iter().filter(|member| member.len() <= STATE_MEMBER_LEN).collect(),
        false => members,
    };
    joined(kept, STATE_MEMBERS, STATE_LEN)
}

/// The value of `baggage` that these headers make together.
pub(super) fn baggage<'a>(values: impl Iterator<Item = &'a str>) -> Option<String> {
    joined(members(values).collect(), BAGGAGE_MEMBERS, BAGGAGE_LEN)
}

/// The members of lists that can be such: a key and a value in visible ASCII.
fn members<'a>(values: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    let all = values.flat_map(|value| value.split(','));
    let all = all.map(|member| member.trim_matches([' ', '\t']));
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~' | b'\t');
    all.filter(move |member| {
        member.find('=').is_some_and(|at| at > 0) && member.bytes().all(is_plain)
    })
}

fn joined_len(members: &[&str]) -> usize {
    let commas = members.len().saturating_sub(1);
    members.iter().map(|member| member.len()).sum::<usize>() + commas
}

/// As many of the first members as the limits allow; `None` if there are none.
fn joined(mut members: Vec<&str>, most: usize, len: usize) -> Option<String> {
    members.truncate(most);
    while joined_len(&members) > len {
        members.pop();
    }
    (!members.is_empty()).then(|| members.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_several_headers_are_one_without_what_is_no_member() {
        let values = ["a=1, b=2 ,", "", "c", "=d", "e=\u{e9}", "f=g=h"];
        assert_eq!(state(values.into_iter()).as_deref(), Some("a=1,b=2,f=g=h"));
        assert_eq!(baggage(["c", ""].into_iter()), None);
        assert_eq!(
            baggage(["user=7;ttl=3, b=%20"].into_iter()).as_deref(),
            Some("user=7;ttl=3,b=%20")
        );
    }

    #[test]
    fn lists_are_cut_at_the_end_and_long_members_go_first() {
        let many: Vec<String> = (0..100).map(|n| format!("k{n}=v")).collect();
        let kept = state([many.join(",").as_str()].into_iter()).unwrap();
        assert_eq!(kept.split(',').count(), STATE_MEMBERS);
        assert!(kept.starts_with("k0=v,k1=v,"), "{kept}");
        let kept = baggage([many.join(",").as_str()].into_iter()).unwrap();
        assert_eq!(kept.split(',').count(), BAGGAGE_MEMBERS);

        let long = format!("long={}", "x".repeat(200));
        let short = state([&*long, "a=1"].into_iter());
        assert_eq!(short.unwrap(), format!("{long},a=1"), "as long as there is room");
        let others = vec!["b=".to_owned() + &"y".repeat(100); 4].join(",");
        let kept = state([&*long, "a=1", &others].into_iter()).unwrap();
        assert_eq!(kept, format!("a=1,{others}"));
        let huge = format!("a=1,b={}", "z".repeat(9000));
        assert_eq!(baggage([&*huge].into_iter()).as_deref(), Some("a=1"));
    }
}
