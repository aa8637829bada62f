//! WebSockets on real connections: how many are open and for how long, and their messages in both directions.

use axum::extract::ws::{Message, WebSocket};
use futures_util::{SinkExt as _, StreamExt as _};
use pinchpoint::{track_messages, upgraded};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite};

use super::*;

const ROUTE: &str = "http_route=\"/rooms/{room}\"";

/// Answers each text with itself in upper case, and the text "more" with two further ones.
async fn talk(socket: WebSocket) {
    let is_message = |message: &Message| matches!(message, Message::Text(_) | Message::Binary(_));
    let mut socket = track_messages(socket, is_message);
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(text) = message else { continue };
        let further = if text.as_str() == "more" { 2 } else { 0 };
        for answer in std::iter::repeat_n(text.as_str().to_uppercase(), 1 + further) {
            if socket.send(Message::text(answer)).await.is_err() {
                return;
            }
        }
    }
}

/// Serves the chat, and returns its address.
async fn chat(monitor: &Monitor) -> std::net::SocketAddr {
    let handler = async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(upgraded(talk));
    sockets::serve(Router::new().route("/rooms/{room}", any(handler)).layer(monitor.layer())).await
}

async fn connect(address: std::net::SocketAddr, room: &str) -> WebSocketStream<TcpStream> {
    let connection = TcpStream::connect(address).await.expect("connects");
    client_async(format!("ws://{address}/rooms/{room}"), connection).await.expect("a WebSocket").0
}

async fn say(socket: &mut WebSocketStream<TcpStream>, text: &str) {
    socket.send(tungstenite::Message::text(text)).await.expect("it is open");
}

async fn hear(socket: &mut WebSocketStream<TcpStream>) -> String {
    let message = socket.next().await.expect("it is open").expect("a message");
    message.into_text().expect("a text").as_str().to_owned()
}

fn messages(monitor: &Monitor, direction: &str) -> f64 {
    let direction = format!("network_io_direction=\"{direction}\"");
    Samples::of(monitor).sum("pinchpoint_stream_messages_total", &[ROUTE, &direction])
}

fn open(monitor: &Monitor) -> f64 {
    Samples::of(monitor).sum("pinchpoint_open_streams", &[ROUTE])
}

#[tokio::test]
async fn messages_of_a_websocket_are_counted_by_direction_until_it_is_closed() {
    let monitor = monitor();
    let address = chat(&monitor).await;
    let mut first = connect(address, "one").await;
    let mut second = connect(address, "two").await;
    eventually("both are open", || open(&monitor) == 2.0).await;
    for text in ["hello", "more"] {
        say(&mut first, text).await;
    }
    for expected in ["HELLO", "MORE", "MORE", "MORE"] {
        assert_eq!(hear(&mut first).await, expected);
    }
    say(&mut second, "hi").await;
    assert_eq!(hear(&mut second).await, "HI");
    // A ping is answered, and is no message.
    second.send(tungstenite::Message::Ping(b"alive".as_slice().into())).await.expect("it is open");
    let pong = second.next().await.expect("it is open").expect("a message");
    assert!(pong.is_pong(), "{pong:?}");
    eventually("three came", || messages(&monitor, "receive") == 3.0).await;
    eventually("five went", || messages(&monitor, "transmit") == 5.0).await;
    let samples = Samples::of(&monitor);
    assert_eq!(samples.series("pinchpoint_stream_messages_total", &[]).count(), 2, "one series for each direction");
    assert_eq!(samples.sum("pinchpoint_stream_duration_seconds_count", &[ROUTE]), 0.0, "none is over");
    first.close(None).await.expect("closes");
    eventually("one is open", || open(&monitor) == 1.0).await;
    second.close(None).await.expect("closes");
    eventually("none is open", || open(&monitor) == 0.0).await;
    let samples = Samples::of(&monitor);
    assert_eq!(samples.sum("pinchpoint_stream_duration_seconds_count", &[ROUTE]), 2.0);
    assert!(samples.sum("pinchpoint_stream_duration_seconds_sum", &[ROUTE]) > 0.0);
    assert_eq!((messages(&monitor, "receive"), messages(&monitor, "transmit")), (3.0, 5.0), "a close is no message");
    assert_eq!((samples.requests(&["101"]), samples.active()), (2.0, 0.0));
}

#[tokio::test]
async fn a_client_that_vanishes_ends_its_websocket() {
    let monitor = monitor();
    let address = chat(&monitor).await;
    let mut socket = connect(address, "one").await;
    say(&mut socket, "hello").await;
    assert_eq!(hear(&mut socket).await, "HELLO");
    assert_eq!(open(&monitor), 1.0);
    // Without a close frame.
    drop(socket);
    eventually("none is open", || open(&monitor) == 0.0).await;
    let samples = Samples::of(&monitor);
    assert_eq!(samples.sum("pinchpoint_stream_duration_seconds_count", &[ROUTE]), 1.0);
    assert_eq!((messages(&monitor, "receive"), messages(&monitor, "transmit")), (1.0, 1.0), "an error is no message");
}

#[tokio::test]
async fn both_halves_of_a_socket_that_is_split_count() {
    let monitor = monitor();
    // The closure itself runs for the request, too, and not only the future that it returns.
    let echo = |socket: WebSocket| {
        let (sink, stream) = track_messages(socket, |_: &Message| true).split();
        async move { drop(stream.take(2).forward(sink).await) }
    };
    let handler = async move |upgrade: WebSocketUpgrade| upgrade.on_upgrade(upgraded(echo));
    let app = Router::new().route("/rooms/{room}", any(handler)).layer(monitor.layer());
    let mut socket = connect(sockets::serve(app).await, "one").await;
    for text in ["a", "b"] {
        say(&mut socket, text).await;
        assert_eq!(hear(&mut socket).await, text);
    }
    eventually("its handler ended", || open(&monitor) == 0.0).await;
    assert_eq!((messages(&monitor, "receive"), messages(&monitor, "transmit")), (2.0, 2.0));
}

#[tokio::test]
async fn a_socket_without_a_monitor_works() {
    let handler = async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(talk);
    let app = Router::new().route("/rooms/{room}", any(handler));
    let mut socket = connect(sockets::serve(app).await, "one").await;
    say(&mut socket, "hello").await;
    assert_eq!(hear(&mut socket).await, "HELLO");
}
