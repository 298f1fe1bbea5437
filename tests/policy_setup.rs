//! What is refused when a client is made, where the message points, and which `retries` count.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;

use dubhe::extend::Params;
use dubhe::{Code, Consumer, Error, ServiceClient};
use support::shop::{Clerk, Shop, ShopClient, ShopServer};

/// Methods of every kind that a policy may not be able to serve.
mod api {
    use dubhe::prelude::*;

    #[dubhe::service(name = "test.Plain")]
    pub trait Plain {
        #[rpc(idempotent)]
        async fn count(&self) -> Result<u32>;
        async fn note(&self) -> Result<()>;
    }

    #[dubhe::service(name = "test.Typo")]
    pub trait Typo {
        async fn fine(&self) -> Result<()>;
        #[rpc(name = "misnamed", cluster = "failfsat")]
        async fn wrong(&self) -> Result<()>;
    }

    #[dubhe::service(name = "test.Unfit")]
    pub trait Unfit {
        #[rpc(fallback = "[1]")]
        async fn count(&self) -> Result<u32>;
    }

    #[dubhe::service(name = "test.Contradiction")]
    pub trait Contradiction {
        #[rpc(cluster = "failfast", retries = 2)]
        async fn count(&self) -> Result<u32>;
    }

    #[dubhe::service(name = "test.Refused")]
    pub trait Refused {
        #[rpc(cluster = "forking")]
        async fn count(&self) -> Result<u32>;
    }

    #[dubhe::service(name = "test.Everyone")]
    pub trait Everyone {
        #[rpc(cluster = "broadcast")]
        async fn reload(&self) -> Result<()>;
    }

    #[dubhe::service(name = "test.Covered")]
    pub trait Covered {
        #[rpc(cluster = "failsafe", fallback = "7")]
        async fn count(&self) -> Result<u32>;
        #[rpc(cluster = "failback")]
        async fn all(&self) -> Result<Vec<String>>;
        #[rpc(cluster = "forking", idempotent)]
        async fn read(&self) -> Result<u32>;
        #[rpc(cluster = "failback", oneway)]
        async fn note(&self) -> Result<()>;
    }
}
use api::*;

async fn client<C: ServiceClient>(toml: &str) -> Result<C, Error> {
    support::consumer(&support::memory(), toml).client().await
}

