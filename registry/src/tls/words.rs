//! What went wrong with TLS, for who runs the program, and what to do.

use std::io;
use std::time::Duration;

use rpc_core::amount::show_duration;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error as RustlsError};

use super::failure::{TlsFailure, TlsRefusal};
use super::settings::TlsSettings;
use crate::sound;

/// Why the handshake with `server`, of which a certificate for `name` is expected, failed.
pub(super) fn failure(
    server: &str,
    name: &ServerName<'_>,
    settings: &TlsSettings,
    error: &io::Error,
) -> TlsFailure {
    let Some(cause) = rustls_error(error) else {
        return TlsFailure::Theirs(format!(
            "{server} broke off the TLS handshake: {}; check that it speaks TLS there",
            match error.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe => "it hung up".to_owned(),
                _ => error.to_string(),
            }
        ));
    };
    TlsFailure::Theirs(match cause {
        RustlsError::InvalidCertificate(why) => certificate(server, name, settings, why),
        RustlsError::InvalidMessage(_) => {
            format!("{server} does not speak TLS: take its port for TLS, or leave out tls=true")
        }
        RustlsError::PeerIncompatible(why) => {
            format!("{server} speaks no TLS that is spoken here, which is 1.2 and 1.3 ({why:?})")
        }
        RustlsError::AlertReceived(alert) => {
            return alerted(server, settings.own.is_some(), *alert);
        }
        other => format!("the TLS handshake with {server} failed: {}", sound::plain(other)),
    })
}

/// An error after the handshake: with TLS 1.3 a server looks at our certificate only then.
pub(super) fn later(server: &str, has_certificate: bool, error: io::Error) -> io::Error {
    let Some(RustlsError::AlertReceived(alert)) = rustls_error(&error) else {
        return error;
    };
    match alerted(server, has_certificate, *alert) {
        TlsFailure::Ours(why) => io::Error::new(io::ErrorKind::PermissionDenied, TlsRefusal(why)),
        TlsFailure::Theirs(why) => io::Error::new(error.kind(), why),
    }
}

fn rustls_error(error: &io::Error) -> Option<&RustlsError> {
    error.get_ref()?.downcast_ref()
}

/// What is wrong with the certificate of a server.
fn certificate(
    server: &str,
    name: &ServerName<'_>,
    settings: &TlsSettings,
    why: &CertificateError,
) -> String {
    let its = format!("the certificate of {server}");
    let clock = "or set the clock of this machine, which says otherwise";
    match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => match &settings.ca {
            Some(ca) => format!(
                "{its} is signed by none of those in ca {}: write the certificate of its CA into it",
                ca.display()
            ),
            None => format!(
                "{its} is signed by none that this system trusts: write the certificate of its CA into a \
                 file, and ca=FILE into the address"
            ),
        },
        CertificateError::ExpiredContext { time, not_after } => {
            let ago = Duration::from_secs(time.as_secs().saturating_sub(not_after.as_secs()));
            format!("{its} expired {} ago: renew it, {clock}", show_duration(ago))
        }
        CertificateError::Expired => format!("{its} has expired: renew it, {clock}"),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("{its} is not valid yet: make it again, {clock}")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "{its} does not name `{}`{}: write a name that it has as host or as server-name=NAME",
                name.to_str(),
                named(why)
            )
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            format!("{its} is not for servers: make one whose extended key usage is serverAuth")
        }
        other => {
            let other = format!("{other:?}");
            match other.contains("CaUsedAsEndEntity") {
                true => format!(
                    "{its} is that of a CA: let it sign another one for the server, or make one without \
                     CA:TRUE"
                ),
                false => format!("{its} cannot be used: {}", sound::plain(other)),
            }
        }
    }
}

/// The names that a certificate has instead.
fn named(why: &CertificateError) -> String {
    let CertificateError::NotValidForNameContext { presented, .. } = why else {
        return String::new();
    };
    match &presented[..] {
        [] => ", nor anything else: names have to be subject alternative names".to_owned(),
        names => {
            // Each as `DnsName("a.test")` or `IpAddress(10.0.0.1)`.
            let bare = |name: &String| {
                let name = name.split_once('(').map_or(&**name, |(_, name)| name);
                name.trim_matches(|c| ['"', ')'].contains(&c)).to_owned()
            };
            let names: Vec<_> = names.iter().take(10).map(bare).collect();
            format!(", only {}", sound::plain(names.join(", ")))
        }
    }
}

