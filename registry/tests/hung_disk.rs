//! Lists and their copies on a disk that hangs: named pipes that nobody reads stand where files would be, so
//! whoever opens one waits.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "this is test code")]

mod world;

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::Arc;
use std::time::Duration;

use dubhe_registry::{Registration, Registry};
use rpc_core::Subscription;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};
use world::log::{listen, logged};
use world::{Place, SOON, eventually, instance, key, shows};

const SERVICE: &str = "shop.Inventory";

/// The 2 s that a disk is waited for, and what a slow machine takes besides.
const WAIT: Duration = Duration::from_secs(8);

fn pipes(paths: &[PathBuf]) {
    assert!(Command::new("mkfifo").args(paths).status().unwrap().success());
}

/// How many threads of this program are at a disk.
fn at_disk() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names =
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
    names.filter(|name| name.starts_with("dubhe-disk")).count()
}

/// A list at a server, and its copy on disk.
struct Kept {
    place: Place,
    registry: Arc<dyn Registry>,
    list: Subscription,
    file: PathBuf,
    _a: Registration,
}

impl Kept {
    /// One with an instance, in `folder`.
    async fn at(folder: &Path) -> Self {
        let mut place = world::dubhe(world::quick()).await;
        place.config.cache_dir = Some(folder.to_owned());
        let registry = place.open();
        let a = registry.register(instance(SERVICE, "a:1")).await.unwrap();
        let mut list = registry.subscribe(&key(SERVICE)).await.unwrap();
        shows(&mut list, &["a:1"]).await;
        eventually(|| kept(folder).is_some()).await;
        let file = kept(folder).unwrap();
        Self { place, registry, list, file, _a: a }
    }
}

/// The file of the list that is kept in `folder`.
fn kept(folder: &Path) -> Option<PathBuf> {
    let paths = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    paths.into_iter().find(|path| path.extension().is_some_and(|e| e == "list"))
}

#[tokio::test]
async fn a_disk_that_hangs_holds_up_no_list_and_is_told_once() {
    listen();
    let dir = TempDir::new().unwrap();
    let Kept { place: _place, registry, mut list, file, _a } = Kept::at(dir.path()).await;
    let run = process::id();
    let next: Vec<_> = (0..100).map(|n| file.with_extension(format!("{run}-{n}.tmp"))).collect();
    pipes(&next);
    let _b = registry.register(instance(SERVICE, "b:1")).await.unwrap();
    timeout(SOON, shows(&mut list, &["a:1", "b:1"])).await.unwrap();
    let _c = registry.register(instance(SERVICE, "c:1")).await.unwrap();
    timeout(SOON, shows(&mut list, &["a:1", "b:1", "c:1"])).await.expect("the disk holds it up");
    let folder = dir.path().display().to_string();
    let told = || logged(&["the disk does not answer", "lists are not kept", &folder]);
    eventually(|| told() == 1).await;
    let another = registry.subscribe(&key("shop.Another")).await.unwrap();
    let _d = registry.register(instance("shop.Another", "d:1")).await.unwrap();
    eventually(|| another.latest().instances.len() == 1).await;
    assert_eq!(told(), 1);
    // The other test has one, too.
    eventually(|| at_disk() <= 2).await;

    // A pipe that is open for reading, too, lets its writer go on.
    let open = |path: &PathBuf| OpenOptions::new().read(true).write(true).open(path).unwrap();
    let _read: Vec<File> = next.iter().map(open).collect();
    eventually(|| logged(&["the disk answers again", &folder]) == 1).await;
    next.iter().for_each(|path| drop(std::fs::remove_file(path)));
    let is_kept = || std::fs::read_to_string(&file).is_ok_and(|text| text.contains("c:1"));
    eventually(is_kept).await;
}

#[test]
fn whoever_starts_and_ends_on_a_disk_that_hangs_waits_so_long() {
    listen();
    let dir = TempDir::new().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let begun = runtime.block_on(async {
        let kept = Kept::at(dir.path()).await;
        std::fs::remove_file(&kept.file).unwrap();
        pipes(std::slice::from_ref(&kept.file));
        let restarted = kept.place.open();
        let begun = Instant::now();
        let mut list = timeout(SOON, restarted.subscribe(&key(SERVICE))).await.unwrap().unwrap();
        shows(&mut list, &["a:1"]).await;
        begun
    });
    drop(runtime);
    assert!(begun.elapsed() < WAIT, "{:?}", begun.elapsed());
    let folder = dir.path().display().to_string();
    assert_eq!(
        logged(&["the disk does not answer", "lists are not read until it does", &folder]),
        1
    );
}
