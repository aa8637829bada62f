//! The form that asks for a token.

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, WWW_AUTHENTICATE},
    },
    response::{IntoResponse as _, Response},
};

use super::place::{Base, Place};
use crate::{
    api::{access, icon},
    markup::Html,
};

/// The page needs its style and its icon, and sends its form here. With this policy a browser runs and fetches nothing else.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

/// Why a page has the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The browser sent no credentials, for a page of the monitor's or as a first request.
    Asked,
    /// The browser followed a link of another site, and so did not send a cookie that it may have. The page asks again by
    /// itself, and that is a request of this site.
    AskedFromAnotherSite,
    /// The form was sent without a token.
    Empty,
    /// The form was sent with a token that is not one that reads.
    Wrong,
}

/// Returns the form, which afterwards leads to `place`.
pub(super) fn answer(base: Base, place: &Place, why: Why) -> Response {
    let mut response = (StatusCode::UNAUTHORIZED, page(base, place, why)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    // Not Basic: the question that it makes a browser ask hides the form.
    headers.insert(WWW_AUTHENTICATE, access::BEARER_CHALLENGE);
    response
}

fn page(base: Base, place: &Place, why: Why) -> String {
    let mut page = Html::default();
    page.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")
        .raw("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">");
    if why == Why::AskedFromAnotherSite {
        page.raw("<meta http-equiv=\"refresh\" content=\"0\">");
    }
    page.raw("<link rel=\"icon\" href=\"").text(&icon::data_uri()).raw("\"><link rel=\"stylesheet\" href=\"");
    below(&mut page, base).raw("page.css\"><title>Log in · Pinchpoint</title></head>\n<body><main class=\"login\">");
    page.raw("<h1>Performance</h1>\n<form class=\"card\" method=\"post\" action=\"");
    below(&mut page, base).raw("login\">");
    let problem = match why {
        Why::Asked | Why::AskedFromAnotherSite => None,
        Why::Empty => Some("Enter the token."),
        Why::Wrong => Some("This token is wrong."),
    };
    if let Some(problem) = problem {
        page.element("<p id=\"problem\" class=\"critical\" role=\"alert\">", problem, "</p>");
    }
    // Password managers keep a password under a name; it is not read.
    page.raw("<input name=\"user\" autocomplete=\"username\" value=\"pinchpoint\" hidden>");
    page.raw("<label for=\"token\">Token</label><input id=\"token\" name=\"token\" type=\"password\"")
        .raw(" autocomplete=\"current-password\" autofocus required");
    if problem.is_some() {
        page.raw(" aria-invalid=\"true\" aria-describedby=\"problem\"");
    }
    page.raw("><input type=\"hidden\" name=\"next\" value=\"").text(&place.to_string());
    page.raw("\"><button>Log in</button><p class=\"small muted\">Reading needs the token that the service set with ")
        .raw("<code>Access::token</code> or the setting <code>performance_token</code>.</p></form></main></body></html>\n");
    page.finish()
}

/// Adds how the page leads to what is below `/performance/`.
fn below(page: &mut Html, base: Base) -> &mut Html {
    match base {
        Base::Above => page.raw("performance/"),
        Base::Below(levels) => (0..levels).fold(page, |page, _| page.raw("../")),
    }
}
