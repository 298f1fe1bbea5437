//! What is said to a ZooKeeper server and what it answers: the few operations that a registry needs.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use super::jute::{JuteReader, JuteWriter, NotJute};
use crate::dubbo::NodeName;

/// The most that one request may have: what a server takes unless its `jute.maxbuffer` says else.
pub(super) const MAX_REQUEST: usize = 0xf_ffff;

/// Of the version of a node: any.
pub(super) const ANY_VERSION: i32 = -1;

/// An operation, by its number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum ZooKeeperOp {
    Create = 1,
    Delete = 2,
    Exists = 3,
    GetData = 4,
    SetData = 5,
    Ping = 11,
    /// Of the names and the stat of their node, as one state.
    GetChildren2 = 12,
    Multi = 14,
    RemoveWatches = 18,
    Auth = 100,
    Close = -11,
}

/// The numbers of messages that answer no request of ours.
pub(super) mod xid {
    pub(crate) const EVENT: i32 = -1;
    pub(crate) const PING: i32 = -2;
    pub(crate) const AUTH: i32 = -4;

    /// The number of the request after that with `xid`.
    pub(crate) fn after(xid: i32) -> i32 {
        xid.checked_add(1).unwrap_or(1)
    }
}

/// Why a server does not do what it was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerCode {
    NoNode,
    NoAuth,
    BadVersion,
    NodeExists,
    NotEmpty,
    AuthFailed,
    Other(i32),
}

impl ServerCode {
    /// The code of an answer; `None` is success.
    pub(super) fn of(number: i32) -> Option<Self> {
        match number {
            0 => None,
            -101 => Some(Self::NoNode),
            -102 => Some(Self::NoAuth),
            -103 => Some(Self::BadVersion),
            -110 => Some(Self::NodeExists),
            -111 => Some(Self::NotEmpty),
            // It wants SASL, or the digest is malformed.
            -115 | -124 => Some(Self::AuthFailed),
            other => Some(Self::Other(other)),
        }
    }

    /// What it says, by its name at ZooKeeper, and what helps.
    pub(super) fn told(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::NoNode => {
                "the node or one above it has gone (NONODE): see who removes nodes there"
            }
            Self::NoAuth => {
                "no permission (NOAUTH): check user and password, and who made the node"
            }
            Self::BadVersion => "others change it all the time (BADVERSION): see who writes there",
            Self::NodeExists => "others make it all the time (NODEEXISTS): see who writes there",
            Self::NotEmpty => "there are nodes below it (NOTEMPTY): remove them",
            Self::AuthFailed => "our credentials are refused (AUTHFAILED): check user and password",
            Self::Other(-1) => "the server failed (SYSTEMERROR): see its log",
            Self::Other(-5) => "the server does not understand it (MARSHALLINGERROR): see its log",
            Self::Other(-6) => {
                "the server knows no such request (UNIMPLEMENTED): take ZooKeeper 3.5 or newer"
            }
            Self::Other(-7) => {
                "the ensemble takes too long (OPERATIONTIMEOUT): see whether most of its servers run"
            }
            Self::Other(-8) => {
                "the server takes no such path (BADARGUMENTS): correct the chroot, the group or the name"
            }
            Self::Other(-108) => {
                "the node above it ends with a session (NOCHILDRENFOREPHEMERALS): remove that one"
            }
            Self::Other(-112) => "the session has expired (SESSIONEXPIRED): it is opened again",
            Self::Other(-114) => {
                "the server knows no login of ours (INVALIDACL): leave out user and password, or have \
                 it know digest logins"
            }
            Self::Other(-118) => {
                "the session goes on at another server (SESSIONMOVED): it is opened again"
            }
            Self::Other(-119) => {
                "the server only lets read (NOTREADONLY): see whether most of its ensemble run"
            }
            Self::Other(-120) => {
                "the session is local to its server (EPHEMERALONLOCALSESSION): set \
                 localSessionsUpgradingEnabled there"
            }
            Self::Other(-125) => {
                "a quota is used up (QUOTAEXCEEDED): raise it with setquota, or register less"
            }
            Self::Other(-127) => "the server is overloaded (THROTTLEDOP): see its log and its load",
            Self::Other(code) => {
                return format!("the server answers with the code {code}: see its log").into();
            }
        })
    }
}

