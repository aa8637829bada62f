//! One request and its response, from the first byte sent to the last byte received.
//!
//! Both times are read here, before anything looks at the response: what the tool does with a response must not count as
//! time of the service.

use std::time::{Duration, Instant};

use reqwest::{
    Request, StatusCode,
    header::{CONTENT_ENCODING, HeaderMap},
};
use tokio::sync::oneshot;

use super::{
    body::{FinishedBody, ReceivedBody},
    client::UserClient,
    idle_close::{IdleClose, can_be_closed, is_idempotent, is_idle_close},
};

/// How an exchange is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExchangeOptions {
    /// Whether the body of a successful response is kept. That of a failed one always is, for the report's example.
    pub(super) needs_body: bool,
    /// Longest time to the last byte.
    pub(super) timeout: Duration,
    /// Since when the client's connection is idle; `None` before its first response.
    pub(super) idle_since: Option<Instant>,
    /// Whether a compressed body is decoded.
    pub(super) decodes_gzip: bool,
}

/// A finished exchange.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) end: ExchangeEnd,
    pub(super) response: PartialResponse,
    /// When the request was sent.
    pub(super) sent: Instant,
    /// When the last byte was received, or the exchange given up.
    pub(super) ended: Instant,
    /// Whether the request stayed here, because no connection was made for it or its address cannot be sent.
    pub(super) never_sent: bool,
    pub(super) idle_close: IdleClose,
}

/// As much of a response as has been received.
#[derive(Debug, Default)]
pub(super) struct PartialResponse {
    pub(super) status: Option<StatusCode>,
    /// Empty unless the body is kept.
    pub(super) headers: HeaderMap,
    /// Until the response head, since the request was sent.
    pub(super) first_byte: Option<Duration>,
    pub(super) body: FinishedBody,
}

/// How an exchange ended.
#[derive(Debug)]
pub(super) enum ExchangeEnd {
    /// With the last byte of a response.
    Complete,
    /// The HTTP library refuses the address, and says why.
    Unsendable(String),
    Error(reqwest::Error),
    TimedOut,
    /// At the end of the test, when the grace was over.
    GivenUp,
}

/// Sends a request and reads the response to its end.
///
/// `give_up` fires at the end of the grace; it is taken out then, since a receiver must not be polled again.
pub(super) async fn exchange(
    client: &UserClient,
    request: Request,
    options: ExchangeOptions,
    give_up: &mut Option<oneshot::Receiver<()>>,
) -> Exchange {
    let mark = client.connections.mark();
    let sent = Instant::now();
    let (mut receiving, mut idle_close) = (Receiving::default(), IdleClose::None);
    let received = receive_or_send_again(client, request, options, sent, &mut receiving, &mut idle_close);
    let in_time = tokio::time::timeout(options.timeout, received);
    let result = match give_up {
        Some(receiver) => tokio::select! {
            biased;
            result = in_time => Some(result),
            _ = receiver => None,
        },
        None => Some(in_time.await),
    };
    let ended = Instant::now();
    let response = receiving.finish();
    let end = match result {
        None => {
            *give_up = None;
            ExchangeEnd::GivenUp
        }
        Some(Ok(Ok(()))) => ExchangeEnd::Complete,
        // The only timeout that the client itself has is that for connecting.
        Some(Ok(Err(error))) if error.is_timeout() => ExchangeEnd::TimedOut,
        Some(Ok(Err(error))) if error.is_builder() => ExchangeEnd::Unsendable(unsendable(&error)),
        Some(Ok(Err(error))) => ExchangeEnd::Error(error),
        Some(Err(_)) => ExchangeEnd::TimedOut,
    };
    // A response, even a part of one, proves that the request was sent.
    let is_unanswered = !matches!(end, ExchangeEnd::Complete) && response.status.is_none();
    let never_sent =
        matches!(end, ExchangeEnd::Unsendable(_)) || is_unanswered && client.connections.is_cut_off_since(mark);
    Exchange { end, response, sent, ended, never_sent, idle_close }
}

/// Sends a request, and sends it once more if the server had closed the connection while it was idle.
async fn receive_or_send_again(
    client: &UserClient,
    request: Request,
    options: ExchangeOptions,
    sent: Instant,
    receiving: &mut Receiving,
    idle_close: &mut IdleClose,
) -> Result<(), reqwest::Error> {
    let idle = options.idle_since.map_or(Duration::ZERO, |since| sent.duration_since(since));
    // A copy costs time that users without pauses need not spend.
    let copy = (can_be_closed(idle) && is_idempotent(request.method())).then(|| request.try_clone()).flatten();
    let mark = client.connections.mark();
    let result = receive(client, request, options, sent, receiving).await;
    let Err(error) = result else { return Ok(()) };
    let is_new_connection = client.connections.mark() != mark;
    if receiving.head.status.is_some() || is_new_connection || !is_idle_close(&error, idle, sent.elapsed()) {
        return Err(error);
    }
    match copy {
        Some(copy) => {
            *idle_close = IdleClose::SentAgain;
            receive(client, copy, options, sent, receiving).await
        }
        None => {
            *idle_close = IdleClose::Failed;
            Err(error)
        }
    }
}

/// A response of which more may come.
#[derive(Debug, Default)]
struct Receiving {
    head: PartialResponse,
    body: Option<ReceivedBody>,
}

impl Receiving {
    fn finish(self) -> PartialResponse {
        let body = self.body.map(ReceivedBody::finish).unwrap_or_default();
        PartialResponse { body, ..self.head }
    }
}

async fn receive(
    client: &UserClient,
    request: Request,
    options: ExchangeOptions,
    sent: Instant,
    receiving: &mut Receiving,
) -> Result<(), reqwest::Error> {
    let mut response = client.client.execute(request).await?;
    let head = &mut receiving.head;
    head.first_byte = Some(sent.elapsed());
    head.status = Some(response.status());
    let is_gzip = options.decodes_gzip && is_gzip(response.headers());
    let keeps = options.needs_body || response.status().as_u16() >= 400;
    if keeps {
        head.headers = std::mem::take(response.headers_mut());
    }
    let body = receiving.body.insert(ReceivedBody::new(is_gzip, keeps));
    while let Some(piece) = response.chunk().await? {
        body.push(piece);
    }
    Ok(())
}

fn is_gzip(headers: &HeaderMap) -> bool {
    let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).map(str::trim);
    encoding.is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip"))
}

/// Returns why the HTTP library refuses an address.
fn unsendable(error: &reqwest::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    format!("the address cannot be sent: {cause}")
}
