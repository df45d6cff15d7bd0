//! After a failed connection: what is at the address?

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest time for each step of a look at an address.
const STEP: Duration = Duration::from_secs(3);

/// What an HTTP/2 client says first: the preface and empty settings. Source: RFC 9113, section 3.4.
const HTTP2_HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// What a connection showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Nothing listens there.
    NothingListens,
    /// The name has no address.
    UnknownHost,
    /// It cannot be reached.
    Unreachable,
    /// An HTTP/1 server.
    Http1,
    /// A server that wants TLS.
    Tls,
    /// It takes connections and closes them without a word; a gRPC server with TLS does so.
    ClosesAtOnce,
    /// It takes connections and says nothing.
    Silent,
    /// An HTTP/2 server, so the problem is elsewhere.
    Http2,
    /// A server of another protocol.
    Other,
}

/// Looks at `host:port` without TLS. Takes at most a few seconds.
pub async fn look(address: &str) -> Peer {
    let connect = tokio::time::timeout(STEP, TcpStream::connect(address)).await;
    let mut stream = match connect {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            return Peer::NothingListens;
        }
        Ok(Err(error)) if error.to_string().contains("lookup") => return Peer::UnknownHost,
        Ok(Err(_)) | Err(_) => return Peer::Unreachable,
    };
    if stream.write_all(HTTP2_HELLO).await.is_err() {
        return Peer::ClosesAtOnce;
    }
    let mut answer = [0; 16];
    let read = tokio::time::timeout(STEP, stream.read(&mut answer)).await;
    match read {
        Err(_) => Peer::Silent,
        Ok(Ok(0) | Err(_)) => Peer::ClosesAtOnce,
        Ok(Ok(length)) => match &answer[..length] {
            [b'H', b'T', b'T', b'P', b'/', ..] => Peer::Http1,
            // A TLS alert.
            [0x15, 0x03, ..] => Peer::Tls,
            // A SETTINGS frame on stream 0.
            [_, _, _, 0x04, ..] => Peer::Http2,
            _ => Peer::Other,
        },
    }
}
