//! [`GrpcCall`]: what a gRPC call has beyond its HTTP request: a method, a status of its own, and a deadline.
//!
//! The method is in the path, which a client may make up. So a path becomes an endpoint only once the service has answered it as
//! one of its methods. Refuses gRPC-Web, whose status is inside the body. The invariant that a change could break: a request that
//! is no gRPC call costs one look at its content type, and allocates nothing.

use std::{fmt, time::Duration};

use http::{HeaderMap, HeaderName, Method, Request, header::CONTENT_TYPE};

use super::series::EndpointSeries;
use crate::{
    context::Local,
    names::{self, GRPC_STATUSES},
};

/// Statics, because a lookup by text would parse the text each time.
static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
static GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// How much earlier than its deadline a call may end that ended because of it: the client's clock began before the server's,
/// and the two are no better than this.
const EARLY: Duration = Duration::from_millis(5);

/// A status of gRPC, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GrpcStatus(u8);

impl GrpcStatus {
    const UNKNOWN: Self = Self(2);
    const DEADLINE_EXCEEDED: Self = Self(4);
    const PERMISSION_DENIED: Self = Self(7);
    const RESOURCE_EXHAUSTED: Self = Self(8);
    const UNIMPLEMENTED: Self = Self(12);
    const INTERNAL: Self = Self(13);
    const UNAVAILABLE: Self = Self(14);
    const UNAUTHENTICATED: Self = Self(16);

    /// Reads the header or the trailer. To a client, a number that gRPC does not define is `UNKNOWN`.
    fn read(headers: &HeaderMap) -> Option<Self> {
        let number = headers.get(&GRPC_STATUS)?.to_str().ok().and_then(|text| text.parse().ok());
        Some(number.filter(|number| usize::from(*number) < GRPC_STATUSES.len()).map_or(Self::UNKNOWN, Self))
    }

    /// Returns what a client makes of an HTTP status without a gRPC status, as gRPC's specification maps them.
    fn of_http(status: u16) -> Self {
        match status {
            400 => Self::INTERNAL,
            401 => Self::UNAUTHENTICATED,
            403 => Self::PERMISSION_DENIED,
            404 => Self::UNIMPLEMENTED,
            429 | 502 | 503 | 504 => Self::UNAVAILABLE,
            _ => Self::UNKNOWN,
        }
    }

    pub(super) fn name(self) -> &'static str {
        GRPC_STATUSES[usize::from(self.0)]
    }

    /// Returns the name if it is the server's fault to OpenTelemetry, which counts an unknown method as one.
    pub(super) fn error_type(self) -> Option<&'static str> {
        self.fault().or((self == Self::UNIMPLEMENTED).then_some(self.name()))
    }

    /// Returns the name if it is the service's own fault.
    fn fault(self) -> Option<&'static str> {
        Some(self.name()).filter(|name| names::GRPC_FAULTS.contains(name))
    }

    /// Returns whether the service answers so only to a method that it has. What a layer in front of it refuses, such as a client
    /// without a token, may have any path.
    fn shows_the_method(self) -> bool {
        let refused = [Self::UNIMPLEMENTED, Self::UNAUTHENTICATED, Self::PERMISSION_DENIED, Self::RESOURCE_EXHAUSTED];
        !refused.contains(&self)
    }
}

/// How a call ended, for the labels of its durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GrpcEnding {
    /// What the client sees.
    pub(super) status: Option<GrpcStatus>,
    /// Whether the service said that itself, so that it says more than the HTTP status.
    pub(super) is_own: bool,
    /// Kind of failure, if it was one of the service.
    pub(super) error: Option<&'static str>,
}

/// Adds the endpoint of a path that was shown to be a method; `None` past the limit.
pub(super) type AddMethod = Box<dyn FnOnce() -> Option<Local<EndpointSeries>> + Send + Sync>;

/// A gRPC call in progress.
pub(super) struct GrpcCall {
    status: Option<GrpcStatus>,
    deadline: Option<Duration>,
    /// Present while its path has no endpoint.
    new_method: Option<AddMethod>,
}

impl fmt::Debug for GrpcCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcCall").field("status", &self.status).finish_non_exhaustive()
    }
}

impl GrpcCall {
    /// Returns the call if a request is one.
    pub(super) fn of<B>(request: &Request<B>) -> Option<Self> {
        if *request.method() != Method::POST || !is_grpc(request.headers()) {
            return None;
        }
        let deadline = request.headers().get(&GRPC_TIMEOUT).and_then(|timeout| parse_timeout(timeout.as_bytes()));
        Some(Self { status: None, deadline, new_method: None })
    }

    /// Takes what adds an endpoint for its path.
    pub(super) fn with_new_method(self, add: AddMethod) -> Self {
        Self { new_method: Some(add), ..self }
    }

    /// Reads the status in a head or in trailers.
    pub(super) fn read_status(&mut self, headers: &HeaderMap) {
        self.status = GrpcStatus::read(headers).or(self.status);
    }

    /// Returns the endpoint of a method that had none, if the call has shown that it is a method.
    pub(super) fn new_endpoint(&mut self) -> Option<Local<EndpointSeries>> {
        let add = self.new_method.take()?;
        self.status.filter(|status| status.shows_the_method()).and_then(|_| add())
    }

