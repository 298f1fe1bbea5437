//! One scene a policy: a fleet that misbehaves, a call, and whether it went as stated.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::BoxError;
use crate::api::{Price, Prices};
use crate::fleet::{Fleet, Mood};

/// What happened in a scene.
pub struct Scene {
    pub policy: &'static str,
    pub situation: &'static str,
    pub outcome: String,
    pub as_stated: bool,
}

/// An answer as a person would say it.
fn words(answer: &dubhe::Result<Option<Price>>) -> &'static str {
    match answer {
        Ok(None) => "the empty value",
        Ok(Some(_)) => "a price",
        Err(_) => "an error",
    }
}

type Outcome = Result<Scene, BoxError>;

const PATIENCE: Duration = Duration::from_secs(5);

/// Who gave this answer.
fn who(answer: Option<Price>) -> String {
    answer.map_or_else(|| "nobody".to_owned(), |price| price.provider)
}

pub async fn failover() -> Outcome {
    let fleet = Fleet::start("failover", &[Mood::Broken, Mood::Broken, Mood::Well]).await?;
    let (shop, consumer) = fleet.shop(json!("failover")).await?;
    let mut answered = 0;
    for article in 0..10 {
        answered += usize::from(shop.price(article).await.is_ok());
    }
    let (resends, asked) = (consumer.resends(), fleet.asked().iter().sum::<u64>());
    fleet.stop().await;
    Ok(Scene {
        policy: "failover",
        situation: "two of three are broken, ten calls",
        outcome: format!("{answered} answered; {resends} re-sends, to providers not tried yet"),
        as_stated: answered == 10 && asked == 10 + resends,
    })
}

pub async fn failfast() -> Outcome {
    let fleet = Fleet::start("failfast", &[Mood::Broken, Mood::Broken]).await?;
    let (shop, _) = fleet.shop(json!("failfast")).await?;
    let failed = shop.price(1).await.err();
    let asked: u64 = fleet.asked().iter().sum();
    fleet.stop().await;
    let told = failed.as_ref().and_then(|status| status.hint()).unwrap_or_default().to_owned();
    Ok(Scene {
        policy: "failfast",
        situation: "all are broken",
        outcome: format!("an error after {asked} attempt, not sent again: {told}"),
        as_stated: asked == 1 && told == "cluster = failfast",
    })
}

pub async fn failsafe() -> Outcome {
    let fleet = Fleet::start("failsafe", &[Mood::Broken, Mood::Broken]).await?;
    let (shop, _) = fleet.shop(json!("failsafe")).await?;
    let answer = shop.price(1).await;
    let asked: u64 = fleet.asked().iter().sum();
    fleet.stop().await;
    Ok(Scene {
        policy: "failsafe",
        situation: "all are broken",
        outcome: format!("{} after {asked} attempt", words(&answer)),
        as_stated: answer.is_ok_and(|price| price.is_none()) && asked == 1,
    })
}

pub async fn failback() -> Outcome {
    let fleet = Fleet::start("failback", &[Mood::Broken]).await?;
    let (shop, consumer) = fleet.shop(json!({ "name": "failback", "interval": "200ms" })).await?;
    let answer = shop.price(1).await;
    let waiting = consumer.backlog().waiting();
    fleet.clerks[0].set(Mood::Well);
    let begun = Instant::now();
    while consumer.backlog().waiting() > 0 && begun.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (left, dropped) = (consumer.backlog().waiting(), consumer.backlog().dropped());
    let asked = fleet.clerks[0].asked();
    fleet.stop().await;
    Ok(Scene {
        policy: "failback",
        situation: "broken, and mended soon after",
        outcome: format!("{} now; attempt {asked} does it later", words(&answer)),
        as_stated: answer.is_ok_and(|price| price.is_none())
            && (waiting, left, dropped, asked) == (1, 0, 0, 2),
    })
}

pub async fn forking() -> Outcome {
    let fleet = Fleet::start("forking", &[Mood::Slow, Mood::Slow, Mood::Well]).await?;
    let (shop, _) = fleet.shop(json!({ "name": "forking", "forks": 3 })).await?;
    let begun = Instant::now();
    let answer = shop.price(1).await?;
    let took = begun.elapsed();
    // A copy may be cancelled before it has reached its provider.
    let asked_once = fleet.asked().iter().all(|asked| *asked <= 1);
    fleet.stop().await;
    let by = who(answer);
    Ok(Scene {
        policy: "forking",
        situation: "two of three take three seconds",
        outcome: format!("{by} answers first, the others are cancelled"),
        as_stated: by == "provider 3" && took < Duration::from_millis(900) && asked_once,
    })
}

pub async fn broadcast() -> Outcome {
    let fleet = Fleet::start("broadcast", &[Mood::Well, Mood::Broken, Mood::Well]).await?;
    let (all, _) = fleet.shop(json!("broadcast")).await?;
    let (most, _) = fleet.shop(json!({ "name": "broadcast", "quorum": 60 })).await?;
    let (strict, lenient) = (all.price(1).await, most.price(1).await);
    let asked = fleet.asked();
    fleet.stop().await;
    let word = |ok: bool| if ok { "succeeds" } else { "fails" };
    Ok(Scene {
        policy: "broadcast",
        situation: "one of three is broken",
        outcome: format!(
            "with quorum 100 it {}, with quorum 60 it {}; all three asked by both",
            word(strict.is_ok()),
            word(lenient.is_ok())
        ),
        as_stated: strict.is_err() && lenient.is_ok() && asked == [2, 2, 2],
    })
}

pub async fn by_node() -> Outcome {
    let fleet = Fleet::start("by-node", &[Mood::Well, Mood::Broken, Mood::Slow]).await?;
    let (shop, _) = fleet.shop(json!("failover")).await?;
    let nodes = shop.broadcast().price(1).await?;
    let mut told = Vec::new();
    for provider in &fleet.providers {
        let node = nodes.iter().find(|node| *node.address == *provider.address());
        told.push(match node.map(|node| &node.result) {
            Some(Ok(_)) => "ok".to_owned(),
            Some(Err(status)) => status.code().to_string(),
            None => "not asked".to_owned(),
        });
    }
    fleet.stop().await;
    let told = told.join(", ");
    Ok(Scene {
        policy: "client.broadcast()",
        situation: "one is well, one broken, one slow",
        as_stated: told == "ok, unavailable, deadline_exceeded",
        outcome: format!("of each its own: {told}"),
    })
}

pub async fn available() -> Outcome {
    let mut fleet = Fleet::start("available", &[Mood::Well, Mood::Well, Mood::Well]).await?;
    let (shop, _) = fleet.shop(json!("available")).await?;
    let mut before = Vec::new();
    for article in 0..5 {
        before.push(who(shop.price(article).await?));
    }
    before.dedup();
    let first = fleet.clerks.iter().position(|clerk| clerk.asked() == 5).unwrap_or(0);
    fleet.providers.remove(first).shutdown().await;
    let after = who(shop.price(9).await?);
    fleet.stop().await;
    Ok(Scene {
        policy: "available",
        situation: "the first of three leaves after five calls",
        outcome: format!("{} answers five, then {after}", before.join(" and ")),
        as_stated: before.len() == 1 && before[0] != after && after != "nobody",
    })
}
