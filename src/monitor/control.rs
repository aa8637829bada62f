//! [`Control`]: who may use the control endpoints.

use std::{fmt, sync::Arc};

use super::token;

/// Who may use the control endpoints: `POST /performance/start-monitoring`, `POST /performance/stop-monitoring`,
/// `DELETE /performance/clear-data`, and `POST` and `DELETE /performance/bottlenecks/{id}/acknowledge`. In settings: `refused`, `open`, `loopback`, or a `control_token`.
///
/// ```
/// use pinchpoint::{Control, Monitor};
///
/// let builder = Monitor::builder().control(Control::token("a long secret"));
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Control {
    /// No request. The default, since these endpoints change what the service reports about itself.
    #[default]
    Refused,
    /// Requests with `Authorization: Bearer <token>`. The token is compared in constant time. It also reads what an
    /// [`Access`](crate::Access) guards. Make it with [`Control::token`], which refuses an empty one.
    Token(Arc<str>),
    /// Every request that may read `/performance` (see [`MonitorBuilder::performance_access`]), except from pages of other sites
    /// in a browser. For closed networks.
    ///
    /// [`MonitorBuilder::performance_access`]: crate::MonitorBuilder::performance_access
    Open,
    /// As `Open`, but only requests whose `Host` is `localhost` or a loopback address: a site cannot let its pages in by
    /// pointing a name of its own at this machine. Where the client's address is known, it must be of the loopback interface
    /// too; where it is not, use this only for routers that are served on that interface alone.
    Loopback,
}

impl Control {
    /// Returns the control that requires `token`.
    ///
    /// # Panics
    ///
    /// Panics when `token` is empty: a configuration that lost its secret must not let every request in.
    #[must_use]
    #[track_caller]
    pub fn token(token: impl Into<Arc<str>>) -> Self {
        let token = token.into();
        assert!(!token.is_empty(), "the control token is empty; use Control::Open to let every request in");
        Self::Token(token)
    }

    /// Returns whether a token is the one of this control.
    pub(crate) fn is_token(&self, given: &[u8]) -> bool {
        match self {
            Self::Token(token) => token::is(token, given),
            Self::Refused | Self::Open | Self::Loopback => false,
        }
    }

    /// Returns what is wrong with the token, if it has one.
    pub(super) fn problem(&self) -> Option<&'static str> {
        match self {
            Self::Token(token) => token::problem(token),
            Self::Refused | Self::Open | Self::Loopback => None,
        }
    }

    /// Returns whether a request with this bearer token may control the monitor.
    pub(crate) fn allows(&self, bearer: Option<&[u8]>) -> bool {
        match self {
            Self::Refused => false,
            Self::Open | Self::Loopback => true,
            Self::Token(_) => bearer.is_some_and(|bearer| self.is_token(bearer)),
        }
    }
}

impl PartialEq for Control {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Refused, Self::Refused) | (Self::Open, Self::Open) | (Self::Loopback, Self::Loopback) => true,
            (Self::Token(one), Self::Token(other)) => token::is(one, other.as_bytes()),
            (Self::Refused | Self::Token(_) | Self::Open | Self::Loopback, _) => false,
        }
    }
}

impl Eq for Control {}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "Refused",
            Self::Token(_) => "Token(..)",
            Self::Open => "Open",
            Self::Loopback => "Loopback",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_token_opens() {
        let control = Control::token("secret");
        assert!(control.allows(Some(b"secret")));
        for bearer in [None, Some(&b""[..]), Some(b"secre"), Some(b"secret2"), Some(b"SECRET")] {
            assert!(!control.allows(bearer));
        }
        assert!(!Control::Refused.allows(Some(b"secret")));
        assert!(Control::Open.allows(None) && Control::Loopback.allows(None));
    }

    #[test]
    fn debug_hides_the_secret() {
        assert_eq!(format!("{:?}", Control::token("secret")), "Token(..)");
    }

    #[test]
    #[should_panic(expected = "empty")]
    fn an_empty_token_is_a_mistake() {
        let _ = Control::token("");
    }
}
