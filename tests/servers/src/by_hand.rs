//! What a person does to the data of a server with its own tools: nodes are read, written and removed
//! beside the program under test, by nothing of it.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// How long a server may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// The longest answer that is read.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// What ZooKeeper calls these operations.
const CREATE: i32 = 1;
const DELETE: i32 = 2;
const GET_DATA: i32 = 4;
const SET_DATA: i32 = 5;
const GET_CHILDREN: i32 = 8;

/// And these failures: the node is not there, or is there already.
const NO_NODE: i32 = -101;
const NODE_EXISTS: i32 = -110;

/// The bytes of a node's description before the session that owns it.
const BEFORE_OWNER: usize = 44;

/// A node as a server keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptNode {
    /// Its value.
    pub value: Vec<u8>,
    /// Whether it ends with the session or the lease that made it.
    pub has_owner: bool,
}

/// A session with ZooKeeper; what it writes stays.
#[derive(Debug)]
pub struct ZooKeeperHand {
    stream: TcpStream,
    number: i32,
}

impl ZooKeeperHand {
    /// Opens one with the server at `address`.
    ///
    /// # Errors
    /// It does not answer.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let mut hand = Self { stream, number: 0 };
        // Version, last change seen, milliseconds until it is over, session, password.
        let mut hello = Vec::new();
        hello.extend(0_i32.to_be_bytes());
        hello.extend(0_i64.to_be_bytes());
        hello.extend(30_000_i32.to_be_bytes());
        hello.extend(0_i64.to_be_bytes());
        hello.extend(bytes(&[0; 16]));
        hand.send(&hello)?;
        hand.receive()?;
        Ok(hand)
    }

    /// The names of the nodes below `path`; none if it is not there.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub fn children(&mut self, path: &str) -> io::Result<Vec<String>> {
        let mut body = bytes(path.as_bytes());
        body.push(0);
        let answer = match self.ask(GET_CHILDREN, &body)? {
            (NO_NODE, _) => return Ok(Vec::new()),
            (code, answer) => refused(path, code).map(|()| answer)?,
        };
        let mut rest = &answer[..];
        let count = number(&mut rest)?;
        (0..count).map(|_| text(&mut rest)).collect()
    }

    /// The node at `path` and all below it, by path; none if it is not there.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub fn all(&mut self, path: &str) -> io::Result<BTreeMap<String, KeptNode>> {
        let mut body = bytes(path.as_bytes());
        body.push(0);
        let answer = match self.ask(GET_DATA, &body)? {
            (NO_NODE, _) => return Ok(BTreeMap::new()),
            (code, answer) => refused(path, code).map(|()| answer)?,
        };
        let mut rest = &answer[..];
        let value = buffer(&mut rest)?.to_vec();
        let owner = rest.get(BEFORE_OWNER..BEFORE_OWNER + 8).ok_or_else(cut_short)?;
        let node = KeptNode { value, has_owner: owner != [0; 8] };
        let mut all = BTreeMap::from([(path.to_owned(), node)]);
        for child in self.children(path)? {
            all.extend(self.all(&format!("{path}/{child}"))?);
        }
        Ok(all)
    }

    /// Writes a node, which is made together with those above it if it is not there.
    ///
    /// # Errors
    /// The server does not answer, or does not take the path.
    pub fn put(&mut self, path: &str, value: &[u8]) -> io::Result<()> {
        loop {
            let set =
                [bytes(path.as_bytes()), bytes(value), (-1_i32).to_be_bytes().into()].concat();
            let (code, _) = self.ask(SET_DATA, &set)?;
            if code != NO_NODE {
                return refused(path, code);
            }
            match self.create(path, value)? {
                0 => return Ok(()),
                NODE_EXISTS => {}
                NO_NODE => match path.rsplit_once('/') {
                    Some((above, _)) if !above.is_empty() => self.put(above, b"")?,
                    _ => return refused(path, NO_NODE),
                },
                code => return refused(path, code),
            }
        }
    }

    /// Removes a node and all below it; one that is not there is as well.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub fn remove(&mut self, path: &str) -> io::Result<()> {
        for child in self.children(path)? {
            self.remove(&format!("{path}/{child}"))?;
        }
        let body = [bytes(path.as_bytes()), (-1_i32).to_be_bytes().into()].concat();
        match self.ask(DELETE, &body)? {
            (NO_NODE, _) => Ok(()),
            (code, _) => refused(path, code),
        }
    }

    fn create(&mut self, path: &str, value: &[u8]) -> io::Result<i32> {
        let mut body = [bytes(path.as_bytes()), bytes(value)].concat();
        // One rule, by which everybody may do everything; no flag, so that it stays.
        body.extend(1_i32.to_be_bytes());
        body.extend(31_i32.to_be_bytes());
        body.extend([bytes(b"world"), bytes(b"anyone")].concat());
        body.extend(0_i32.to_be_bytes());
        Ok(self.ask(CREATE, &body)?.0)
    }

    /// The code and the body of the answer.
    fn ask(&mut self, operation: i32, body: &[u8]) -> io::Result<(i32, Vec<u8>)> {
        self.number += 1;
        let head = [self.number.to_be_bytes(), operation.to_be_bytes()].concat();
        self.send(&[&head[..], body].concat())?;
        let answer = self.receive()?;
        let (mut head, body) = answer.split_at_checked(16).ok_or_else(cut_short)?;
        // The number, and the change that was seen last.
        head = &head[12..];
        Ok((number(&mut head)?, body.to_vec()))
    }

    fn send(&mut self, body: &[u8]) -> io::Result<()> {
        self.stream.write_all(&bytes(body))
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length)).map_err(io::Error::other)?;
        if length > MAX_ANSWER {
            return Err(io::Error::other(format!("an answer of {length} bytes")));
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }
}

