//! `/metrics`.

use std::convert::Infallible;

use axum::{
    body::Body,
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use futures_util::stream;

use super::CoreState;

/// Media type of the text format, which every version of Prometheus reads.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics in the Prometheus text format.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/metrics", tag = "prometheus", responses((status = 200, body = String, content_type = "text/plain"))))]
pub(super) async fn metrics(State(core): CoreState) -> Response {
    let parts = stream::iter(core.recorder().exposition().map(Ok::<_, Infallible>));
    ([(CONTENT_TYPE, TEXT_FORMAT)], Body::from_stream(parts)).into_response()
}
