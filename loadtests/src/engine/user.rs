//! One user: a client, what it remembers, and the one place where a request is sent, judged and recorded.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{
    Method, Url,
    header::{ACCEPT_ENCODING, AUTHORIZATION, COOKIE, HeaderMap, HeaderValue, PROXY_AUTHORIZATION, RANGE},
};
use thiserror::Error;
use tokio::sync::oneshot;

use super::{
    client::UserClient,
    exchange::{Exchange, ExchangeEnd, ExchangeOptions, exchange},
    idle_close::IdleClose,
    judgement::Judgement,
    reply::{Call, Reply},
    run_state::RunState,
    seed::RunSeed,
    stop::StopReason,
    transport_error::exhaustion,
};
use crate::{
    record::{EndpointId, EndpointName, FailureKind, Outcome, Sample, ShardId},
    scenario::{Pause, Random, Response, Values},
};

/// The first wait after a failed connection; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(10);
/// Users find out within a second that the target is back.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Without a wait, a user whose requests cannot be sent would take a whole core.
pub(super) const UNSENT_WAIT: Duration = Duration::from_millis(10);

/// A request that did not succeed. It has been recorded as a failure; the iteration is to end.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the request failed and is counted; this iteration ends")]
pub struct IterationError;

/// What a scenario in Rust returns from an iteration.
pub type Iteration = Result<(), IterationError>;

/// One user of the load test.
#[derive(Debug)]
pub struct User {
    number: usize,
    client: UserClient,
    /// How many of the client's connections have been settled in [`UserClient::connections`].
    settled: u64,
    /// Since when its connection is idle.
    idle_since: Option<Instant>,
    settings: RequestSettings,
    back_off: BackOff,
    shared: RunState,
    shard: ShardId,
    give_up: Option<oneshot::Receiver<()>>,
    /// When this iteration was due; `None` once its first request is sent, since only that one can be late.
    due: Option<Instant>,
    pub(super) values: Values,
    pub(super) random: Random,
    /// Whether it has a row of the data, for this iteration or for good.
    pub(super) has_row: bool,
    pub(super) started: bool,
    pub(super) iteration: u64,
    /// The position in the order of weighted steps.
    pub(super) position: usize,
}

/// Whether a user waits after a connection that failed.
#[derive(Clone, Copy, Debug)]
pub(super) enum BackOff {
    /// It waits, longer each time: users that try again at once would keep a target down that is starting.
    Wait { failures: u32 },
    /// It does not, because the schedule of the open model says when to send.
    Never,
}

/// What all requests of a run have in common; clones share the parts.
#[derive(Clone, Debug)]
pub(super) struct RequestSettings {
    pub(super) base: Arc<Url>,
    /// The headers of `--header`.
    pub(super) headers: Arc<HeaderMap>,
    /// Longest time to the last byte.
    pub(super) timeout: Duration,
    /// Whether compressed responses are requested.
    pub(super) gzip: bool,
    pub(super) seed: RunSeed,
}

/// A request that is ready to be sent.
#[derive(Debug)]
pub(super) struct OutgoingRequest {
    pub(super) endpoint: EndpointId,
    pub(super) request: reqwest::Request,
    /// Whether the response's body will be looked at.
    pub(super) needs_body: bool,
    /// Instead of `--timeout`.
    pub(super) timeout: Option<Duration>,
}

impl User {
    pub(super) fn new(
        number: usize,
        client: UserClient,
        settings: &RequestSettings,
        shared: &RunState,
        back_off: BackOff,
    ) -> Self {
        Self {
            number,
            client,
            settled: 0,
            idle_since: None,
            settings: settings.clone(),
            back_off,
            shared: shared.clone(),
            shard: shared.recorder.shard(number),
            give_up: Some(shared.stop.enlist()),
            due: None,
            values: Values::default(),
            random: settings.seed.random(number as u64),
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
    pub async fn get(&mut self, path: &str) -> Result<Reply, IterationError> {
        self.request(Method::GET, path).send().await
    }

    /// Sends a `POST` with a JSON body and reads the response to its end.
    ///
    /// # Errors
    /// As [`Call::send`].
    pub async fn post_json(&mut self, path: &str, body: &serde_json::Value) -> Result<Reply, IterationError> {
        self.request(Method::POST, path).json(body).send().await
    }

    /// Builds a request; [`Call::send`] sends it.
    pub fn request(&mut self, method: Method, path: &str) -> Call<'_> {
        Call::new(self, method, path.to_owned())
    }

    /// Waits as a person would: for a random time between both bounds, or until the test is over.
    pub async fn think(&mut self, least: Duration, most: Duration) {
        let pause = Pause { least, most }.draw(&mut self.random);
        self.pause(pause).await;
    }

    /// Draws a whole number in `low..=high`: another one in each run of the test, unless `--seed` repeats one.
    pub fn random(&mut self, low: i64, high: i64) -> i64 {
        self.random.between(low, high)
    }

    /// Returns whether the test is over, so that no further request will be sent.
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
        self.settings.base.join(path).ok()
    }

    /// Begins the iteration of that number in an open model.
    pub(super) fn set_due(&mut self, due: Instant, number: u64) {
        self.due = Some(due);
        // Which user is free depends on the timing, and what an iteration does must not.
        self.random = self.settings.seed.random(number);
    }

    /// Whether a request was sent since [`Self::set_due`].
    pub(super) fn has_sent(&self) -> bool {
        self.due.is_none()
    }

