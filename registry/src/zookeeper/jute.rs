//! ZooKeeper's encoding: numbers with their highest byte first, texts and buffers behind their
//! length, and a frame around each message.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes from a server that end too early or say nothing that can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotJute;

/// A frame that is being written.
#[derive(Debug)]
pub(super) struct JuteWriter(BytesMut);

impl JuteWriter {
    /// An empty frame.
    pub(super) fn new() -> Self {
        let mut bytes = BytesMut::with_capacity(256);
        bytes.put_i32(0);
        Self(bytes)
    }

    pub(super) fn int(mut self, value: i32) -> Self {
        self.0.put_i32(value);
        self
    }

    pub(super) fn long(mut self, value: i64) -> Self {
        self.0.put_i64(value);
        self
    }

    pub(super) fn bool(mut self, value: bool) -> Self {
        self.0.put_u8(value.into());
        self
    }

    pub(super) fn buffer(mut self, value: &[u8]) -> Self {
        // What is longer than any server takes is refused before it is sent.
        self.0.put_i32(i32::try_from(value.len()).unwrap_or(i32::MAX));
        self.0.put_slice(value);
        self
    }

    pub(super) fn text(self, value: &str) -> Self {
        self.buffer(value.as_bytes())
    }

    /// The frame, its length in front.
    pub(super) fn finish(mut self) -> BytesMut {
        let length = i32::try_from(self.0.len() - 4).unwrap_or(i32::MAX);
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        self.0
    }
}

/// The body of a frame, read from its start.
#[derive(Debug)]
pub(super) struct JuteReader(Bytes);

impl JuteReader {
    pub(super) fn new(body: Bytes) -> Self {
        Self(body)
    }

    pub(super) fn int(&mut self) -> Result<i32, NotJute> {
        self.0.try_get_i32().map_err(|_| NotJute)
    }

    pub(super) fn long(&mut self) -> Result<i64, NotJute> {
        self.0.try_get_i64().map_err(|_| NotJute)
    }

    pub(super) fn bool(&mut self) -> Result<bool, NotJute> {
        self.0.try_get_u8().map(|byte| byte != 0).map_err(|_| NotJute)
    }

    /// A buffer; one that is absent, as the server writes the value of a node without, is empty.
    pub(super) fn buffer(&mut self) -> Result<Bytes, NotJute> {
        match self.int()? {
            -1 => Ok(Bytes::new()),
            length => {
                let length = usize::try_from(length).map_err(|_| NotJute)?;
                if length > self.0.len() {
                    return Err(NotJute);
                }
                Ok(self.0.split_to(length))
            }
        }
    }

    pub(super) fn text(&mut self) -> Result<String, NotJute> {
        let bytes = self.buffer()?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Texts, each a part of the body.
    pub(super) fn texts(&mut self) -> Result<Vec<Bytes>, NotJute> {
        let count = match self.int()? {
            -1 => 0,
            count => usize::try_from(count).map_err(|_| NotJute)?,
        };
        // Each takes at least its length.
        if count > self.0.len() / 4 {
            return Err(NotJute);
        }
        (0..count).map(|_| self.buffer()).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let frame = JuteWriter::new().int(-7).long(1 << 40).text("gr\u{fc}n").buffer(&[]).finish();
        assert_eq!(frame.len() - 4, usize::from(frame[3]));
        let mut reader = JuteReader::new(frame.freeze().split_off(4));
        assert_eq!((reader.int(), reader.long()), (Ok(-7), Ok(1 << 40)));
        assert_eq!(
            (reader.text(), reader.buffer()),
            (Ok("gr\u{fc}n".to_owned()), Ok(Bytes::new()))
        );
        assert_eq!(reader.int(), Err(NotJute));
    }

    #[test]
    fn a_count_or_length_that_cannot_be_takes_no_memory() {
        for (count, rest) in [(i32::MAX, 100), (-2, 0), (26, 100)] {
            let mut body = count.to_be_bytes().to_vec();
            body.extend(vec![0; rest]);
            assert_eq!(JuteReader::new(body.clone().into()).texts(), Err(NotJute), "{count}");
        }
        assert_eq!(JuteReader::new(Bytes::from_static(&[0, 0, 0, 9, 1])).buffer(), Err(NotJute));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = JuteReader::new(bytes.into());
            let _ = (reader.texts(), reader.text(), reader.long(), reader.int());
        }
    }
}
