//! What is done to a fleet: who comes, who goes, what is restarted. After each step everybody is asked what
//! they see.

use tokio::time::{Duration, sleep};

use crate::BoxError;
use crate::calls::Losses;
use crate::findings::Findings;
use crate::scene::Scene;
use crate::server::Kind;
use crate::world::Language::{Go, Java};
use crate::world::{Cast, Mode};

/// How many calls a consumer makes: when it comes, and after each further step.
const CALLS: (usize, usize) = (1000, 200);

/// How long the registry is away.
const AWAY: Duration = Duration::from_secs(3);

/// How long it is until sessions of the time before that have ended: at ZooKeeper 4 s, at Nacos at once. Leases
/// of etcd outlive their clients by 30 s, but those that did not end take them up again.
const ENDED: Duration = Duration::from_secs(10);

/// Providers at the interface level, and who follows it.
const JAVA: Cast = Cast::theirs("java-interface", Java, Mode::Interface);
const GO: Cast = Cast::theirs("go-interface", Go, Mode::Interface);

/// Providers at the application level.
const APPLICATIONS: [Cast; 3] = [
    Cast::theirs("java-remote", Java, Mode::Instance),
    Cast::theirs("java-local", Java, Mode::Instance).local(),
    Cast::theirs("go-remote", Go, Mode::Instance),
];

/// Providers at both levels, one of them with two protocols at two ports.
const AT_BOTH: [Cast; 2] = [
    Cast::theirs("java-all", Java, Mode::All),
    Cast::theirs("java-two", Java, Mode::All).with_tri(),
];

/// Foreign consumers of the interface level, with which Java's follows the other one too.
const CONSUMERS: [Cast; 2] = [
    Cast::theirs("java-consumer", Java, Mode::All),
    Cast::theirs("go-consumer", Go, Mode::Interface),
];

/// Foreign consumers of the application level alone.
const OF_APPLICATIONS: [Cast; 2] = [
    Cast::theirs("java-application-consumer", Java, Mode::Instance),
    Cast::theirs("go-application-consumer", Go, Mode::Instance),
];

/// Everything, around one registry.
pub(crate) async fn run(kind: Kind, findings: &mut Findings, quick: bool) -> Result<(), BoxError> {
    findings.step("two providers of ours, and a consumer of ours that calls until the end");
    let mut scene = Scene::start(kind).await?;
    scene.settle(findings).await?;
    interface_level(&mut scene, findings).await?;
    application_level(&mut scene, findings).await?;
    both_levels(&mut scene, findings).await?;
    restarts(&mut scene, findings, quick).await?;
    findings.step("the registry is killed, and comes back after 3 s with its data");
    scene.server.kill();
    sleep(AWAY).await;
    scene.server.restart();
    look(&mut scene, findings, Losses::UntilItRecovers).await?;
    findings.step("10 s later, when what was registered before that has ended");
    sleep(ENDED).await;
    look(&mut scene, findings, Losses::UntilItRecovers).await?;
    applications_leave(&mut scene, findings).await?;
    scene.tell_logs(findings);
    findings.step("everybody ends");
    scene.close(findings).await
}

/// Beside providers of ours, which a foreign consumer is told of and cannot call.
async fn interface_level(scene: &mut Scene, findings: &mut Findings) -> Result<(), BoxError> {
    for (provider, consumer) in [JAVA, GO].into_iter().zip(CONSUMERS) {
        if !scene.server.kind.is_known_to(provider.language) {
            continue;
        }
        findings.step(&format!("{} and {} come", provider.name, consumer.name));
        scene.provide(provider).await?;
        scene.consume(consumer).await?;
        scene.settle(findings).await?;
        scene.call(findings, consumer.name, CALLS.0, Losses::None).await?;
        scene.tell_invokers(findings, consumer.name).await?;
    }
    Ok(())
}

async fn application_level(scene: &mut Scene, findings: &mut Findings) -> Result<(), BoxError> {
    findings.step("providers and consumers come that are registered as applications alone");
    for cast in APPLICATIONS {
        if scene.server.kind.is_known_to(cast.language) {
            scene.provide(cast).await?;
        }
    }
    for cast in OF_APPLICATIONS {
        if scene.server.kind.is_known_to(cast.language) {
            scene.consume(cast).await?;
        }
    }
    look(scene, findings, Losses::None).await
}

async fn both_levels(scene: &mut Scene, findings: &mut Findings) -> Result<(), BoxError> {
    let kind = scene.server.kind;
    let known = AT_BOTH.into_iter().filter(|cast| kind.is_known_to(cast.language));
    let known: Vec<Cast> = known.collect();
    if known.is_empty() {
        return Ok(());
    }
    findings.step("providers come that are registered at both levels, one with two protocols");
    for cast in known {
        scene.provide(cast).await?;
    }
    look(scene, findings, Losses::None).await
}

/// Every provider goes and comes back, in an orderly way and then killed, and the consumers too.
async fn restarts(scene: &mut Scene, findings: &mut Findings, quick: bool) -> Result<(), BoxError> {
    for is_orderly in [true, false] {
        let how = if is_orderly { "in an orderly way" } else { "as they are killed" };
        findings.step(&format!("a provider of each kind restarts {how}"));
        let ours = if is_orderly { "rust-a" } else { "rust-b" };
        let kind = scene.server.kind;
        let theirs = [JAVA, GO].into_iter().chain(APPLICATIONS).chain(AT_BOTH);
        scene.replace(ours, is_orderly).await?;
        for cast in theirs.filter(|cast| kind.is_known_to(cast.language)) {
            scene.replace(cast.name, is_orderly).await?;
        }
        look(scene, findings, Losses::UntilItRecovers).await?;
        if quick {
            return Ok(());
        }
    }
    findings.step("foreign consumers restart");
    for name in scene.consumers() {
        scene.replace_consumer(name).await?;
    }
    look(scene, findings, Losses::None).await
}

/// Only ours are left at the application level: whoever prefers it has to go back to the other one. Until it has,
/// it may call those that have left.
async fn applications_leave(scene: &mut Scene, findings: &mut Findings) -> Result<(), BoxError> {
    findings.step("the foreign applications leave, and ours stay");
    for cast in APPLICATIONS.into_iter().chain(AT_BOTH) {
        if scene.server.kind.is_known_to(cast.language) {
            scene.end(cast.name).await?;
        }
    }
    // Since the registry was away dubbo-go may not hear of who has left, and goes on calling them.
    for Cast { name, language, .. } in CONSUMERS {
        if language == Go {
            scene.replace_consumer(name).await?;
        }
    }
    scene.settle(findings).await?;
    for Cast { name, language, .. } in CONSUMERS {
        if scene.server.kind.is_known_to(language) {
            scene.tell_invokers(findings, name).await?;
            scene.call(findings, name, CALLS.1, Losses::UntilItRecovers).await?;
        }
    }
    Ok(())
}

/// Everybody's list, and calls of everybody.
async fn look(scene: &mut Scene, findings: &mut Findings, losses: Losses) -> Result<(), BoxError> {
    scene.settle(findings).await?;
    for name in scene.consumers() {
        scene.call(findings, name, CALLS.1, losses).await?;
    }
    Ok(())
}
