//! [`ReqwestMiddleware`]: the calls of a reqwest client become observations.

use std::{fmt, panic::Location};

use http::{Extensions, Response as HttpResponse};
use reqwest::{Body, Request, Response, ResponseBuilderExt as _};
use reqwest_middleware::{Middleware, Next, Result};

use super::{call::RunningCall, call_body::CallBody, http_client::named};
use crate::{context::CallEnding, names};

/// A middleware for [`reqwest_middleware`] that tracks every call of a reqwest client, as
/// [`HttpClientLayer`](crate::HttpClientLayer) does for other clients: to the last byte of the answer's body.
///
/// Added last, after a middleware that retries, each try is a call; added before that, all tries and the pauses between them are
/// one. Redirects, which reqwest follows itself, are part of the call, under the host that was asked first.
///
/// ```no_run
/// # async fn charge() -> Result<(), reqwest_middleware::Error> {
/// use pinchpoint::ReqwestMiddleware;
/// use reqwest_middleware::ClientBuilder;
///
/// let client = ClientBuilder::new(reqwest::Client::new()).with(ReqwestMiddleware::new()).build();
/// let charged = client.post("https://payments.example/charges").send().await?;
/// # drop(charged); Ok(()) }
/// ```
#[derive(Clone, Copy)]
pub struct ReqwestMiddleware {
    made_at: &'static Location<'static>,
}

impl ReqwestMiddleware {
    /// Returns the middleware. Calls are shown at the place where this is called.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        Self { made_at: Location::caller() }
    }
}

impl Default for ReqwestMiddleware {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ReqwestMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestMiddleware").finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl Middleware for ReqwestMiddleware {
    async fn handle(&self, request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        let url = request.url();
        let callee = named(
            request.method().as_str(),
            url.host_str().unwrap_or_default(),
            url.port_or_known_default(),
            Some(url.scheme()),
        );
        let mut running = RunningCall::begin(callee, Some(self.made_at));
        match next.run(request, extensions).await {
            Ok(response) if running.is_recorded() => Ok(followed(response, running)),
            Ok(response) => Ok(response),
            Err(error) => {
                running.end(CallEnding { status: None, error: Some(names::ERROR) });
                Err(error)
            }
        }
    }
}

/// Follows the body of a response.
fn followed(response: Response, running: RunningCall) -> Response {
    // The conversion there and back keeps the URL in an extension that only this builder can write.
    let url = response.url().clone();
    let with_url = HttpResponse::builder().url(url).body(()).expect("it has nothing but an extension");
    let (mut parts, body) = HttpResponse::<Body>::from(response).into_parts();
    parts.extensions.extend(with_url.into_parts().0.extensions);
    let body = CallBody::new(body, parts.status, running);
    HttpResponse::from_parts(parts, Body::wrap(body)).into()
}
