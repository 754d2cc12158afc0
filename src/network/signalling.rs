//! How one sealed message travels: one request on a stream of its own, answered by an empty response.
//!
//! On the wire both are a length (2 bytes, big-endian) and that many bytes; the response's length is 0. Those two bytes
//! are what tells an answer from a stream that merely ended, so a peer that stays silent sends nothing at all.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::StreamProtocol;
use libp2p::request_response::Codec;

/// The protocol of this version. Another version has another last part.
pub(super) const PROTOCOL: StreamProtocol = StreamProtocol::new("/resonance/signal/1");

/// What all versions begin with: whoever speaks only others of these is a resonance peer of another version.
pub(super) const PROTOCOL_FAMILY: &str = "/resonance/signal/";

/// Longest message in bytes: the largest padded signal (16 KiB) with its seal and an ML-KEM key before it (1.2 KiB), with
/// room to spare.
pub const MAX_MESSAGE: usize = 20 * 1024;

/// The response: nothing but its arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Acknowledgement;

/// Reads and writes the framing described above.
#[derive(Clone, Copy, Default)]
pub(super) struct SignallingCodec;

impl Codec for SignallingCodec {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Acknowledgement;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let length = read_length(io).await?;
        if length == 0 || length > MAX_MESSAGE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut message = vec![0; length];
        io.read_exact(&mut message).await?;
        Ok(message)
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Acknowledgement>
    where
        T: AsyncRead + Unpin + Send,
    {
        match read_length(io).await? {
            0 => Ok(Acknowledgement),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, message: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        if message.is_empty() || message.len() > MAX_MESSAGE {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        io.write_all(&length.to_be_bytes()).await?;
        io.write_all(&message).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, _: Acknowledgement) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&0_u16.to_be_bytes()).await
    }
}

async fn read_length<T: AsyncRead + Unpin + Send>(io: &mut T) -> io::Result<usize> {
    let mut length = [0; 2];
    io.read_exact(&mut length).await?;
    Ok(usize::from(u16::from_be_bytes(length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use futures::io::Cursor;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        block_on(SignallingCodec.read_request(&PROTOCOL, &mut Cursor::new(bytes)))
    }

    #[test]
    fn a_message_is_its_length_and_itself() {
        let mut wire = Vec::new();
        block_on(SignallingCodec.write_request(&PROTOCOL, &mut wire, b"sealed".to_vec())).unwrap();
        assert_eq!(wire, b"\x00\x06sealed");
        assert_eq!(read(&wire).unwrap(), b"sealed");
    }

    #[test]
    fn lengths_are_believed_only_within_bounds() {
        assert!(read(b"\x00\x00").is_err(), "empty");
        assert!(read(b"\x00\x06seal").is_err(), "cut short");
        let longest = u16::try_from(MAX_MESSAGE).unwrap();
        let mut wire = (longest + 1).to_be_bytes().to_vec();
        wire.resize(2 + MAX_MESSAGE + 1, 0);
        assert!(read(&wire).is_err(), "one byte too many");
        wire[..2].copy_from_slice(&longest.to_be_bytes());
        assert_eq!(read(&wire).unwrap().len(), MAX_MESSAGE);
    }

    #[test]
    fn silence_is_not_an_answer() {
        let mut wire = Vec::new();
        block_on(SignallingCodec.write_response(&PROTOCOL, &mut wire, Acknowledgement)).unwrap();
        assert_eq!(wire, [0, 0]);
        let answer = |bytes: &[u8]| block_on(SignallingCodec.read_response(&PROTOCOL, &mut Cursor::new(bytes)));
        assert_eq!(answer(&wire).unwrap(), Acknowledgement);
        assert!(answer(b"").is_err());
        assert!(answer(b"\x00\x01x").is_err());
    }
}
