//! One user: a client, what it remembers, and the one place where a request is sent and measured.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode, Url};
use thiserror::Error;
use tokio::sync::oneshot;

use super::client::UserClient;
use super::reply::{Call, Reply};
use super::stop::StopReason;
use super::{LoadPlan, Shared};
use crate::record::{EndpointId, EndpointName, Exhaustion, FailureKind, Outcome, Sample, ShardId};
use crate::scenario::{Answer, Pause, Random, Values};

/// The request did not succeed, and is recorded as such; the iteration is to end.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the request failed and is counted; this iteration ends")]
pub struct Failed;

/// What a scenario in Rust returns from an iteration.
pub type Iteration = Result<(), Failed>;

/// One user of the load test.
#[derive(Debug)]
pub struct User {
    number: usize,
    client: UserClient,
    /// Of the client's connections, those that [`UserClient::connections`] has settled.
    settled: u64,
    base: Arc<Url>,
    headers: Arc<HeaderMap>,
    timeout: Duration,
    back_off: BackOff,
    shared: Shared,
    shard: ShardId,
    give_up: Option<oneshot::Receiver<()>>,
    /// When this iteration was due, until its first request is sent.
    due: Option<Instant>,
    pub(super) values: Values,
    pub(super) random: Random,
    /// Whether it has the row that a user keeps.
    pub(super) has_row: bool,
    pub(super) started: bool,
    pub(super) iteration: u64,
    /// How far it is in an order of steps.
    pub(super) position: usize,
}

/// Whether a user waits after a connection that failed.
#[derive(Clone, Copy, Debug)]
pub(super) enum BackOff {
    /// It does, longer each time: a refusing target is not to be stormed.
    Wait { failures: u32 },
    /// The schedule says when to send.
    Never,
}

/// A request that is ready to be sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) endpoint: EndpointId,
    pub(super) request: reqwest::Request,
    pub(super) needs_body: bool,
    pub(super) timeout: Option<Duration>,
}

/// How far an exchange has come.
#[derive(Debug, Default)]
struct Progress {
    status: Option<StatusCode>,
    headers: HeaderMap,
    first_byte: Option<Duration>,
    bytes: u64,
    body: Vec<u8>,
    /// Whether the body is only the start of what came.
    is_cut: bool,
}

/// How an exchange ended.
enum Ended {
    Whole,
    Error(reqwest::Error),
    TimedOut,
    GivenUp,
}

impl User {
    pub(super) fn new(number: usize, client: UserClient, plan: &LoadPlan, shared: &Shared, back_off: BackOff) -> Self {
        Self {
            number,
            client,
            settled: 0,
            base: Arc::new(plan.base.clone()),
            headers: Arc::new(plan.headers.clone()),
            timeout: plan.timeout,
            back_off,
            shared: shared.clone(),
            shard: shared.recorder.shard(number),
            give_up: Some(shared.stop.enlist()),
            due: None,
            values: Values::default(),
            random: Random::new(number as u64),
            has_row: false,
            started: false,
            iteration: 0,
            position: 0,
        }
    }

    /// Returns the user's number, from 1.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Returns the number of the user's iteration, from 1.
    #[must_use]
    pub fn iteration(&self) -> u64 {
        self.iteration
    }

    /// Sends a `GET` and reads the response to its end.
    ///
    /// # Errors
    /// As [`Call::send`].
    pub async fn get(&mut self, path: &str) -> Result<Reply, Failed> {
        self.request(Method::GET, path).send().await
    }

    /// Sends a `POST` with a JSON body and reads the response to its end.
    ///
    /// # Errors
    /// As [`Call::send`].
    pub async fn post_json(&mut self, path: &str, body: &serde_json::Value) -> Result<Reply, Failed> {
        self.request(Method::POST, path).json(body).send().await
    }