/// Requests to the gateway of etcd; what it writes stays.
#[derive(Debug)]
pub struct EtcdHand {
    address: String,
}

impl EtcdHand {
    /// One for the server at `address`, as `host:port`; nothing is connected before first use.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned() }
    }

    /// Writes a key.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub fn put(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let [key, value] = [key, value].map(|bytes| BASE64_STANDARD.encode(bytes));
        self.ask("/v3/kv/put", &format!(r#"{{"key":"{key}","value":"{value}"}}"#)).map(drop)
    }

    /// The keys that begin with `prefix`.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub fn all(&self, prefix: &str) -> io::Result<BTreeMap<String, KeptNode>> {
        let [from, to] = [prefix.as_bytes(), &end_of(prefix.as_bytes())];
        let [from, to] = [from, to].map(|bytes| BASE64_STANDARD.encode(bytes));
        let range = format!(r#"{{"key":"{from}","range_end":"{to}"}}"#);
        let answer = self.ask("/v3/kv/range", &range)?;
        let keys = answer.split(r#"{"key":"#).skip(1).map(|rest| {
            // Texts of the gateway are in Base 64 or numbers, so that quotes end them.
            let after = |name: &str| rest.split_once(name)?.1.split('"').nth(1);
            let decoded = |text: Option<&str>| {
                BASE64_STANDARD.decode(text.unwrap_or_default()).map_err(io::Error::other)
            };
            let key = decoded(rest.split('"').nth(1))?;
            let value = decoded(after(r#""value":"#))?;
            let node = KeptNode { value, has_owner: after(r#""lease":"#).is_some() };
            Ok((String::from_utf8_lossy(&key).into_owned(), node))
        });
        keys.collect()
    }

    /// Removes a key and all below it.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub fn remove(&self, key: &[u8]) -> io::Result<()> {
        let below = [key, b"/"].concat();
        let alone = BASE64_STANDARD.encode(key);
        self.ask("/v3/kv/deleterange", &format!(r#"{{"key":"{alone}"}}"#))?;
        let [from, to] = [&below, &end_of(&below)].map(|bytes| BASE64_STANDARD.encode(bytes));
        let range = format!(r#"{{"key":"{from}","range_end":"{to}"}}"#);
        self.ask("/v3/kv/deleterange", &range).map(drop)
    }

    fn ask(&self, path: &str, body: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let length = body.len();
        // HTTP/1.0, so that the answer ends with the connection.
        let request = format!("POST {path} HTTP/1.0\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.take(MAX_ANSWER as u64).read_to_string(&mut answer)?;
        match answer.split_whitespace().nth(1) {
            Some("200") => Ok(answer),
            _ => Err(io::Error::other(format!("{path}: {answer}"))),
        }
    }
}

/// The key after all that begin with `prefix`.
fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            break;
        }
    }
    end
}

/// Bytes with their length before them.
fn bytes(bytes: &[u8]) -> Vec<u8> {
    let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    [&length.to_be_bytes()[..], bytes].concat()
}

fn number(rest: &mut &[u8]) -> io::Result<i32> {
    let (first, after) = rest.split_first_chunk().ok_or_else(cut_short)?;
    *rest = after;
    Ok(i32::from_be_bytes(*first))
}

fn text(rest: &mut &[u8]) -> io::Result<String> {
    Ok(String::from_utf8_lossy(buffer(rest)?).into_owned())
}

fn buffer<'a>(rest: &mut &'a [u8]) -> io::Result<&'a [u8]> {
    // A node without a value has the length -1.
    let length = usize::try_from(number(rest)?.max(0)).map_err(io::Error::other)?;
    let (buffer, after) = rest.split_at_checked(length).ok_or_else(cut_short)?;
    *rest = after;
    Ok(buffer)
}

fn refused(path: &str, code: i32) -> io::Result<()> {
    match code {
        0 => Ok(()),
        code => Err(io::Error::other(format!("{path}: it answers code {code}"))),
    }
}

fn cut_short() -> io::Error {
    io::Error::other("an answer was cut short")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EtcdServer;

    #[test]
    fn keys_are_written_and_removed_by_hand() {
        let Some(etcd) = EtcdServer::start() else { return };
        let hand = EtcdHand::new(&etcd.address());
        let count = |count: &str| {
            let all = r#"{"key":"L2E=","range_end":"L2I=","count_only":true}"#;
            let answer = hand.ask("/v3/kv/range", all).unwrap();
            assert!(answer.contains(&format!(r#""count":"{count}""#)), "{answer}");
        };
        for key in [&b"/a/1"[..], b"/a/\xff", b"/aa"] {
            hand.put(key, b"\0").unwrap();
        }
        count("3");
        hand.remove(b"/a").unwrap();
        count("1");
    }

    #[test]
    fn the_end_of_a_prefix_comes_after_all_that_begin_with_it() {
        assert_eq!(end_of(b"/a/"), b"/a0");
        assert_eq!(end_of(b"a\xff"), b"b");
        assert_eq!(end_of(b"\xff"), b"");
    }
}
