//! A registry's instances in a folder: one redb file, and a lock so that one server uses it.
//!
//! redb commits are atomic and synced, so `kill -9` and power loss leave the last commit. The file
//! is checked when it is opened. Its content can be restored, since every provider registers again
//! within seconds; so a damaged file is set aside, logged as an error, and the registry starts
//! without it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use redb::{Database, ReadableTable as _, TableDefinition};
use rpc_core::Error;

use super::server::ServerBuilder;
use super::store::{Batch, Opened, Store};
use super::table::Past;
use super::table::StoredInstance;
use crate::lock::locked;

/// Records as JSON, by service, address and id.
const INSTANCES: TableDefinition<'_, (&str, &str, &str), &[u8]> = TableDefinition::new("instances");

/// Numbers by name: [`FORMAT`], [`LIFE`] and [`CURRENT`].
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

/// How the tables are to be read.
const FORMAT: (&str, u64) = ("format", 1);

/// How often the store was opened.
const LIFE: &str = "life";

/// Present if the last life ended in order, with everything saved.
const CURRENT: &str = "current";

impl ServerBuilder {
    /// Keeps registrations in this folder, which is created if it is missing, so that a restarted
    /// server has them. By default nothing is kept, and providers register again.
    ///
    /// One server uses a folder at a time. A damaged file in it is renamed to `registry.damaged`
    /// (then `registry.damaged.2` and so on), logged as an error, and the server starts without it.
    /// On a full disk it starts from memory and saves once there is room.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use dubhe_registry::embedded::EmbeddedServer;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let data = folder.path().join("registry");
    /// let server =
    ///     EmbeddedServer::builder().listen("127.0.0.1:0").data_dir(&data).start().await?;
    /// assert_eq!(server.status().restored, 0, "it is new");
    /// server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn data_dir(self, dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        self.store(move || open(&dir, create))
    }
}

/// Most damaged files that are kept.
const MAX_ASIDE: usize = 100;

/// How a file is opened.
type Create = fn(&Path) -> Result<Database, redb::DatabaseError>;

/// The open file; the lock is freed with it, or with the process.
#[derive(Debug)]
struct Disk {
    /// `None` after an error: redb answers nothing more until it is opened again.
    database: Mutex<Option<Database>>,
    create: Create,
    dir: PathBuf,
    life: u64,
    _lock: File,
}

/// Why a file cannot be opened.
enum Failure {
    /// Its content is not what was written.
    Damaged(String),
    /// There is no space left to write.
    Full(String),
    /// It may be intact, but cannot be used.
    Unusable(String),
}

/// Opens the store in `dir` and begins a new life there.
fn open(dir: &Path, create: Create) -> Result<Opened, Error> {
    let wrong = |why: &str| {
        let dir = dir.display();
        Error::invalid_config(format!("the registry cannot use its data folder {dir}: {why}"))
    };
    let on_disk = |error: io::Error| {
        wrong(&format!("{error}, choose a folder that this user may write")).with_source(error)
    };
    fs::create_dir_all(dir).map_err(on_disk)?;
    let path = dir.join("registry.lock");
    let lock = File::options().create(true).append(true).open(&path);
    let lock = lock.map_err(on_disk)?;
    match lock.try_lock() {
        Ok(()) => note_holder(&lock),
        Err(TryLockError::WouldBlock) => {
            let who = fs::read_to_string(&path).unwrap_or_default();
            let is_id = !who.is_empty() && who.bytes().all(|byte| byte.is_ascii_digit());
            let who = if is_id { format!(" (process {who})") } else { String::new() };
            let why =
                format!("another registry{who} uses it, stop that one or choose another folder");
            return Err(wrong(&why));
        }
        Err(TryLockError::Error(error)) => return Err(on_disk(error)),
    }
    let opened = begin_or_set_aside(dir, create);
    let (database, past) = match opened {
        Ok((database, past)) => (Some(database), past),
        Err(Failure::Full(why)) => {
            let why = format!("data folder {}: {why}, make room on the disk", dir.display());
            tracing::error!(
                target: "dubhe::registry::server",
                why, "registry cannot save, starting from memory"
            );
            (None, Past { error: Some(why), ..Past::default() })
        }
        Err(Failure::Damaged(why) | Failure::Unusable(why)) => return Err(wrong(&why)),
    };
    let (database, life, dir) = (Mutex::new(database), past.life, dir.to_owned());
    Ok((Arc::new(Disk { database, create, dir, life, _lock: lock }), past))
}

