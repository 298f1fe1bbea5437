//! The meeting place of the processes of one `dev://name`: a folder with a lock and an address.
//!
//! The process that holds the lock hosts. The operating system frees the lock when its holder dies,
//! however it dies, so there is never a host that is dead and still in office. The address file
//! names the host's port and a random token that only the owner of the folder can read.
//!
//! ```text
//! <folder>/<name>.lock      held by the host
//! <folder>/<name>.address   its address and token
//! ```
//!
//! The folder must belong to the user and be closed to others, who could otherwise pose as the
//! registry.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rpc_core::Error;
use serde::{Deserialize, Serialize};

/// The folder in which the processes of a `dev://` registry meet.
#[derive(Debug, Clone)]
pub(crate) struct Meeting {
    dir: PathBuf,
    name: String,
}

/// The host of the moment, as its file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) server: String,
    pub(crate) token: String,
    /// The number of its process, if it says it.
    #[serde(default)]
    pub(crate) process: Option<u32>,
}

/// The right to host; ends when dropped, or with the process.
#[derive(Debug)]
pub(crate) struct Office {
    meeting: Meeting,
    _lock: File,
}

impl Meeting {
    /// The meeting place `name` in `dir`, or in the user's own folder below `/tmp`.
    pub(crate) fn new(dir: Option<PathBuf>, name: &str) -> Self {
        Self {
            dir: dir.unwrap_or_else(|| PathBuf::from(format!("/tmp/dubhe-{}", owner_of_files()))),
            name: name.to_owned(),
        }
    }

    /// The address of the host, if there is or was one.
    pub(crate) fn address(&self) -> Result<Option<Address>, Error> {
        self.check_folder()?;
        match fs::read(self.file("address")) {
            // Written whole or not at all; a damaged file is as good as none.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.wrong(&error)),
        }
    }

    /// The file that the process holds that has the right to host.
    pub(crate) fn lock_file(&self) -> PathBuf {
        self.file("lock")
    }

    /// Whether a living process has the right to host now.
    pub(crate) fn is_taken(&self) -> bool {
        // This only checks; a process that takes the lock at this very moment tries again.
        let lock = File::open(self.file("lock"));
        lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
    }

    /// Takes the right to host, unless another process has it.
    pub(crate) fn take_office(&self) -> Result<Option<Office>, Error> {
        self.make_folder().map_err(|error| self.wrong(&error))?;
        self.check_folder()?;
        let open = File::options().create(true).append(true).open(self.file("lock"));
        let lock = open.map_err(|error| self.wrong(&error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Office { meeting: self.clone(), _lock: lock })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(self.wrong(&error)),
        }
    }

    fn file(&self, kind: &str) -> PathBuf {
        self.dir.join(format!("{}.{kind}", self.name))
    }

    fn wrong(&self, error: &io::Error) -> Error {
        let dir = self.dir.display();
        Error::unreachable(format!(
            "dev://{} cannot use {dir}: {error}; remove it, or set the variable XDG_RUNTIME_DIR to a \
             folder of yours that no other user may write",
            self.name
        ))
    }

    #[cfg(unix)]
    fn make_folder(&self) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)
    }

    #[cfg(not(unix))]
    fn make_folder(&self) -> io::Result<()> {
        fs::create_dir_all(&self.dir)
    }

    /// A folder that others could write to would let them pose as the registry.
    #[cfg(unix)]
    fn check_folder(&self) -> Result<(), Error> {
        use std::os::unix::fs::MetadataExt as _;
        let meta = match fs::symlink_metadata(&self.dir) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.wrong(&error)),
        };
        if !meta.is_dir() || meta.mode() & 0o022 != 0 || meta.uid() != owner_of_files() {
            let what = "it must be a folder that belongs to this user and only the user may write";
            return Err(self.wrong(&io::Error::other(what)));
        }
        Ok(())
    }

    #[cfg(not(unix))]
    #[allow(clippy::unnecessary_wraps, reason = "the same signature as on unix")]
    fn check_folder(&self) -> Result<(), Error> {
        Ok(())
    }
}

impl Office {
    /// Announces the address of the host.
    pub(crate) fn announce(&self, address: &Address) -> Result<(), Error> {
        let path = self.meeting.file("address");
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let write = || {
            // A file of that name can only be left over from a dead process of our number.
            let _ = fs::remove_file(&temporary);
            let mut file = private(&temporary)?;
            file.write_all(&serde_json::to_vec(address)?)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        };
        write().map_err(|error| self.meeting.wrong(&error))
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        // The lock is still held, so the file is ours. Without it the next host is the first.
        let _ = fs::remove_file(self.meeting.file("address"));
    }
}

#[cfg(unix)]
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).open(path)
}

/// The id of the user who owns files that this process makes; 0 on systems without one.
#[cfg(unix)]
fn owner_of_files() -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    if let Ok(meta) = fs::metadata("/proc/self") {
        return meta.uid();
    }
    // Without /proc: the owner of a file that we make.
    let path =
        PathBuf::from(format!("/tmp/.dubhe-{}-{}", std::process::id(), rand::random::<u64>()));
    let uid = private(&path).and_then(|file| file.metadata()).map_or(0, |meta| meta.uid());
    let _ = fs::remove_file(&path);
    uid
}

#[cfg(not(unix))]
fn owner_of_files() -> u32 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_the_office_at_a_time_and_its_address_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let meeting = Meeting::new(Some(dir.path().join("run")), "shop");
        assert_eq!(meeting.address().unwrap(), None);
        assert!(!meeting.is_taken());
        let office = meeting.take_office().unwrap().unwrap();
        assert!(meeting.is_taken());
        let (server, token) = ("127.0.0.1:1".to_owned(), "t".to_owned());
        let address = Address { server, token, process: Some(7) };
        office.announce(&address).unwrap();
        assert_eq!(meeting.address().unwrap(), Some(address));
        assert!(meeting.take_office().unwrap().is_none());
        let other = Meeting::new(Some(dir.path().join("run")), "other");
        assert!(other.take_office().unwrap().is_some());
        drop(office);
        assert!(!meeting.is_taken());
        assert_eq!(meeting.address().unwrap(), None);
        assert!(meeting.take_office().unwrap().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_others_may_write_is_refused_and_ours_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        let meeting = Meeting::new(Some(run.clone()), "shop");
        let office = meeting.take_office().unwrap().unwrap();
        let (server, token) = ("127.0.0.1:1".to_owned(), "t".to_owned());
        office.announce(&Address { server, token, process: Some(7) }).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        // The token is for who may read both.
        assert_eq!((mode(&run), mode(&run.join("shop.address"))), (0o700, 0o600));
        drop(office);
        fs::set_permissions(&run, fs::Permissions::from_mode(0o777)).unwrap();
        let error = meeting.take_office().unwrap_err().to_string();
        assert!(error.contains("belongs to this user"), "{error}");
        assert!(error.contains("set the variable XDG_RUNTIME_DIR to a folder of yours"), "{error}");
    }
}
