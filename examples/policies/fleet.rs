//! Providers that misbehave as told, in this process, on loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use dubhe::prelude::*;
use dubhe::{Error, RunningProvider};
use serde_json::Value;

use crate::api::{Price, Prices, PricesClient, PricesServer};

/// How a provider behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mood {
    /// Answers at once.
    Well,
    /// Answers that it cannot serve now.
    Broken,
    /// Takes three seconds, longer than anybody waits.
    Slow,
}

/// What a provider and whoever watches it share.
#[derive(Debug)]
pub struct Clerk {
    name: String,
    mood: AtomicU8,
    asked: AtomicU64,
}

impl Clerk {
    pub fn set(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::Release);
    }

    /// How many calls have reached it.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Acquire)
    }
}

impl Prices for Clerk {
    async fn price(&self, article: u64) -> Result<Option<Price>> {
        self.asked.fetch_add(1, Ordering::AcqRel);
        let mood = self.mood.load(Ordering::Acquire);
        if mood == Mood::Broken as u8 {
            return Err(Status::unavailable("the stock room is closed"));
        }
        if mood == Mood::Slow as u8 {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        Ok(Some(Price { cents: article * 100, provider: self.name.clone() }))
    }
}

/// Providers of the shop, and the registry they are listed in.
pub struct Fleet {
    registry: String,
    pub clerks: Vec<Arc<Clerk>>,
    /// In the order of `clerks`.
    pub providers: Vec<RunningProvider>,
}

impl Fleet {
    /// One provider for each mood; `name` keeps fleets apart.
    pub async fn start(name: &str, moods: &[Mood]) -> Result<Self, Error> {
        let registry = format!("memory://{name}");
        let (mut clerks, mut providers) = (Vec::new(), Vec::new());
        for (number, mood) in (1..).zip(moods) {
            let mood = AtomicU8::new(*mood as u8);
            let name = format!("provider {number}");
            let clerk = Arc::new(Clerk { name, mood, asked: AtomicU64::new(0) });
            let provider = Provider::new(&registry)
                .set("provider.port", 0)
                .set("provider.notice", "0s")
                .set("provider.drain_timeout", "0s")
                .serve(PricesServer::from_arc(clerk.clone()));
            providers.push(provider.start().await?);
            clerks.push(clerk);
        }
        Ok(Self { registry, clerks, providers })
    }

    /// A consumer of it whose calls are made by `policy`, and a client.
    pub async fn shop(&self, policy: Value) -> Result<(PricesClient, Consumer), Error> {
        let consumer = Consumer::new(&self.registry)
            .set("registry.cache", false)
            .set("consumer.cluster", policy)
            .set("consumer.timeout", "1s")
            .build()?;
        Ok((consumer.client().await?, consumer))
    }

    /// How many calls have reached each provider.
    pub fn asked(&self) -> Vec<u64> {
        self.clerks.iter().map(|clerk| clerk.asked()).collect()
    }

    /// Ends all providers.
    pub async fn stop(self) {
        for provider in self.providers {
            provider.shutdown().await;
        }
    }
}
