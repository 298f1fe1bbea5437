//! What etcd's errors mean for who runs the program, and what to do.

use rpc_core::Error;

use crate::grpc::{GrpcCode, GrpcFailure};

/// Whether the login has run out, so that a new one helps.
pub(super) fn is_login_over(failure: &GrpcFailure) -> bool {
    match failure {
        GrpcFailure::Status { code: GrpcCode::Unauthenticated, .. } => true,
        GrpcFailure::Status { message, .. } => message.contains("revision of auth store is old"),
        GrpcFailure::Broken(_) | GrpcFailure::Unwanted(_) => false,
    }
}

/// Whether there is no login at the server.
pub(super) fn is_open_to_all(failure: &GrpcFailure) -> bool {
    let said = "authentication is not enabled";
    matches!(failure, GrpcFailure::Status { message, .. } if message.contains(said))
}

/// Whether the lease that was named is gone.
pub(super) fn is_lease_gone(failure: &GrpcFailure) -> bool {
    let said = "lease not found";
    matches!(failure, GrpcFailure::Status { message, .. } if message.contains(said))
}

/// Whether it is more than etcd takes at once.
pub(super) fn is_too_large(failure: &GrpcFailure) -> bool {
    // Its own limit, and that of its gRPC, which is a bit more.
    let said = ["request is too large", "message larger than max"];
    matches!(failure, GrpcFailure::Status { message, .. } if said.iter().any(|said| message.contains(said)))
}

/// The error of `address` where writing `key` takes a request of so many bytes, which is more than etcd takes.
pub(super) fn too_large(address: &str, key: &str, bytes: usize) -> Error {
    Error::invalid_config(format!(
        "registry {address}: {key}: a request of {bytes} bytes is more than etcd takes \
         (--max-request-bytes, 1.5 MiB): register less under one name"
    ))
}

/// The error of `address`, where the `user`, if there is one, works below the keys of `root`.
pub(super) fn error(address: &str, (user, root): (&str, &str), failure: &GrpcFailure) -> Error {
    let text = format!("registry {address}: {failure}");
    let (code, message) = match failure {
        GrpcFailure::Status { code, message } => (code, message),
        GrpcFailure::Broken(_) => return Error::unreachable(text),
        GrpcFailure::Unwanted(_) => return Error::refused(text),
    };
    if message.contains("user name is empty") {
        let remedy = "it wants a login, write etcd://USER:PASSWORD@HOST:PORT, or cert and key of a \
                      certificate whose common name is a user";
        return Error::refused(format!("{text}; {remedy}"));
    }
    if message.contains("authentication failed") {
        let remedy = "check user name and password in its address";
        return Error::refused(format!("{text}; {remedy}"));
    }
    if message.contains("database space exceeded") {
        let remedy = "compact and defragment it, then disarm its alarm";
        return Error::unreachable(format!("{text}; {remedy}"));
    }
    match code {
        GrpcCode::PermissionDenied => {
            let user = match user {
                "" => "that our certificate names".to_owned(),
                user => format!("`{user}`"),
            };
            Error::refused(format!(
                "{text}; grant a role of the user {user} to read and write the keys that begin with \
                 /{root} and /services"
            ))
        }
        GrpcCode::Unauthenticated => {
            Error::refused(format!("{text}; check user name and password in its address"))
        }
        GrpcCode::Unimplemented => {
            Error::unreachable(format!("{text}; it is not etcd, or older than 3.4: check the port"))
        }
        GrpcCode::InvalidArgument
        | GrpcCode::NotFound
        | GrpcCode::FailedPrecondition
        | GrpcCode::OutOfRange
        | GrpcCode::Other(_) => Error::unreachable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_do() {
        for (code, message, is_refused, expected) in [
            (GrpcCode::InvalidArgument, "etcdserver: user name is empty", true, "USER:PASSWORD@"),
            (GrpcCode::InvalidArgument, "etcdserver: authentication failed, x", true, "password"),
            (GrpcCode::PermissionDenied, "etcdserver: permission denied", true, "user `ann`"),
            (GrpcCode::Unauthenticated, "etcdserver: invalid auth token", true, "password"),
            (GrpcCode::Unimplemented, "unknown service", false, "not etcd"),
            (GrpcCode::Other(8), "mvcc: database space exceeded", false, "defragment"),
            (GrpcCode::Other(14), "etcdserver: no leader", false, "no leader"),
        ] {
            let failure = GrpcFailure::Status { code, message: message.to_owned() };
            let error = error("etcd://a", ("ann", "dubbo"), &failure);
            assert_eq!(error.is_refused(), is_refused, "{error}");
            let text = error.to_string();
            assert!(text.starts_with(&format!("registry etcd://a: {message}")), "{text}");
            assert!(text.contains(expected), "{text}");
        }
    }
}
