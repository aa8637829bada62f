//! Tells a connection that the server closed while it was idle from a service that fails.
//!
//! A server closes a connection that has been idle for its keep-alive time-out, at times in the very moment in which the
//! next request is sent on it. The request then fails although the service is well, and it has not been served. Clients
//! open a new connection and send it again if its method is idempotent (RFC 9112, section 9.3.1), once, and so does this
//! tool. It counts that, since users wait for it, and a `POST` does fail.
//!
//! The invariant: a service that fails by closing connections does not pass for one that is well. So nothing is sent again
//! on a connection that was in use a moment ago, or if the service had the request for longer than the connection was idle;
//! and a service that closes a new connection too has failed.

use std::{error::Error as _, io, time::Duration};

use reqwest::Method;

/// No server's keep-alive time-out is shorter, and users without pauses never leave a connection idle for so long.
const LEAST_IDLE: Duration = Duration::from_millis(50);

/// What became of a request whose connection the server had closed while it was idle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum IdleClose {
    /// The connection was not closed, or not while it was idle.
    #[default]
    None,
    /// It was sent again.
    SentAgain,
    /// It failed, since sending it twice may do twice what it asks for.
    Failed,
}

/// Whether a method may be sent twice: it asks for the same as if it were sent once (RFC 9110, section 9.2.2).
pub(super) fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE)
}

/// Whether a connection can have been closed while it was idle, for so long before the request was sent.
pub(super) fn can_be_closed(idle: Duration) -> bool {
    idle >= LEAST_IDLE
}

/// Whether the server closed a connection while it was `idle`, where the request failed `failed_after` it was sent and no
/// new connection was made for it.
pub(super) fn is_idle_close(error: &reqwest::Error, idle: Duration, failed_after: Duration) -> bool {
    can_be_closed(idle) && failed_after < idle && is_closed_connection(error)
}

fn is_closed_connection(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(source) = cause {
        if let Some(error) = source.downcast_ref::<hyper::Error>()
            && error.is_incomplete_message()
        {
            return true;
        }
        if let Some(error) = source.downcast_ref::<io::Error>() {
            // Of an encrypted connection, an end without the word that closes it is an unexpected one.
            return matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::NotConnected
                    | io::ErrorKind::UnexpectedEof
            );
        }
        cause = source.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_idempotent_methods_may_be_sent_twice() {
        let twice: Vec<&str> = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "POST", "PATCH", "CONNECT"]
            .into_iter()
            .filter(|name| is_idempotent(&name.parse().unwrap()))
            .collect();
        assert_eq!(twice, ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"]);
    }
}
