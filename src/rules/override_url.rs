//! The older form of configurators: a list of `override://HOST[:PORT]/SERVICE?…` in JSON, as Dubbo 2
//! keeps them, or of `absent://…`, which sets what nothing else sets.

use rpc_core::Error;
use serde_json::{Map, Value};

use super::collected::Configurators;
use super::conditions::{ANY, ANY_HOST, TextMatch, split};
use super::fields::{Fields, wrong};
use super::item::{Conditions, PartySide, RuleItem};
use super::orders::Orders;

/// The items of a list of URLs.
pub(super) fn read_all(urls: &[Value]) -> Result<Configurators, Error> {
    let mut all = Configurators::default();
    for (at, url) in urls.iter().enumerate() {
        let place = format!("[{at}]");
        let text = url.as_str().ok_or_else(|| wrong(&place, url, "a text with an address"))?;
        match read(text, &place)? {
            Some(item) => {
                all.note(&item);
                all.push(item)?;
            }
            None => {
                let told = "only override:// and absent:// have an effect here";
                all.notes.push(format!("{place}: {told}"));
            }
        }
    }
    Ok(all)
}

/// One item; `None` for a form without effect here.
fn read(text: &str, place: &str) -> Result<Option<RuleItem>, Error> {
    let is_not = |expected: &str| wrong(place, &text.into(), expected);
    let form = "of the form override://HOST/SERVICE?KEY=VALUE";
    let (scheme, rest) = text.split_once("://").ok_or_else(|| is_not(form))?;
    let is_absent = match scheme {
        "override" => false,
        "absent" => true,
        _ => return Ok(None),
    };
    let (path, query) = rest.split_once('?').ok_or_else(|| is_not(form))?;
    let (address, interface) = path.split_once('/').unwrap_or((path, ANY));
    let value = parameters(query).ok_or_else(|| is_not(form))?;
    let fields = Fields::of(&value, place)?;
    let is_new = fields.text("configVersion")?.is_some();
    let side = match fields.text("side")?.as_deref() {
        Some("consumer") => Some(PartySide::Consumer),
        Some("provider") => Some(PartySide::Provider),
        _ => None,
    };
    let (group, version) = (fields.text("group")?, fields.text("version")?);
    let service = match interface {
        ANY | "" => ANY.to_owned(),
        interface => {
            let group = group.map(|group| format!("{group}/")).unwrap_or_default();
            let version = version.map(|version| format!(":{version}")).unwrap_or_default();
            format!("{group}{interface}{version}")
        }
    };
    let (host, port) = split(address);
    let providers = fields.text("providerAddresses")?;
    let mut providers: Vec<String> =
        providers.iter().flat_map(|list| list.split(',')).map(str::to_owned).collect();
    // With a port it is a provider that is meant, and else who reads this.
    let of_provider = !is_new && port.is_some();
    if of_provider {
        providers.push(address.to_owned());
    }
    let published = fields.iter().filter_map(|(key, value)| {
        let (key, value) = (key.strip_prefix('~')?, value.as_str()?);
        (value != ANY).then(|| (key.to_owned(), TextMatch::Exact(value.to_owned())))
    });
    let conditions = Conditions { published: published.collect(), ..Conditions::default() };
    let mut orders = Orders::read(&fields)?;
    if is_absent {
        orders.keep_to_calls();
    }
    Ok(Some(RuleItem {
        place: place.to_owned(),
        is_absent,
        is_enabled: fields.truth("enabled")?.unwrap_or(true),
        side,
        host: if of_provider { ANY_HOST.to_owned() } else { host.to_owned() },
        is_old: !is_new,
        providers: providers.into(),
        application: fields.text("application")?.unwrap_or_default(),
        service,
        conditions: conditions.into(),
        orders: orders.into(),
    }))
}

/// The parameters of an address, as an object.
fn parameters(query: &str) -> Option<Value> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (key, value) = pair.split_once('=')?;
        Some((key.to_owned(), value.into()))
    });
    pairs.collect::<Option<Map<_, _>>>().map(Value::Object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_url_is_told_with_its_place() {
        for (url, told) in [
            (json!(7), "[0]: `7` is not a text with an address"),
            (json!("0.0.0.0/x?a=b"), "is not of the form override://HOST/SERVICE?KEY=VALUE"),
            (json!("override://0.0.0.0/x"), "is not of the form"),
            (json!("override://0.0.0.0/x?timeout"), "is not of the form"),
            (json!("override://0.0.0.0/x?timeout=soon"), "[0].timeout: `soon` is not a number of"),
        ] {
            let error = read_all(&[url]).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn another_form_is_noted_and_passed_over() {
        let all = read_all(&[json!("route://0.0.0.0/x?timeout=1")]).unwrap();
        assert_eq!((all.items.len(), all.notes.len()), (0, 1));
    }

    #[test]
    fn what_sets_only_the_absent_counts_for_calls_alone() {
        let all =
            read_all(&[json!("absent://0.0.0.0/x?timeout=1&weight=7&disabled=true")]).unwrap();
        let [item] = &all.items[..] else { panic!("{all:?}") };
        assert!(item.is_absent && item.orders.calls.len() == 1);
        assert_eq!((item.orders.weight, item.orders.disabled), (None, None));
        assert_eq!(all.notes, ["[0]: weight, disabled have no effect here"]);
    }
}
