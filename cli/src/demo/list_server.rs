//! The server that keeps the newsletter's addresses: in the story a third party's, and it hangs.
//!
//! It accepts connections, reads what it is sent, and never answers. A client without a timeout waits for ever.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Connections that are held open; further ones wait in the listener's queue, which looks the same to a client.
const HELD: usize = 8;

/// A handle on the running server, which stops when the handle is dropped.
#[derive(Debug)]
pub(crate) struct ListServer {
    address: SocketAddr,
    _server: JoinSet<()>,
}

impl ListServer {
    /// Starts the server.
    ///
    /// # Errors
    /// Returns an error when the machine has no free port on its loopback address.
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut server = JoinSet::new();
        server.spawn(hold_connections(listener));
        Ok(Self { address, _server: server })
    }

    /// Hands the server an address and waits for its answer, however long that takes.
    ///
    /// # Errors
    /// Returns an error when the connection breaks.
    pub(crate) async fn add(&self, email: &str) -> io::Result<String> {
        let mut stream = BufReader::new(TcpStream::connect(self.address).await?);
        let email: String = email.chars().filter(|letter| !letter.is_control()).collect();
        stream.write_all(format!("ADD {email}\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_line(&mut answer).await?;
        Ok(answer)
    }
}

async fn hold_connections(listener: TcpListener) {
    let mut held = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = held.join_next() => {}
            accepted = listener.accept(), if held.len() < HELD => match accepted {
                Ok((stream, _)) => _ = held.spawn(read_to_the_end(stream)),
                // Most likely the process is out of descriptors: wait for open connections to end.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
        }
    }
}

/// Reads until the client disconnects, and so notices when its place is free again.
async fn read_to_the_end(stream: TcpStream) {
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn the_server_never_answers_and_frees_the_place_of_a_client_that_left() {
        let server = ListServer::start().await.unwrap();
        for _ in 0..HELD * 2 {
            let answer = timeout(Duration::from_millis(20), server.add("ada@example.com")).await;
            assert!(answer.is_err(), "{answer:?}");
        }
    }
}
