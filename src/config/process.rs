//! The one place that reads the process: its environment and its configuration file.

use std::env;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use rpc_core::Error;

use super::environment::FILE;
use super::file::ConfigFile;
use super::layer::Layer;
use super::load::Sources;

/// Looked for in the working directory when `DUBHE_CONFIG` is not set.
const DEFAULT_FILE: &str = "dubhe.toml";

/// No configuration is larger; what is was named by mistake.
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
            Some(path) => Some(read(Path::new(&path)).map_err(|error| cannot_read(&path, error))?),
            None => match read(Path::new(DEFAULT_FILE)) {
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                found => Some(found.map_err(|error| cannot_read(DEFAULT_FILE, error))?),
            },
        };
        Ok(Self { builder, file, environment: env::vars_os().collect() })
    }
}

/// `dubhe` in the user's cache directory, as the XDG base directory specification finds it.
pub(super) fn cache_dir_of_user() -> Option<PathBuf> {
    let base = directory("XDG_CACHE_HOME").or_else(|| Some(directory("HOME")?.join(".cache")))?;
    Some(base.join("dubhe"))
}

/// `dubhe` in the user's runtime directory, where the processes of `dev://` meet.
pub(super) fn runtime_dir_of_user() -> Option<PathBuf> {
    Some(directory("XDG_RUNTIME_DIR")?.join("dubhe"))
}

/// The directory a variable names; relative ones do not count, as the specification says.
fn directory(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn read(path: &Path) -> std::io::Result<ConfigFile> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        let message = format!("it is larger than {MAX_FILE} bytes");
        return Err(std::io::Error::new(ErrorKind::FileTooLarge, message));
    }
    Ok(ConfigFile { path: path.display().to_string(), text })
}

fn cannot_read(path: impl AsRef<Path>, error: std::io::Error) -> Error {
    let path = path.as_ref().display();
    Error::invalid_config(format!(
        "cannot read configuration file {path}: {error}; create it, or set {FILE} to another \
         file or to nothing"
    ))
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(path: &Path) -> String {
        cannot_read(path, read(path).unwrap_err()).to_string()
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
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(message(&path).contains("valid UTF-8"));
        assert!(message(directory.path()).contains("Is a directory"));
    }

    #[test]
    fn a_file_is_read_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dubhe.toml");
        std::fs::write(&path, "[provider]\nport = 1\n").unwrap();
        let file = read(&path).unwrap();
        assert_eq!(file.text, "[provider]\nport = 1\n");
        assert_eq!(file.path, path.display().to_string());
    }
}
