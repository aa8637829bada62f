//! `/metrics`.

use std::{convert::Infallible, io::Write as _};

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use futures_util::stream;
use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_TYPE, VARY},
};

use super::{CoreState, negotiation::Negotiated};
use crate::store::Exposition;

/// All metrics in the format that the client asks for: the Prometheus text format, OpenMetrics or protobuf, compressed where it
/// accepts that.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/metrics", tag = "prometheus", responses((status = 200))))]
pub(super) async fn metrics(State(core): CoreState, headers: HeaderMap) -> Response {
    let negotiated = Negotiated::of(&headers);
    let parts = core.recorder().exposition(negotiated.format);
    let body = if negotiated.gzip { streamed(Compressed::new(parts)) } else { streamed(parts) };
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(negotiated.content_type));
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if negotiated.gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Sends parts as they are made. Between two of them the worker can do other work: a page of a hundred thousand lines would keep
/// it for tens of milliseconds.
fn streamed(parts: impl Iterator<Item = Vec<u8>> + Send + 'static) -> Body {
    let next = async |mut parts: _| {
        let part = Iterator::next(&mut parts)?;
        tokio::task::yield_now().await;
        Some((Ok::<_, Infallible>(part), parts))
    };
    Body::from_stream(stream::unfold(parts, next))
}

/// The parts of a page, compressed one after the other.
struct Compressed {
    parts: Exposition,
    /// `None` after the end.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Compressed {
    fn new(parts: Exposition) -> Self {
        // The fastest level: lines that are so much alike become a fifteenth of their size, and hardly less with more work.
        Self { parts, encoder: Some(GzEncoder::new(Vec::new(), Compression::fast())) }
    }
}

impl Iterator for Compressed {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut encoder = self.encoder.take()?;
        let compressed = "writing to a Vec never fails";
        // A part of the page is a few kilobytes compressed, or none as long as the encoder keeps them.
        while encoder.get_ref().is_empty() {
            match self.parts.next() {
                Some(part) => encoder.write_all(&part).expect(compressed),
                None => return Some(encoder.finish().expect(compressed)),
            }
        }
        let part = std::mem::take(encoder.get_mut());
        self.encoder = Some(encoder);
        Some(part)
    }
}
