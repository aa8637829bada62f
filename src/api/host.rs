//! Which `Host` a request may have: DNS rebinding.
//!
//! A site can let a name of its own point at this machine. Its pages then are of the same origin as the API, whose answers they
//! may read and whose control endpoints they may call; only the name in `Host` tells. An address or `localhost` cannot be such
//! a name.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{Extensions, HeaderMap, HeaderValue, Uri, header::HOST, uri::Authority},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::error::ApiError;
use crate::monitor::Core;

/// Returns the host of a request with its port. HTTP/2 has it in the request target instead of a header.
pub(super) fn of<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a [u8]> {
    let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
    headers.get(HOST).map(HeaderValue::as_bytes).or(authority)
}

/// Returns the name in a `Host`; `None` where it is not one.
fn name(host: &[u8]) -> Option<String> {
    let authority = std::str::from_utf8(host).ok()?.parse::<Authority>().ok()?;
    Some(authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase())
}

fn is_localhost(name: &str) -> bool {
    // RFC 6761: no name server is asked for these.
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

/// Returns whether a request with this `Host` can be meant for the monitor. Without one it cannot come from a browser.
pub(super) fn is_own(core: &Core, host: Option<&[u8]>) -> bool {
    let Some(host) = host else { return true };
    let Some(name) = name(host) else { return false };
    is_localhost(&name) || name.parse::<IpAddr>().is_ok() || core.allows_host(&name)
}

/// Returns whether a `Host` can only mean this machine, or is one of the monitor's own names.
pub(super) fn is_loopback(core: &Core, host: &[u8]) -> bool {
    let Some(name) = name(host) else { return false };
    is_loopback_name(&name) || core.allows_host(&name)
}

fn is_loopback_name(name: &str) -> bool {
    is_localhost(name) || name.parse().is_ok_and(is_of_this_machine)
}

/// Headers that proxies add to what they pass on: `Via` (RFC 9110), `CDN-Loop` (RFC 8586), and those of Varnish, WebLogic and
/// others.
const OF_PROXIES: [&str; 11] = [
    "cdn-loop",
    "remote-addr",
    "surrogate-capability",
    "via",
    "x-client",
    "x-host",
    "x-real-port",
    "x-remote-addr",
    "x-scheme",
    "x-url-scheme",
    "x-varnish",
];
/// How the headers of a proxy begin that adds several: Akamai, AWS, Azure, Cloudflare, Envoy, Fastly, Fly, Google, Imperva,
/// Netlify, Vercel, and what a proxy has rewritten.
const PROXY_PREFIXES: [&str; 16] = [
    "akamai-",
    "cf-",
    "cloudfront-",
    "fastly-",
    "fly-",
    "incap-",
    "x-akamai-",
    "x-amz-cf-",
    "x-appengine-",
    "x-appgw-",
    "x-arr-",
    "x-azure-",
    "x-envoy-",
    "x-nf-",
    "x-original-",
    "x-vercel-",
];
/// What the name of a header has in it that says whom a request is passed on for: `X-Forwarded-*`, `WL-Proxy-*`, `X-Bluecoat-Via`.
const PROXY_PARTS: [&str; 5] = ["forwarded", "proxy", "clientip", "socketip", "-via"];
/// How a header ends that has the address of the client: `X-Real-IP`, `True-Client-IP`, `CF-Connecting-IPv6`.
const ADDRESS_ENDS: [&str; 3] = ["-ip", "-ipv6", "_ip"];

/// Refuses requests whose `Host` is of another site where only this machine reaches the routes: a browser on it does. Of merged
/// routes the address is not known; but a client on this machine is, if the service adds the client's address, as axum's
/// `into_make_service_with_connect_info` does, and no proxy passed the request on.
pub(super) async fn refuse_others(
    State((core, reach)): State<(Arc<Core>, Reach)>,
    request: Request,
    next: Next,
) -> Response {
    let is_checked = reach == Reach::Loopback || is_from_here(&request);
    if !is_checked || is_own(&core, of(request.headers(), request.uri())) {
        return next.run(request).await;
    }
    refusal().into_response()
}

/// Returns whether a request certainly comes from a client on this machine.
fn is_from_here(request: &Request) -> bool {
    let client = request.extensions().get::<ConnectInfo<SocketAddr>>();
    client.is_some_and(|ConnectInfo(client)| is_of_this_machine(client.ip())) && !is_passed_on(request.headers())
}

/// The client of a connection that the monitor itself has accepted. What the monitor serves on an address of a network may have
/// any `Host`, also for clients on this machine, so this is not [`ConnectInfo`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Client(pub(super) IpAddr);

/// Returns the address of a request's client, where it is known.
pub(super) fn client(extensions: &Extensions) -> Option<IpAddr> {
    let accepted = extensions.get::<Client>().map(|Client(address)| *address);
    accepted.or_else(|| extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(client)| client.ip()))
}