/// Writes down the holder of the lock, for people; the lock holds without that, too.
fn note_holder(mut lock: &File) {
    let noted = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
    if let Err(error) = noted {
        tracing::debug!(
            target: "dubhe::registry::server",
            %error, "the lock does not say who holds it"
        );
    }
}

fn create(path: &Path) -> Result<Database, redb::DatabaseError> {
    make_private(path).map_err(redb::StorageError::Io)?;
    Database::builder().set_check_integrity_on_open(true).create(path)
}

/// Makes the file, which holds secrets, so that only this user reads it.
#[cfg(unix)]
fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().append(true).create(true).mode(0o600).open(path).map(drop)
}

#[cfg(not(unix))]
fn make_private(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Opens the file in `dir`, or a new one where that is damaged.
fn begin_or_set_aside(dir: &Path, create: Create) -> Result<(Database, Past), Failure> {
    let path = dir.join("registry.redb");
    match begin(&path, create) {
        Err(Failure::Damaged(why)) => {
            let aside = free_name(dir)?;
            let (file, kept) = (path.display(), aside.display());
            tracing::error!(
                target: "dubhe::registry::server",
                %file, %kept, why, "registry data is damaged, set aside, continuing"
            );
            fs::rename(&path, &aside).map_err(redb::Error::Io).map_err(failure)?;
            begin(&path, create)
        }
        opened => opened,
    }
}

/// A name for a damaged file that no earlier one has.
fn free_name(dir: &Path) -> Result<PathBuf, Failure> {
    let later = (2..=MAX_ASIDE).map(|n| format!("registry.damaged.{n}"));
    let mut names = std::iter::once("registry.damaged".to_owned()).chain(later);
    let free = names.find_map(|name| Some(dir.join(name)).filter(|path| !path.exists()));
    free.ok_or_else(|| {
        let why = format!("it is damaged, and so were {MAX_ASIDE} before it, remove those");
        Failure::Unusable(why)
    })
}

/// Opens one file, reads all of it and notes the new life.
fn begin(path: &Path, create: Create) -> Result<(Database, Past), Failure> {
    // Damage that redb does not foresee may make it panic; that too is damage, and no more.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = create(path).map_err(failure)?;
        let past = read(&database)?;
        Ok((database, past))
    }));
    opened.unwrap_or_else(|_| Err(Failure::Damaged("its structure is broken".to_owned())))
}

fn read(database: &Database) -> Result<Past, Failure> {
    let mut past = Past::default();
    let transaction = database.begin_write().map_err(failure)?;
    {
        let mut numbers = transaction.open_table(NUMBERS).map_err(failure)?;
        let mut number = |name, next: fn(u64) -> u64| {
            let old = numbers.get(name).map_err(failure)?.map(|value| value.value());
            let new = next(old.unwrap_or(0));
            numbers.insert(name, new).map_err(failure)?;
            Ok(old)
        };
        if let Some(format) = number(FORMAT.0, |_| FORMAT.1)?.filter(|format| *format != FORMAT.1) {
            return Err(Failure::Unusable(format!(
                "its data has format {format} and this version reads {}, choose another folder",
                FORMAT.1
            )));
        }
        past.life = number(LIFE, |life| life.saturating_add(1))?.unwrap_or(0).saturating_add(1);
        past.is_current = numbers.remove(CURRENT).map_err(failure)?.is_some();
        let mut instances = transaction.open_table(INSTANCES).map_err(failure)?;
        let (mut kept, mut is_complete) = (Vec::new(), true);
        let keep = |_: (&str, &str, &str), json: &[u8]| match serde_json::from_slice(json) {
            Ok(record) => {
                kept.push(record);
                true
            }
            Err(error) => {
                tracing::warn!(
                    target: "dubhe::registry::server",
                    %error, "an instance on disk cannot be read, left out"
                );
                is_complete = false;
                false
            }
        };
        instances.retain(keep).map_err(failure)?;
        past.records = kept;
        past.is_current &= is_complete;
    }
    transaction.commit().map_err(failure)?;
    Ok(past)
}

