//! `/performance/report`: everything worth knowing, for programs, for people and for pull requests.
//!
//! [`document`] gathers one [`Report`]; JSON, HTML and Markdown are three ways to write the same, the last two as far as
//! somebody reads: what stands in tables is made once for both. The invariant that a change could break: names of routes,
//! queries and tasks are data wherever they are written, never markup.

mod document;
mod format;
#[cfg(feature = "report")]
mod html;
#[cfg(feature = "report")]
mod markdown;
#[cfg(feature = "report")]
mod page;
#[cfg(feature = "report")]
mod plot;
#[cfg(feature = "report")]
mod sections;
#[cfg(feature = "report")]
mod tables;
#[cfg(all(test, feature = "report"))]
mod tests;
#[cfg(all(feature = "archive", feature = "report"))]
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

pub(super) use document::Report;

use super::{Shared, error::ApiError, parameters::Parameters, period::Period};
use format::Format;

/// The page needs nothing but its own style: whatever would come to be in it, no browser runs or fetches it.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'");

/// How the report is written, and of which part of the past.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// How far back, such as `30s` or `5m`, at most the longest window of a rule. Everything since the start or the last
    /// clear where it is left out.
    window: Option<String>,
    /// `json`, or with the feature `report` also `html` or `markdown`. What the `Accept` header prefers where it is left out, and JSON where that prefers
    /// nothing.
    format: Option<String>,
}

/// `GET /performance` leads to the report, a browser to the page. Relative, since the host may have nested the router.
pub(super) async fn index(headers: HeaderMap) -> Redirect {
    match Format::negotiate(&headers) {
        #[cfg(feature = "report")]
        Some(Format::Html) => Redirect::temporary("performance/report?format=html"),
        _ => Redirect::temporary("performance/report"),
    }
}

/// Everything worth knowing: what to do ranked by what it is expected to gain, the bottlenecks with their evidence, and
/// the endpoints that cost most. As JSON, as a page that needs nothing else, or as Markdown for pull requests.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/performance/report", tag = "analysis", params(Wanted),
    responses(
        (status = 200, content((Report = "application/json"), (String = "text/html"), (String = "text/markdown"))),
        (status = 400, body = super::error::ErrorBody),
        (status = 406, body = super::error::ErrorBody),
    )
))]
pub(super) async fn report(
    State(core): Shared,
    Parameters(wanted): Parameters<Wanted>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let format = match &wanted.format {
        Some(name) => {
            Format::parse(name).ok_or_else(|| ApiError::bad_request(format!("format must be {}", Format::NAMES)))?
        }
        None => Format::negotiate(&headers).ok_or_else(|| {
            ApiError::not_acceptable(format!("the report is {}; see also ?format=", Format::MEDIA_TYPES))
        })?,
    };
    let period = Period { window: wanted.window };
    let report = Report::of(&period.of(&core)?, &core).await;
    let mut response = match format {
        Format::Json => Json(report).into_response(),
        #[cfg(feature = "report")]
        Format::Html => html::page(&report).into_response(),
        #[cfg(feature = "report")]
        Format::Markdown => markdown::text(&report).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}
