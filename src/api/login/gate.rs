//! What a browser gets that may not read yet: its answer by the cookie, or the form.
//!
//! The invariant that a change could break: other clients, and browsers that send credentials of their own, get the answer of
//! [`access`](crate::api::access).

use axum::{
    extract::Request,
    http::{Method, header::AUTHORIZATION},
    response::Response,
};

use super::{
    cookie, form,
    form::Why,
    place::{Base, Place},
};
use crate::{
    api::{access::Area, report::format::Format},
    monitor::{Access, Core},
};

/// In this header a browser says for which page it sends a request.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Returns whether a request reads with the cookie of a browser that logged in.
pub(in crate::api) fn has_cookie(core: &Core, area: Area, request: &Request) -> bool {
    area == Area::Performance
        && is_reading(request.method())
        && cookie::is_of_a_reader(core.control(), area.access(core), request.headers())
}

/// Returns the form for a browser that sent no credentials; `None` for others.
pub(in crate::api) fn form(core: &Core, area: Area, request: &Request) -> Option<Response> {
    let headers = request.headers();
    let is_asked = area == Area::Performance
        && matches!(area.access(core), Access::Token(_))
        && is_reading(request.method())
        && !headers.contains_key(AUTHORIZATION)
        && Format::negotiate(headers).is_some_and(Format::is_page);
    let base = if is_asked { Base::of(request.uri()) } else { None }?;
    let is_from_elsewhere = headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site" || site == "same-site");
    let why = if is_from_elsewhere { Why::AskedFromAnotherSite } else { Why::Asked };
    Some(form::answer(base, &Place::of(request.uri()), why))
}

fn is_reading(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}
