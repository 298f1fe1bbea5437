//! The last list of each service on disk, so that a consumer can start while its registry is away.
//!
//! One file for each registry and service. It is written whole to a temporary file, synced and
//! renamed, and carries a checksum: a reader sees a complete list or none. A damaged file is
//! ignored with one warning and replaced by the next list. Nothing here can make a call fail, and a disk
//! that hangs is waited for so long, and told once.
//!
//! An empty list is never written. So a registry that lost its data does not take from a consumer
//! the list that it would start from.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rpc_core::{Instance, ServiceKey, Snapshot, Source};
use serde_json::value::RawValue;

use crate::check::Diagnosis;
use crate::disk_turns::{DiskFailure, DiskTurns};
use crate::sound::{self, UnsoundInstances};

/// A list that the registry confirms unchanged is written again after this time: its age counts
/// from its last confirmation, and is too high by at most this time and one reconcile.
pub(crate) const REWRITE_AFTER: Duration = Duration::from_secs(300);

/// Largest file that is written or read.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// Most files in the folder; past it the oldest goes.
const MAX_FILES: usize = 4096;

const MAGIC: &str = "dubhe-cache-1";

/// The lists of one registry on disk.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    dir: PathBuf,
    registry: Arc<str>,
    /// Apart, so that who starts does not wait until lists of others are written.
    reads: DiskTurns,
    writes: DiskTurns,
}

impl Cache {
    pub(crate) fn new(dir: &Path, registry: &str) -> Self {
        let (reads, writes) = (DiskTurns::new(dir, "read"), DiskTurns::new(dir, "kept"));
        Self { dir: dir.to_owned(), registry: registry.into(), reads, writes }
    }

    /// The last list of `service` with its age, if there is a whole one that is not empty and the disk
    /// has it in time.
    pub(crate) async fn read(&self, service: &ServiceKey) -> Option<Snapshot> {
        let path = self.path(service);
        let from = path.clone();
        let bytes = match self.reads.run_in_time(move || read_file(&from)).await {
            Ok(bytes) => bytes?,
            Err(failure) => {
                tell_ignored(service, &path, &failure);
                return None;
            }
        };
        let service = service.clone();
        let parse = move || {
            parsed(&bytes, &service, &path)
                .map_err(|error| tell_ignored(&service, &path, &error.into()))
                .ok()
        };
        tokio::task::spawn_blocking(parse).await.ok().flatten()
    }

    /// Keeps the list. An empty one is not kept: it is of no use, and may be a mistake. Where the
    /// runtime shuts down nothing may be kept, which is no trouble of the disk.
    ///
    /// # Errors
    /// The disk does not take it; what was kept before stays.
    pub(crate) async fn write(
        &self,
        service: &ServiceKey,
        instances: Arc<[Arc<Instance>]>,
    ) -> Result<(), DiskFailure> {
        if instances.is_empty() {
            return Ok(());
        }
        let (cache, path) = (self.clone(), self.path(service));
        let write = move || cache.write_now(&path, &instances);
        self.writes.run(write).await.map(|_| ())
    }

    /// Looks whether lists can be kept: writes a file of its own into the folder, and removes it.
    pub(crate) async fn diagnose(&self) -> Diagnosis {
        let folder = self.dir.display().to_string();
        // Registries share the folder, and are looked at together.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let unique = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!(".dubhe-{}-{unique}.tmp", std::process::id()));
        let writing = self.writes.run_in_time(move || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(&path, MAGIC)?;
            fs::remove_file(&path)
        });
        let failed = |why: String| {
            let remedy = "let this user write there, or set registry.cache_dir to another folder; \
                          without it no program starts while its registry is away";
            Diagnosis::warn("cache", &folder, why, remedy)
        };
        match writing.await {
            Ok(_) => Diagnosis::ok("cache", &folder, "lists can be kept there"),
            Err(failure) => failed(format!("lists cannot be kept there: {failure}")),
        }
    }

    /// The file of a service's list.
    pub(crate) fn path(&self, service: &ServiceKey) -> PathBuf {
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' }
        };
        let mut name: String = service.as_str().chars().take(80).map(plain).collect();
        let identity = format!("{}\n{service}", self.registry);
        // Writing to a String cannot fail.
        let _ = write!(name, "-{:016x}.list", checksum(identity.as_bytes()));
        self.dir.join(name)
    }

    /// Writes a file whole beside its place, syncs it and renames it.
    fn write_now(&self, path: &Path, instances: &[Arc<Instance>]) -> io::Result<()> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let body = serde_json::to_vec(instances)?;
        if body.len() as u64 > MAX_BYTES - 200 {
            return Err(io::Error::other("the list is larger than 32 MiB"));
        }
        fs::create_dir_all(&self.dir)?;
        if !path.exists() {
            self.make_room();
        }
        let (process, unique) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let temporary = path.with_extension(format!("{process}-{unique}.tmp"));
        let write = || {
            let mut file = fs::File::create(&temporary)?;
            let (sum, written) = (checksum(&body), since_1970().as_millis());
            file.write_all(format!("{MAGIC} {sum:016x} {written}\n").as_bytes())?;
            file.write_all(&body)?;
            file.sync_all()?;
            fs::rename(&temporary, path)
        };
        write().inspect_err(|_| drop(fs::remove_file(&temporary)))
    }

    /// Removes the oldest file if the folder is full.
    fn make_room(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        let age = |entry: &fs::DirEntry| entry.metadata().and_then(|m| m.modified()).ok();
        let ours = |name: &Path| name.extension().is_some_and(|e| e == "list" || e == "tmp");
        let files: Vec<_> = entries.flatten().filter(|entry| ours(&entry.path())).collect();
        if files.len() >= MAX_FILES
            && let Some(oldest) = files.iter().min_by_key(|entry| age(entry))
        {
            // Another process may have been faster.
            let _ = fs::remove_file(oldest.path());
        }
    }
}

