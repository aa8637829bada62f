//! Finds out what a target speaks that gave no response to HTTP/1.1.

use std::{
    io::{Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    time::Duration,
};

use reqwest::Url;

const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How a client begins that knows of HTTP/2 beforehand: the preface, and settings of which there are none (RFC 9113,
/// section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Says what a plain-text target speaks instead; empty where that is not known. Called once, after a run without a response.
pub(super) fn other_protocol(base: &str) -> &'static str {
    let base = base.parse().ok().filter(|base: &Url| base.scheme() == "http");
    base.and_then(|base| first_bytes(&base)).map_or("", |bytes| name_of(&bytes))
}

/// Returns the first bytes of the answer to a preface.
fn first_bytes(base: &Url) -> Option<Vec<u8>> {
    let host = base.host_str()?.trim_matches(['[', ']']);
    let address = (host, base.port_or_known_default()?).to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, LONGEST_WAIT).ok()?;
    stream.set_read_timeout(Some(LONGEST_WAIT)).ok()?;
    stream.write_all(PREFACE).ok()?;
    let mut bytes = [0; 9];
    let mut length = 0;
    while length < bytes.len() {
        match stream.read(&mut bytes[length..]) {
            Ok(0) | Err(_) => break,
            Ok(read) => length += read,
        }
    }
    Some(bytes[..length].to_vec())
}

fn name_of(bytes: &[u8]) -> &'static str {
    match bytes {
        // Records of TLS: an alert, or a handshake.
        [0x15 | 0x16, 0x03, ..] => "; it answers with TLS: is it https:// and not http://?",
        // The header of a settings frame, with which each side of HTTP/2 begins.
        [_, _, _, 0x04, 0, 0, 0, 0, 0] => "; it speaks HTTP/2 only, which this tool does not",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_known_by_their_first_bytes() {
        assert!(name_of(&[0x15, 3, 3, 0, 2, 2, 50]).contains("https://"));
        assert!(name_of(&[0, 0, 18, 4, 0, 0, 0, 0, 0]).contains("HTTP/2 only"));
        assert_eq!([name_of(b"HTTP/1.1 "), name_of(b""), name_of(&[0, 0, 18, 7, 0, 0, 0, 0, 0])], [""; 3]);
    }
}
