//! A poem service, measured through poem's bridge to tower (its feature `tower-compat`).
//!
//! poem's bridge turns a tower layer into a middleware where the layer takes poem's own requests. Pinchpoint's takes those
//! of the crate `http`, so [`measured`] converts on both sides of it. poem's router notes the route's pattern on the
//! request before it calls the endpoint: the middleware is given to each endpoint and not to the whole `Route`.
//!
//! ```toml
//! [dependencies]
//! pinchpoint = "0.1"
//! bytes = "1"
//! http = "1"
//! http-body = "1"
//! http-body-util = "0.1"
//! poem = { version = "3", features = ["tower-compat"] }
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! tower = { version = "0.5", features = ["util"] }
//! ```

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use pinchpoint::{Monitor, MonitorBody, MonitorLayer, RouteTemplate};
use poem::{
    Endpoint, EndpointExt as _, PathPattern, Request, Response, Route, Server, get, handler,
    listener::{Acceptor as _, Listener as _, TcpListener},
    middleware::TowerLayerCompatExt as _,
    web::Path,
};
use tower::ServiceBuilder;

/// poem's request as the body of one of the crate `http`: the endpoint gets it back whole.
struct Carried(Request);

impl http_body::Body for Carried {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    /// Returns the size of the request's body from its `Content-Length`, if it has one.
    fn size_hint(&self) -> SizeHint {
        let length = self.0.headers().get(http::header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Makes the head that the monitor reads: the method, the route and the caller's trace.
fn carry(request: Request) -> http::Request<Carried> {
    let (method, route) = (request.method().clone(), request.data::<PathPattern>().cloned());
    let trace = request.headers().get("traceparent").cloned();
    let mut carried = http::Request::new(Carried(request));
    *carried.method_mut() = method;
    carried.headers_mut().extend(trace.map(|trace| (http::HeaderName::from_static("traceparent"), trace)));
    if let Some(PathPattern(route)) = route {
        carried.extensions_mut().insert(RouteTemplate::new(route));
    }
    carried
}

/// Measures an endpoint.
fn measured(endpoint: impl Endpoint + 'static, layer: MonitorLayer) -> impl Endpoint {
    let bridge = ServiceBuilder::new()
        .map_request(carry)
        .map_response(|response: http::Response<MonitorBody<BoxBody<Bytes, io::Error>>>| Response::from(response))
        .layer(layer)
        .map_request(|carried: http::Request<Carried>| carried.into_body().0)
        .map_response(http::Response::from);
    // poem makes an error a response further out, where the monitor would not see its status.
    endpoint.catch_all_error(async |error| error.into_response()).with(bridge.compat())
}

#[handler]
fn user(Path(id): Path<u64>) -> String {
    format!("user {id}\n")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut addresses = std::env::args().skip(1);
    let mut address = |default: &str| addresses.next().unwrap_or(default.to_owned());

    let monitor = Monitor::builder().install()?;
    let app = Route::new().at("/users/:id", measured(get(user), monitor.layer()));

    let acceptor = TcpListener::bind(address("127.0.0.1:3000")).into_acceptor().await?;
    for listening in acceptor.local_addr().iter().filter_map(|local| local.as_socket_addr()) {
        eprintln!("listening on http://{listening}");
    }
    let monitor_address = monitor.serve(address("127.0.0.1:9464").parse::<SocketAddr>()?).await?;
    eprintln!("monitor on http://{monitor_address}/performance");
    Server::new_with_acceptor(acceptor).run(app).await?;
    Ok(())
}
