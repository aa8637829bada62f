//! The icon that browsers ask for beside every page.

use axum::{
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};

/// Where browsers look for the icon of an origin.
pub(super) const PATH: &str = "/favicon.ico";

const SVG: &str = include_str!("icon.svg");
/// A day: browsers ask again for each page otherwise.
pub(super) const KEPT: &str = "max-age=86400";

/// Answers [`PATH`] on an address where only the monitor is served.
pub(super) async fn icon() -> Response {
    ([(CONTENT_TYPE, "image/svg+xml"), (CACHE_CONTROL, KEPT)], SVG.trim_end()).into_response()
}

/// Returns the icon as the address of a link, for pages that need nothing else.
#[cfg(feature = "report")]
pub(super) fn data_uri() -> String {
    let encode = |c: char| match c {
        '"' => "'".to_owned(),
        '%' | '#' | '<' | '>' | ':' => format!("%{:02X}", c as u32),
        c => c.to_string(),
    };
    format!("data:image/svg+xml,{}", SVG.trim_end().chars().map(encode).collect::<String>())
}
