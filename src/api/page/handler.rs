//! The handlers of the page: `GET /performance` for a browser, and `GET /performance/view/{view}`.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::{
        HeaderMap, HeaderValue, StatusCode, Uri,
        header::{
            CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK, VARY,
        },
    },
    response::{IntoResponse as _, Response},
};
use xxhash_rust::xxh64::xxh64;

use super::{
    assets,
    place::{PageQuery, Place, View},
    shelf::{Shelf, Written},
    shell, views,
};
use crate::{
    api::{CoreState, error::ApiError, negotiation::accepts_gzip, parameters::Parameters, report},
    monitor::Core,
};

/// The page needs nothing but its own style, script, icon and answers. With this policy a browser runs and fetches nothing else, even if a
/// name ever became markup.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'",
);
/// Kept, but asked for again each time: the tag says whether it is the same.
const ASKED_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// The page for a browser; for other clients it redirects to the report, with the parameters that were given.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/performance", tag = "analysis", params(PageQuery),
    responses(
        (status = 200, body = String, content_type = "text/html"),
        (status = 307, headers(("location" = String, description = "`performance/report` with the parameters that were given"))),
        (status = 400, body = crate::api::error::ErrorBody),
    )
))]
pub(in crate::api) async fn index(
    State(core): CoreState,
    Extension(shelf): Extension<Arc<Shelf>>,
    Parameters(query): Parameters<PageQuery>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let of_report = query.of_report();
    let is_page = of_report.format.is_none() && report::handler::prefers_page(&headers);
    let place = Place::read(View::Overview, query, &core);
    if is_page {
        return Ok(answer(core, &shelf, place, View::Overview, &headers).await);
    }
    place?;
    report::handler::index(State(core), headers, Parameters(of_report), uri).await.map(|to| to.into_response())
}

/// A view of the page: `endpoints`, `queries`, `calls`, `tasks`, `rules`, `slos` or `monitor`; with `name` the page of one of them.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/performance/view/{view}", tag = "analysis",
    params(("view" = String, Path, description = "The view", pattern = "^(endpoints|queries|calls|tasks|rules|slos|monitor)$", example = "endpoints"), PageQuery),
    responses(
        (status = 200, content((String = "text/html"), (views::RowsAnswer = "application/json"))),
        (status = 400, body = crate::api::error::ErrorBody),
        (status = 404, content((String = "text/html"), (crate::api::error::ErrorBody = "application/json"))),
    )
))]
pub(in crate::api) async fn view(
    State(core): CoreState,
    Extension(shelf): Extension<Arc<Shelf>>,
    view: Result<Path<String>, axum::extract::rejection::PathRejection>,
    Parameters(query): Parameters<PageQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Some(view) = view.ok().and_then(|Path(view)| View::of_path(&view)) else {
        let error =
            ApiError::not_found("no such view; there are endpoints, queries, calls, tasks, rules, slos and monitor");
        // Any view is as far from /performance.
        return Ok(match report::handler::prefers_page(&headers) {
            true => refused(&error, View::Monitor),
            false => error.into_response(),
        });
    };
    let is_page = match query.format.as_deref() {
        Some("html") => true,
        Some("json") => false,
        Some(_) => return Err(ApiError::bad_request("format must be html or json")),
        // Some views have no data of their own: a program gets their page too.
        None => report::handler::prefers_page(&headers) || !views::has_data(view),
    };
    let place = Place::read(view, query, &core);
    if is_page && report::handler::prefers_page(&headers) {
        return Ok(answer(core, &shelf, place, view, &headers).await);
    }
    let place = place?;
    if is_page {
        return sent(core, &shelf, place, &headers).await;
    }
    if !views::has_data(view) {
        return Err(ApiError::not_found("the data of this view are at the path of the API with its name"));
    }
    Ok(Json(on_a_thread(move || views::data(&core, &place)).await?).into_response())
}

/// Writing takes some milliseconds, in which a worker of the runtime could do other work.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| match error.is_panic() {
        true => ApiError::internal("this view could not be written; that is a fault of Pinchpoint's"),
        false => ApiError::unavailable("the service is shutting down"),
    })
}

/// Answers a browser: with a page also where there is an error.
async fn answer(
    core: Arc<Core>,
    shelf: &Shelf,
    place: Result<Place, ApiError>,
    view: View,
    headers: &HeaderMap,
) -> Response {
    let answer = match place {
        Ok(place) => sent(core, shelf, place, headers).await,
        Err(error) => Err(error),
    };
    answer.unwrap_or_else(|error| refused(&error, view))
}

/// Returns an error as a page.
fn refused(error: &ApiError, view: View) -> Response {
    let mut response = (error.status(), shell::refused(view.root(), &error.to_string())).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    response
}

async fn sent(core: Arc<Core>, shelf: &Shelf, place: Place, headers: &HeaderMap) -> Result<Response, ApiError> {
    let (state, oldest) = (core.shown_state(), core.interval() * 2);
    let own = place.clone();
    let written = shelf.page(&place, state, oldest, || on_a_thread(move || written(&core, &own))).await?;
    let mut response = if headers.get(IF_NONE_MATCH).is_some_and(|tags| names(tags, &written.tag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        body(&written, accepts_gzip(headers))
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(CACHE_CONTROL, ASKED_AGAIN);
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding, cookie, authorization"));
    headers.extend(HeaderValue::from_str(&written.tag).ok().map(|tag| (ETAG, tag)));
    let style = format!("<{}>; rel=preload; as=style", place.api(&assets::style_link()));
    headers.extend(HeaderValue::from_str(&style).ok().map(|style| (LINK, style)));
    Ok(response)
}

/// Returns whether `If-None-Match` names a tag. RFC 9110, section 13.1.2: the comparison is weak.
fn names(tags: &HeaderValue, tag: &str) -> bool {
    let Ok(tags) = tags.to_str() else { return false };
    tags.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

fn body(written: &Written, is_compressed: bool) -> Response {
    let bytes = if is_compressed { &written.gzip } else { &written.html };
    let status = if written.is_found { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let mut response = (status, bytes.clone()).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    if is_compressed {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn written(core: &Core, place: &Place) -> Arc<Written> {
    let (html, is_found) = views::html(core, place);
    let tag = format!("\"{:016x}\"", xxh64(html.as_bytes(), 0));
    Arc::new(Written { gzip: assets::gzip(html.as_bytes()), html: html.into_bytes(), tag, is_found })
}
