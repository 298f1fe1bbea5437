//! Tokens and passwords: which are refused, and that none is ever shown.

use super::{environment_error, file, file_error};
use crate::config::*;

#[test]
fn a_token_is_never_shown() {
    let config = file("registry.token = \"open sesame\"");
    assert_eq!(config.registry.token.as_ref().unwrap().expose(), "open sesame");
    assert!(!format!("{config:?} {:?}", config.sources()).contains("sesame"));
    assert_eq!(
        file_error("registry.token = 7"),
        "dubhe.toml:1:18: registry.token: a token is a text: write it in quotes"
    );
}

#[test]
fn an_empty_token_is_an_error_of_every_source() {
    let told = "registry.token: the token is empty: write one, or leave it away";
    assert_eq!(file_error("registry.token = \"\""), format!("dubhe.toml:1:18: {told}"));
    assert_eq!(
        environment_error("DUBHE_REGISTRY__TOKEN", ""),
        format!("DUBHE_REGISTRY__TOKEN: {told}")
    );
    let builder = Layer::new().set("registry.token", "");
    let error = Config::load(Sources { builder, ..Sources::default() }).unwrap_err();
    assert_eq!(error.to_string(), format!("builder: {told}"));
    let several = "[[registry]]\naddress = \"dev://\"\n[[registry]]\n\
                   address = \"dev://b\"\ntoken = \"\"\n";
    assert_eq!(file_error(several), format!("dubhe.toml:5:9: {told}"));
}

#[test]
fn a_secret_is_not_shown_by_what_is_wrong_with_it() {
    for text in [
        "registry.token = sesame",
        "registry.token = \"sesame",
        "registry.token = [sesame]",
        "registry.address = dubhe://:sesame@h:1",
        "registry.address = \"dubhe://ann:ses ame@h:1\"",
        "registry.address = \"ann:sesame@127.0.0.1:1\"",
        "registry.address = \"ann:sesame://@127.0.0.1:1\"",
        "registry.address = [\"dubhe://:se/same@h\", \"dubhe://:se/same@h\"]",
        "provider.advertise = \"ann:sesame@h\"",
    ] {
        let told = file_error(text);
        assert!(told.starts_with("dubhe.toml:1:"), "{told}");
        assert!(!told.contains("ses") && !told.contains("same"), "{told}");
    }
    for number in ["31415926535897932384", "31415926535e9999"] {
        let told = file_error(&format!("registry.token = {number}"));
        assert!(told.starts_with("dubhe.toml:1:18: registry.token: "), "{told}");
        assert!(!told.contains("31415"), "{told}");
    }
    let told = file_error("registry.address = \"ann:sesame@127.0.0.1:1\"");
    assert!(told.contains("`***@127.0.0.1:1` is not a registry's address"), "{told}");
}
