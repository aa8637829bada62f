//! [`track_messages`]: the messages of a WebSocket become observations.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::{Sink, Stream};
use pin_project_lite::pin_project;

use crate::context::{StreamMessages, current};

pin_project! {
    /// A socket whose messages are counted: what [`track_messages`] returns.
    ///
    /// It is a [`Stream`] and a [`Sink`] as the socket is, and has `recv` and `send` as axum's `WebSocket` has them.
    pub struct TrackMessages<S, F> {
        #[pin]
        socket: S,
        is_message: F,
        // `None` where there is no monitor, or no request that became this connection.
        messages: Option<StreamMessages>,
    }
}

impl<S: fmt::Debug, F> fmt::Debug for TrackMessages<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TrackMessages").field(&self.socket).finish()
    }
}

/// Counts the messages of a WebSocket by direction, in `pinchpoint_stream_messages_total`, for the route of the request that
/// became the connection.
///
/// For anything that is a `Stream` of `Result`s or a `Sink`: axum's `WebSocket`, those of tokio-tungstenite, and framed
/// connections. To be called in the handler of the connection, which [`upgraded`](crate::upgraded) wraps; elsewhere nothing is
/// counted, and the socket works all the same. `is_message` says what counts: sockets hand out pings and pongs too, which are no
/// messages of the service. What could not be received or sent does not count.
///
/// ```
/// use axum::{extract::ws::{Message, WebSocket, WebSocketUpgrade}, response::Response};
/// use pinchpoint::{track_messages, upgraded};
///
/// async fn chat(upgrade: WebSocketUpgrade) -> Response {
///     upgrade.on_upgrade(upgraded(talk))
/// }
///
/// async fn talk(socket: WebSocket) {
///     let is_message = |message: &Message| matches!(message, Message::Text(_) | Message::Binary(_));
///     let mut socket = track_messages(socket, is_message);
///     while let Some(Ok(message)) = socket.recv().await {
///         if socket.send(message).await.is_err() {
///             return;
///         }
///     }
/// }
/// ```
pub fn track_messages<S, M, F: Fn(&M) -> bool>(socket: S, is_message: F) -> TrackMessages<S, F> {
    let messages = current().and_then(|request| request.stream_messages());
    TrackMessages { socket, is_message, messages }
}

impl<S, F> TrackMessages<S, F> {
    /// Returns the next message, `None` after the last one.
    pub async fn recv<M, E>(&mut self) -> Option<Result<M, E>>
    where
        S: Stream<Item = Result<M, E>> + Unpin,
        F: Fn(&M) -> bool,
    {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Sends a message, and all that was given to the socket before.
    ///
    /// # Errors
    /// Returns the error of the socket, such as that the connection is closed.
    pub async fn send<M>(&mut self, message: M) -> Result<(), S::Error>
    where
        S: Sink<M> + Unpin,
        F: Fn(&M) -> bool,
    {
        poll_fn(|cx| Pin::new(&mut *self).poll_ready(cx)).await?;
        Pin::new(&mut *self).start_send(message)?;
        poll_fn(|cx| Pin::new(&mut *self).poll_flush(cx)).await
    }

    /// Returns the socket.
    pub fn get_ref(&self) -> &S {
        &self.socket
    }

    /// Returns the socket, whose messages are counted no longer.
    pub fn into_inner(self) -> S {
        self.socket
    }
}

impl<S, F, M, E> Stream for TrackMessages<S, F>
where
    S: Stream<Item = Result<M, E>>,
    F: Fn(&M) -> bool,
{
    type Item = Result<M, E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        let next = ready!(this.socket.poll_next(cx));
        if let (Some(Ok(message)), Some(messages)) = (&next, &*this.messages)
            && (this.is_message)(message)
        {
            messages.received.increment(1);
        }
        Poll::Ready(next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.socket.size_hint()
    }
}

impl<S, F, M> Sink<M> for TrackMessages<S, F>
where
    S: Sink<M>,
    F: Fn(&M) -> bool,
{
    type Error = S::Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.project().socket.poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: M) -> Result<(), S::Error> {
        let this = self.project();
        let messages = this.messages.as_ref().filter(|_| (this.is_message)(&message));
        this.socket.start_send(message)?;
        messages.into_iter().for_each(|messages| messages.sent.increment(1));
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.project().socket.poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.project().socket.poll_close(cx)
    }
}