/// The bytes of a file; those past the limit are of no use.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The list in a file: after a line with kind, checksum and time in milliseconds since 1970, as JSON.
fn parsed(bytes: &[u8], service: &ServiceKey, path: &Path) -> io::Result<Snapshot> {
    let wrong = |what: &'static str| io::Error::new(io::ErrorKind::InvalidData, what);
    let split = bytes.iter().position(|b| *b == b'\n');
    let (head, body) = bytes.split_at(split.ok_or_else(|| wrong("it is cut off"))?);
    let body = &body[1..];
    let head = str::from_utf8(head).map_err(|_| wrong("its first line is damaged"))?;
    let mut parts = head.split(' ');
    let (magic, sum, written) = (parts.next(), parts.next(), parts.next());
    if magic != Some(MAGIC) {
        return Err(wrong("it is of another kind or version"));
    }
    if sum != Some(&format!("{:016x}", checksum(body))) {
        return Err(wrong("its checksum is wrong"));
    }
    let written = written.and_then(|w| w.parse().ok()).map(Duration::from_millis);
    let written = written.ok_or_else(|| wrong("its first line is damaged"))?;
    let listed: Vec<&RawValue> = serde_json::from_slice(body)?;
    let (mut instances, left_out) = sound::read(&listed);
    if left_out.count > 0 {
        let (path, UnsoundInstances { count, why }) = (path.display(), left_out);
        tracing::warn!(
            target: "dubhe::registry::cache",
            %service, %path, left_out = count, why, "instances of a cached list left out"
        );
    }
    instances.retain(|instance| instance.service == *service);
    if instances.is_empty() {
        return Err(wrong("it has no instance that can be used"));
    }
    // A clock that was set back makes a list young, never the reader fail.
    let age = since_1970().saturating_sub(written);
    Ok(Snapshot::shared(instances, Source::Cache { age }))
}

