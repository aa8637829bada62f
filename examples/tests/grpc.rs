//! gRPC calls of a real tonic service, measured in this process: unary, streams, errors, deadlines, unknown methods.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::Router;
use futures_util::{Stream, StreamExt as _, stream};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pinchpoint::Monitor;
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    client::Grpc as Client,
    codegen::{BoxFuture, Service, http},
    server::{ClientStreamingService, Grpc, NamedService, ServerStreamingService, UnaryService},
};
use tonic_health::pb::HealthCheckRequest as Message;
use tonic_prost::ProstCodec;

const CALLS: &str = "rpc_server_call_duration_seconds_count";
const REQUESTS: &str = "http_server_request_duration_seconds_count";

type Codec = ProstCodec<Message, Message>;
type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

fn message(text: &str) -> Message {
    Message { service: text.to_owned() }
}

/// What protoc would make of a service with three methods: `Buy` (unary), `List` (a stream of messages) and `Fill` (takes one).
#[derive(Clone)]
struct Shop;

impl NamedService for Shop {
    const NAME: &'static str = "shop.Shop";
}

impl UnaryService<Message> for Shop {
    type Response = Message;
    type Future = BoxFuture<Response<Message>, Status>;

    fn call(&mut self, request: Request<Message>) -> Self::Future {
        Box::pin(async move {
            match request.into_inner().service.as_str() {
                "sold out" => Err(Status::failed_precondition("sold out")),
                "broken" => Err(Status::internal("broken")),
                "slow" => std::future::pending().await,
                text => Ok(Response::new(message(text))),
            }
        })
    }
}

impl ServerStreamingService<Message> for Shop {
    type Response = Message;
    type ResponseStream = Messages;
    type Future = BoxFuture<Response<Messages>, Status>;

    fn call(&mut self, request: Request<Message>) -> Self::Future {
        let first: Vec<_> = (0..3).map(|_| Ok(message("a thing"))).collect();
        let breaks = request.into_inner().service == "breaks";
        let end = breaks.then(|| Err(Status::data_loss("the rest is gone")));
        let messages: Messages = Box::pin(stream::iter(first.into_iter().chain(end)));
        Box::pin(std::future::ready(Ok(Response::new(messages))))
    }
}

impl ClientStreamingService<Message> for Shop {
    type Response = Message;
    type Future = BoxFuture<Response<Message>, Status>;

    fn call(&mut self, request: Request<Streaming<Message>>) -> Self::Future {
        Box::pin(async move {
            let count = request.into_inner().count().await;
            Ok(Response::new(message(&count.to_string())))
        })
    }
}