/// Who may touch the nodes that we make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NodeAccess {
    /// Everybody.
    Open,
    /// Who presents the credentials of this session.
    Creator,
}

/// Which kind of change a watch waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum WatchKind {
    /// Of the children of a node.
    Children,
    /// Of a node's value, or whether there is one.
    Value,
}

/// What is known of a node beside its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeStat {
    /// The transaction that changed its value last, or made it.
    pub(super) changed: i64,
    /// The transaction that changed the names of its children last, or made it.
    pub(super) names_changed: i64,
    /// When it was changed last, by the clock of the server that leads, in milliseconds since 1970.
    pub(super) changed_ms: i64,
    /// Counts the changes of its value.
    pub(super) version: i32,
    /// The session that it ends with; 0 if it lasts.
    pub(super) owner: i64,
    /// How many children it has.
    pub(super) children: i32,
}

/// Begins a request, which gets its number when it is sent.
fn request(op: ZooKeeperOp) -> JuteWriter {
    JuteWriter::new().int(0).int(op as i32)
}

/// Writes the number of a request into its frame.
pub(super) fn number(frame: &mut [u8], xid: i32) {
    frame[4..8].copy_from_slice(&xid.to_be_bytes());
}

/// A request that consists of its operation.
pub(super) fn plain(op: ZooKeeperOp, xid: i32) -> BytesMut {
    let mut frame = request(op).finish();
    number(&mut frame, xid);
    frame
}

pub(super) fn read(op: ZooKeeperOp, path: &str, is_watched: bool) -> BytesMut {
    request(op).text(path).bool(is_watched).finish()
}

/// A new node: path, value, and whether it ends with the session.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewNode<'a> {
    pub(super) path: &'a str,
    pub(super) value: &'a [u8],
    pub(super) is_owned: bool,
    pub(super) access: NodeAccess,
}

impl NewNode<'_> {
    fn write(self, frame: JuteWriter) -> JuteWriter {
        let (scheme, id) = match self.access {
            NodeAccess::Open => ("world", "anyone"),
            NodeAccess::Creator => ("auth", ""),
        };
        const ALL: i32 = 31;
        let frame = frame.text(self.path).buffer(self.value);
        let frame = frame.int(1).int(ALL).text(scheme).text(id);
        frame.int(self.is_owned.into())
    }
}

pub(super) fn create(node: NewNode<'_>) -> BytesMut {
    node.write(request(ZooKeeperOp::Create)).finish()
}

/// Deletes the node at the path of `node` and creates `node`, both or neither.
pub(super) fn replace(node: NewNode<'_>) -> BytesMut {
    let part = |frame: JuteWriter, op: i32, is_last| frame.int(op).bool(is_last).int(-1);
    let frame = part(request(ZooKeeperOp::Multi), ZooKeeperOp::Delete as i32, false);
    let frame = frame.text(node.path).int(ANY_VERSION);
    let frame = node.write(part(frame, ZooKeeperOp::Create as i32, false));
    part(frame, -1, true).finish()
}

pub(super) fn set_data(path: &str, value: &[u8], version: i32) -> BytesMut {
    request(ZooKeeperOp::SetData).text(path).buffer(value).int(version).finish()
}

pub(super) fn delete(path: &str, version: i32) -> BytesMut {
    request(ZooKeeperOp::Delete).text(path).int(version).finish()
}

