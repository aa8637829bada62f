//! Who may read: what [`Access`] says of a request.
//!
//! The invariant that a change could break: nothing but the right answers to these questions lets a request in, and no answer
//! repeats what the request sent.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{
        Extensions, HeaderMap, Uri,
        header::{AUTHORIZATION, HeaderValue},
    },
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

#[cfg(feature = "page")]
use super::login::gate;
use super::{error::ApiError, host};
use crate::monitor::{Access, Control, Core};

/// What the values of `WWW-Authenticate` call the monitor; browsers show it beside the question for a password.
const BASIC: &str = "Basic realm=\"pinchpoint\", charset=\"UTF-8\"";
const BEARER: &str = "Bearer realm=\"pinchpoint\"";

/// What a client may send to be let in, in the order in which a 401 lists them: a browser takes the first that it knows.
pub(super) const CHALLENGES: [HeaderValue; 2] = [HeaderValue::from_static(BASIC), BEARER_CHALLENGE];
/// The one that makes no browser ask.
pub(super) const BEARER_CHALLENGE: HeaderValue = HeaderValue::from_static(BEARER);

/// The routes that have an access of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Area {
    /// `/metrics`.
    Metrics,
    /// `/performance` and what is below it, but for the control endpoints.
    Performance,
}

impl Area {
    /// Returns who may read here.
    pub(super) fn access(self, core: &Core) -> &Access {
        match self {
            Self::Metrics => core.metrics_access(),
            Self::Performance => core.performance_access(),
        }
    }
}

/// Answers a request only if its client may read. A browser without credentials is asked to log in.
pub(super) async fn guard(State((core, area)): State<(Arc<Core>, Area)>, request: Request, next: Next) -> Response {
    let Err(error) = admit(&core, area, request.headers(), request.uri(), request.extensions()) else {
        return next.run(request).await;
    };
    #[cfg(feature = "page")]
    if gate::has_cookie(&core, area, &request) {
        return next.run(request).await;
    }
    #[cfg(feature = "page")]
    if let Some(form) = gate::form(&core, area, &request) {
        return form;
    }
    error.into_response()
}

/// Returns an error for a request whose client may not read an area, but for the cookie of a browser that logged in: only [`guard`]
/// knows that, so that it opens nothing else.
pub(super) fn admit(
    core: &Core,
    area: Area,
    headers: &HeaderMap,
    uri: &Uri,
    extensions: &Extensions,
) -> Result<(), ApiError> {
    match area.access(core) {
        Access::Open => Ok(()),
        Access::Loopback => of_this_machine(core, headers, uri, extensions),
        access @ Access::Token(_) => match has_token(core.control(), access, headers) {
            true => Ok(()),
            false => Err(ApiError::unauthorized(
                "reading needs the token that the service set with Access::token; send it as 'Authorization: Bearer <token>' \
                 or as the password of HTTP Basic authentication, with any user name",
            )),
        },
    }
}

/// Returns whether a request has a token that may read: the one for reading, or that of the control endpoints.
fn has_token(control: &Control, access: &Access, headers: &HeaderMap) -> bool {
    let Some(given) = bearer(headers).map(<[u8]>::to_vec).or_else(|| basic_password(headers)) else { return false };
    // Both are compared, so that the time does not depend on which one is right.
    let (reads, controls) = (access.is_token(&given), control.is_token(&given));
    reads | controls
}

fn of_this_machine(core: &Core, headers: &HeaderMap, uri: &Uri, extensions: &Extensions) -> Result<(), ApiError> {
    let Some(client) = host::client(extensions) else {
        return Err(ApiError::forbidden(
            "reading is open to clients on this machine only, and the address of the client is not known; let the service use \
             monitor.serve(address) or axum's into_make_service_with_connect_info::<SocketAddr>(), or set Access::token",
        ));
    };
    if !host::is_of_this_machine(client) || host::is_passed_on(headers) {
        return Err(ApiError::forbidden(
            "reading is open to clients on this machine only; let the service set Access::token to let in others",
        ));
    }
    if host::of(headers, uri).is_some_and(|host| !host::is_loopback(core, host)) {
        return Err(ApiError::forbidden(
            "reading is open on the loopback interface only; use localhost or 127.0.0.1 as the host, or let the service allow \
             the name with MonitorBuilder::allow_host",
        ));
    }
    Ok(())
}

/// Returns the token of `Authorization: Bearer <token>`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    credentials(headers, b"bearer ")
}

/// Returns the password of `Authorization: Basic <user:password>`. A user name has no colon, a password may.
fn basic_password(headers: &HeaderMap) -> Option<Vec<u8>> {
    let pair = STANDARD.decode(credentials(headers, b"basic ")?).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}

/// Returns what follows the scheme in `Authorization`, after one space or more (RFC 9110, section 11.4); schemes are compared
/// without case.
fn credentials<'a>(headers: &'a HeaderMap, scheme: &[u8]) -> Option<&'a [u8]> {
    let (found, credentials) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(scheme.len())?;
    found.eq_ignore_ascii_case(scheme).then_some(credentials.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(authorization: &str, expected: bool) {
        let value = HeaderValue::from_str(authorization).expect("a header");
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        let (control, access) = (Control::token("for control"), Access::token("se:cret"));
        assert_eq!(has_token(&control, &access, &headers), expected, "{authorization}");
    }

    #[test]
    fn a_token_comes_as_bearer_or_as_a_password_with_any_user() {
        for user in ["", "prometheus", "ä"] {
            check(&format!("Basic {}", STANDARD.encode(format!("{user}:se:cret"))), true);
            check(&format!("bAsIc {}", STANDARD.encode(format!("{user}:for control"))), true);
        }
        check("Bearer se:cret", true);
        check("BEARER se:cret", true);
        check("Bearer   se:cret", true);
        check(&format!("Basic  {}", STANDARD.encode("me:se:cret")), true);
        check("Bearer for control", true);
        for pair in ["se:cret", "secret", ":", ":se:cre", ":se:crett", "se:cret:"] {
            check(&format!("Basic {}", STANDARD.encode(pair)), false);
        }
        for wrong in
            ["", "Bearer", "Bearer ", "Basic", "Basic ", "Basic !!!", "se:cret", "Digest se:cret", "Basicse:cret"]
        {
            check(wrong, false);
        }
        check("Bearer c2U6Y3JldA==", false);
        check(&format!("Bearer {}", "a".repeat(100_000)), false);
    }

    #[test]
    fn nothing_is_the_token_of_what_has_none() {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Basic Og=="))]);
        assert!(!has_token(&Control::Refused, &Access::token("x"), &headers), "an empty password");
        assert!(!has_token(&Control::Open, &Access::token("x"), &HeaderMap::new()));
    }
}