    /// Starts a request whose details follow.
    pub fn request(&mut self, method: Method, path: &str) -> Call<'_> {
        Call::new(self, method, path.to_owned())
    }

    /// Waits between both times, as a person would, or until the test is over.
    pub async fn think(&mut self, least: Duration, most: Duration) {
        let pause = Pause { least, most }.draw(&mut self.random);
        self.pause(pause).await;
    }

    /// Draws a whole number in `low..=high`, the same in each run of the test.
    pub fn random(&mut self, low: i64, high: i64) -> i64 {
        self.random.between(low, high)
    }

    /// Whether no further request is to be sent.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.shared.stop.is_requested()
    }

    pub(super) async fn pause(&self, pause: Duration) {
        if pause.is_zero() || self.is_over() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.shared.stop.requested() => {}
        }
    }

    pub(super) fn endpoint(&self, name: EndpointName, example: &str) -> EndpointId {
        self.shared.recorder.endpoint(name, example)
    }

    pub(super) fn url(&self, path: &str) -> Option<Url> {
        self.base.join(path).ok()
    }

    pub(super) fn set_due(&mut self, due: Instant) {
        self.due = Some(due);
    }

    /// Whether a request was sent since [`Self::set_due`].
    pub(super) fn has_sent(&self) -> bool {
        self.due.is_none()
    }

    /// Sends a request, reads its response to the end, and records one sample.
    ///
    /// The response is a success if `judge` says so.
    pub(super) async fn call(
        &mut self,
        outgoing: Outgoing,
        judge: impl FnOnce(&mut Answer<'_>) -> Result<(), String>,
    ) -> Result<Reply, Failed> {
        if self.is_over() {
            return Err(Failed);
        }
        let Outgoing { endpoint, mut request, needs_body, timeout } = outgoing;
        for name in self.headers.keys() {
            // All values of a name or none: a step's own header stands instead.
            if !request.headers().contains_key(name) {
                for value in self.headers.get_all(name) {
                    request.headers_mut().append(name.clone(), value.clone());
                }
            }
        }
        let mut progress = Progress::default();
        let open = matches!(self.back_off, BackOff::Never);
        let mark = self.client.connections.mark();
        let sent = Instant::now();
        let due = self.due.take().unwrap_or(sent);
        let ended = self.exchange(request, needs_body, sent, timeout.unwrap_or(self.timeout), &mut progress).await;
        // Before anything looks at the response: what the tool does with it is no time of the service.
        let (latency, service) = (due.elapsed(), open.then(|| sent.elapsed()));
        let Progress { status, headers, first_byte, bytes, body, is_cut } = progress;

        let verdict = match (&ended, status) {
            (Ended::Whole, Some(status)) => judge(&mut Answer::new(status.as_u16(), &headers, &body)),
            _ => Ok(()),
        };
        // Only what got no answer is asked whether it was sent at all.
        let never_sent =
            !matches!(ended, Ended::Whole) && status.is_none() && self.client.connections.is_cut_off_since(mark);
        let (outcome, failure) = match (&ended, verdict) {
            (Ended::Whole, Ok(())) => (Outcome::Success, None),
            (Ended::Whole, Err(mut why)) => {
                if is_cut && needs_body {
                    why.push_str(" (body longer than 4 MiB, of which only the start is looked at)");
                }
                (Outcome::Rejected, Some((FailureKind::new(&why), excerpt(&body))))
            }
            (Ended::TimedOut, _) => {
                let why = if never_sent { "no connection in time" } else { "no complete response in time" };
                (Outcome::TimedOut, Some((FailureKind::new(why), None)))
            }
            (Ended::GivenUp, _) => {
                let why = if never_sent {
                    "given up at the end of the test, before a connection was made"
                } else {
                    "given up at the end of the test"
                };
                (Outcome::Cancelled, Some((FailureKind::new(why), None)))
            }
            (Ended::Error(error), _) => (Outcome::Broken, Some((FailureKind::new(&explain(error)), None))),
        };
        let exhausted = if let Ended::Error(error) = &ended { exhaustion(error) } else { None };
        let after_end = self.shared.stop.is_requested();
        if after_end {
            self.shared.gauges.end_late();
        }
        self.shared.recorder.record(
            self.shard,
            Sample {
                endpoint,
                outcome,
                latency,
                service,
                first_byte,
                status: status.map(|status| status.as_u16()),
                bytes,
                after_end,
                never_sent,
                exhausted,
                failure,
            },
        );
        self.after(outcome).await;
        match (outcome, status) {
            (Outcome::Success, Some(status)) => Ok(Reply { status, headers, body, latency }),
            _ => Err(Failed),
        }
    }

    async fn exchange(
        &mut self,
        request: reqwest::Request,
        needs_body: bool,
        sent: Instant,
        timeout: Duration,
        progress: &mut Progress,
    ) -> Ended {
        let client = &self.client.client;
        let whole = async {
            let mut response = client.execute(request).await?;
            progress.first_byte = Some(sent.elapsed());
            progress.status = Some(response.status());
            let keep = needs_body || response.status().as_u16() >= 400;
            if keep {
                progress.headers = std::mem::take(response.headers_mut());
            }
            while let Some(chunk) = response.chunk().await? {
                progress.bytes += chunk.len() as u64;
                if keep && !progress.is_cut {
                    let room = MOST_KEPT - progress.body.len();
                    progress.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    progress.is_cut = chunk.len() > room;
                }
            }
            Ok::<(), reqwest::Error>(())
        };
        let in_time = tokio::time::timeout(timeout, whole);
        let result = match &mut self.give_up {
            Some(give_up) => tokio::select! {
                biased;
                result = in_time => result,
                _ = give_up => {
                    self.give_up = None;
                    return Ended::GivenUp;
                }
            },
            None => in_time.await,
        };
        match result {
            Ok(Ok(())) => Ended::Whole,
            // The client's only clock is the one for connecting.
            Ok(Err(error)) if error.is_timeout() => Ended::TimedOut,
            Ok(Err(error)) => Ended::Error(error),
            Err(_) => Ended::TimedOut,
        }
    }

    async fn after(&mut self, outcome: Outcome) {
        if !matches!(outcome, Outcome::Success | Outcome::Rejected) {
            self.client.connections.settle(&mut self.settled);
        }
        if outcome != Outcome::Broken {
            if let BackOff::Wait { failures } = &mut self.back_off {
                *failures = 0;
            }
            return;
        }
        if self.shared.is_hopeless() {
            self.shared.stop.request(StopReason::Unreachable);
        }
        if let BackOff::Wait { failures } = &mut self.back_off {
            let wait = (FIRST_WAIT * 2u32.saturating_pow((*failures).min(10))).min(LONGEST_WAIT);
            *failures += 1;
            self.pause(wait).await;
        }
    }
}

