//! Certificates and keys on disk.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use super::settings::{OwnFiles, TlsSettings};

/// The most bytes of a file; the certificates that systems trust have a quarter of it.
const MAX_FILE: u64 = 1 << 20;

/// Reads the files of `settings`, which may wait for the disk.
///
/// # Errors
/// A file that cannot be read or used, by name, and what to do.
pub(super) fn read(settings: &TlsSettings, protocols: &[&[u8]]) -> Result<ClientConfig, String> {
    let roots = match &settings.ca {
        Some(ca) => given_roots(ca)?,
        None => roots_of_system()?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder =
        builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let builder = builder.with_root_certificates(roots);
    let mut config = match &settings.own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let (certificates, key) = own_certificate(own)?;
            let config = builder.with_client_auth_cert(certificates, key);
            config.map_err(|error| unusable(own, &error))?
        }
    };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

fn given_roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca", path)? {
        let added = roots.add(certificate);
        added.map_err(|error| {
            format!("ca {} has a certificate that cannot be used: {error}", path.display())
        })?;
    }
    Ok(roots)
}

/// Those that this machine trusts; single ones that cannot be read or used are left out.
fn roots_of_system() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
        return Err(format!(
            "this system has no certificates that it trusts{why}: install them (Debian: apt install \
             ca-certificates), or write ca=FILE into the address"
        ));
    }
    Ok(roots)
}

fn own_certificate(
    own: &OwnFiles,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let certificates = certificates("cert", &own.cert)?;
    let pem = contents("key", &own.key)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
        PemError::NoItemsFound if is_encrypted(&pem) => {
            let path = own.key.display();
            format!(
                "key {path} is encrypted: write it without a pass phrase, for this program alone"
            )
        }
        error => no_pem("key", &own.key, "PRIVATE KEY", &error),
    })?;
    Ok((certificates, key))
}

fn is_encrypted(pem: &[u8]) -> bool {
    let begin = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    pem.windows(begin.len()).any(|part| part == begin)
}

fn certificates(what: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = contents(what, path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates
        .and_then(|all| if all.is_empty() { Err(PemError::NoItemsFound) } else { Ok(all) });
    certificates.map_err(|error| no_pem(what, path, "CERTIFICATE", &error))
}

/// The error of a file that holds something else. What it holds is not shown: it may be a key.
fn no_pem(what: &str, path: &Path, item: &str, error: &PemError) -> String {
    let path = path.display();
    match error {
        PemError::NoItemsFound => {
            format!("{what} {path} has no `-----BEGIN {item}-----`: write a file in PEM")
        }
        _ => format!("{what} {path} is damaged, it is not PEM throughout: write it again"),
    }
}

fn contents(what: &str, path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let failed = |error: &dyn fmt::Display| {
        format!("cannot read {what} {shown}: {error}, check the path and who may read it")
    };
    let about = path.metadata().map_err(|error| failed(&error))?;
    // What is no file may have no end, or let us wait for it.
    if !about.is_file() {
        return Err(failed(&"it is not a file"));
    }
    let mut bytes = Vec::new();
    let opened = File::open(path);
    let read = opened.and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    match read.map_err(|error| failed(&error))? as u64 {
        0..=MAX_FILE => Ok(bytes),
        _ => Err(format!("{what} {shown} has more than 1 MiB: leave in it what is needed here")),
    }
}

fn unusable(own: &OwnFiles, error: &rustls::Error) -> String {
    let (cert, key) = (own.cert.display(), own.key.display());
    match error {
        rustls::Error::InconsistentKeys(_) => format!(
            "key {key} does not belong to the first certificate of cert {cert}: take the files that \
             were made together"
        ),
        error => format!("cert {cert} with key {key} cannot be used: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_says_why_and_shows_nothing_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.pem");
        let own = OwnFiles { cert: path.clone(), key: path.clone() };
        let item = |label: &str, body: &str| {
            format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
        };
        let secret = "c2VjcmV0";
        let certificate = item("CERTIFICATE", secret);
        let too_long = certificate.clone() + &" ".repeat(1 << 20);
        for (text, of_key, expected) in [
            (String::new(), false, "has no `-----BEGIN CERTIFICATE-----`: write a file in PEM"),
            (item("CERTIFICATE", "§"), false, "is damaged, it is not PEM throughout"),
            (too_long, false, "has more than 1 MiB: leave in it what is needed here"),
            (certificate.clone(), true, "has no `-----BEGIN PRIVATE KEY-----`"),
            (
                certificate.clone() + &item("ENCRYPTED PRIVATE KEY", secret),
                true,
                "is encrypted: write it without a pass phrase",
            ),
        ] {
            fs::write(&path, text).unwrap();
            let why = match of_key {
                true => own_certificate(&own).map(drop).unwrap_err(),
                false => certificates("ca", &path).map(drop).unwrap_err(),
            };
            assert!(why.contains(expected) && !why.contains(secret), "{why}");
            assert!(why.contains("a.pem"), "{why}");
        }
        let full = certificate.clone() + &" ".repeat((1 << 20) - certificate.len());
        fs::write(&path, full).unwrap();
        assert_eq!(certificates("ca", &path).unwrap().len(), 1, "1 MiB is allowed");
        fs::write(&path, certificate).unwrap();
        let why = given_roots(&path).map(drop).unwrap_err();
        assert!(why.contains("has a certificate that cannot be used"), "{why}");
    }
}
