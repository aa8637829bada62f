//! Checks that the target can be reached before the first user starts.
//!
//! Only a connection is made. A request would be counted by the server and not by the tool, and the two totals must agree.

use std::time::Duration;

use reqwest::Url;
use thiserror::Error;
use tokio::net::TcpStream;

const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The target cannot be reached.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum PreflightError {
    /// The host name does not resolve.
    #[error("cannot reach {base}: the host name \"{host}\" is unknown")]
    UnknownHost {
        /// The target.
        base: String,
        /// Its host name.
        host: String,
    },
    /// Nothing listens at the address.
    #[error("cannot reach {base}: connection refused; is the service running? (`cargo run` starts the demo shop)")]
    Refused {
        /// The target.
        base: String,
    },
    /// The connection was not made in time.
    #[error("cannot reach {base}: no connection within {} s", waited.as_secs_f64())]
    TimedOut {
        /// The target.
        base: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Any other cause.
    #[error("cannot reach {base}")]
    Other {
        /// The target.
        base: String,
        /// The cause.
        source: std::io::Error,
    },
}

/// Connects to the target once and closes the connection. Waits for `timeout`, at most five seconds.
pub(crate) async fn preflight(base: &Url, timeout: Duration) -> Result<(), PreflightError> {
    let name = base.as_str().trim_end_matches('/').to_owned();
    let host = base.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = base.port_or_known_default().unwrap_or(80);
    let waited = timeout.min(LONGEST_WAIT);
    let other = |source| PreflightError::Other { base: name.clone(), source };
    let resolved = tokio::net::lookup_host((host.clone(), port)).await.map(Iterator::collect::<Vec<_>>);
    let Ok(addresses) = resolved else { return Err(PreflightError::UnknownHost { base: name, host }) };
    let attempt = TcpStream::connect(addresses.as_slice());
    match tokio::time::timeout(waited, attempt).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Err(PreflightError::Refused { base: name })
        }
        Ok(Err(error)) => Err(other(error)),
        Err(_) => Err(PreflightError::TimedOut { base: name, waited }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn says_what_is_wrong() {
        let refused = Url::parse("http://127.0.0.1:9").unwrap();
        let error = preflight(&refused, LONGEST_WAIT).await.unwrap_err();
        assert!(matches!(error, PreflightError::Refused { .. }), "{error}");
        let unknown = Url::parse("http://no-such-host.invalid").unwrap();
        let error = preflight(&unknown, LONGEST_WAIT).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot reach http://no-such-host.invalid: the host name \"no-such-host.invalid\" is unknown"
        );
    }
}
