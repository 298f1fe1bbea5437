//! What a person reads when an environment variable is wrong.

use std::ffi::OsString;

use super::{environment_error, sources};
use crate::config::*;

#[test]
fn a_variable_that_sets_nothing_is_an_error() {
    let message = environment_error("DUBHE_CONSUMER__CODEX", "json");
    let start = "unknown environment variable `DUBHE_CONSUMER__CODEX` \
                 (did you mean `DUBHE_CONSUMER__CODEC`?), available: DUBHE_CONSUMER__ACCESS_LOG, ";
    assert!(message.starts_with(start), "{message}");
    assert!(
        message.ends_with(", DUBHE_CONSUMER__TIMEOUT, DUBHE_CONSUMER__TRACE_CONTEXT"),
        "{message}"
    );
    let message = environment_error("DUBHE_LOGG", "info");
    let start = "unknown environment variable `DUBHE_LOGG` (did you mean `DUBHE_LOG`?), \
                 available: DUBHE_APPLICATION__NAME, ";
    assert!(message.starts_with(start), "{message}");
    assert!(message.ends_with("DUBHE_CONFIG, DUBHE_LOG, DUBHE_NACOS, DUBHE_PYTHON"), "{message}");
    for (name, told) in [
        ("DUBHE_PORT", "its section is missing, write `DUBHE_PROVIDER__PORT`"),
        (
            "DUBHE_FILTERS",
            "its section is missing, write `DUBHE_CONSUMER__FILTERS` or `DUBHE_PROVIDER__FILTERS`",
        ),
        ("dubhe_consumer__timeout", "variables are in capitals, write `DUBHE_CONSUMER__TIMEOUT`"),
        ("DUBHE_consumer__timeout", "variables are in capitals, write `DUBHE_CONSUMER__TIMEOUT`"),
        (
            "DUBHE_CONSUMER__SERVICES__X__TIMEOUT",
            "settings below [consumer.services] have no variable, because the names there hold dots: \
             write [consumer.services.\"…\"] into the configuration file",
        ),
        (
            "DUBHE_CONSUMER__INSTANCES__HALL__WEIGHT",
            "settings below [consumer.instances] have no variable, because the names there hold \
             dots: write [consumer.instances.\"…\"] into the configuration file",
        ),
        (
            "DUBHE_CONSUMER__ATTEMPT_FILTERS__SIZE",
            "parameters of an extension have no variable of their own, write them into the value: \
             DUBHE_CONSUMER__ATTEMPT_FILTERS='{ name = \"…\", … }'",
        ),
        (
            "DUBHE_CONSUMER__CLUSTER__FORKS",
            "parameters of an extension have no variable of their own, write them into the value: \
             DUBHE_CONSUMER__CLUSTER='{ name = \"…\", … }'",
        ),
    ] {
        let message = environment_error(name, "1s");
        assert_eq!(message, format!("environment variable `{name}`: {told}"));
    }
    assert!(Config::load(sources("", &[("dubhe_version", "1"), ("DUBHEX", "1")])).is_ok());
    assert_eq!(
        environment_error("DUBHE_CONSUMER__RETRIES", "many"),
        "DUBHE_CONSUMER__RETRIES: consumer.retries: \"many\" is not a whole number: \
         write one from 0 to 4294967295"
    );
}