fn failure(error: impl Into<redb::Error>) -> Failure {
    let error = error.into();
    let text = error.to_string();
    match error {
        redb::Error::Io(error) => match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Failure::Damaged(text),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failure::Full(text),
            _ => Failure::Unusable(text),
        },
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
            Failure::Unusable(format!("{text}, stop its user or choose another folder"))
        }
        redb::Error::Corrupted(_) => Failure::Damaged(text),
        _ => Failure::Unusable(text),
    }
}

// === impl Disk ===

impl Disk {
    /// The file once more, after an error.
    fn reopen(&self) -> Result<Database, Failure> {
        begin_or_set_aside(&self.dir, self.create).map(|(database, _)| database)
    }

    fn write(&self, database: &Database, batch: &Batch) -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        {
            if batch.is_whole {
                // The file may be a new one, and later lives must come after this one.
                let mut numbers = transaction.open_table(NUMBERS)?;
                let life = numbers.get(LIFE)?.map_or(0, |life| life.value()).max(self.life);
                numbers.insert(LIFE, life)?;
            }
            let mut instances = transaction.open_table(INSTANCES)?;
            if batch.is_whole {
                instances.retain(|_, _| false)?;
            }
            for (key, record) in &batch.changes {
                let row = (key.service.as_str(), &*key.address, &*key.id);
                match record {
                    Some(record) => instances.insert(row, &*json(record))?,
                    None => instances.remove(row)?,
                };
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

impl Store for Disk {
    fn commit(&self, batch: &Batch) -> Result<(), Error> {
        let dir = self.dir.display();
        let mut held = locked(&self.database);
        let database = match held.take() {
            Some(database) => database,
            None => self.reopen().map_err(|failure| match failure {
                Failure::Damaged(why) | Failure::Full(why) | Failure::Unusable(why) => {
                    Error::unreachable(format!("data folder {dir}: {why}"))
                }
            })?,
        };
        // After an error the database is dropped; the caller comes again with the whole.
        self.write(&database, batch).map_err(|error| {
            Error::unreachable(format!("data folder {dir}: {error}, is the disk full?"))
                .with_source(error)
        })?;
        *held = Some(database);
        Ok(())
    }

    fn finish(&self) -> Result<(), Error> {
        let held = locked(&self.database);
        let Some(database) = &*held else {
            return Ok(());
        };
        let note = || -> Result<(), redb::Error> {
            let transaction = database.begin_write()?;
            transaction.open_table(NUMBERS)?.insert(CURRENT, 1)?;
            Ok(transaction.commit()?)
        };
        note().map_err(|error| {
            Error::unreachable(format!("data folder {}: {error}", self.dir.display()))
        })
    }
}

fn json(record: &StoredInstance) -> Vec<u8> {
    // Our own type has string keys only; what cannot be read later is left out then.
    serde_json::to_vec(record).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use redb::{StorageBackend, backends::FileBackend};
    use rpc_core::{Instance, ServiceKey};

    use super::super::caller::Registrant;
    use super::super::table::InstanceKey;
    use super::super::{EmbeddedServer, RegistryHost, RegistryServerConfig};
    use super::*;

    fn instance(address: &str) -> Instance {
        Instance::new(ServiceKey::new("shop.Inventory"), address, "id")
    }

    /// Puts this in place of what is kept of `a:1`.
    fn overwrite(dir: &Path, json: &[u8]) {
        let database = create(&dir.join("registry.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        let row = ("shop.Inventory", "a:1", "id");
        transaction.open_table(INSTANCES).unwrap().insert(row, json).unwrap();
        transaction.commit().unwrap();
    }

    /// One life of a registry that registers these and ends in order.
    async fn live(dir: &Path, addresses: &[&str]) -> (u64, usize) {
        let (host, keeping) =
            RegistryHost::restore(RegistryServerConfig::default(), open(dir, create).unwrap());
        let restored = host.status().instances;
        for address in addresses {
            host.register(&Registrant::numbered(0), instance(address)).unwrap();
        }
        host.all_settled().await;
        let revision = host.list(&ServiceKey::new("shop.Inventory")).version.revision;
        drop(host);
        keeping.await.unwrap();
        (revision, restored)
    }

    #[tokio::test]
    async fn instances_come_back_in_the_next_life_and_revisions_grow_over_all_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let (mut last, mut known) = (0, 0);
        for address in ["a:1", "b:1", "c:1", "c:1"] {
            let (revision, restored) = live(dir.path(), &[address]).await;
            assert!(revision > last, "{revision} after {last}");
            assert_eq!(restored, known);
            (last, known) = (revision, (known + 1).min(3));
        }
    }

    #[tokio::test]
    async fn an_instance_stays_its_clients_own_in_the_next_life() {
        let dir = tempfile::tempdir().unwrap();
        live(dir.path(), &["a:1"]).await;
        let opened = open(dir.path(), create).unwrap();
        let (host, _keeping) = RegistryHost::restore(RegistryServerConfig::default(), opened);
        let other = Instance { id: "other".into(), ..instance("a:1") };
        // The first that connects is nobody's successor.
        let (first, _) = host.admit().unwrap();
        for stranger in [first, 8].map(Registrant::numbered) {
            let error = host.register(&stranger, other.clone()).unwrap_err();
            assert!(error.contains("listed by another client"), "{error}");
        }
        host.unregister(&Registrant::numbered(8), &InstanceKey::of(&instance("a:1"))).unwrap_err();
        // In another session, but known again.
        let owner = Registrant { connection: 9, ..Registrant::numbered(0) };
        host.register(&owner, Instance { weight: 7, ..instance("a:1") }).unwrap();
        let list = host.list(&ServiceKey::new("shop.Inventory"));
        assert_eq!(list.version.instances[0].weight, 7);
    }

    #[tokio::test]
    async fn what_was_kept_before_there_were_secrets_is_anybodys() {
        let dir = tempfile::tempdir().unwrap();
        live(dir.path(), &["a:1"]).await;
        overwrite(dir.path(), &serde_json::to_vec(&instance("a:1")).unwrap());
        let opened = open(dir.path(), create).unwrap();
        let (host, _keeping) = RegistryHost::restore(RegistryServerConfig::default(), opened);
        assert_eq!(host.status().instances, 1);
        host.register(&Registrant::numbered(8), instance("a:1")).unwrap();
        host.register(&Registrant::numbered(9), instance("a:1")).unwrap_err();
    }

    #[tokio::test]
    async fn an_instance_that_cannot_be_read_costs_no_other_and_leaves_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        live(dir.path(), &["a:1", "b:1"]).await;
        overwrite(dir.path(), b"{}");
        let (_, past) = open(dir.path(), create).unwrap();
        let kept: Vec<_> = past.records.iter().map(|record| &*record.instance.address).collect();
        assert_eq!((kept, past.is_current), (vec!["b:1"], false));
    }

    #[cfg(unix)]
    #[test]
    fn only_its_user_reads_the_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), create).unwrap();
        let mode = fs::metadata(dir.path().join("registry.redb")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_life_is_current_only_if_the_last_ended_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let is_current = || open(dir.path(), create).unwrap().1.is_current;
        assert!(!is_current());
        live(dir.path(), &["a:1"]).await;
        assert!(is_current());
        // That one just ended without a word.
        assert!(!is_current());
    }

    #[test]
    fn only_damage_is_set_aside_and_never_over_an_earlier_file() {
        for error in [redb::Error::UpgradeRequired(1), redb::Error::PreviousIo] {
            assert!(matches!(failure(error), Failure::Unusable(_)));
        }
        let dir = tempfile::tempdir().unwrap();
        for name in ["registry.damaged", "registry.damaged.2"] {
            fs::write(dir.path().join("registry.redb"), name).unwrap();
            open(dir.path(), create).unwrap();
            assert_eq!(fs::read_to_string(dir.path().join(name)).unwrap(), name);
        }
    }

    #[tokio::test]
    async fn on_a_full_disk_it_starts_from_memory_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let full = |_: &Path| {
            let error = io::Error::from(io::ErrorKind::StorageFull);
            Err(redb::DatabaseError::Storage(redb::StorageError::Io(error)))
        };
        let (host, _keeping) =
            RegistryHost::restore(RegistryServerConfig::default(), open(dir.path(), full).unwrap());
        host.register(&Registrant::numbered(1), instance("a:1")).unwrap();
        let error = host.status().store_error.unwrap();
        assert!(error.contains("make room on the disk"), "{error}");
    }