pub(super) fn remove_watch(kind: WatchKind, path: &str) -> BytesMut {
    let kind = match kind {
        WatchKind::Children => 1,
        WatchKind::Value => 2,
    };
    request(ZooKeeperOp::RemoveWatches).text(path).int(kind).finish()
}

/// Presents `user:password`.
pub(super) fn digest(credentials: &str) -> BytesMut {
    let frame = request(ZooKeeperOp::Auth).int(0).text("digest").text(credentials);
    let mut frame = frame.finish();
    number(&mut frame, xid::AUTH);
    frame
}

/// What every answer begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct AnswerHead {
    pub(super) xid: i32,
    pub(super) zxid: i64,
    pub(super) code: Option<ServerCode>,
}

impl AnswerHead {
    pub(super) const LENGTH: usize = 16;

    /// Reads it off the front of `body`.
    pub(super) fn read(body: &mut JuteReader) -> Result<Self, NotJute> {
        Ok(Self { xid: body.int()?, zxid: body.long()?, code: ServerCode::of(body.int()?) })
    }
}

/// The kinds of watches that a change ends, and where it is.
pub(super) fn event(body: &mut JuteReader) -> Result<(&'static [WatchKind], String), NotJute> {
    const CHILDREN: &[WatchKind] = &[WatchKind::Children];
    const VALUE: &[WatchKind] = &[WatchKind::Value];
    const BOTH: &[WatchKind] = &[WatchKind::Children, WatchKind::Value];
    let (kind, _state) = (body.int()?, body.int()?);
    let ended = match kind {
        // Created, changed.
        1 | 3 => VALUE,
        // Deleted.
        2 => BOTH,
        4 => CHILDREN,
        // Of the connection, or of a kind of watch that we do not use.
        _ => &[],
    };
    Ok((ended, body.text()?))
}

fn stat(body: &mut JuteReader) -> Result<NodeStat, NotJute> {
    // Transactions of its creation and its last change, and the times of both.
    let (_created, changed, _created_ms) = (body.long()?, body.long()?, body.long()?);
    let changed_ms = body.long()?;
    let version = body.int()?;
    // Versions of the names of its children and of its access.
    let (_names, _access) = (body.int()?, body.int()?);
    let (owner, _length, children) = (body.long()?, body.int()?, body.int()?);
    let names_changed = body.long()?;
    Ok(NodeStat { changed, names_changed, changed_ms, version, owner, children })
}

pub(super) fn value_and_stat(body: Bytes) -> Result<(Bytes, NodeStat), NotJute> {
    let mut body = JuteReader::new(body);
    // A part of the answer would hold all that was read from the connection with it, for as long as the value.
    let value = Bytes::copy_from_slice(&body.buffer()?);
    Ok((value, stat(&mut body)?))
}

pub(super) fn stat_alone(body: Bytes) -> Result<NodeStat, NotJute> {
    stat(&mut JuteReader::new(body))
}

pub(super) fn names_and_stat(body: Bytes) -> Result<(Vec<NodeName>, NodeStat), NotJute> {
    let mut body = JuteReader::new(body);
    let names = body.texts()?.into_iter().map(NodeName::from).collect();
    Ok((names, stat(&mut body)?))
}

/// The first code of a group of operations that is not success; those that others kept from
/// happening count for nothing.
pub(super) fn multi_code(body: Bytes) -> Result<Option<ServerCode>, NotJute> {
    const FAILED: i32 = -1;
    const KEPT_BACK: i32 = -2;
    let mut body = JuteReader::new(body);
    // Of each part: its operation, whether the list ends here, and its code. Only after failures is
    // there a known body, so the first part that went well tells that all did.
    while body.int()? == FAILED {
        let (is_last, _) = (body.bool()?, body.int()?);
        if is_last {
            break;
        }
        match ServerCode::of(body.int()?) {
            None | Some(ServerCode::Other(KEPT_BACK)) => {}
            Some(code) => return Ok(Some(code)),
        }
    }
    Ok(None)
}