#[test]
fn variables_that_orchestrators_make_are_passed_over_and_told_and_slips_are_not() {
    let links = [
        ("DUBHE_REGISTRY_SERVICE_HOST", "10.96.0.9"),
        ("DUBHE_REGISTRY_SERVICE_PORT", "20890"),
        ("DUBHE_REGISTRY_SERVICE_PORT_MAIN_2", "20890"),
        ("DUBHE_REGISTRY_PORT", "tcp://10.96.0.9:20890"),
        ("DUBHE_REGISTRY_PORT_20890_TCP", "tcp://10.96.0.9:20890"),
        ("DUBHE_REGISTRY_PORT_20890_TCP_PROTO", "tcp"),
        ("DUBHE_REGISTRY_PORT_20890_TCP_PORT", "20890"),
        ("DUBHE_REGISTRY_PORT_20890_TCP_ADDR", "10.96.0.9"),
        ("DUBHE_A_B_PORT_53_UDP_ADDR", "10.96.0.9"),
        ("DUBHE_PROVIDER_PORT", "tcp://[fd00::9]:20880"),
        ("DUBHE_PORT", "tcp://10.96.0.9:80"),
        ("DUBHE_PORT_80_TCP", "tcp://10.96.0.9:80"),
        ("DUBHE_SERVICE_HOST", "10.96.0.9"),
        ("DUBHE_NAME", "/web/dubhe"),
        ("DUBHE_REGISTRY_NAME", "/web/dubhe-registry"),
        ("DUBHE_ENV_PATH", "/bin"),
        ("DUBHE_ENV_DUBHE_CONSUMER__TIMEOUT", "1s"),
        ("DUBHE_REGISTRY_ENV_LANG", "C"),
        ("DUBHE_PROVIDER__METADATA__A_SERVICE_HOST", "b"),
    ];
    let config = Config::load(sources("", &links)).unwrap();
    assert_eq!(config.provider.metadata["a_service_host"], "b");
    let mut told = links.map(|(name, _)| name);
    told.sort_unstable();
    let told: Vec<&str> = told.into_iter().filter(|name| !name.contains("METADATA")).collect();
    assert_eq!(config.overruled().passed_over, told);
    for (slip, value, meant) in [
        ("DUBHE_CONSUMER_TIMEOUT", "1s", "DUBHE_CONSUMER__TIMEOUT"),
        ("DUBHE_PROVIDER_PORT", "20880", "DUBHE_PROVIDER__PORT"),
        ("DUBHE_REGISTRY_ADDRESS", "tcp://h:1", "DUBHE_REGISTRY__ADDRESS"),
        ("DUBHE_APPLICATION_NAME", "shop", "DUBHE_APPLICATION__NAME"),
    ] {
        let told = environment_error(slip, value);
        let start = format!("unknown environment variable `{slip}` (did you mean `{meant}`?)");
        assert!(told.starts_with(&start), "{told}");
    }
    for slip in [
        "DUBHE_X_PORT_TCP",
        "DUBHE_X_PORT_1_TCPX",
        "DUBHE_X_PORT_1_TCP_HOST",
        "DUBHE_X_SERVICE_PORTS",
        "DUBHE_X_SERVICE_HOSTS",
        "DUBHE_CONSUMER__SERVICE_HOST",
    ] {
        assert!(environment_error(slip, "1").contains(slip), "{slip}");
    }
}

#[test]
fn a_list_that_was_written_without_brackets_or_quotes_is_told_how() {
    for (value, remedy) in [
        ("dubbo,json", "write [\"dubbo\", \"json\"]"),
        ("[dubbo, 'json']", "write [\"dubbo\", \"json\"]"),
        ("[json]", "write [\"json\"]"),
        ("", "write [ … ]"),
        (",", "write [ … ]"),
    ] {
        let told = environment_error("DUBHE_PROVIDER__PROTOCOLS", value);
        let start = format!(
            "DUBHE_PROVIDER__PROTOCOLS: provider.protocols: {value:?} is not a list: {remedy}"
        );
        assert_eq!(told, start);
    }
}

#[test]
fn a_variable_that_is_no_text_is_an_error() {
    use std::os::unix::ffi::OsStringExt;
    let mut sources = Sources::default();
    let value = OsString::from_vec(vec![0xff]);
    sources.environment = vec![("DUBHE_CONSUMER__CODEC".into(), value)];
    let message = Config::load(sources).unwrap_err().to_string();
    assert_eq!(message, "DUBHE_CONSUMER__CODEC: the value is not UTF-8");
}
