//! Receipts by mail: an SMTP client, two relays to send through, and the relay that is really there.
//!
//! One relay is a small SMTP server of the shop's own; the other has an address, but nobody listens there any more. The
//! address stays bound, so that no other program can take it and receive the shop's mail.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long one conversation with a relay may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Conversations that the shop's own relay has at a time; further clients wait in the listener's queue.
const CONVERSATIONS: usize = 32;
/// What a client may send in one conversation.
const LONGEST_MAIL: u64 = 64 * 1024;

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MailError {
    /// The relay could not be reached, or the connection broke.
    #[error("relay {relay} is not reachable")]
    Unreachable {
        /// Its address.
        relay: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The relay answered with another code than the one that was due.
    #[error("relay {relay} answered {reply:?}, expected {expected}")]
    Refused {
        /// Its address.
        relay: SocketAddr,
        /// Its answer.
        reply: String,
        /// The code that was due.
        expected: &'static str,
    },
}

/// The relays that mail can go through.
#[derive(Debug)]
pub(crate) struct Relays {
    addresses: [SocketAddr; 2],
    next: AtomicUsize,
    _gone: TcpSocket,
    _server: JoinSet<()>,
}

impl Relays {
    /// Starts the relay that works and reserves the address of the one that does not. Both end when this is dropped.
    ///
    /// # Errors
    /// Returns an error when the machine has no free port on its loopback address.
    pub(crate) async fn start() -> io::Result<Self> {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let gone = TcpSocket::new_v4()?;
        gone.bind(loopback)?;
        let listener = TcpListener::bind(loopback).await?;
        let addresses = [gone.local_addr()?, listener.local_addr()?];
        let mut server = JoinSet::new();
        server.spawn(serve(listener));
        Ok(Self { addresses, next: AtomicUsize::new(0), _gone: gone, _server: server })
    }

    /// Sends through the relay whose turn it is, and through no other.
    ///
    /// # Errors
    /// Returns an error when that relay does not take the mail.
    pub(crate) async fn send_in_turn(&self, to: &str, text: &str) -> Result<(), MailError> {
        send(self.in_turn(), to, text).await
    }

    /// Sends through the relay whose turn it is, or through the next one that takes the mail.
    ///
    /// # Errors
    /// Returns the last relay's error when none takes the mail.
    pub(crate) async fn send_with_failover(&self, to: &str, text: &str) -> Result<(), MailError> {
        let first = self.in_turn();
        match send(first, to, text).await {
            Ok(()) => Ok(()),
            Err(error) => match self.addresses.iter().find(|relay| **relay != first) {
                Some(second) => send(*second, to, text).await,
                None => Err(error),
            },
        }
    }

    fn in_turn(&self) -> SocketAddr {
        self.addresses[self.next.fetch_add(1, Ordering::Relaxed) % self.addresses.len()]
    }
}

async fn send(relay: SocketAddr, to: &str, text: &str) -> Result<(), MailError> {
    let unreachable = |source| MailError::Unreachable { relay, source };
    // What a customer typed must not end a command and start another.
    let to: String = to.chars().filter(|letter| !letter.is_control() && !matches!(letter, '<' | '>')).collect();
    let talk = async {
        let mut relay_stream = BufReader::new(TcpStream::connect(relay).await.map_err(unreachable)?);
        let message = format!("To: <{to}>\r\nSubject: Your order\r\n\r\n{text}\r\n.");
        let steps = [
            ("", "220"),
            ("HELO shop.localhost", "250"),
            ("MAIL FROM:<shop@localhost>", "250"),
            (&format!("RCPT TO:<{to}>"), "250"),
            ("DATA", "354"),
            (&message, "250"),
            ("QUIT", "221"),
        ];
        for (command, expected) in steps {
            if !command.is_empty() {
                relay_stream.write_all(format!("{command}\r\n").as_bytes()).await.map_err(unreachable)?;
            }
            let mut reply = String::new();
            relay_stream.read_line(&mut reply).await.map_err(unreachable)?;
            if !reply.starts_with(expected) {
                return Err(MailError::Refused { relay, reply: reply.trim_end().to_owned(), expected });
            }
        }
        Ok(())
    };
    timeout(PATIENCE, talk).await.unwrap_or_else(|_| Err(unreachable(io::ErrorKind::TimedOut.into())))
}

async fn serve(listener: TcpListener) {
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = conversations.join_next() => {}
            accepted = listener.accept(), if conversations.len() < CONVERSATIONS => match accepted {
                Ok((stream, _)) => _ = conversations.spawn(timeout(PATIENCE, converse(stream))),
                // Out of descriptors, most likely: leave those that are open the time to end.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
        }
    }
}

/// Takes mails and forgets them.
async fn converse(mut stream: TcpStream) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader.take(LONGEST_MAIL)).lines();
    let mut inside_mail = false;
    writer.write_all(b"220 relay.localhost\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let reply: &[u8] = match line.get(..4).unwrap_or(&line).to_ascii_uppercase().as_str() {
            _ if inside_mail && line != "." => continue,
            "." if inside_mail => {
                inside_mail = false;
                b"250 taken\r\n"
            }
            "HELO" | "EHLO" | "MAIL" | "RCPT" | "RSET" | "NOOP" => b"250 ok\r\n",
            "DATA" => {
                inside_mail = true;
                b"354 go on\r\n"
            }
            "QUIT" => return writer.write_all(b"221 bye\r\n").await,
            _ => b"502 not known here\r\n",
        };
        writer.write_all(reply).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_other_mail_in_turn_fails() {
        let relays = Relays::start().await.unwrap();
        let mut failed = 0;
        for _ in 0..10 {
            failed += usize::from(relays.send_in_turn("ada@example.com", "Thanks.").await.is_err());
        }
        assert_eq!(failed, 5);
    }

    #[tokio::test]
    async fn a_mail_with_failover_never_fails() {
        let relays = Relays::start().await.unwrap();
        for _ in 0..4 {
            relays.send_with_failover("ada@example.com", "Thanks.").await.unwrap();
        }
    }

    #[tokio::test]
    async fn an_address_cannot_smuggle_a_command() {
        let relays = Relays::start().await.unwrap();
        relays.send_with_failover("ada@example.com>\r\nQUIT\r\n", "Thanks.").await.unwrap();
    }
}
