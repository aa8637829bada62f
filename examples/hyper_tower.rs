//! A service of plain hyper and tower, without a router: it names the route of each request itself, and the monitor
//! answers on an address of its own.
//!
//! ```toml
//! [dependencies]
//! pinchpoint = "0.1"
//! http = "1"
//! http-body-util = "0.1"
//! hyper = { version = "1", features = ["http1", "server"] }
//! hyper-util = { version = "0.1", features = ["server", "service", "tokio"] }
//! tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
//! tower = { version = "0.5", features = ["util"] }
//! ```

use std::{convert::Infallible, net::SocketAddr};

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use pinchpoint::{Monitor, RouteTemplate};
use tower::ServiceBuilder;

/// What a path leads to.
#[derive(Clone, Copy)]
enum Route {
    User,
    Unknown,
}

fn route(path: &str) -> Route {
    match path.split('/').collect::<Vec<_>>()[..] {
        ["", "users", _] => Route::User,
        _ => Route::Unknown,
    }
}

/// Decides on the route, and passes it to the monitor and the handler in the request's extensions. It must come before the
/// monitor's layer. A request that matches no route gets no template: all of them share one series, so a scanner that tries
/// many paths adds none.
fn with_route(mut request: Request<Incoming>) -> Request<Incoming> {
    let route = route(request.uri().path());
    if let Route::User = route {
        request.extensions_mut().insert(RouteTemplate::new("/users/{id}"));
    }
    request.extensions_mut().insert(route);
    request
}

async fn handle(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match request.extensions().get() {
        Some(Route::User) => Response::new("a user\n".into()),
        _ => {
            let mut response = Response::new("no such path\n".into());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut addresses = std::env::args().skip(1);
    let mut address = |default: &str| addresses.next().unwrap_or(default.to_owned()).parse::<SocketAddr>();

    let monitor = Monitor::builder().install()?;
    let service = ServiceBuilder::new().map_request(with_route).layer(monitor.layer()).service_fn(handle);

    let listener = tokio::net::TcpListener::bind(address("127.0.0.1:3000")?).await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    let monitor_address = monitor.serve(address("127.0.0.1:9464")?).await?;
    eprintln!("monitor on http://{monitor_address}/performance");
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
                eprintln!("connection: {error}");
            }
        });
    }
}
