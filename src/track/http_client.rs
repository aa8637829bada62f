//! [`HttpClientLayer`]: the calls of any tower service that is an HTTP client become observations.

use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response, header::HOST};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    call::{RunningCall, callee},
    call_body::CallBody,
};
use crate::{
    context::{CallEnding, Callee},
    names,
};

/// A tower layer that tracks every call of the HTTP client it wraps: a service of `http::Request` that answers with an
/// `http::Response`, such as hyper-util's client.
///
/// A call counts for the request that is being polled when it is made, and in the service's numbers as
/// `http_client_request_duration_seconds`, under its method and the host and port of its URI, or else of its `Host` header: never
/// under the path. It lasts until the last byte of the answer's body, which is why the answer has a [`CallBody`]. It fails with an
/// error, a status of 400 or more, or a body that breaks off. A call that is dropped counts as cancelled. At most
/// `max_fingerprints` services are told apart. Without a monitor calls pass unchanged.
///
/// Layers added before it to a `ServiceBuilder` are outside: with a retry there, each try is a call, and the pauses between tries
/// are not. Evidence and timelines name the place in the code where the layer was made.
///
/// ```
/// # #[derive(Clone)] struct Client;
/// # impl tower::Service<http::Request<String>> for Client {
/// #     type Response = http::Response<String>; type Error = std::io::Error;
/// #     type Future = std::future::Ready<Result<Self::Response, Self::Error>>;
/// #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> { Ok(()).into() }
/// #     fn call(&mut self, _: http::Request<String>) -> Self::Future { std::future::ready(Ok(http::Response::default())) }
/// # }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let client = Client;
/// use pinchpoint::HttpClientLayer;
/// use tower::{Layer as _, ServiceExt as _};
///
/// let client = HttpClientLayer::new().layer(client);
/// let request = http::Request::get("https://payments.example/charges").body(String::new())?;
/// let answer = client.oneshot(request).await?;
/// # drop(answer); Ok(()) }
/// ```
#[derive(Clone, Copy)]
pub struct HttpClientLayer {
    made_at: &'static Location<'static>,
}

impl HttpClientLayer {
    /// Returns the layer. Calls are shown at the place where this is called.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        Self { made_at: Location::caller() }
    }
}

impl Default for HttpClientLayer {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HttpClientLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClientLayer").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for HttpClientLayer {
    type Service = HttpClientService<S>;

    fn layer(&self, inner: S) -> HttpClientService<S> {
        HttpClientService { inner, made_at: self.made_at }
    }
}

/// An HTTP client whose calls are tracked; made by [`HttpClientLayer`].
#[derive(Clone)]
pub struct HttpClientService<S> {
    inner: S,
    made_at: &'static Location<'static>,
}

impl<S> fmt::Debug for HttpClientService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClientService").finish_non_exhaustive()
    }
}

/// Returns who is called: the host and port of the URI, or else of the `Host` header.
fn called<B>(request: &Request<B>) -> Callee<'_> {
    let method = request.method().as_str();
    if let Some(authority) = request.uri().authority() {
        return named(method, authority.host(), authority.port_u16(), request.uri().scheme_str());
    }
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    callee(method, host)
}

/// Returns who is called, with the port of the scheme where none is given.
pub(super) fn named<'a>(method: &'a str, host: &'a str, port: Option<u16>, scheme: Option<&str>) -> Callee<'a> {
    let of_scheme = || if scheme == Some("https") { 443 } else { 80 };
    // The brackets of an IPv6 address are the URI's.
    let address = host.trim_start_matches('[').trim_end_matches(']');
    Callee { method, address, port: port.unwrap_or_else(of_scheme) }
}

impl<S, B, R> Service<Request<B>> for HttpClientService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    type Response = Response<CallBody<R>>;
    type Error = S::Error;
    type Future = HttpClientFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let running = RunningCall::begin(called(&request), Some(self.made_at));
        HttpClientFuture { call: self.inner.call(request), running: Some(running) }
    }
}

pin_project! {
    /// Response future of [`HttpClientService`].
    #[must_use = "futures do nothing unless polled"]
    pub struct HttpClientFuture<F> {
        #[pin]
        call: F,
        // Moves into the answer's body.
        running: Option<RunningCall>,
    }
}

impl<F> fmt::Debug for HttpClientFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClientFuture").finish_non_exhaustive()
    }
}

impl<F, R, E> Future for HttpClientFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
{
    type Output = Result<Response<CallBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let running = this.running.as_mut().expect("a future is not polled after it was ready");
        running.polling = true;
        let polled = this.call.poll(cx);
        running.polling = false;
        let answer = ready!(polled);
        let mut running = this.running.take().expect("it was there when this poll began");
        Poll::Ready(match answer {
            Ok(response) => {
                let status = response.status();
                Ok(response.map(|body| CallBody::new(body, status, running)))
            }
            Err(error) => {
                running.end(CallEnding { status: None, error: Some(names::ERROR) });
                Err(error)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_come_from_the_uri_or_the_host_header() {
        #[track_caller]
        fn check(method: &str, uri: &str, host: Option<&str>, expected: (&str, &str, u16)) {
            let request = Request::builder().method(method).uri(uri);
            let request = host.into_iter().fold(request, |request, host| request.header(HOST, host));
            let request = request.body(()).expect("a request");
            let Callee { method, address, port } = called(&request);
            assert_eq!((method, address, port), expected, "{uri} {host:?}");
        }
        check("GET", "https://pay.example/charge?card=4111", None, ("GET", "pay.example", 443));
        check("PUT", "http://user:secret@[::1]:9000/", Some("other.example"), ("PUT", "::1", 9000));
        check("POST", "/charge", Some("pay.example:8443"), ("POST", "pay.example", 8443));
        check("POST", "/charge", None, ("POST", "", 80));
        check("BREW", "http://pot.example", None, ("BREW", "pot.example", 80));
        check("CONNECT", "db.example:5432", None, ("CONNECT", "db.example", 5432));
    }
}
