//! [`Access`]: who may read.

use std::{fmt, sync::Arc};

use super::token;

/// Who may read the monitor's answers: `/metrics` with
/// [`MonitorBuilder::metrics_access`](crate::MonitorBuilder::metrics_access), and all that is below `/performance` with
/// [`MonitorBuilder::performance_access`](crate::MonitorBuilder::performance_access). In settings: `open`, `loopback`, or a
/// `metrics_token` and a `performance_token`.
///
/// A token that only reads does not control: [`Control`](crate::Control) has a token of its own. Whoever may control may also
/// read, so that token opens both.
///
/// Prometheus sends a token with `authorization` or `basic_auth`, browsers ask for it. With `serve` beside it, only what you
/// choose listens on a network:
///
/// ```
/// use pinchpoint::{Access, Monitor};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let [scrape_token, team_token] = ["one long secret", "another long secret"];
/// let monitor = Monitor::builder()
///     .metrics_access(Access::token(scrape_token))
///     .performance_access(Access::token(team_token))
///     .build()?;
/// monitor.serve(([0, 0, 0, 0], 0)).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Access {
    /// Every client that reaches the routes. The default: an address of its own decides who does.
    #[default]
    Open,
    /// Clients on this machine: those whose address is of the loopback interface, whose `Host`, if any, is `localhost`, a
    /// loopback address or an [allowed host](crate::MonitorBuilder::allow_host), and whose request no proxy passed on, as
    /// far as its headers say (`Forwarded`, `Via`, `X-Forwarded-For`, `CF-Connecting-IP` and the like). Others get 403.
    ///
    /// [`Monitor::serve`](crate::Monitor::serve) knows the address of each client. A router that the service merges knows it
    /// where the service adds it, with axum's `into_make_service_with_connect_info::<SocketAddr>()`. Where the address is not
    /// known, also on a Unix socket, nobody may read: a `Host` alone is what the client writes.
    Loopback,
    /// Clients that send this token, as `Authorization: Bearer <token>` or as the password of HTTP Basic authentication, with
    /// any user name. Others get 401, which makes a browser ask; with the feature `page` it gets a form, and then keeps a cookie
    /// that reads. The token is compared in constant time, and must not be
    /// empty: [`build`](crate::MonitorBuilder::build) fails otherwise.
    Token(Arc<str>),
}

impl Access {
    /// Returns the access that requires `token`.
    ///
    /// Without TLS whoever sees the network's traffic sees the token.
    #[must_use]
    pub fn token(token: impl Into<Arc<str>>) -> Self {
        Self::Token(token.into())
    }

    /// Returns whether a token is the one of this access.
    pub(crate) fn is_token(&self, given: &[u8]) -> bool {
        match self {
            Self::Token(token) => token::is(token, given),
            Self::Open | Self::Loopback => false,
        }
    }

    /// Returns what is wrong with the token, if it has one.
    pub(super) fn problem(&self) -> Option<&'static str> {
        match self {
            Self::Token(token) => token::problem(token),
            Self::Open | Self::Loopback => None,
        }
    }
}

impl PartialEq for Access {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Open, Self::Open) | (Self::Loopback, Self::Loopback) => true,
            (Self::Token(one), Self::Token(other)) => token::is(one, other.as_bytes()),
            (Self::Open | Self::Loopback | Self::Token(_), _) => false,
        }
    }
}

impl Eq for Access {}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            Self::Loopback => "Loopback",
            Self::Token(_) => "Token(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_token_is_the_token() {
        let access = Access::token("secret");
        assert!(access.is_token(b"secret"));
        for wrong in [&b""[..], b"secre", b"secret2", b"SECRET"] {
            assert!(!access.is_token(wrong));
        }
        assert!(!Access::Open.is_token(b"") && !Access::Loopback.is_token(b""));
    }

    #[test]
    fn debug_hides_the_secret() {
        assert_eq!(format!("{:?}", Access::token("secret")), "Token(..)");
    }
}