/// What a scenario may look at of one body; what is more is read, counted and dropped.
const MOST_KEPT: usize = 4 << 20;
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

fn excerpt(body: &[u8]) -> Option<String> {
    let start = &body[..body.len().min(200)];
    let line: Vec<_> = String::from_utf8_lossy(start).split_whitespace().map(str::to_owned).collect();
    (!line.is_empty()).then(|| line.join(" "))
}

/// What may help against a problem that [`explain`] told.
pub(crate) fn hint_for(problem: &str) -> &'static str {
    if problem.contains("certificate") {
        "; --accept-invalid-certs takes certificates that nobody vouches for"
    } else if problem.contains("corrupt message") || problem.contains("InvalidContentType") {
        "; is it http:// and not https://?"
    } else {
        ""
    }
}

/// The innermost cause, which names the matter; what is around it says "error sending request".
pub(crate) fn explain(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    let mut text = String::new();
    while let Some(source) = cause.source() {
        cause = source;
        text = cause.to_string();
    }
    // "Connection refused (os error 111)": the number says nothing more.
    let text = text.split(" (os error").next().unwrap_or_default();
    let stage = if error.is_connect() {
        "cannot connect"
    } else if error.is_body() || error.is_decode() {
        "response broken off"
    } else if error.is_redirect() {
        "redirect"
    } else {
        "connection broken"
    };
    if text.is_empty() && error.source().is_none() { error.to_string() } else { format!("{stage}: {text}") }
}

/// What this machine ran out of, if that is why there was no connection.
fn exhaustion(error: &reqwest::Error) -> Option<Exhaustion> {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
        let Some(error) = cause.downcast_ref::<std::io::Error>() else { continue };
        if error.raw_os_error().is_some_and(|code| NO_DESCRIPTOR.contains(&code)) {
            return Some(Exhaustion::Descriptors);
        }
        if error.kind() == std::io::ErrorKind::AddrNotAvailable {
            return Some(Exhaustion::Ports);
        }
    }
    None
}

/// ENFILE and EMFILE, which have one number on all Unix systems, and WSAEMFILE; the standard library names none of them.
const NO_DESCRIPTOR: [i32; 3] = [23, 24, 10_024];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::{client, plan, server};
    use crate::engine::{Actor, Model, Stop};
    use crate::record::Tally;

    #[tokio::test]
    async fn what_the_tool_does_with_a_response_is_in_no_latency() {
        let actor = Actor::from_code("nothing", 1, Box::new(|_| Box::pin(async { Ok(()) })));
        let model = Model::Open { rate: 1.0, ramp_up: Duration::ZERO, most_in_flight: 1 };
        let plan = plan(&server().await, actor, model);
        let shared = Shared::new(1, Stop::default());
        let mut user = User::new(1, client(), &plan, &shared, BackOff::Never);
        let request = reqwest::Request::new(Method::GET, plan.base.clone());
        let endpoint = user.endpoint(EndpointName::new("GET", "/"), "/");
        let outgoing = Outgoing { endpoint, request, needs_body: true, timeout: None };
        let mut judging = Duration::ZERO;
        let began = Instant::now();
        let judge = |_: &mut Answer<'_>| {
            judging = began.elapsed();
            std::thread::sleep(Duration::from_millis(50));
            Ok(())
        };
        user.call(outgoing, judge).await.unwrap();
        let mut tally = Tally::default();
        tally.drain(&shared.recorder, 1.0, 1.0);
        let since_sent = tally.total().since_sent_seconds();
        assert!(since_sent <= judging.as_secs_f64(), "{since_sent} s, of which {judging:?} before the judge");
        assert!(tally.total().ranked().sum_seconds() <= judging.as_secs_f64());
    }
}
