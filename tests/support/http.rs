//! HTTP/1.1 as bytes on a socket, so that what a test sends is what it says.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::soon;

/// What came back.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap().trim_end()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Code and message of an error.
    pub fn error(&self) -> (String, String) {
        let json = self.json();
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        (text("code"), text("message"))
    }
}

/// Sends a request with these headers besides the necessary ones, on a connection of its own.
pub async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let mut stream = TcpStream::connect(address).await.unwrap();
    send_on(&mut stream, method, path, headers, body).await
}

/// The same on a connection that is open.
pub async fn send_on(
    stream: &mut TcpStream,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\n\r\n", body.len());
    // A server that refuses early may not read to the end.
    let _ = stream.write_all(&[head.as_bytes(), body].concat()).await;
    soon(read(stream)).await
}

/// Sends these bytes as they are, on a connection of their own, and reads one response.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> Response {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    soon(read(&mut stream)).await
}

/// Reads one response.
pub async fn read(stream: &mut TcpStream) -> Response {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        let n = stream.read_buf(&mut bytes).await.unwrap();
        assert!(n > 0, "the connection ended in the head: {:?}", String::from_utf8_lossy(&bytes));
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut response =
        Response { status: head[9..12].parse().unwrap(), head, body: bytes.split_off(end) };
    let length = response.header("content-length").map_or(0, |text| text.parse().unwrap());
    while response.body.len() < length {
        let n = stream.read_buf(&mut response.body).await.unwrap();
        assert!(n > 0, "the connection ended in the body");
    }
    response
}

/// Posts JSON.
pub async fn post(address: SocketAddr, path: &str, json: &str) -> Response {
    let headers = [("content-type", "application/json")];
    send(address, "POST", path, &headers, json.as_bytes()).await
}
