//! The one place that reads the process: its environment and its configuration file.

use std::env;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use rpc_core::Error;

use super::Sources;
use super::environment::FILE;
use super::file::ConfigFile;
use super::layer::Layer;
use super::places::Places;

/// Looked for in the working directory when `DUBHE_CONFIG` is not set.
const DEFAULT_FILE: &str = "dubhe.toml";

/// The remedy for a file that cannot be read.
const OTHER: &str = "set DUBHE_CONFIG to another file or to nothing";

/// No configuration is larger than this; a larger file was named by mistake.
const MAX_FILE: u64 = 1 << 20;

impl Sources {
    /// What the process was started with, over what the program sets. The file is the one that
    /// `DUBHE_CONFIG` names (none if that is empty), else `dubhe.toml` in the working directory if
    /// there is one.
    ///
    /// # Errors
    /// A file that is named but cannot be read.
    pub fn of_process(builder: Layer) -> Result<Self, Error> {
        let file = match env::var_os(FILE) {
            Some(path) if path.is_empty() => None,
            Some(path) => Some(ConfigFile::read_or(Path::new(&path), OTHER)?),
            None => {
                let path = Path::new(DEFAULT_FILE);
                // If it exists but cannot be checked, reading it gives the error.
                path.try_exists()
                    .unwrap_or(true)
                    .then(|| ConfigFile::read_or(path, OTHER))
                    .transpose()?
            }
        };
        Ok(Self { builder, file, environment: env::vars_os().collect(), ..Self::default() })
    }
}

/// `dubhe` in the user's cache directory, as the XDG base directory specification finds it.
pub(crate) fn cache_dir_of_user() -> Option<PathBuf> {
    let base = directory("XDG_CACHE_HOME").or_else(|| Some(directory("HOME")?.join(".cache")))?;
    Some(base.join("dubhe"))
}

/// `dubhe` in the user's runtime directory, where the processes of `dev://` meet.
pub(crate) fn runtime_dir_of_user() -> Option<PathBuf> {
    Some(directory("XDG_RUNTIME_DIR")?.join("dubhe"))
}

/// The directory a variable names; relative ones do not count, as the specification says.
fn directory(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

impl ConfigFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// It cannot be read, is not a text or too large, with the remedy.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::read_or(path, "name another file")
    }

    /// As [`read`](Self::read); `other` is what else can be done.
    fn read_or(path: &Path, other: &str) -> Result<Self, Error> {
        let bytes = bytes_of(path).map_err(|error| cannot_read(path, error, other))?;
        let path = path.display().to_string();
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let (valid, why) = (error.utf8_error().valid_up_to(), error.utf8_error());
                let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
                let told = "from here on the file is not UTF-8: save it as UTF-8";
                let place = Places::of(&path, &text).origin(valid);
                return Err(Error::invalid_config(told).at(place).with_source(why));
            }
        };
        Ok(Self { path, text })
    }
}

fn bytes_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        let message = format!("it is larger than {MAX_FILE} bytes");
        return Err(std::io::Error::new(ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

fn cannot_read(path: &Path, error: std::io::Error, other: &str) -> Error {
    let path = path.display();
    let remedy = match error.kind() {
        ErrorKind::NotFound => format!("create it, or {other}"),
        ErrorKind::PermissionDenied => format!("let this user read it, or {other}"),
        _ => other.to_owned(),
    };
    let told = format!("cannot read configuration file {path}: {error}; {remedy}");
    Error::invalid_config(told).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(path: &Path) -> String {
        ConfigFile::read_or(path, OTHER).unwrap_err().to_string()
    }

    #[test]
    fn a_file_that_is_missing_is_named_with_the_remedy() {
        let directory = tempfile::tempdir().unwrap();
        let text = message(&directory.path().join("absent.toml"));
        assert!(text.starts_with("cannot read configuration file "), "{text}");
        assert!(text.contains("absent.toml: No such file or directory"), "{text}");
        assert!(text.ends_with("or set DUBHE_CONFIG to another file or to nothing"), "{text}");
    }

    #[test]
    fn a_file_that_is_no_configuration_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("large.toml");
        std::fs::write(&path, " ".repeat((1 << 20) + 1)).unwrap();
        assert!(message(&path).contains("it is larger than 1048576 bytes"));
        std::fs::write(&path, b"[provider]\nport = \xff\xfe").unwrap();
        let told = "large.toml:2:8: from here on the file is not UTF-8: save it as UTF-8";
        assert!(message(&path).ends_with(told), "{}", message(&path));
        let text = message(directory.path());
        let told = "Is a directory (os error 21); set DUBHE_CONFIG to another file or to nothing";
        assert!(text.ends_with(told), "{text}");
    }

    #[test]
    fn a_file_is_read_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dubhe.toml");
        std::fs::write(&path, "[provider]\nport = 1\n").unwrap();
        let file = ConfigFile::read(&path).unwrap();
        assert_eq!(file.text, "[provider]\nport = 1\n");
        assert_eq!(file.path, path.display().to_string());
    }
}