    /// Sends a request, reads its response to the end, and records one sample.
    ///
    /// The response is a success if `expect` finds nothing wrong with it.
    pub(super) async fn call(
        &mut self,
        outgoing: OutgoingRequest,
        expect: impl FnOnce(&mut Response<'_>) -> Result<(), String>,
    ) -> Result<Reply, IterationError> {
        if self.is_over() {
            return Err(IterationError);
        }
        let OutgoingRequest { endpoint, mut request, needs_body, timeout } = outgoing;
        self.add_default_headers(&mut request);
        let due = self.due.take();
        let options = ExchangeOptions {
            needs_body,
            timeout: timeout.unwrap_or(self.settings.timeout),
            idle_since: self.idle_since,
            decodes_gzip: self.settings.gzip,
        };
        let exchange = exchange(&self.client, request, options, &mut self.give_up).await;
        self.idle_since = matches!(exchange.end, ExchangeEnd::Complete).then_some(exchange.ended);
        if exchange.idle_close == IdleClose::SentAgain {
            self.shared.recorder.count_sent_again();
        }
        let judgement = Judgement::of(&exchange, needs_body, expect);
        let outcome = judgement.outcome;
        let latency = exchange.ended.duration_since(due.unwrap_or(exchange.sent));
        self.record(endpoint, latency, &exchange, judgement);
        self.note_connection(outcome).await;
        let response = exchange.response;
        match (outcome, response.status) {
            (Outcome::Success, Some(status)) => {
                Ok(Reply { status, headers: response.headers, body: response.body.kept.bytes, latency })
            }
            _ => Err(IterationError),
        }
    }

    /// Adds the headers of `--header`. A step's own header replaces all values of that name. Credentials are meant for the
    /// target, and a captured link may lead elsewhere.
    fn add_default_headers(&self, request: &mut reqwest::Request) {
        let is_target = is_same_origin(request.url(), &self.settings.base);
        let headers = request.headers_mut();
        for name in self.settings.headers.keys() {
            let may_be_sent = is_target || ![AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].contains(name);
            if may_be_sent && !headers.contains_key(name) {
                for value in self.settings.headers.get_all(name) {
                    headers.append(name.clone(), value.clone());
                }
            }
        }
        if self.settings.gzip && !headers.contains_key(ACCEPT_ENCODING) && !headers.contains_key(RANGE) {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
    }

    /// Records a request that cannot be sent, and why.
    pub(super) async fn record_unsent(&mut self, endpoint: EndpointId, why: &str) {
        self.due = None;
        self.shared.recorder.record(
            self.shard,
            Sample {
                endpoint,
                outcome: Outcome::Unsent,
                latency: Duration::ZERO,
                service: None,
                first_byte: None,
                status: None,
                bytes: 0,
                decoded_bytes: None,
                after_end: self.is_over(),
                never_sent: true,
                exhausted: None,
                failure: Some((FailureKind::new(why), None)),
            },
        );
        self.pause(UNSENT_WAIT).await;
    }

    fn record(&self, endpoint: EndpointId, latency: Duration, exchange: &Exchange, judgement: Judgement) {
        let after_end = self.shared.stop.is_requested();
        if after_end {
            self.shared.gauges.end_late();
        }
        self.shared.note_outcome(judgement.outcome, (exchange.sent, exchange.ended));
        // Only in an open model can a request be sent later than it was due.
        let is_scheduled = matches!(self.back_off, BackOff::Never);
        self.shared.recorder.record(
            self.shard,
            Sample {
                endpoint,
                outcome: judgement.outcome,
                latency,
                service: is_scheduled.then(|| exchange.ended.duration_since(exchange.sent)),
                first_byte: exchange.response.first_byte,
                status: exchange.response.status.map(|status| status.as_u16()),
                bytes: exchange.response.body.received,
                decoded_bytes: exchange.response.body.decoded,
                after_end,
                never_sent: exchange.never_sent,
                exhausted: match &exchange.end {
                    ExchangeEnd::Error(error) => exhaustion(error),
                    ExchangeEnd::Complete
                    | ExchangeEnd::Unsendable(_)
                    | ExchangeEnd::TimedOut
                    | ExchangeEnd::GivenUp => None,
                },
                failure: judgement.failure,
            },
        );
    }

    /// Draws the consequences of a failed connection: the user backs off, and the run ends if the target is unreachable.
    async fn note_connection(&mut self, outcome: Outcome) {
        if !matches!(outcome, Outcome::Success | Outcome::Rejected | Outcome::Unsent) {
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

/// Whether two addresses have scheme, host and port in common. `Url::origin` would allocate for each request.
fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{
            Actor, Model, Stop,
            fixture::{client, plan, server},
        },
        record::Tally,
    };

    #[tokio::test]
    async fn what_the_tool_does_with_a_response_is_in_no_latency() {
        let actor = Actor::from_code("nothing", 1, Box::new(|_| Box::pin(async { Ok(()) })));
        let model = Model::Open { rate: 1.0, ramp_up: Duration::ZERO, most_in_flight: 1 };
        let plan = plan(&server().await, actor, model);
        let shared = RunState::new(1, Stop::default());
        let mut user = User::new(1, client(), &plan.request_settings(), &shared, BackOff::Never);
        let request = reqwest::Request::new(Method::GET, plan.base.clone());
        let endpoint = user.endpoint(EndpointName::new("GET", "/"), "/");
        let outgoing = OutgoingRequest { endpoint, request, needs_body: true, timeout: None };
        let mut judging = Duration::ZERO;
        let began = Instant::now();
        let judge = |_: &mut Response<'_>| {
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
