//! The handlers of `/performance` and `/performance/report`.

use axum::{
    Json,
    extract::State,
    http::{
        HeaderMap, HeaderValue, Uri,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY},
    },
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;

use super::{document::Report, format::Format};
#[cfg(feature = "report")]
use super::{html, markdown};
use crate::api::{CoreState, error::ApiError, parameters::Parameters, period::Period};

/// The page needs nothing but its own style and icon. With this policy a browser runs and fetches nothing else, even if a name
/// ever became markup.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The window and the format of a report.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub(in crate::api) struct ReportQuery {
    /// How far back to look, such as `30s` or `5m`, at most the longest window of a rule. By default everything since the
    /// start or the last clear.
    pub(in crate::api) window: Option<String>,
    /// `json`, or with the feature `report` also `html` or `markdown`. By default what the `Accept` header prefers, and JSON without a preference.
    #[cfg_attr(all(feature = "openapi", feature = "report"), param(pattern = "^(json|html|markdown|md)$"))]
    #[cfg_attr(all(feature = "openapi", not(feature = "report")), param(pattern = "^json$"))]
    pub(in crate::api) format: Option<String>,
}

/// Redirects `/performance` to the report, a browser to the page, with the parameters that were given. Relative, since the
/// host may have nested the router.
#[cfg_attr(all(feature = "openapi", not(feature = "page")), utoipa::path(
    get, path = "/performance", tag = "analysis", params(ReportQuery),
    responses((status = 307, headers(("location" = String, description = "`performance/report` with the parameters that were given"))))
))]
pub(in crate::api) async fn index(
    State(core): CoreState,
    headers: HeaderMap,
    Parameters(query): Parameters<ReportQuery>,
    uri: Uri,
) -> Result<Redirect, ApiError> {
    // Refused here already, and not after the redirect.
    query.format.as_deref().map(named_format).transpose()?;
    Period { window: query.window }.length(&core)?;
    let given = uri.query().filter(|given| !given.is_empty()).map(str::to_owned);
    let is_page = query.format.is_none() && Format::negotiate(&headers).is_some_and(Format::is_page);
    let format = is_page.then(|| "format=html".to_owned());
    let parameters: Vec<String> = format.into_iter().chain(given).collect();
    let mark = if parameters.is_empty() { "" } else { "?" };
    Ok(Redirect::temporary(&format!("performance/report{mark}{}", parameters.join("&"))))
}

/// Returns whether a client likes the page best, as browsers do.
#[cfg(feature = "page")]
pub(in crate::api) fn prefers_page(headers: &HeaderMap) -> bool {
    Format::negotiate(headers).is_some_and(Format::is_page)
}

fn named_format(name: &str) -> Result<Format, ApiError> {
    Format::parse(name).ok_or_else(|| ApiError::bad_request(format!("format must be {}", Format::NAMES)))
}

/// Recommendations ranked by their expected gain, the bottlenecks with their evidence, and the endpoints that take most
/// time. As JSON, as a page that needs nothing else, or as Markdown for pull requests.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/performance/report", tag = "analysis", params(ReportQuery),
    responses(
        (status = 200, content((Report = "application/json"), (String = "text/html"), (String = "text/markdown"))),
        (status = 400, body = crate::api::error::ErrorBody),
        (status = 406, body = crate::api::error::ErrorBody),
    )
))]
pub(in crate::api) async fn report(
    State(core): CoreState,
    Parameters(query): Parameters<ReportQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let format = match &query.format {
        Some(name) => named_format(name)?,
        None => Format::negotiate(&headers).ok_or_else(|| {
            ApiError::not_acceptable(format!(
                "the report is available as {}; the parameter format takes precedence over the Accept header",
                Format::MEDIA_TYPES
            ))
        })?,
    };
    let period = Period { window: query.window };
    let report = Report::of(&period.window(&core)?, &core).await;
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
    headers.insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}
