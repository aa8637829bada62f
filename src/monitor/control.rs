//! [`Control`]: who may use the control endpoints.

use std::{fmt, sync::Arc};

use subtle::ConstantTimeEq as _;

/// Who may use the control endpoints: `POST /performance/start-monitoring`, `POST /performance/stop-monitoring` and
/// `DELETE /performance/clear-data`. In settings: `refused`, `open`, `loopback`, or a `control_token`.
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
    /// Requests with `Authorization: Bearer <token>`. The token is compared in constant time. Make it with
    /// [`Control::token`], which refuses an empty one.
    Token(Arc<str>),
    /// Every request that reaches the router, except from pages of other sites in a browser. For closed networks.
    Open,
    /// As `Open`, but only requests whose `Host` is `localhost` or a loopback address: a site cannot let its pages in by
    /// pointing a name of its own at this machine. For routers that are served on the loopback interface only.
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

    /// Returns whether a request with this bearer token may control the monitor.
    pub(crate) fn allows(&self, bearer: Option<&[u8]>) -> bool {
        match self {
            Self::Refused => false,
            Self::Open | Self::Loopback => true,
            Self::Token(token) => bearer.is_some_and(|bearer| bearer.ct_eq(token.as_bytes()).into()),
        }
    }
}

impl PartialEq for Control {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Refused, Self::Refused) | (Self::Open, Self::Open) | (Self::Loopback, Self::Loopback) => true,
            (Self::Token(one), Self::Token(other)) => one.as_bytes().ct_eq(other.as_bytes()).into(),
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
