//! Requests and responses as scenarios in Rust see them.

use std::time::Duration;

use reqwest::{
    Method, StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use super::user::{IterationError, OutgoingRequest, User};
use crate::{
    record::EndpointName,
    scenario::{Expectation, Response, StatusPattern},
};

/// A response whose body was read to its end.
#[derive(Debug)]
pub struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) latency: Duration,
}

impl Reply {
    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the body, of which at most 4 MiB are kept.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the body as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the body as JSON.
    ///
    /// # Errors
    /// Fails when the body is not JSON; with `?` this ends the iteration.
    pub fn json(&self) -> Result<serde_json::Value, IterationError> {
        serde_json::from_slice(&self.body).map_err(|_| IterationError)
    }

    /// Returns the time until the last byte of the body.
    #[must_use]
    pub fn latency(&self) -> Duration {
        self.latency
    }
}

/// A request of a scenario in Rust, built by [`User::request`].
#[derive(Debug)]
pub struct Call<'u> {
    user: &'u mut User,
    method: Method,
    path: String,
    name: Option<String>,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    expectation: Expectation,
    timeout: Option<Duration>,
}

impl<'u> Call<'u> {
    pub(super) fn new(user: &'u mut User, method: Method, path: String) -> Self {
        Self {
            user,
            method,
            path,
            name: None,
            headers: HeaderMap::new(),
            body: None,
            expectation: Expectation::default(),
            timeout: None,
        }
    }

    /// Counts the request under this name instead of its path.
    ///
    /// A path with an id in it needs a name, or every id becomes a line in the report.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds a header.
    ///
    /// # Panics
    /// Panics on a name or value that HTTP does not allow.
    #[must_use]
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("a header name that HTTP allows");
        let value = HeaderValue::from_str(value).expect("a header value that HTTP allows");
        self.headers.insert(name, value);
        self
    }

    /// Sends this text or these bytes as the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sends a JSON body.
    #[must_use]
    pub fn json(self, body: &serde_json::Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// Accepts only this status as a success, instead of every status below 400. May be called for several.
    #[must_use]
    pub fn expect_status(mut self, status: u16) -> Self {
        self.expectation.statuses.push(StatusPattern::Exact(status));
        self
    }

    /// Requires this text in the body for a success.
    #[must_use]
    pub fn expect_contains(mut self, text: impl Into<String>) -> Self {
        self.expectation.contains.push(text.into());
        self
    }

    /// Sets the longest time to the last byte, instead of `--timeout`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends the request, reads the response to its end, and records both.
    ///
    /// # Errors
    /// Fails when the request was recorded as failed, or the test is over; with `?` this ends the iteration.
    pub async fn send(self) -> Result<Reply, IterationError> {
        let Self { user, method, path, name, headers, body, expectation, timeout } = self;
        let counted = name.unwrap_or_else(|| path.split('?').next().unwrap_or_default().to_owned());
        let endpoint = user.endpoint(EndpointName::new(method.as_str(), counted), &path);
        let Some(url) = user.url(&path) else {
            user.record_unsent(endpoint, &format!("\"{path}\" is not a path")).await;
            return Err(IterationError);
        };
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        *request.body_mut() = body.map(Into::into);
        // The code after it may ask for the body.
        let needs_body = true;
        let mut random = user.random.clone();
        let expect = |response: &mut Response<'_>| expectation.check(response, &mut random);
        user.call(OutgoingRequest { endpoint, request, needs_body, timeout }, expect).await
    }
}