    static FAILS_ONCE: AtomicBool = AtomicBool::new(false);

    /// A file whose next sync fails when told so.
    #[derive(Debug)]
    struct Flaky(FileBackend);

    impl StorageBackend for Flaky {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, out)
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.set_len(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            match FAILS_ONCE.swap(false, Ordering::SeqCst) {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => self.0.sync_data(),
            }
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.0.write(offset, data)
        }
        fn close(&self) -> io::Result<()> {
            self.0.close()
        }
    }

    fn create_flaky(path: &Path) -> Result<Database, redb::DatabaseError> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = FileBackend::new(file.map_err(redb::StorageError::Io)?)?;
        Database::builder().create_with_backend(Flaky(file))
    }

    #[tokio::test]
    async fn after_one_failed_write_the_file_is_opened_again_and_holds_everything() {
        let dir = tempfile::tempdir().unwrap();
        let opened = open(dir.path(), create_flaky).unwrap();
        let (host, keeping) = RegistryHost::restore(RegistryServerConfig::default(), opened);
        host.register(&Registrant::numbered(1), instance("a:1")).unwrap();
        host.all_settled().await;
        FAILS_ONCE.store(true, Ordering::SeqCst);
        host.register(&Registrant::numbered(1), instance("b:1")).unwrap();
        host.all_settled().await;
        assert!(host.status().store_error.is_some());
        let healed = async {
            while host.status().store_error.is_some() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), healed).await.unwrap();
        drop(host);
        keeping.await.unwrap();
        assert_eq!(live(dir.path(), &[]).await.1, 2);
    }

    #[tokio::test]
    async fn one_server_uses_a_folder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let start = || EmbeddedServer::builder().listen("127.0.0.1:0").data_dir(dir.path()).start();
        let first = start().await.unwrap();
        let error = start().await.unwrap_err().to_string();
        assert!(error.contains(&*dir.path().to_string_lossy()), "{error}");
        let holder = format!("another registry (process {}) uses it, stop", std::process::id());
        assert!(error.contains(&holder), "{error}");
        first.shutdown().await;
        start().await.unwrap();
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_used_is_named_with_the_remedy() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let started = EmbeddedServer::builder().listen("127.0.0.1:0").data_dir(file.path()).start();
        let error = started.await.unwrap_err().to_string();
        assert!(error.contains(&*file.path().to_string_lossy()), "{error}");
        assert!(error.contains("choose a folder that this user may write"), "{error}");
    }

    #[tokio::test]
    async fn a_damaged_file_is_set_aside_or_read_right_and_never_stops_the_server() {
        let dir = tempfile::tempdir().unwrap();
        let (path, aside) = (dir.path().join("registry.redb"), dir.path().join("registry.damaged"));
        live(dir.path(), &["a:1", "b:1", "c:1"]).await;
        let whole = fs::read(&path).unwrap();
        let mut damaged =
            vec![b"not a database".to_vec(), vec![0; 100_000], whole[..5000].to_vec()];
        let mut at = 0;
        while at < whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            damaged.push(bytes);
            // Every byte of the header and the first pages, then samples.
            at += if at < 400 { 9 } else { whole.len() / 40 };
        }
        for end in [1, 64, 4096, whole.len() / 2, whole.len() - 1] {
            damaged.push(whole[..end].to_vec());
        }
        // What would still be read as an instance, but as another one.
        let address = br#""address":"a:1""#;
        for at in (0..whole.len()).filter(|at| whole[*at..].starts_with(address)) {
            let mut bytes = whole.clone();
            bytes[at + address.len() - 4] = b'x';
            damaged.push(bytes);
        }
        let mut set_aside = 0;
        for bytes in damaged {
            let _ = fs::remove_file(&aside);
            fs::write(&path, &bytes).unwrap();
            let records = open(dir.path(), create).unwrap().1.records;
            let restored = records.iter().map(|record| &*record.instance.address);
            let restored: BTreeSet<_> = restored.collect();
            let is_aside = aside.exists();
            let expected = if is_aside { vec![] } else { vec!["a:1", "b:1", "c:1"] };
            assert_eq!(restored, expected.into_iter().collect(), "set aside: {is_aside}");
            set_aside += usize::from(is_aside);
        }
        assert!(set_aside >= 3, "{set_aside}");
    }
}
