//! Certificates for servers with TLS, and for their clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;

/// A certificate authority, with a folder for what it issues.
#[derive(Debug)]
pub struct CertificateAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

/// A certificate and its key, in PEM.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// What a certificate says.
#[derive(Debug, Clone, Copy)]
pub struct CertificateWish<'a> {
    /// Whom it is for.
    pub common_name: &'a str,
    /// Its host names and IP addresses.
    pub names: &'a [&'a str],
    /// How long it is valid; zero for one that has expired long ago.
    pub valid: Duration,
}

impl Default for CertificateWish<'_> {
    fn default() -> Self {
        Self {
            common_name: "test",
            names: &["127.0.0.1", "localhost"],
            valid: Duration::from_secs(24 * 3600),
        }
    }
}

impl CertificateAuthority {
    /// One that nobody else knows.
    ///
    /// # Panics
    /// Its folder cannot be written.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "each is another")]
    pub fn new() -> Self {
        let (params, key) = authority("authority of a test");
        Self::of(CertifiedIssuer::self_signed(params, key).expect("it can sign itself"))
    }

    /// Another one, whose own certificate this one has signed.
    ///
    /// # Panics
    /// Its folder cannot be written.
    #[must_use]
    pub fn below(&self) -> Self {
        let (params, key) = authority("lower authority of a test");
        Self::of(CertifiedIssuer::signed_by(params, key, &self.issuer).expect("it can be signed"))
    }

    fn of(issuer: CertifiedIssuer<'static, KeyPair>) -> Self {
        let dir = tempfile::tempdir().expect("a folder for certificates");
        let authority = Self { issuer, dir };
        write(&authority.ca(), &authority.ca_pem());
        authority
    }

    /// The file with its own certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Its own certificate.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.issuer.pem()
    }

    /// A file of its folder.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Issues a certificate for servers and clients into files of this name, in place of what was there.
    ///
    /// # Panics
    /// A name is none, or the files cannot be written.
    pub fn issue(&self, file: &str, wish: CertificateWish<'_>) -> CertificateFiles {
        let files = CertificateFiles {
            cert: self.path(&format!("{file}.pem")),
            key: self.path(&format!("{file}.key")),
        };
        self.issue_into(&files, wish);
        files
    }

    /// As [`issue`](Self::issue), into files of another, so that these are replaced.
    ///
    /// # Panics
    /// A name is none, or the files cannot be written.
    pub fn issue_into(&self, files: &CertificateFiles, wish: CertificateWish<'_>) {
        let names: Vec<_> = wish.names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names that a certificate can have");
        params.distinguished_name.push(DnType::CommonName, wish.common_name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = match wish.valid {
            Duration::ZERO => date_time_ymd(2001, 1, 1),
            valid => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                date_time_ymd(1970, 1, 1) + now.expect("it is later than 1970") + valid
            }
        };
        let key = KeyPair::generate().expect("a key can be made");
        let signed = params.signed_by(&key, &self.issuer).expect("it can be signed");
        write(&files.cert, &signed.pem());
        write(&files.key, &key.serialize_pem());
    }
}

impl CertificateFiles {
    /// Both in one file beside them, as servers in Java take it.
    ///
    /// # Panics
    /// They cannot be read, or it cannot be written.
    #[must_use]
    pub fn together(&self) -> PathBuf {
        let both = self.cert.with_extension("both.pem");
        write(&both, &format!("{}{}", read(&self.key), read(&self.cert)));
        both
    }
}

/// What the certificate of an authority of this name says, and its key.
fn authority(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params, KeyPair::generate().expect("a key can be made"))
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
