//! Tokens: user and password are exchanged for one by HTTP, and requests carry it.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rpc_core::Error;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::tls::{self, ServerStream, TlsSettings};

/// Where logins are taken: by Nacos 3, and by Nacos 2.
const PATHS: [&str; 2] = ["/nacos/v3/auth/user/login", "/nacos/v1/auth/login"];

/// What HTTP/1 is called where TLS chooses the protocol.
const HTTP_1: &[&[u8]] = &[b"http/1.1"];

/// What many forget, because TLS of gRPC is another setting.
const LOGIN_TLS: &str = "logins go over TLS too, for which Nacos needs server.ssl.enabled=true";

/// How long a login may take, at both of its places together: less than all that a server may take to let us in, so that it is
/// the login that is told.
const LIMIT: Duration = Duration::from_millis(1800);

/// The pause before a login that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Largest answer.
const MAX_ANSWER: usize = 64 * 1024;

/// Why no answer comes.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// User and password, or none.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

/// What a server gave for a login.
#[derive(Clone)]
pub(super) struct LoginToken {
    pub(super) text: String,
    lasts: Duration,
}

/// The answer to a login.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    access_token: String,
    /// In seconds.
    #[serde(default)]
    token_ttl: u64,
}

impl Login {
    /// A token of the server at `http`; `None` without user, or if the server knows no logins.
    ///
    /// # Errors
    /// The server does not answer, or refuses user and password.
    pub(super) async fn token(
        &self,
        registry: &Arc<str>,
        http: &str,
        tls: Option<&TlsSettings>,
    ) -> Result<Option<LoginToken>, Error> {
        if self.user.is_empty() {
            return Ok(None);
        }
        let until = Instant::now() + LIMIT;
        for path in PATHS {
            let failed = |why: String| {
                Error::unreachable(format!("registry {registry}: login at {http}: {why}"))
            };
            let silent = |error: &_| format!("login at {http}: {error}");
            let asked = async {
                let stream = tls::connect(http, tls, HTTP_1).await;
                let stream =
                    stream.map_err(|failure| failure.or(LOGIN_TLS).error(registry, silent))?;
                let asked = self.ask(stream, http, path).await;
                asked.map_err(|error| match tls::refusal_within(&*error) {
                    Some(why) => Error::refused(format!("registry {registry}: {why}")),
                    None => failed(deepest(&*error)),
                })
            };
            let late = |_| Err(failed(format!("no answer within {LIMIT:?}")));
            let (status, body) = timeout_at(until, asked).await.unwrap_or_else(late)?;
            match status {
                StatusCode::OK => {
                    let answer = serde_json::from_slice::<Answer>(&body);
                    let answer = answer.map_err(|error| failed(error.to_string()))?;
                    let lasts = Duration::from_secs(answer.token_ttl.max(10));
                    return Ok(Some(LoginToken { text: answer.access_token, lasts }));
                }
                StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::NOT_IMPLEMENTED => {}
                // Nacos 3.1 has 403 for a user that it does not know, and 500 for a wrong password.
                StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::INTERNAL_SERVER_ERROR => {
                    let or = match status {
                        StatusCode::INTERNAL_SERVER_ERROR => {
                            " (it answers HTTP status 500, as it also does in trouble of its own)"
                        }
                        _ => "",
                    };
                    return Err(Error::refused(format!(
                        "registry {registry}: it refuses the user `{}`: check user and password in \
                         the address{or}",
                        self.user.escape_debug()
                    )));
                }
                other => return Err(failed(format!("HTTP status {}", other.as_u16()))),
            }
        }
        // Without logins everybody may do everything.
        Ok(None)
    }

    async fn ask(
        &self,
        stream: ServerStream,
        http: &str,
        path: &str,
    ) -> Result<(StatusCode, Bytes), Cause> {
        let (mut calls, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let form = format!("username={}&password={}", escaped(&self.user), escaped(&self.password));
        let request = Request::post(path)
            .header("host", http)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(form)))?;
        let answer = async {
            let response = calls.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await?;
            Ok::<_, Cause>((status, body.to_bytes()))
        };
        tokio::pin!(connection, answer);
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            ended = &mut connection => match ended {
                // The answer came whole before the end.
                Ok(()) => answer.await,
                Err(error) => Err(error.into()),
            },
        }
    }
}

/// The cause that says most: what is above it says that a connection failed.
fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.last().map(ToString::to_string).unwrap_or_default()
}

/// A value of a form.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

// === impl LoginToken ===

impl LoginToken {
    /// How long until it should be renewed.
    fn renew_in(&self) -> Duration {
        self.lasts.mul_f64(rand::random_range(0.7..0.8))
    }
}

/// Logs in again before the token ends, time and again. A login that fails is tried again soon: the token
/// lasts a while yet, and requests that come after its end say why they are refused.
pub(super) async fn keep_renewed<F>(
    token: &watch::Sender<Option<LoginToken>>,
    log_in: impl Fn() -> F,
) -> Infallible
where
    F: Future<Output = Result<Option<LoginToken>, Error>>,
{
    let renew_in = |token: &Option<LoginToken>| token.as_ref().map_or(RETRY, LoginToken::renew_in);
    let mut pause = renew_in(&token.borrow());
    loop {
        sleep(pause).await;
        pause = match log_in().await {
            Ok(renewed) => {
                let pause = renew_in(&renewed);
                token.send_replace(renewed);
                pause
            }
            Err(error) => {
                tracing::debug!(target: "dubhe::registry", %error, "login not renewed");
                RETRY
            }
        };
    }
}

/// Without password.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Without its text.
impl fmt::Debug for LoginToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("lasts", &self.lasts).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_login_that_fails_is_tried_again_long_before_the_token_ends() {
        let lasts = Duration::from_secs(1000);
        let new = || Some(LoginToken { text: "new".to_owned(), lasts });
        let (token, begun) = (watch::Sender::new(new()), Instant::now());
        let logins = RefCell::new(Vec::new());
        let log_in = async || {
            logins.borrow_mut().push(begun.elapsed().as_secs());
            match logins.borrow().len() {
                // At first it is as it should be.
                1 | 4.. => Ok(new()),
                _ => Err(Error::unreachable("not now")),
            }
        };
        let _ = tokio::time::timeout(lasts * 3, keep_renewed(&token, log_in)).await;
        let pauses: Vec<u64> = logins.borrow().windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!((700..=800).contains(&pauses[0]), "{pauses:?}");
        assert!(pauses[1..3].iter().all(|pause| *pause <= 6), "{pauses:?}");
        assert!((700..=800).contains(&pauses[3]), "{pauses:?}");
    }

    #[test]
    fn a_password_of_any_characters_is_one_value_of_the_form() {
        assert_eq!(escaped("p&s=s %+\u{e9}"), "p%26s%3Ds%20%25%2B%C3%A9");
    }

    #[test]
    fn neither_password_nor_token_is_printed() {
        let login = Login { user: "ann".to_owned(), password: "s3cret".to_owned() };
        let token = LoginToken { text: "s3cret".to_owned(), lasts: Duration::ZERO };
        assert!(!format!("{login:?} {token:?}").contains("s3cret"));
    }
}
