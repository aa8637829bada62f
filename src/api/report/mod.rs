//! `/performance/report`: everything worth knowing, for programs, for people and for pull requests.
//!
//! [`document`] gathers one [`Report`]; JSON, HTML and Markdown are three ways to write the same, the last two as far as
//! somebody reads: what stands in tables is made once for both. The invariant that a change could break: names of routes,
//! queries and tasks are data wherever they are written, never markup.

mod document;
mod format;
mod html;
mod markdown;
mod page;
mod plot;
mod sections;
mod tables;
#[cfg(test)]
mod tests;
#[cfg(feature = "archive")]
mod versions;

use axum::{
    Json,
    extract::State,
    http::{
        HeaderMap, HeaderValue,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS},
    },
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;

pub(super) use document::Report;

use super::{
    Shared,
    error::{ApiError, ErrorBody},
    parameters::Parameters,
    period::Period,
};
use format::Format;

/// The page needs nothing but its own style: whatever would come to be in it, no browser runs or fetches it.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'");

/// How the report is written, and of which part of the past.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// How far back, such as `30s` or `5m`, at most the longest window of a rule. Everything since the start or the last
    /// clear where it is left out.
    window: Option<String>,
    /// `json`, `html` or `markdown`. What the `Accept` header prefers where it is left out, and JSON where that prefers
    /// nothing.
    format: Option<String>,
}

/// `GET /performance` leads to the report, a browser to the page. Relative, since the host may have nested the router.
pub(super) async fn index(headers: HeaderMap) -> Redirect {
    match Format::negotiate(&headers) {
        Some(Format::Html) => Redirect::temporary("performance/report?format=html"),
        _ => Redirect::temporary("performance/report"),
    }
}

/// Everything worth knowing: what to do ranked by what it is expected to gain, the bottlenecks with their evidence, and
/// the endpoints that cost most. As JSON, as a page that needs nothing else, or as Markdown for pull requests.
#[utoipa::path(
    get, path = "/performance/report", tag = "analysis", params(Wanted),
    responses(
        (status = 200, content((Report = "application/json"), (String = "text/html"), (String = "text/markdown"))),
        (status = 400, body = ErrorBody),
        (status = 406, body = ErrorBody),
    )
)]
pub(super) async fn report(
    State(core): Shared,
    Parameters(wanted): Parameters<Wanted>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let format = match &wanted.format {
        Some(name) => {
            Format::parse(name).ok_or_else(|| ApiError::bad_request("format must be json, html or markdown"))?
        }
        None => Format::negotiate(&headers).ok_or_else(|| {
            ApiError::not_acceptable("the report is application/json, text/html or text/markdown; see also ?format=")
        })?,
    };
    let period = Period { window: wanted.window };
    let report = Report::of(&period.of(&core)?, &core).await;
    let mut response = match format {
        Format::Json => Json(report).into_response(),
        Format::Html => html::page(&report).into_response(),
        Format::Markdown => markdown::text(&report).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}