impl Service<http::Request<axum::body::Body>> for Shop {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<axum::body::Body>) -> Self::Future {
        let mut grpc = Grpc::new(Codec::default());
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/shop.Shop/Buy" => grpc.unary(Self, request).await,
                "/shop.Shop/List" => grpc.server_streaming(Self, request).await,
                "/shop.Shop/Fill" => grpc.client_streaming(Self, request).await,
                "/shop.Shop/Secret" => Status::unauthenticated("who are you?").into_http(),
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

/// Serves the shop as tonic's own router does, behind one route for all methods, and returns its address.
async fn serve(monitor: &Monitor) -> SocketAddr {
    let app = Router::new().route_service("/shop.Shop/{*method}", Shop).fallback_service(Shop).layer(monitor.layer());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A client that speaks gRPC over one connection.
#[derive(Clone)]
struct Connection(http2::SendRequest<Body>);

impl Service<http::Request<Body>> for Connection {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<Self::Response, hyper::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

async fn connect(to: SocketAddr) -> Client<Connection> {
    let stream = tokio::net::TcpStream::connect(to).await.expect("it listens");
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("it speaks HTTP/2");
    tokio::spawn(connection);
    Client::with_origin(Connection(sender), format!("http://{to}").parse().expect("a URI"))
}

async fn unary(client: &mut Client<Connection>, path: &str, text: &str) -> Result<String, Code> {
    client.ready().await.expect("it is connected");
    let path = path.parse().expect("a path");
    let answer = client.unary(Request::new(message(text)), path, Codec::default()).await;
    answer.map(|answer: Response<Message>| answer.into_inner().service).map_err(|status| status.code())
}

/// Returns the series of a metric whose value is not 0, by the values of the labels of interest.
fn series(monitor: &Monitor, name: &str, labels: [&str; 3]) -> BTreeMap<[String; 3], f64> {
    let text = monitor.recorder().render();
    let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} "));
    let value = |series: &str, label: &str| {
        let found = series.split(',').find_map(|pair| pair.strip_prefix(label)?.strip_prefix("=\""));
        found.map(|value| value.trim_end_matches('"').to_owned()).unwrap_or_default()
    };
    lines.map(|(series, count)| (labels.map(|label| value(series, label)), count.parse().expect("a number"))).collect()
}

/// Calls by method, status and kind of failure.
fn calls(monitor: &Monitor) -> BTreeMap<[String; 3], f64> {
    series(monitor, CALLS, ["rpc_method", "rpc_response_status_code", "error_type"])
}

/// Waits until as many calls as there should be were counted: they are after their last byte was sent.
async fn counted(monitor: &Monitor, expected: &[([&str; 3], f64)]) {
    let expected: BTreeMap<_, _> = expected.iter().map(|(labels, count)| (labels.map(str::to_owned), *count)).collect();
    for _ in 0..2_000 {
        if calls(monitor) == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(calls(monitor), expected);
}

fn monitor() -> Monitor {
    Monitor::builder().build().expect("the defaults are good")
}

#[tokio::test]
async fn calls_count_under_their_method_and_their_status() {
    let monitor = monitor();
    let mut client = connect(serve(&monitor).await).await;
    assert_eq!(unary(&mut client, "/shop.Shop/Buy", "a thing").await.as_deref(), Ok("a thing"));
    assert_eq!(unary(&mut client, "/shop.Shop/Buy", "sold out").await, Err(Code::FailedPrecondition));
    assert_eq!(unary(&mut client, "/shop.Shop/Buy", "broken").await, Err(Code::Internal));
    let path = || "/shop.Shop/List".parse().expect("a path");
    for (text, ending) in [("all", None), ("breaks", Some(Code::DataLoss))] {
        client.ready().await.expect("it is connected");
        let request = Request::new(message(text));
        let answer = client.server_streaming(request, path(), Codec::default()).await.expect("it answers");
        let messages: Vec<Result<Message, Status>> = answer.into_inner().collect().await;
        assert_eq!(messages.iter().filter(|message| message.is_ok()).count(), 3);
        assert_eq!(messages.iter().find_map(|message| message.as_ref().err()).map(Status::code), ending);
    }
    client.ready().await.expect("it is connected");
    let things = Request::new(stream::iter((0..5).map(|_| message("a thing"))));
    let path = "/shop.Shop/Fill".parse().expect("a path");
    let answer: Response<Message> = client.client_streaming(things, path, Codec::default()).await.expect("it answers");
    assert_eq!(answer.into_inner().service, "5");
    let expected = [
        (["shop.Shop/Buy", "OK", ""], 1.0),
        (["shop.Shop/Buy", "FAILED_PRECONDITION", ""], 1.0),
        (["shop.Shop/Buy", "INTERNAL", "INTERNAL"], 1.0),
        (["shop.Shop/List", "OK", ""], 1.0),
        (["shop.Shop/List", "DATA_LOSS", "DATA_LOSS"], 1.0),
        (["shop.Shop/Fill", "OK", ""], 1.0),
    ];
    counted(&monitor, &expected).await;
    // The rules judge requests, whose outcome follows the status: HTTP says 200 to all of these.
    let outcomes = series(&monitor, "pinchpoint_requests_total", ["http_route", "outcome", ""]);
    let of = |route: &str, outcome: &str| {
        outcomes.get(&[route.to_owned(), outcome.to_owned(), String::new()]).copied().unwrap_or_default()
    };
    assert_eq!(["ok", "client_error", "error"].map(|outcome| of("/shop.Shop/Buy", outcome)), [1.0; 3], "{outcomes:?}");
    assert_eq!(["ok", "client_error", "error"].map(|outcome| of("/shop.Shop/List", outcome)), [1.0, 0.0, 1.0]);
    assert_eq!(of("/shop.Shop/{*method}", "ok"), 0.0, "not even the first one: {outcomes:?}");
}

#[tokio::test]
async fn a_call_that_the_client_ends_at_its_deadline_is_the_services_fault() {
    let monitor = monitor();
    let mut client = connect(serve(&monitor).await).await;
    assert_eq!(unary(&mut client, "/shop.Shop/Buy", "a thing").await.as_deref(), Ok("a thing"));
    for (deadline, patience) in [(Some(100), 100), (Some(60_000), 50), (None, 50)] {
        client.ready().await.expect("it is connected");
        let mut request = Request::new(message("slow"));
        deadline.into_iter().for_each(|deadline| request.set_timeout(Duration::from_millis(deadline)));
        let path = "/shop.Shop/Buy".parse().expect("a path");
        let call = client.unary::<_, Message, _>(request, path, Codec::default());
        tokio::time::timeout(Duration::from_millis(patience), call).await.expect_err("it is slow");
    }
    let expected = [
        (["shop.Shop/Buy", "OK", ""], 1.0),
        (["shop.Shop/Buy", "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"], 1.0),
        (["shop.Shop/Buy", "", "cancelled"], 2.0),
    ];
    counted(&monitor, &expected).await;
}

#[tokio::test]
async fn methods_that_do_not_exist_are_no_endpoints() {
    let monitor = monitor();
    let mut client = connect(serve(&monitor).await).await;
    for number in 0..50 {
        let code = unary(&mut client, &format!("/shop.Shop/Buy{number}"), "").await;
        assert_eq!(code, Err(Code::Unimplemented));
        let code = unary(&mut client, &format!("/scan.S{number}/Get"), "").await;
        assert_eq!(code, Err(Code::Unimplemented));
    }
    assert_eq!(unary(&mut client, "/shop.Shop/Secret", "").await, Err(Code::Unauthenticated));
    let expected = [(["_OTHER", "UNIMPLEMENTED", "UNIMPLEMENTED"], 100.0), (["_OTHER", "UNAUTHENTICATED", ""], 1.0)];
    let sum = |calls: BTreeMap<[String; 3], f64>| calls.values().sum::<f64>();
    for _ in 0..2_000 {
        if sum(calls(&monitor)) == 101.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    counted(&monitor, &expected).await;
    let routes = series(&monitor, REQUESTS, ["http_route", "rpc_response_status_code", ""]);
    let routes: Vec<_> = routes.keys().map(|[route, status, _]| (route.as_str(), status.as_str())).collect();
    let expected =
        [("", "UNIMPLEMENTED"), ("/shop.Shop/{*method}", "UNAUTHENTICATED"), ("/shop.Shop/{*method}", "UNIMPLEMENTED")];
    assert_eq!(routes, expected);
    let outcomes = series(&monitor, "pinchpoint_requests_total", ["http_route", "outcome", ""]);
    let failed: f64 = outcomes.iter().filter(|([_, outcome, _], _)| outcome == "error").map(|(_, count)| count).sum();
    assert_eq!(failed, 0.0, "as 404 is none: {outcomes:?}");
}
