//! A response that expectations and captures look at.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// A complete response. Its body is parsed as JSON at most once, however many expectations and captures need it.
#[derive(Debug)]
pub(crate) struct Response<'a> {
    /// Status code.
    pub(crate) status: u16,
    /// Headers.
    pub(crate) headers: &'a HeaderMap,
    /// The body, or its first 4 MiB.
    pub(crate) body: &'a [u8],
    json: Option<Option<Value>>,
}

impl<'a> Response<'a> {
    /// Returns a response made of its parts.
    pub(crate) fn new(status: u16, headers: &'a HeaderMap, body: &'a [u8]) -> Self {
        Self { status, headers, body, json: None }
    }

    /// Returns the body as JSON; `None` if it is something else.
    pub(crate) fn json(&mut self) -> Option<&Value> {
        self.json.get_or_insert_with(|| serde_json::from_slice(self.body).ok()).as_ref()
    }
}