/// Logs why a list that is there is not used; of a disk that does not answer that is logged already.
fn tell_ignored(service: &ServiceKey, path: &Path, failure: &DiskFailure) {
    match failure {
        DiskFailure::Hangs => return,
        DiskFailure::Failed(error) if error.kind() == io::ErrorKind::NotFound => return,
        DiskFailure::Busy | DiskFailure::Failed(_) => {}
    }
    tracing::warn!(
        target: "dubhe::registry::cache",
        %service, path = %path.display(), error = %failure,
        "cached list ignored, the next one replaces it"
    );
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// FNV-1a: finds damage, not forgery; the folder belongs to the user.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> ServiceKey {
        "blue/shop.Inventory:1.0".parse().unwrap()
    }

    fn list(n: usize) -> Arc<[Arc<Instance>]> {
        let instance = |i| Instance::new(service(), &format!("10.0.0.1:{i}"), "id \u{1f600}");
        (0..n).map(|number| Arc::new(instance(number))).collect()
    }

    #[tokio::test]
    async fn a_list_comes_back_whole_and_with_its_age() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(&dir.path().join("new"), "dubhe://a:1");
        assert_eq!(cache.read(&service()).await, None);
        cache.write(&service(), list(3)).await.unwrap();
        let snapshot = cache.read(&service()).await.unwrap();
        assert_eq!(snapshot.instances.len(), 3);
        let Source::Cache { age } = snapshot.source else { panic!("{snapshot:?}") };
        assert!(age < Duration::from_secs(60));
        assert_eq!(fs::read_dir(dir.path().join("new")).unwrap().count(), 1);
    }

    #[test]
    fn a_runtime_that_ends_is_no_trouble_of_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path(), "dubhe://a:1");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let handle = runtime.handle().clone();
        runtime.shutdown_background();
        handle.block_on(cache.write(&service(), list(1))).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn an_old_list_says_how_old_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path(), "dubhe://a:1");
        cache.write(&service(), list(1)).await.unwrap();
        let path = cache.path(&service());
        let text = fs::read_to_string(&path).unwrap();
        let written = text.lines().next().unwrap().split(' ').nth(2).unwrap();
        let earlier = written.parse::<u64>().unwrap() - 3_600_000;
        fs::write(&path, text.replace(written, &earlier.to_string())).unwrap();
        let Source::Cache { age } = cache.read(&service()).await.unwrap().source else {
            panic!("not from the cache")
        };
        assert!(age >= Duration::from_secs(3600) && age < Duration::from_secs(3700));
    }

    #[tokio::test]
    async fn a_damaged_file_is_ignored_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path(), "dubhe://a:1");
        cache.write(&service(), list(2)).await.unwrap();
        let path = cache.path(&service());
        let whole = fs::read(&path).unwrap();
        for end in 0..whole.len() {
            fs::write(&path, &whole[..end]).unwrap();
            assert_eq!(cache.read(&service()).await, None, "cut at {end}");
        }
        let start = whole.iter().position(|b| *b == b'\n').unwrap();
        for at in [0, 15, start + 1, whole.len() - 2] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, damaged).unwrap();
            assert_eq!(cache.read(&service()).await, None, "damaged at {at}");
        }
        cache.write(&service(), list(2)).await.unwrap();
        assert!(cache.read(&service()).await.is_some());
    }

    #[tokio::test]
    async fn a_bad_entry_costs_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path(), "dubhe://a:1");
        let mut instances = list(3).to_vec();
        Arc::make_mut(&mut instances[1]).address = "nowhere".into();
        cache.write(&service(), instances.into()).await.unwrap();
        let path = cache.path(&service());
        assert_eq!(cache.read(&service()).await.unwrap().instances.len(), 2);
        let whole = fs::read_to_string(&path).unwrap();
        let (_, body) = whole.split_once('\n').unwrap();
        // As a later version may write it.
        let body = body.replacen(r#""weight":100"#, r#""weight":{"of":100}"#, 1);
        let sum = checksum(body.as_bytes());
        fs::write(&path, format!("{MAGIC} {sum:016x} 1\n{body}")).unwrap();
        assert_eq!(cache.read(&service()).await.unwrap().instances.len(), 1);
        let none = body.replace("10.0.0.1:", "10.0.0.1 ");
        let sum = checksum(none.as_bytes());
        fs::write(&path, format!("{MAGIC} {sum:016x} 1\n{none}")).unwrap();
        assert_eq!(cache.read(&service()).await, None);
    }

    #[tokio::test]
    async fn an_empty_list_does_not_replace_a_full_one() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path(), "dubhe://a:1");
        cache.write(&service(), list(2)).await.unwrap();
        cache.write(&service(), list(0)).await.unwrap();
        assert_eq!(cache.read(&service()).await.unwrap().instances.len(), 2);
    }

    #[tokio::test]
    async fn whoever_reads_a_list_while_the_next_is_written_has_one_of_them_whole() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path(), "dubhe://a:1");
        cache.write(&service(), list(2)).await.unwrap();
        let path = cache.path(&service());
        let (old, mut seen) = (fs::read(&path).unwrap(), Vec::new());
        let mut reader = fs::File::open(&path).unwrap();
        cache.write(&service(), list(3)).await.unwrap();
        reader.read_to_end(&mut seen).unwrap();
        assert_eq!(seen, old);
        assert_eq!(cache.read(&service()).await.unwrap().instances.len(), 3);
    }

    #[tokio::test]
    async fn past_the_limit_of_files_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path(), "dubhe://a:1");
        let name = |n: usize| dir.path().join(format!("{n}.list"));
        for n in 0..MAX_FILES {
            let file = fs::File::create(name(n)).unwrap();
            let earlier = if n == 7 { 7200 } else { 3600 };
            file.set_modified(SystemTime::now() - Duration::from_secs(earlier)).unwrap();
        }
        // What is not ours stays, however old it is.
        fs::File::create(dir.path().join("note")).unwrap().set_modified(UNIX_EPOCH).unwrap();
        cache.write(&service(), list(1)).await.unwrap();
        assert!(!name(7).exists() && name(6).exists() && dir.path().join("note").exists());
        assert!(cache.read(&service()).await.is_some());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), MAX_FILES + 1);
        // One that replaces its own needs no room.
        cache.write(&service(), list(2)).await.unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), MAX_FILES + 1);
    }

    #[tokio::test]
    async fn registries_and_services_do_not_share_lists() {
        let dir = tempfile::tempdir().unwrap();
        Cache::new(dir.path(), "dubhe://a:1").write(&service(), list(2)).await.unwrap();
        let other = Cache::new(dir.path(), "dubhe://b:1");
        assert_eq!(other.read(&service()).await, None);
        let other = Cache::new(dir.path(), "dubhe://a:1");
        assert_eq!(other.read(&ServiceKey::new("blue_shop.Inventory_1.0")).await, None);
    }
}
