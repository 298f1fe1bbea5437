//! What a web page can send: no request that it may send unasked runs a handler, and none under a
//! name that is not the provider's.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use support::http::{raw, send};
use support::soon;
use support::till::Running;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Each of them is added by browsers only.
const SIGNS: [(&str, &str); 6] = [
    ("origin", "http://evil.example"),
    ("origin", "null"),
    ("sec-fetch-site", "cross-site"),
    ("sec-fetch-mode", "no-cors"),
    ("sec-fetch-dest", "empty"),
    ("referer", "http://evil.example/page"),
];

#[tokio::test]
async fn a_body_that_a_page_can_send_unasked_runs_no_handler() {
    let till = Running::with("").await;
    for sign in SIGNS {
        for content_type in [
            None,
            Some(""),
            Some("application/x-www-form-urlencoded"),
            Some("APPLICATION/x-www-form-urlencoded ; charset=utf-8"),
            Some("text/plain"),
            Some("text/plain;application/json"),
            Some("multipart/form-data; boundary=application/json"),
        ] {
            let mut headers = vec![sign];
            headers.extend(content_type.map(|text| ("content-type", text)));
            let page = till.post(&headers).await;
            assert_eq!(page.status, 415, "{headers:?}: {page:?}");
            let (code, text) = page.error();
            assert_eq!(code, "invalid_argument");
            assert!(text.contains("send `content-type: application/json`"), "{headers:?}: {text}");
        }
    }
    assert_eq!(till.paid(), 0);
}

#[tokio::test]
async fn a_body_that_a_page_must_ask_for_first_is_taken_from_one_too() {
    let till = Running::with("").await;
    for sign in SIGNS {
        for content_type in ["application/json", "application/json; charset=utf-8"] {
            let page = till.post(&[sign, ("content-type", content_type)]).await;
            assert_eq!(page.status, 200, "{sign:?}: {page:?}");
        }
        // Nobody is told that it may.
        let asks = send(till.at, "OPTIONS", "/test.Till/pay", &[sign], b"").await;
        assert_eq!(asks.status, 405);
        assert!(!asks.head.to_ascii_lowercase().contains("access-control"), "{asks:?}");
    }
    assert_eq!(till.paid(), 2 * SIGNS.len());
}

#[tokio::test]
async fn what_has_no_sign_of_a_browser_is_json_without_a_content_type_and_as_a_form() {
    let till = Running::with("").await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    for headers in [&[][..], &[form], &[("user-agent", "curl/8.5.0"), ("accept", "*/*"), form]] {
        let curl = till.post(headers).await;
        assert_eq!((curl.status, curl.text()), (200, r#"{"value":"bob"}"#), "{headers:?}");
    }
    assert_eq!(till.paid(), 3);
}

#[tokio::test]
async fn no_other_verb_runs_a_handler_whatever_it_brings() {
    let till = Running::with("").await;
    for verb in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        for body in [&b""[..], br#"["bob"]"#] {
            let lines = format!(
                "{verb} /test.Till/pay HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let mut stream = TcpStream::connect(till.at).await.unwrap();
            stream.write_all(&[lines.as_bytes(), body].concat()).await.unwrap();
            let mut answer = Vec::new();
            soon(stream.read_to_end(&mut answer)).await.unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 405"), "{verb}: {answer:?}");
        }
    }
    assert_eq!(till.paid(), 0);
}

#[tokio::test]
async fn on_loopback_a_name_that_is_not_its_own_runs_no_handler() {
    let till = Running::with("").await;
    for host in [
        "evil.example",
        "evil.example:20880",
        "localhost.evil.example",
        "evillocalhost",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "0.0.0.0",
        "[::]",
        "[2001:db8::1]:80",
    ] {
        let rebound = till.named(host).await;
        assert_eq!(rebound.status, 421, "{host}: {rebound:?}");
        let (code, text) = rebound.error();
        assert_eq!(code, "permission_denied");
        assert!(text.contains("`provider.hosts`"), "{host}: {text}");
    }
    // Nor does one see what there is.
    let seen = raw(till.at, b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").await;
    assert_eq!(seen.status, 421);
    assert_eq!(till.paid(), 0);
}

#[tokio::test]
async fn loopback_answers_to_its_names_and_addresses() {
    let till = Running::with("provider.advertise = \"Shop.Internal:99\"").await;
    let hosts = [
        "localhost",
        "LocalHost:1",
        "localhost.",
        "shop.localhost:8080",
        "127.0.0.1",
        "127.0.0.1.",
        "127.8.9.10:20880",
        "[::1]",
        "[::1]:20880",
        "[::ffff:127.0.0.1]",
        "shop.internal",
        "shop.internal.:20880",
    ];
    for host in hosts {
        let answer = till.named(host).await;
        assert_eq!(answer.status, 200, "{host}: {answer:?}");
    }
    assert_eq!(till.paid(), hosts.len());
    // Older than names, and than web pages.
    let old = till.post_raw(&["POST /test.Till/pay HTTP/1.0"]).await;
    assert_eq!(old.status, 200);
}

#[tokio::test]
async fn own_names_are_a_setting() {
    let till = Running::with("provider.hosts = [\"shop.local\", \"10.0.0.1\", \"::2\"]").await;
    for host in ["shop.local", "SHOP.local:80", "10.0.0.1:80", "[0::2]:80", "localhost"] {
        assert_eq!(till.named(host).await.status, 200, "{host}");
    }
    for host in ["a.shop.local", "shop.local.evil.example", "10.0.0.2", "shop"] {
        assert_eq!(till.named(host).await.status, 421, "{host}");
    }
}

#[tokio::test]
async fn elsewhere_any_name_will_do_unless_names_are_set() {
    let till = Running::with("provider.bind = \"0.0.0.0\"").await;
    for host in ["evil.example", "10.0.0.1", "shop"] {
        assert_eq!(till.named(host).await.status, 200, "{host}");
    }
    let toml = "provider.bind = \"0.0.0.0\"\nprovider.advertise = \"10.9.9.9\"\n\
                provider.hosts = [\"shop.example\"]";
    let till = Running::with(toml).await;
    for host in ["shop.example", "10.9.9.9:80", "localhost", "127.0.0.1"] {
        assert_eq!(till.named(host).await.status, 200, "{host}");
    }
    assert_eq!(till.named("evil.example").await.status, 421);
}
