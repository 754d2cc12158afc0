//! The server against clients that are not ours: the media stack's in virtual time and over sockets, coturn's over sockets.

mod client;
mod sockets;
mod virtual_time;