async fn refused<C: ServiceClient>(toml: &str) -> String {
    match client::<C>(toml).await {
        Ok(_) => panic!("it was accepted: {toml}"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_policy_that_has_nothing_to_answer_is_refused_where_it_was_configured() {
    for policy in ["failsafe", "failback"] {
        let toml = format!("[consumer]\ncluster = \"{policy}\"");
        let message = refused::<PlainClient>(&toml).await;
        let start = format!(
            "dubhe.toml:2:11: consumer.cluster: `{policy}` has nothing to answer in place of a \
             failure of test.Plain/count, which returns neither"
        );
        assert!(message.starts_with(&start), "{message}");
        assert!(message.contains("add `#[rpc(fallback = "), "{message}");
        let other = "[consumer.services.\"test.Plain\".methods.count]\ncluster = \"failover\"";
        client::<PlainClient>(&format!("{toml}\n{other}")).await.unwrap();
    }
}

#[tokio::test]
async fn forking_is_refused_on_a_method_that_is_not_idempotent() {
    let section = "consumer.services.\"test.Plain\".methods.note";
    let toml = format!("[{section}]\ncluster = {{ name = \"forking\", forks = 3 }}");
    let message = refused::<PlainClient>(&toml).await;
    let start = format!("dubhe.toml:2:11: {section}.cluster: `forking` runs a call at several");
    assert!(message.starts_with(&start), "{message}");
    assert!(message.contains("test.Plain/note is not idempotent"), "{message}");
    let message = refused::<RefusedClient>("").await;
    let start = "attribute on the trait: cluster of test.Refused/count: `forking` runs";
    assert!(message.starts_with(start), "{message}");
}

#[tokio::test]
async fn broadcast_for_all_services_is_refused_on_a_method_that_is_not_idempotent() {
    let all = "[consumer]\ncluster = \"broadcast\"";
    let message = refused::<PlainClient>(all).await;
    let start = "dubhe.toml:2:11: consumer.cluster: `broadcast` for all services would run \
                 test.Plain/note, which is not idempotent, once at every provider: choose it for \
                 the service or the method";
    assert!(message.starts_with(start), "{message}");
    let service = "consumer.services.\"test.Plain\"";
    for meant in [
        format!("[{service}]\ncluster = \"broadcast\""),
        format!("{all}\n[{service}.methods.note]\ncluster = \"broadcast\""),
        format!("{all}\n[{service}.methods.note]\ncluster = \"failover\""),
    ] {
        client::<PlainClient>(&meant).await.unwrap_or_else(|error| panic!("{meant}: {error}"));
    }
    client::<EveryoneClient>("").await.unwrap();
}

#[tokio::test]
async fn policies_that_their_methods_support_are_accepted() {
    client::<CoveredClient>("").await.unwrap();
}

#[tokio::test]
async fn a_misspelt_policy_in_an_attribute_is_told_with_its_method() {
    let message = refused::<TypoClient>("").await;
    assert_eq!(
        message,
        "attribute on the trait: cluster of test.Typo/misnamed: unknown cluster `failfsat` (did \
         you mean `failfast`?), available: available, broadcast, failback, failfast, failover, \
         failsafe, forking"
    );
    // Whoever runs the program can overrule it.
    let section = "[consumer.services.\"test.Typo\".methods.misnamed]";
    client::<TypoClient>(&format!("{section}\ncluster = \"failfast\"")).await.unwrap();
}

#[tokio::test]
async fn a_fallback_that_does_not_fit_is_told_with_its_method_whatever_the_policy() {
    let message = refused::<UnfitClient>("").await;
    let start = "attribute on the trait: test.Unfit: fallback = \"[1]\" of `count` does not fit \
                 what the method returns: ";
    assert!(message.starts_with(start), "{message}");
}

#[tokio::test]
async fn parameters_that_a_policy_does_not_take_are_pointed_at() {
    let refused = |toml: &str| {
        let sources = support::sources("memory://none", toml);
        Consumer::builder().sources(sources).build().unwrap_err().to_string()
    };
    let message = refused("[consumer]\ncluster = { name = \"failback\", task = 3 }");
    assert_eq!(
        message,
        "dubhe.toml:2:32: consumer.cluster: unknown parameter of failback `task` (did you mean \
         `tasks`?), available: retries, tasks, interval"
    );
    let message = refused("[consumer]\ncluster = { name = \"broadcast\", quorum = 0 }");
    let start = "dubhe.toml:2:42: consumer.cluster.quorum: 0 is not a percentage";
    assert!(message.starts_with(start), "{message}");
}

#[tokio::test]
async fn retries_of_a_method_whose_policy_takes_none_are_told() {
    let section = "consumer.services.\"test.Plain\"";
    let toml = format!("[{section}]\ncluster = \"failfast\"\nretries = 3");
    let message = refused::<PlainClient>(&toml).await;
    assert_eq!(
        message,
        format!(
            "dubhe.toml:3:11: {section}.retries: retries = 3 means nothing to the policy \
             `failfast` of test.Plain/count (dubhe.toml:2:11: {section}.cluster), which takes \
             none: remove it, or choose a policy that takes retries, such as failover"
        )
    );
    let message = refused::<ContradictionClient>("").await;
    let start = "attribute on the trait: retries of test.Contradiction/count: retries = 2 means";
    assert!(message.starts_with(start), "{message}");
}

#[tokio::test]
async fn general_retries_are_no_mistake_beside_the_choice_of_another_policy() {
    for toml in [
        "consumer.retries = 3\nconsumer.cluster = \"failfast\"",
        "[consumer.services.\"test.Plain\"]\nretries = 3\n\
         methods.count.cluster = \"failfast\"\nmethods.note.cluster = \"failsafe\"",
    ] {
        client::<PlainClient>(toml).await.unwrap_or_else(|error| panic!("{toml}: {error}"));
    }
    // What the trait's author found sensible does not bind whoever runs the program.
    client::<ContradictionClient>("consumer.cluster = \"available\"").await.unwrap();
}

#[test]
fn the_page_lists_the_parameters_of_policies_with_their_defaults() {
    let page = include_str!("../docs/configuration.md");
    let (_, table) = page.split_once("### Parameters of cluster policies").unwrap();
    let point = cluster::policy::builtin();
    let plain = |name| format!("{:?}", point.build(name, Params::new()).unwrap());
    let mut listed = 0;
    for row in table.lines().take_while(|line| !line.starts_with("## ")) {
        let cells: Vec<&str> =
            row.split(" | ").map(|cell| cell.trim_matches(['|', ' ', '`'])).collect();
        let Some(name) = point.names().find(|name| cells[0] == *name) else { continue };
        let default = serde_json::from_str(cells[2]).unwrap();
        let params = Params::from_iter([(cells[1].to_owned(), default)]);
        assert_eq!(format!("{:?}", point.build(name, params).unwrap()), plain(name), "{row}");
        listed += 1;
    }
    let fields: usize = point.names().map(|name| plain(name).matches(": ").count()).sum();
    let configs = point.names().filter(|name| plain(name).contains("config: ")).count();
    assert_eq!(listed, fields - configs, "a parameter is not on the page");
}

/// How often a call of `fail` is sent again under these settings.
async fn resent(toml: &str) -> u64 {
    let clerk = Arc::new(Clerk::new("a"));
    let provider = support::provider(&support::memory(), "");
    let provider = provider.serve(ShopServer::from_arc(clerk.clone())).start().await.unwrap();
    let consumer = support::consumer(&support::fixed(&provider), toml);
    let shop: ShopClient = consumer.client().await.unwrap();
    let status = shop.fail(u32::from(Code::Unavailable.number())).await.unwrap_err();
    let resent = clerk.executed() - 1;
    assert_eq!(status.hint(), Some(&*format!("retries = {resent}")), "{status}");
    resent
}

#[tokio::test]
async fn of_two_retries_the_parameter_wins_unless_the_other_is_more_specific() {
    let four = "cluster = { name = \"failover\", retries = 4 }";
    let service = "[consumer.services.\"test.Shop\"]";
    let method = "[consumer.services.\"test.Shop\".methods.fail]";
    assert_eq!(resent("").await, 2);
    assert_eq!(resent("consumer.retries = 1").await, 1);
    assert_eq!(resent(&format!("[consumer]\n{four}")).await, 4);
    // The same table, in either order.
    assert_eq!(resent(&format!("[consumer]\n{four}\nretries = 1")).await, 4);
    assert_eq!(resent(&format!("[consumer]\nretries = 1\n{four}")).await, 4);
    // A wider place is weaker, a narrower one stronger.
    assert_eq!(resent(&format!("consumer.retries = 1\n{service}\n{four}")).await, 4);
    assert_eq!(resent(&format!("[consumer]\n{four}\n{method}\nretries = 1")).await, 1);
    assert_eq!(resent(&format!("{service}\n{four}\n{method}\nretries = 1")).await, 1);
    assert_eq!(resent(&format!("{service}\nretries = 1\n{method}\n{four}")).await, 4);
}

#[tokio::test]
async fn of_two_retries_in_one_place_that_of_the_stronger_source_wins() {
    let provider = support::provider(&support::memory(), "");
    let clerk = ShopServer::new(Clerk::new("a"));
    let provider = provider.serve(clerk).start().await.unwrap();
    let toml = "consumer.cluster = { name = \"failover\", retries = 4 }";
    let mut sources = support::sources(&support::fixed(&provider), toml);
    sources.environment = vec![("DUBHE_CONSUMER__RETRIES".into(), "1".into())];
    let consumer = Consumer::builder().sources(sources.clone()).build().unwrap();
    let shop: ShopClient = consumer.client().await.unwrap();
    let unavailable = u32::from(Code::Unavailable.number());
    assert_eq!(shop.fail(unavailable).await.unwrap_err().hint(), Some("retries = 1"));

    sources.environment.clear();
    sources.builder = sources.builder.set("consumer.retries", 1);
    let consumer = Consumer::builder().sources(sources).build().unwrap();
    let shop: ShopClient = consumer.client().await.unwrap();
    assert_eq!(shop.fail(unavailable).await.unwrap_err().hint(), Some("retries = 4"));
}
