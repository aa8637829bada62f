//! A look at the target before the first user starts: is anything there?
//!
//! Only a connection is made, since a request would be one that the server counts and the tool does not.

use std::time::Duration;

use reqwest::Url;
use thiserror::Error;
use tokio::net::TcpStream;

/// The target cannot be reached.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum PreflightError {
    /// Its name is unknown.
    #[error("cannot reach {base}: the host name \"{host}\" is unknown")]
    UnknownHost {
        /// Target.
        base: String,
        /// Its host.
        host: String,
    },
    /// Nothing listens there.
    #[error("cannot reach {base}: connection refused; is the service running? (`cargo run` starts the demo shop)")]
    Refused {
        /// Target.
        base: String,
    },
    /// No answer to the attempt to connect.
    #[error("cannot reach {base}: no connection within {} s", waited.as_secs_f64())]
    TimedOut {
        /// Target.
        base: String,
        /// How long.
        waited: Duration,
    },
    /// Anything else.
    #[error("cannot reach {base}")]
    Other {
        /// Target.
        base: String,
        /// Why.
        source: std::io::Error,
    },
}

/// Connects to the target once and hangs up.
pub(crate) async fn preflight(base: &Url, timeout: Duration) -> Result<(), PreflightError> {
    let name = base.as_str().trim_end_matches('/').to_owned();
    let host = base.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = base.port_or_known_default().unwrap_or(80);
    let waited = timeout.min(LONGEST);
    let other = |source| PreflightError::Other { base: name.clone(), source };
    let found = tokio::net::lookup_host((host.clone(), port)).await.map(Iterator::collect::<Vec<_>>);
    let Ok(addresses) = found else { return Err(PreflightError::UnknownHost { base: name, host }) };
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

const LONGEST: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn says_what_is_wrong() {
        let refused = Url::parse("http://127.0.0.1:9").unwrap();
        let error = preflight(&refused, LONGEST).await.unwrap_err();
        assert!(matches!(error, PreflightError::Refused { .. }), "{error}");
        let unknown = Url::parse("http://no-such-host.invalid").unwrap();
        let error = preflight(&unknown, LONGEST).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot reach http://no-such-host.invalid: the host name \"no-such-host.invalid\" is unknown"
        );
    }
}