    /// Returns how it ended; `http` and `error` are the HTTP request's status and kind of failure.
    pub(super) fn ending(&self, http: Option<u16>, error: Option<&'static str>, took: Duration) -> GrpcEnding {
        let is_due = self.deadline.is_some_and(|deadline| took + EARLY >= deadline);
        let own = match self.status {
            // A client whose deadline has passed resets the stream.
            None if error == Some(names::CANCELLED) && is_due => Some(GrpcStatus::DEADLINE_EXCEEDED),
            // The call ended well to HTTP, and without the status that gRPC demands.
            None if error.is_none() && http == Some(200) => Some(GrpcStatus::UNKNOWN),
            status => status,
        };
        let error = match own {
            Some(status) if error.is_none() || self.status.is_none() => status.fault(),
            _ => error,
        };
        let of_http = || http.filter(|_| error != Some(names::CANCELLED)).map(GrpcStatus::of_http);
        GrpcEnding { status: own.or_else(of_http), is_own: own.is_some(), error }
    }
}

/// Returns whether the content type is that of gRPC, with any encoding of its messages.
fn is_grpc(headers: &HeaderMap) -> bool {
    let rest = headers.get(CONTENT_TYPE).and_then(|kind| kind.as_bytes().strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Reads `grpc-timeout`: at most eight digits and a unit.
fn parse_timeout(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() <= 8)?;
    let count: u32 = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    let unit = match unit {
        b'H' => Duration::from_secs(3600),
        b'M' => Duration::from_secs(60),
        b'S' => Duration::from_secs(1),
        b'm' => Duration::from_millis(1),
        b'u' => Duration::from_micros(1),
        b'n' => Duration::from_nanos(1),
        _ => return None,
    };
    Some(unit * count)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn call(status: Option<&str>, timeout: &str) -> GrpcCall {
        let request = Request::post("/").header(CONTENT_TYPE, "application/grpc").header(&GRPC_TIMEOUT, timeout);
        let mut call = GrpcCall::of(&request.body(()).expect("a request")).expect("a call");
        let headers: HeaderMap =
            status.into_iter().map(|status| (GRPC_STATUS.clone(), status.parse().expect("a value"))).collect();
        call.read_status(&headers);
        call
    }

    #[test]
    fn a_call_has_a_content_type_of_its_own() {
        #[track_caller]
        fn check(method: Method, content_type: &str, expected: bool) {
            let request = Request::builder().method(method).uri("/a.B/C").header(CONTENT_TYPE, content_type);
            assert_eq!(GrpcCall::of(&request.body(()).expect("a request")).is_some(), expected, "{content_type}");
        }
        check(Method::POST, "application/grpc", true);
        check(Method::POST, "application/grpc+proto", true);
        check(Method::POST, "application/grpc;charset=utf-8", true);
        check(Method::POST, "application/grpc-web+proto", false);
        check(Method::POST, "application/json", false);
        check(Method::GET, "application/grpc", false);
    }

    #[test]
    fn a_timeout_is_eight_digits_and_a_unit() {
        for (text, expected) in [("1H", 3600 * 1000), ("2M", 120_000), ("3S", 3000), ("100m", 100), ("5000u", 5)] {
            assert_eq!(parse_timeout(text.as_bytes()), Some(expected * MS), "{text}");
        }
        assert_eq!(parse_timeout(b"99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for bad in ["", "m", "1", "1x", "-1m", "+1m", "123456789m", "1.5S"] {
            assert_eq!(parse_timeout(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn an_ending_is_what_the_client_sees() {
        #[track_caller]
        fn check(call: &GrpcCall, http: u16, error: Option<&'static str>, took: u32, expected: (&str, Option<&str>)) {
            let ending = call.ending(Some(http), error, took * MS);
            assert_eq!((ending.status.map_or("", GrpcStatus::name), ending.error), expected);
        }
        check(&call(Some("0"), ""), 200, None, 1, ("OK", None));
        check(&call(Some("5"), ""), 200, None, 1, ("NOT_FOUND", None));
        check(&call(Some("12"), ""), 200, None, 1, ("UNIMPLEMENTED", None));
        check(&call(Some("13"), ""), 200, None, 1, ("INTERNAL", Some("INTERNAL")));
        check(&call(Some("99"), ""), 200, None, 1, ("UNKNOWN", Some("UNKNOWN")));
        check(&call(None, ""), 200, None, 1, ("UNKNOWN", Some("UNKNOWN")));
        check(&call(None, ""), 404, None, 1, ("UNIMPLEMENTED", None));
        check(&call(None, ""), 503, None, 1, ("UNAVAILABLE", None));
        check(&call(None, "100m"), 200, Some(names::CANCELLED), 50, ("", Some(names::CANCELLED)));
        let due = ("DEADLINE_EXCEEDED", Some("DEADLINE_EXCEEDED"));
        check(&call(None, "100m"), 200, Some(names::CANCELLED), 97, due);
        check(&call(Some("4"), "100m"), 200, None, 100, due);
        check(&call(None, "100m"), 500, Some(names::PANIC), 97, ("UNKNOWN", Some(names::PANIC)));
        check(&call(Some("0"), ""), 200, Some(names::BODY_ERROR), 1, ("OK", Some(names::BODY_ERROR)));
    }

    #[test]
    fn what_a_layer_in_front_refuses_shows_no_method() {
        let shown = |status: &str| call(Some(status), "").status.expect("it has one").shows_the_method();
        assert_eq!(["0", "5", "13", "14"].map(shown), [true; 4]);
        assert_eq!(["12", "16", "7", "8"].map(shown), [false; 4]);
    }
}
