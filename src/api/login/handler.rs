//! `POST /performance/login` and `/performance/logout`.

use axum::{
    Form,
    extract::{Request, State, rejection::FormRejection},
    http::{HeaderMap, Uri, header::SET_COOKIE},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;

use super::{
    cookie, form,
    form::Why,
    place::{Base, Place},
};
use crate::{
    api::{CoreState, error::ApiError},
    context::Scheme,
    monitor::{Access, Control, Core},
};

/// Bytes of a form; longer than any token with a place.
pub(in crate::api) const LARGEST: usize = 8 << 10;

/// What the form sends.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(in crate::api) struct LoginForm {
    /// The token that reads, or the one of the control endpoints.
    #[serde(default)]
    token: String,
    /// Where to go then, relative to `/performance/`; to the page by default.
    #[serde(default)]
    next: String,
}

/// Logs a browser in: a right token sets a cookie with which it may read, and leads to where it wanted to go.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/performance/login", tag = "access",
    request_body(content = LoginForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "The token is right, or reading takes none", headers(
            ("location" = String, description = "`next`, as seen from here"),
            ("set-cookie" = String, description = "`pinchpoint`, if the token is right")
        )),
        (status = 400, body = crate::api::error::ErrorBody, description = "Not the form, or too long"),
        (status = 401, content_type = "text/html", body = String, description = "The form again, for another token",
            headers(("www-authenticate" = String)))
    )
))]
pub(in crate::api) async fn login(
    State(core): CoreState,
    headers: HeaderMap,
    uri: Uri,
    sent: Result<Form<LoginForm>, FormRejection>,
) -> Result<Response, ApiError> {
    let Form(LoginForm { token, next }) = sent.map_err(|_| {
        ApiError::bad_request(
            "expected the form of the login page: the fields token and next, url-encoded, of at most 8 kB",
        )
    })?;
    let (token, place) = (token.trim(), Place::parse(&next));
    if !matches!(core.performance_access(), Access::Token(_)) {
        return Ok(Redirect::to(&place.location()).into_response());
    }
    match known(&core, token) {
        Some(known) => {
            let cookie = (SET_COOKIE, cookie::set(known, is_secure(&core, &headers, &uri)));
            Ok(([cookie], Redirect::to(&place.location())).into_response())
        }
        None => {
            let why = if token.is_empty() { Why::Empty } else { Why::Wrong };
            Ok(form::answer(Base::Below(0), &place, why))
        }
    }
}

/// Returns the token that was given, if it may read.
fn known<'a>(core: &'a Core, given: &str) -> Option<&'a str> {
    let (access, control) = (core.performance_access(), core.control());
    // Both are compared, so that the time does not depend on which one is right.
    let (reads, controls) = (access.is_token(given.as_bytes()), control.is_token(given.as_bytes()));
    match (access, control) {
        (Access::Token(token), _) if reads => Some(token),
        (_, Control::Token(token)) if controls => Some(token),
        _ => None,
    }
}

/// Leads a browser that may read from the form to the page; another gets the form here, too.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/performance/login", tag = "analysis",
    responses((status = 307, description = "The client may read", headers(("location" = String, description = "The page"))))
))]
pub(in crate::api) async fn leave() -> Redirect {
    Redirect::temporary(&Place::default().location())
}

/// Logs a browser out: it forgets the cookie.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/performance/logout", tag = "access",
    responses((status = 303, description = "The cookie is cleared", headers(
        ("location" = String, description = "The page, which asks for the token again"),
        ("set-cookie" = String, description = "`pinchpoint`, which ends at once")
    )))
))]
pub(in crate::api) async fn logout(State(core): CoreState, request: Request) -> Response {
    let cookie = (SET_COOKIE, cookie::clear(is_secure(&core, request.headers(), request.uri())));
    ([cookie], Redirect::to(&Place::default().location())).into_response()
}

/// Returns whether a request came over TLS, as far as it is known. A client that lies about it harms its own cookie alone.
fn is_secure(core: &Core, headers: &HeaderMap, uri: &Uri) -> bool {
    Scheme::of(core.instruments().limits().scheme, headers, uri) == Scheme::Https
}
