//! [`track_http_call`]: a call to another service becomes an observation.

use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::destination::Destination;
use crate::{
    context::{CallEnding, CallSeries, Callee, Did, Part, Place},
    names,
};

/// Finds host and port in a URL. What is not one is called as it is, up to the first character that no host has.
pub(super) fn callee<'a>(method: &'a str, url: &'a str) -> Callee<'a> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // A user and a password may stand before the host, and must be shown nowhere.
    let host = authority.rsplit('@').next().unwrap_or_default();
    let default = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    let (address, port) = match host.rsplit_once(':') {
        Some((address, port)) if !address.is_empty() && !port.contains(']') => {
            (address, port.parse().unwrap_or(default))
        }
        _ => (host, default),
    };
    Callee { method, address: address.trim_start_matches('[').trim_end_matches(']'), port }
}

/// A call in progress. Dropped before its end, it is recorded as cancelled, or as panicked if its poll unwound.
pub(super) struct RunningCall {
    /// `None` after its end, and if there is no monitor.
    destination: Option<Destination<CallSeries>>,
    began: Instant,
    place: Place,
    pub(super) polling: bool,
}

impl RunningCall {
    pub(super) fn begin(callee: Callee<'_>, location: Option<&'static Location<'static>>) -> Self {
        let destination = Destination::find(|instruments, _| instruments.call(callee));
        let place = location.filter(|_| destination.is_some()).map(Place::of).unwrap_or_default();
        Self { destination, began: Instant::now(), place, polling: false }
    }

    pub(super) fn end(&mut self, ending: CallEnding) {
        self.end_at(ending, Instant::now());
    }

    /// Returns whether there is a monitor to record it.
    pub(super) fn is_recorded(&self) -> bool {
        self.destination.is_some()
    }

    pub(super) fn end_at(&mut self, ending: CallEnding, at: Instant) {
        let Some(Destination { request, series }) = self.destination.take() else { return };
        let duration = at.saturating_duration_since(self.began);
        series.record(ending, duration);
        if let Some(request) = request {
            let failed = ending.failed();
            request.record(
                Part::Http,
                &Did { id: series.id, began: self.began, duration, failed, place: self.place, exact: 0 },
            );
        }
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        let error = if self.polling { names::PANIC } else { names::CANCELLED };
        self.end(CallEnding { status: None, error: Some(error) });
    }
}

/// Reads the status of a response.
type StatusOf<T> = fn(&T) -> u16;

pin_project! {
    /// Future of [`track_http_call`].
    #[must_use = "futures do nothing unless polled"]
    pub struct TrackHttpCall<M, U, F, T> {
        method: M,
        url: U,
        location: &'static Location<'static>,
        status: Option<StatusOf<T>>,
        running: Option<RunningCall>,
        #[pin]
        call: F,
    }
}

impl<M, U, F, T> fmt::Debug for TrackHttpCall<M, U, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackHttpCall").finish_non_exhaustive()
    }
}

/// Tracks a call to another service over HTTP: its duration from the first poll to its end, and whether it failed.
///
/// The call counts for the request that awaits it, and in the service's numbers under its method and the host and port of `url`,
/// as `http_client_request_duration_seconds`: never under the path, which may contain anything. At most `max_fingerprints` services are
/// told apart. `call` may be anything that takes the time of the call: to count the answer's body too, put reading it inside. Without
/// a monitor the future runs unchanged.
///
/// A call fails if it returns an error, or if [`status`](TrackHttpCall::status) finds one of 400 or more.
///
/// ```
/// # struct Response; impl Response { fn status(&self) -> u16 { 200 } }
/// # async fn charge() -> Result<Response, std::io::Error> { Ok(Response) }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), std::io::Error> {
/// use pinchpoint::track_http_call;
///
/// let charged = track_http_call("POST", "https://payments.example/charges", charge()).status(Response::status).await?;
/// # let _ = charged; Ok(()) }
/// ```
#[track_caller]
pub fn track_http_call<M, U, F, T, E>(method: M, url: U, call: F) -> TrackHttpCall<M, U, F, T>
where
    M: AsRef<str>,
    U: AsRef<str>,
    F: Future<Output = Result<T, E>>,
{
    TrackHttpCall { method, url, location: Location::caller(), status: None, running: None, call }
}

impl<M, U, F, T> TrackHttpCall<M, U, F, T> {
    /// Says where the status of the answer is, so that 4xx and 5xx count as failures.
    pub fn status(self, status: fn(&T) -> u16) -> Self {
        Self { status: Some(status), ..self }
    }
}

impl<M, U, F, T, E> Future for TrackHttpCall<M, U, F, T>
where
    M: AsRef<str>,
    U: AsRef<str>,
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let begin = || RunningCall::begin(callee(this.method.as_ref(), this.url.as_ref()), Some(this.location));
        let running = this.running.get_or_insert_with(begin);
        running.polling = true;
        let polled = this.call.poll(cx);
        running.polling = false;
        let result = ready!(polled);
        running.end(match &result {
            Ok(answer) => CallEnding { status: this.status.map(|status| status(answer)), error: None },
            Err(_) => CallEnding { status: None, error: Some(names::ERROR) },
        });
        Poll::Ready(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_host_and_port_of_a_url_are_kept() {
        let known = [
            ("https://payments.example/charges?card=4111", ("payments.example", 443)),
            ("http://user:secret@db.example:8080/x", ("db.example", 8080)),
            ("http://[::1]:9000/a", ("::1", 9000)),
            ("http://[::1]/a", ("::1", 80)),
            ("HTTPS://a.example#part", ("a.example", 443)),
            ("a.example/path", ("a.example", 80)),
            ("http://a.example:port/", ("a.example", 80)),
        ];
        for (url, expected) in known {
            let Callee { address, port, .. } = callee("GET", url);
            assert_eq!((address, port), expected, "{url}");
        }
    }
}
