//! A page of a server by HTTP/1.0: small, bounded, and with the time that its head tells.

use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::clock::ToldTime;
use crate::sound;
use crate::tls::{self, TlsSettings};

/// How long a page may take.
const LIMIT: Duration = Duration::from_secs(1);

/// The most of a page that is read, head included.
const MOST: u64 = 64 * 1024;

/// What was read.
#[derive(Debug)]
pub(crate) struct Page {
    /// The time of the server, if its head tells it.
    pub(crate) time: Option<ToldTime>,
    /// The text below the head, whatever the status.
    pub(crate) body: String,
}

/// Reads the page at `path` of the server at `address`; `None` if no HTTP comes back in time.
pub(crate) async fn page(address: &str, path: &str, tls: Option<&TlsSettings>) -> Option<Page> {
    let asked = SystemTime::now();
    let reading = async {
        // No protocol is asked for: a server of gRPC that is asked for another hangs up.
        let mut stream = tls::connect(address, tls, &[]).await.ok()?;
        let request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.take(MOST).read_to_end(&mut answer).await.ok()?;
        Some(answer)
    };
    let answer = timeout(LIMIT, reading).await.ok()??;
    Page::read(asked, &String::from_utf8_lossy(&answer))
}

impl Page {
    fn read(asked: SystemTime, answer: &str) -> Option<Self> {
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        lines.next().filter(|first| first.starts_with("HTTP/1."))?;
        let date = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("date").then(|| value.trim())
        });
        let told = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let time = told.map(|told| ToldTime::now(asked, told, Duration::from_secs(1)));
        Some(Self { time, body: body.to_owned() })
    }

    /// The text of a member of the object that the page is, if it is one; `path` names the objects that lead
    /// to it, and it.
    pub(crate) fn member(&self, path: &[&str]) -> Option<String> {
        let page: serde_json::Value = serde_json::from_str(&self.body).ok()?;
        let member = path.iter().try_fold(&page, |object, name| object.get(name))?;
        Some(sound::plain(member.as_str()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_its_time_and_its_members() {
        let read = |text: &str| Page::read(SystemTime::now(), text);
        let page = "HTTP/1.0 200 OK\r\ndate: Tue, 15 Nov 1994 08:12:31 GMT\r\n\r\n{\"version\":\"2\",\"data\":{\"a\":\"\\u001b3\",\"b\":4}}";
        let page = read(page).unwrap();
        assert_eq!(page.member(&["version"]).as_deref(), Some("2"));
        let shown = page.member(&["data", "a"]).unwrap();
        assert!(shown.ends_with('3') && !shown.contains('\u{1b}'), "{shown:?}");
        assert_eq!((page.member(&["data", "b"]), page.member(&["data"])), (None, None));
        assert_eq!(page.member(&["version", "a"]), None);
        assert!(page.time.unwrap().diagnosis("a").seen.contains("behind"));
        let plain = read("HTTP/1.1 404 Not Found\r\nDate: soon\r\n\r\n[7]").unwrap();
        assert!(plain.time.is_none() && plain.member(&["version"]).is_none());
        for foreign in ["", "\r\n\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.0 200 OK\r\n"] {
            assert!(read(foreign).is_none(), "{foreign:?}");
        }
    }
}