/// Returns whether an address is of the loopback interface, also as a socket for both versions of IP writes it.
pub(super) fn is_of_this_machine(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Returns whether a proxy passed the request on, whose client then is not the one that it comes from. One that adds no header, as
/// nginx does unless it is told to, cannot be told from a client.
pub(super) fn is_passed_on(headers: &HeaderMap) -> bool {
    headers.keys().any(|header| is_of_a_proxy(header.as_str()))
}

/// Returns whether only proxies send a header. What a client on this machine sends must not be among them, or it is refused; for
/// one that a proxy sends as well, such as that of a trace, the proxy sends others too.
fn is_of_a_proxy(header: &str) -> bool {
    OF_PROXIES.contains(&header)
        || PROXY_PREFIXES.iter().any(|prefix| header.starts_with(prefix))
        || PROXY_PARTS.iter().any(|part| header.contains(part))
        || ADDRESS_ENDS.iter().any(|end| header.ends_with(end))
}

pub(super) fn refusal() -> ApiError {
    ApiError::forbidden(
        "the Host of the request is neither an address, nor localhost, nor a name that the service allowed with \
         MonitorBuilder::allow_host or the setting allowed_hosts",
    )
}

/// Whether routes are for the loopback interface alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Anyone,
    Loopback,
}

impl Reach {
    /// Returns the reach of a router that a service merges into its own.
    pub(super) fn of_merged(core: &Arc<Core>) -> Self {
        match core.control() {
            crate::monitor::Control::Loopback => Self::Loopback,
            _ => Self::Anyone,
        }
    }

    /// Returns the reach of routes that are served on an address.
    pub(super) fn of_address(address: IpAddr) -> Self {
        if address.is_loopback() { Self::Loopback } else { Self::Anyone }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_of_any_proxy_says_that_one_passed_the_request_on() {
        for header in [
            "Ali-CDN-Real-IP",
            "CDN-Loop",
            "CF-Connecting-IP",
            "CF-Connecting-IPv6",
            "CF-Ray",
            "Client-IP",
            "CloudFront-Viewer-Address",
            "Fastly-Client-IP",
            "Fly-Client-IP",
            "Forwarded",
            "Forwarded-For",
            "Proxy-Client-IP",
            "Proxy-Connection",
            "True-Client-IP",
            "Via",
            "WL-Proxy-Client-IP",
            "X-AppEngine-User-IP",
            "X-Azure-ClientIP",
            "X-Azure-SocketIP",
            "X-Client-IP",
            "X-Cluster-Client-IP",
            "X-Envoy-External-Address",
            "X-Forwarded",
            "X-Forwarded-By",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Port",
            "X-Forwarded-Prefix",
            "X-Forwarded-Proto",
            "X-Forwarded-Server",
            "X-NF-Client-Connection-IP",
            "X-NginX-Proxy",
            "X-Original-Forwarded-For",
            "X-Original-URL",
            "X-Originating-IP",
            "X-ProxyUser-Ip",
            "X-Real-IP",
            "X-Remote-Addr",
            "X-Remote-IP",
            "X-Varnish",
            "X-Vercel-Forwarded-For",
        ] {
            let header: http::HeaderName = header.parse().expect(header);
            let passed_on = HeaderMap::from_iter([(header.clone(), HeaderValue::from_static("203.0.113.9"))]);
            assert!(is_passed_on(&passed_on), "{header}");
        }
    }

    /// What Prometheus, curl, browsers, the load tester and tracing add to a request of their own.
    #[test]
    fn a_client_sends_no_header_of_a_proxy() {
        for header in [
            "accept",
            "accept-encoding",
            "authorization",
            "cache-control",
            "connection",
            "cookie",
            "dnt",
            "host",
            "origin",
            "priority",
            "referer",
            "sec-ch-ua-platform",
            "sec-fetch-site",
            "sec-gpc",
            "traceparent",
            "upgrade-insecure-requests",
            "user-agent",
            "x-amzn-trace-id",
            "x-cloud-trace-context",
            "x-prometheus-scrape-timeout-seconds",
            "x-request-id",
            "x-requested-with",
        ] {
            assert!(!is_of_a_proxy(header), "{header}");
        }
    }

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        let is_loopback = |host: &str| name(host.as_bytes()).is_some_and(|name| is_loopback_name(&name));
        for host in [
            "localhost",
            "LOCALHOST:8000",
            "a.localhost",
            "127.0.0.1",
            "127.9.9.9:8000",
            "[::1]:8000",
            "[::1]",
            "[::ffff:127.0.0.1]:8000",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "shop.example",
            "localhost.shop.example:8000",
            "127.0.0.1.shop.example",
            "10.0.0.1",
            "[::2]",
            "[::ffff:10.0.0.1]",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