/// What a server means that ends the connection with an alert.
fn alerted(server: &str, has_certificate: bool, alert: AlertDescription) -> TlsFailure {
    use AlertDescription as Alert;
    match alert {
        // The name of a CA that it trusts, and another key.
        Alert::DecryptError if has_certificate => TlsFailure::Ours(format!(
            "{server} refuses our certificate ({alert:?}): write one that it trusts into cert and key"
        )),
        Alert::NoCertificate
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
        | Alert::CertificateRequired => TlsFailure::Ours(match has_certificate {
            true => format!(
                "{server} refuses our certificate ({alert:?}): write one that it trusts into cert and key"
            ),
            false => format!(
                "{server} wants a client certificate ({alert:?}): write cert=FILE&key=FILE into the \
                 address"
            ),
        }),
        Alert::UnrecognisedName => TlsFailure::Theirs(format!(
            "{server} has no certificate for the name that it is asked for: write server-name=NAME"
        )),
        Alert::NoApplicationProtocol => TlsFailure::Theirs(format!(
            "{server} speaks TLS and in it not what is spoken here ({alert:?}): check host and port"
        )),
        alert => TlsFailure::Theirs(format!(
            "{server} ended TLS ({alert:?}): check that it takes TLS 1.2 or 1.3{}",
            if has_certificate { "" } else { ", and whether it wants a client certificate" }
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::sync::Arc;

    use tokio_rustls::rustls::OtherError;
    use tokio_rustls::rustls::pki_types::UnixTime;

    use super::*;
    use crate::RegistryUrl;

    /// As the certificate of an authority is named that a server has for its own.
    #[derive(Debug)]
    struct CaUsedAsEndEntity;

    impl fmt::Display for CaUsedAsEndEntity {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("it is that of a CA")
        }
    }

    impl std::error::Error for CaUsedAsEndEntity {}

    fn told(why: CertificateError) -> String {
        let url = RegistryUrl::parse("etcd://a.test:1?tls=true").unwrap();
        let settings = TlsSettings::of(&url).unwrap().unwrap();
        let name = ServerName::try_from("a.test").unwrap();
        let cause = RustlsError::InvalidCertificate(why);
        let error = io::Error::new(io::ErrorKind::InvalidData, cause);
        match failure("a.test:1", &name, &settings, &error) {
            TlsFailure::Theirs(why) => why,
            TlsFailure::Ours(why) => panic!("it is theirs: {why}"),
        }
    }

    #[test]
    fn each_fault_of_a_certificate_has_its_remedy() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let nameless = |presented| CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("a.test").unwrap(),
            presented,
        };
        let names = (0..11).map(|i| format!("DnsName(\"b{i}.test\")")).collect();
        for (why, expected) in [
            (CertificateError::NotValidYet, "is not valid yet: make it again, or set the clock"),
            (
                CertificateError::NotValidYetContext { time: at(1), not_before: at(2) },
                "is not valid yet",
            ),
            (CertificateError::Expired, "has expired: renew it, or set the clock"),
            (
                CertificateError::ExpiredContext { time: at(90), not_after: at(30) },
                "expired 1m ago: renew it",
            ),
            (nameless(Vec::new()), "does not name `a.test`, nor anything else: names have to be"),
            (nameless(names), "b8.test, b9.test: write a name that it has"),
            (CertificateError::InvalidPurpose, "is not for servers: make one whose extended key"),
            (CertificateError::BadSignature, "is signed by none that this system trusts"),
            (
                CertificateError::Other(OtherError(Arc::new(CaUsedAsEndEntity))),
                "is that of a CA: let it sign another one",
            ),
            (CertificateError::Revoked, "cannot be used: Revoked"),
        ] {
            let told = told(why);
            assert!(told.starts_with("the certificate of a.test:1 "), "{told}");
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn an_alert_that_is_about_our_certificate_is_for_us_to_mend() {
        use AlertDescription as Alert;
        let refuses = "a:1 refuses our certificate";
        for (has_certificate, alert, is_ours, expected) in [
            (true, Alert::DecryptError, true, refuses),
            (true, Alert::CertificateExpired, true, refuses),
            (true, Alert::UnknownCA, true, refuses),
            (true, Alert::AccessDenied, true, refuses),
            (false, Alert::CertificateRequired, true, "a:1 wants a client certificate"),
            (false, Alert::HandshakeFailure, false, "and whether it wants a client certificate"),
            (true, Alert::HandshakeFailure, false, "check that it takes TLS 1.2 or 1.3"),
            (false, Alert::DecryptError, false, "ended TLS (DecryptError)"),
            (false, Alert::UnrecognisedName, false, "write server-name=NAME"),
            (false, Alert::NoApplicationProtocol, false, "not what is spoken here"),
        ] {
            let (told_ours, told) = match alerted("a:1", has_certificate, alert) {
                TlsFailure::Ours(why) => (true, why),
                TlsFailure::Theirs(why) => (false, why),
            };
            assert_eq!(told_ours, is_ours, "{told}");
            assert!(told.contains(expected), "{told}");
            let asks_for_one = told.contains("whether it wants");
            assert!(!(has_certificate && asks_for_one), "it has one: {told}");
        }
    }
}
