//! The stylesheet and the script, at addresses that change with their content, so that browsers may keep them.

use std::{io::Write as _, sync::LazyLock};

use axum::{
    http::{
        HeaderMap, HeaderValue, Uri,
        header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY},
    },
    response::{IntoResponse as _, Response},
};
use flate2::{Compression, write::GzEncoder};
use xxhash_rust::xxh64::xxh64;

use crate::{api::negotiation::accepts_gzip, markup::STYLE};

/// For a year: another content has another address.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Where the address says nothing of the content.
const KEPT_SHORTLY: HeaderValue = HeaderValue::from_static("max-age=300");

/// A file that the page needs.
struct Asset {
    text: String,
    gzip: Vec<u8>,
    version: String,
}

impl Asset {
    fn new(text: String) -> Self {
        let version = format!("{:016x}", xxh64(text.as_bytes(), 0));
        Self { gzip: gzip(text.as_bytes()), version, text }
    }

    fn answer(&'static self, headers: &HeaderMap, uri: &Uri, content_type: &'static str) -> Response {
        let is_compressed = accepts_gzip(headers);
        let body: &'static [u8] = if is_compressed { &self.gzip } else { self.text.as_bytes() };
        let mut response = body.into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let is_this = uri.query().and_then(|query| query.strip_prefix("v=")) == Some(&*self.version);
        headers.insert(CACHE_CONTROL, if is_this { KEPT } else { KEPT_SHORTLY });
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if is_compressed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

static ALL_STYLE: LazyLock<Asset> = LazyLock::new(|| Asset::new(format!("{STYLE}{}", include_str!("page.css"))));
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| Asset::new(include_str!("page.js").to_owned()));

/// Compresses well rather than fast: what is compressed is sent to many.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("writing to a Vec never fails")
}

/// Returns the address of the stylesheet, below `/performance/`.
pub(super) fn style_link() -> String {
    format!("page.css?v={}", ALL_STYLE.version)
}

/// Returns the address of the script, below `/performance/`.
pub(super) fn script_link() -> String {
    format!("page.js?v={}", SCRIPT.version)
}

/// The stylesheet of the page. It holds nothing of the service, so that everybody may read it: the form that asks for a token needs it.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/performance/page.css", tag = "access",
    params(("v" = Option<String>, Query, description = "As the page has it, so that browsers may keep it")),
    responses((status = 200, content_type = "text/css", body = String))
))]
pub(in crate::api) async fn style(headers: HeaderMap, uri: Uri) -> Response {
    ALL_STYLE.answer(&headers, &uri, "text/css; charset=utf-8")
}

/// The script of the page, which everybody may read too.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/performance/page.js", tag = "access",
    params(("v" = Option<String>, Query, description = "As the page has it, so that browsers may keep it")),
    responses((status = 200, content_type = "text/javascript", body = String))
))]
pub(in crate::api) async fn script(headers: HeaderMap, uri: Uri) -> Response {
    SCRIPT.answer(&headers, &uri, "text/javascript; charset=utf-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_small_and_what_is_sent_once_is_below_its_bound() {
        assert!(SCRIPT.text.len() < 20_000, "{}", SCRIPT.text.len());
        assert!(SCRIPT.gzip.len() + ALL_STYLE.gzip.len() < 20_000);
    }
}
