//! Finds out what a target speaks that gave no response to HTTP/1.1.

use std::{
    io::{Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    sync::Arc,
    time::Duration,
};

use reqwest::Url;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, crypto::aws_lc_rs::default_provider, pki_types::ServerName,
};

use crate::engine::NOT_HTTP_1;

const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How a client begins that knows of HTTP/2 beforehand: the preface, and settings of which there are none (RFC 9113,
/// section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Says what a target speaks instead; empty where that is not known. Called once, after a run without a response.
pub(super) fn other_protocol(base: &str, problem: &str) -> &'static str {
    match base.parse::<Url>() {
        Ok(base) if base.scheme() == "http" => {
            let first = |message: &[u8]| first_bytes(&base, message).unwrap_or_default();
            match name_of(&first(PREFACE)) {
                // Many servers that speak TLS close on what is no TLS, without a word.
                "" => hello().map_or("", |hello| name_of(&first(&hello))),
                known => known,
            }
        }
        // TLS itself has succeeded.
        Ok(_) if problem.contains(NOT_HTTP_1) => "; it may speak HTTP/2 only, which this tool does not",
        Ok(_) | Err(_) => "",
    }
}

/// Returns the first bytes of the answer to a message.
fn first_bytes(base: &Url, message: &[u8]) -> Option<Vec<u8>> {
    let host = base.host_str()?.trim_matches(['[', ']']);
    let address = (host, base.port_or_known_default()?).to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, LONGEST_WAIT).ok()?;
    stream.set_read_timeout(Some(LONGEST_WAIT)).ok()?;
    stream.write_all(message).ok()?;
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

/// Returns how a client begins TLS.
fn hello() -> Option<Vec<u8>> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let mut connection = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").ok()?).ok()?;
    let mut message = Vec::new();
    connection.write_tls(&mut message).ok()?;
    Some(message)
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
