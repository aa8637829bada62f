//! [`Server`]: a program that runs for one test.

use std::{net::SocketAddr, process::Child};

/// A program that runs for one test; dropping it ends it.
pub(crate) struct Server(pub(crate) Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns an address that is free, for a program that does not report which port it got. It is reserved and freed again.
pub(crate) fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port")
}
