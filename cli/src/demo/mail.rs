//! Receipts by mail: an SMTP client, and two relays of which one works.
//!
//! The working relay is a small SMTP server in this process; the other one is an address that refuses connections. The
//! address stays bound, so that no other program can listen there and receive the shop's mail.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time::timeout,
};

/// How long one conversation with a relay may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Conversations of the working relay at a time; further clients wait in the listener's queue.
const CONVERSATIONS: usize = 32;
/// Bytes that the relay reads in one conversation; it then ends the conversation.
const LONGEST_MAIL: u64 = 64 * 1024;

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MailError {
    /// The relay could not be reached, or the connection broke.
    #[error("relay {relay} is not reachable")]
    Unreachable {
        /// Its address.
        relay: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The relay answered with an unexpected code.
    #[error("relay {relay} answered {reply:?}, expected {expected}")]
    Refused {
        /// Its address.
        relay: SocketAddr,
        /// Its answer.
        reply: String,
        /// The code that the protocol expects at this step.
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
    /// Starts the working relay and reserves the address of the other one. Dropping the value ends both.
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

    /// Sends through the relay whose turn it is, without trying the other one.
    ///
    /// # Errors
    /// Returns an error when that relay does not accept the mail.
    pub(crate) async fn send_in_turn(&self, to: &str, text: &str) -> Result<(), MailError> {
        send(self.in_turn(), to, text).await
    }

    /// Sends through the relay whose turn it is and, where that fails, through the other one.
    ///
    /// # Errors
    /// Returns the second relay's error when neither accepts the mail.
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
    // Without line breaks and brackets the customer's input cannot end an SMTP command and start another.
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
                // Most likely the process is out of descriptors: wait for open connections to end.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
        }
    }
}

/// Answers one client as an SMTP server does, and discards its mails.
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
