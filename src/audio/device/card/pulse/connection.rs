//! The server's socket: commands with answers while a device is opened, messages afterwards.

use super::{ANSWERS_MS, translate};
use cpal::{Error, ErrorKind};
use pulseaudio::protocol::{
    self, AuthParams, AuthReply, Command, CommandReply, DESCRIPTOR_SIZE, MAX_VERSION, Prop, Props, ProtocolError,
    SetClientNameReply,
};
use socket2::SockRef;
use std::io::{self, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use std::{env, fs};

/// No message is longer: a server cuts sound into blocks of 64 KiB.
const MESSAGE: usize = 256 * 1024;
/// Bytes of the secret that a server's clients share.
const COOKIE: usize = 256;
/// A device's thread looks whether to stop so often.
const LOOK: Duration = Duration::from_millis(50);

/// A connection on which commands are answered.
pub struct Connection {
    socket: BufReader<UnixStream>,
    version: u16,
    sequence: u32,
}

impl Connection {
    /// Connects to the server that PulseAudio's own programs would take, if it is on this machine.
    ///
    /// # Errors
    /// There is none, or it does not let us in.
    pub fn open() -> Result<Self, Error> {
        let none = || Error::with_message(ErrorKind::HostUnavailable, "no sound server is running");
        // A server elsewhere is ALSA's business, whose plugin goes there.
        if env::var("PULSE_SERVER").is_ok_and(|server| !server.is_empty() && !server.starts_with("unix:")) {
            return Err(none());
        }
        let path = pulseaudio::socket_path_from_env().ok_or_else(none)?;
        let socket = UnixStream::connect(path).map_err(|error| translate(error.into()))?;
        let limit = Some(Duration::from_millis(ANSWERS_MS));
        socket.set_read_timeout(limit).and_then(|()| socket.set_write_timeout(limit)).map_err(|_| none())?;
        let cookie = pulseaudio::cookie_path_from_env().and_then(|path| fs::read(path).ok());
        // Without one the server looks at whose process asks; but of this length it must be.
        let cookie = cookie.filter(|cookie| cookie.len() == COOKIE).unwrap_or_else(|| vec![0; COOKIE]);
        let mut connection = Self { socket: BufReader::new(socket), version: MAX_VERSION, sequence: 0 };
        let auth = AuthParams { version: MAX_VERSION, supports_shm: false, supports_memfd: false, cookie };
        let reply: AuthReply = connection.ask(&Command::Auth(auth))?;
        connection.version = reply.version.min(MAX_VERSION);
        let mut props = Props::new();
        props.set(Prop::ApplicationName, c"resonance");
        let _: SetClientNameReply = connection.ask(&Command::SetClientName(props))?;
        Ok(connection)
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    /// The server refuses, or is gone.
    pub fn ask<R: CommandReply>(&mut self, command: &Command) -> Result<R, Error> {
        self.put(command)?;
        let (sequence, reply) = protocol::read_reply_message(&mut self.socket, self.version).map_err(translate)?;
        self.is_answered_by(sequence)?;
        Ok(reply)
    }

    /// The same for a command whose answer is that it was done.
    ///
    /// # Errors
    /// The server refuses, or is gone.
    pub fn order(&mut self, command: &Command) -> Result<(), Error> {
        self.put(command)?;
        let sequence = protocol::read_ack_message(&mut self.socket).map_err(translate)?;
        self.is_answered_by(sequence)
    }

    fn put(&mut self, command: &Command) -> Result<(), Error> {
        self.sequence += 1;
        protocol::write_command_message(self.socket.get_mut(), self.sequence, command, self.version).map_err(translate)
    }

    fn is_answered_by(&self, sequence: u32) -> Result<(), Error> {
        if sequence == self.sequence {
            return Ok(());
        }
        Err(translate(ProtocolError::Invalid("an answer to something else".into())))
    }

    /// From here on messages come by themselves.
    ///
    /// # Errors
    /// The socket cannot be changed: never, as far as is known.
    pub fn into_messages(self) -> io::Result<Messages> {
        let early = self.socket.buffer().to_vec();
        let socket = self.socket.into_inner();
        socket.set_read_timeout(Some(LOOK))?;
        let mut buffer = vec![0; MESSAGE].into_boxed_slice();
        buffer[..early.len()].copy_from_slice(&early);
        Ok(Messages { socket, version: self.version, buffer, filled: early.len(), used: 0 })
    }
}

/// What the server says of a stream.
pub struct Message<'a> {
    /// Which stream's sound it is; [`Message::COMMAND`] is none.
    pub channel: u32,
    /// Sound, or a command.
    pub body: &'a [u8],
}

impl Message<'_> {
    /// The channel of commands.
    pub const COMMAND: u32 = u32::MAX;
}

/// The messages of a connection. Reading and writing them does not allocate.
pub struct Messages {
    socket: UnixStream,
    version: u16,
    buffer: Box<[u8]>,
    filled: usize,
    /// Bytes at the beginning of what is filled that were given out.
    used: usize,
}

impl Messages {
    /// The next one; none when there is none for a while.
    ///
    /// # Errors
    /// The server is gone, or says what it cannot say.
    pub fn next(&mut self) -> io::Result<Option<Message<'_>>> {
        self.buffer.copy_within(self.used..self.filled, 0);
        self.filled -= self.used;
        self.used = 0;
        let (channel, length) = loop {
            if let Some(mut header) = self.buffer[..self.filled].get(..DESCRIPTOR_SIZE) {
                let header = protocol::read_descriptor(&mut header).map_err(|_| io::ErrorKind::InvalidData)?;
                let length = DESCRIPTOR_SIZE + header.length as usize;
                if length > self.buffer.len() {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                if length <= self.filled {
                    break (header.channel, length);
                }
            }
            match self.socket.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.filled += read,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => return Ok(None),
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        };
        self.used = length;
        Ok(Some(Message { channel, body: &self.buffer[DESCRIPTOR_SIZE..length] }))
    }

    /// Writes messages that are encoded already, without waiting.
    ///
    /// # Errors
    /// The server is gone, or does not read any more what it asked for.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let sent = SockRef::from(&self.socket).send_with_flags(bytes, flags)?;
        // What was cut in two cannot be mended: the rest would be read as the next message.
        if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// Sends a command, whose answer comes as a message with the same number. `scratch` must be longer than it.
    ///
    /// # Errors
    /// The server is gone.
    pub fn send(&mut self, number: u32, command: &Command, scratch: &mut [u8]) -> io::Result<()> {
        let length = protocol::encode_command_message(&mut *scratch, number, command, self.version)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.write(scratch.get(..length).unwrap_or_default())
    }
}
