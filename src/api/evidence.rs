//! [`EvidenceView`]: the evidence of a bottleneck as it is published.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio::time::Instant;

use super::{timestamp, units};
use crate::{
    context::{Part, SlowRequest},
    monitor::Core,
    names,
    rules::{
        Blocker, Bottleneck, EndpointShare, Fact, HeldBy, Holder, OutcomeShare, QueryShare, Scope, Split, Suspect,
        UseShare,
    },
};

/// Queries, endpoints and runs in progress of an answer.
const SHOWN: usize = 5;
/// Entries of each list in a summary.
const SUMMARISED: usize = 3;

/// How much of the evidence an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    None,
    /// Numbers and words, the first entries of each list, no slow requests.
    Summary,
    Full,
}

impl Detail {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Self::None),
            "summary" => Some(Self::Summary),
            "full" => Some(Self::Full),
            _ => None,
        }
    }
}

/// The evidence behind a bottleneck; what does not apply to its subject is empty or null. A summary has the
/// first three entries of each list.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct EvidenceView {
    /// Share of the time of all requests, 0 to 1; null for work outside requests.
    pub(super) time_share: Option<f64>,
    /// Named numbers in base units: seconds, bytes, ratios.
    #[serde(serialize_with = "units::numbers")]
    pub(super) numbers: BTreeMap<String, f64>,
    /// Named words, such as the most expensive query.
    pub(super) words: BTreeMap<String, String>,
    /// An endpoint's queries, the five most expensive first.
    pub(super) top_queries: Vec<QueryView>,
    /// The five endpoints that spend most time in a query; `numbers.endpoints` is the number of all.
    pub(super) endpoints: Vec<EndpointShareView>,
    /// The parts of an endpoint's time; they add up to 1.
    pub(super) time_split: Option<SplitView>,
    /// How requests or runs ended: failures first, then by frequency.
    pub(super) outcomes: Vec<OutcomeView>,
    /// What an endpoint uses beside queries: services that it calls, tasks, and what it waits for; the most time first.
    pub(super) uses: Vec<UseView>,
    /// Endpoints that blocked a worker of the runtime, by their total time, longest first.
    pub(super) blockers: Vec<BlockerView>,
    /// Endpoints that keep a real share of the memory that a growing process gained, the largest first. Needs the counting
    /// allocator.
    pub(super) leak_suspects: Vec<SuspectView>,
    /// A task's runs in progress, the oldest first; they may be stuck.
    pub(super) running: Vec<RunView>,
    /// An endpoint's slowest requests within the longest window of a rule, each with its timeline. Null in a summary.
    pub(super) slowest_requests: Option<Vec<SlowRequestView>>,
}

/// The parts of an endpoint's time, as shares of its duration, which add up to 1. Time at once in several parts counts for the
/// first of them: late, client, calls, database, tracked waits, tasks, and busy inside poll outside all of these; the rest is
/// waiting for something that is not tracked.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct SplitView {
    /// It could go on, and no worker of the runtime polled it.
    pub(super) late: f64,
    /// It waited for its client: for the rest of the body, or until the client took what was sent.
    pub(super) client: f64,
    /// It called other services.
    pub(super) calls: f64,
    /// It waited for a connection, a lock, a permit, a channel or a blocking thread that is tracked.
    pub(super) waits: f64,
    pub(super) database: f64,
    pub(super) tasks: f64,
    pub(super) busy: f64,
    pub(super) waiting: f64,
}

/// A service that an endpoint calls, a task, or something that it waits for.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct UseView {
    /// `http`, `task`, `pool`, `lock`, `semaphore`, `channel`, `wait`, `thread_pool` or `blocking`.
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) calls: u64,
    pub(super) failed: u64,
    /// Mean over the requests that used it at all.
    pub(super) calls_per_request: Option<f64>,
    pub(super) total_seconds: f64,
    /// Share of the endpoint's duration; those of uses at the same time count for each.
    pub(super) time_ratio: Option<f64>,
    /// Seconds in which nothing else of the request ran.
    pub(super) alone_seconds: f64,
    /// Seconds that what was waited for was held afterwards.
    pub(super) held_seconds: f64,
    /// Who holds it for the most time in all; null where no hold was measured.
    pub(super) longest_holder: Option<HolderView>,
    /// How many ran at once in one request, at most.
    pub(super) most_at_once: u64,
    /// Where in the service's code it was tracked.
    pub(super) place: Option<String>,
}

/// Who holds a lock, a permit or a connection for the most time in all.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct HolderView {
    /// `endpoint`, `task`, or `others`: work that counts for no request and no tracked task.
    pub(super) kind: String,
    /// Null for others.
    pub(super) name: Option<String>,
    /// Mean duration of a hold.
    pub(super) avg_ms: f64,
    /// Share of all the time that it is held, 0 to 1.
    pub(super) ratio: f64,
    /// Where in the service's code it is taken.
    pub(super) place: Option<String>,
}

impl HolderView {
    fn of(holder: &Holder) -> Self {
        let (kind, name) = match &holder.who {
            HeldBy::Endpoint(name) => ("endpoint", Some(name)),
            HeldBy::Task(name) => ("task", Some(name)),
            HeldBy::Others => ("others", None),
        };
        Self {
            kind: kind.to_owned(),
            name: name.map(|name| names::shown(&**name).into_owned()),
            avg_ms: units::millis(holder.avg_seconds),
            ratio: units::round_micros(holder.ratio),
            place: holder.place.map(str::to_owned),
        }
    }
}

/// An endpoint whose polls block the runtime.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct BlockerView {
    pub(super) endpoint: String,
    /// Polls of 10 ms or longer.
    pub(super) polls: u64,
    pub(super) total_seconds: f64,
    pub(super) longest_ms: Option<f64>,
    /// Mean number of other requests in flight at the end of such a poll.
    pub(super) others_in_flight: Option<f64>,
    /// Largest number of other requests in flight at the end of such a poll.
    pub(super) max_others_in_flight: Option<u64>,
    /// The endpoints of these requests, the most frequent first.
    pub(super) waited: Vec<WaitedView>,
}

/// An endpoint that may have waited for another.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct WaitedView {
    pub(super) endpoint: String,
    /// Number of blocking polls at whose end it had requests in flight.
    pub(super) times: u64,
}

/// An endpoint that keeps a real share of the memory that the process gained.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct SuspectView {
    pub(super) endpoint: String,
    pub(super) requests: u64,
    /// Memory that its requests allocated since the start or the last clear and did not free.
    pub(super) kept_mb: f64,
    /// Share of the growth of the process in the same time, 0 to 1.
    pub(super) ratio: f64,
    pub(super) kept_mb_per_hour: f64,
    pub(super) kept_bytes_per_request: Option<f64>,
}

impl SuspectView {
    fn of(suspect: &Suspect) -> Self {
        let requests = suspect.requests;
        Self {
            endpoint: suspect.endpoint.to_string(),
            requests,
            kept_mb: units::megabytes(suspect.kept_bytes),
            ratio: units::round_micros(suspect.ratio),
            kept_mb_per_hour: units::megabytes(suspect.bytes_per_hour),
            kept_bytes_per_request: (requests > 0).then(|| units::round_millis(suspect.kept_bytes / requests as f64)),
        }
    }
}

/// A run of a task that is in progress.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct RunView {
    pub(super) since: String,
    pub(super) running_seconds: f64,
}

/// A query that an endpoint issues.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct QueryView {
    /// The statement without its literals.
    pub(super) query: String,
    pub(super) calls: u64,
    pub(super) calls_per_request: Option<f64>,
    pub(super) total_seconds: f64,
    /// Share of the endpoint's time.
    pub(super) time_ratio: Option<f64>,
    /// Where in the service's code it was tracked; null where the driver's own events were seen.
    pub(super) place: Option<String>,
}

/// An endpoint behind a finding.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct EndpointShareView {
    pub(super) endpoint: String,
    pub(super) calls: u64,
    pub(super) calls_per_request: Option<f64>,
    pub(super) total_seconds: f64,
    pub(super) time_ratio: Option<f64>,
    /// Mean duration of the endpoint's requests; null unless the bottleneck is a query.
    pub(super) endpoint_avg_ms: Option<f64>,
    /// Share of that duration that the query takes.
    pub(super) endpoint_time_ratio: Option<f64>,
}

/// An outcome of requests or runs.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct OutcomeView {
    /// A status, a kind of error, or the outcome of a task.
    pub(super) outcome: String,
    pub(super) count: u64,
    pub(super) ratio: f64,
    /// First seen since the start or the last clear, to within an evaluation interval.
    pub(super) first_seen: Option<String>,
    pub(super) last_seen: Option<String>,
}

/// One of the slowest requests.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct SlowRequestView {
    pub(super) timestamp: String,
    pub(super) duration_ms: f64,
    /// Time inside poll.
    pub(super) busy_ms: f64,
    pub(super) longest_poll_ms: f64,
    /// Null without a response.
    pub(super) status: Option<u16>,
    pub(super) error_type: Option<String>,
    /// Trace id of the request's W3C `traceparent`.
    pub(super) trace_id: Option<String>,
    /// What it did and waited for, in the order of their start.
    pub(super) timeline: Vec<TimelineView>,
    /// What is past the limit of the timeline.
    pub(super) timeline_beyond: u32,
}

/// What a slow request did or waited for.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct TimelineView {
    /// `query`, `call`, `task`, `pool`, `lock`, `semaphore`, `channel`, `wait`, `thread_pool`, `blocking`, `client` or `late`.
    pub(super) kind: String,
    pub(super) name: String,
    /// Where in the service's code it was tracked.
    pub(super) place: Option<String>,
    /// From the start of the request.
    pub(super) start_ms: f64,
    pub(super) duration_ms: f64,
}

impl SlowRequestView {
    pub(super) fn of(request: &SlowRequest) -> Self {
        let millis = |duration: std::time::Duration| units::millis(duration.as_secs_f64());
        let timeline = request.timeline.iter().map(|event| TimelineView {
            kind: match event.part {
                Part::Db => "query".into(),
                Part::Http => "call".into(),
                other => other.label().into(),
            },
            place: event.place.text().map(str::to_owned),
            name: names::shown(&*event.name).into_owned(),
            start_ms: millis(event.start),
            duration_ms: millis(event.duration),
        });
        Self {
            timestamp: timestamp::of_system_time(request.at),
            duration_ms: millis(request.duration),
            busy_ms: millis(request.busy),
            longest_poll_ms: millis(request.longest_poll),
            status: request.status,
            error_type: request.error.map(str::to_owned),
            trace_id: request.trace_id.map(|id| id.to_string()),
            timeline: timeline.collect(),
            timeline_beyond: request.beyond,
        }
    }
}

impl EvidenceView {
    /// Returns as much of a bottleneck's evidence as is asked for; `None` for none of it.
    pub(super) fn of(bottleneck: &Bottleneck, core: &Core, detail: Detail) -> Option<Self> {
        match detail {
            Detail::None => None,
            Detail::Summary => Some(Self { slowest_requests: None, ..Self::with_lists(bottleneck, core, SUMMARISED) }),
            Detail::Full => {
                let subject = &bottleneck.subject;
                let label = |name| subject.label(name).unwrap_or_default();
                let slowest = match bottleneck.rule.scope {
                    Scope::Endpoint => core.instruments().slow_requests().of(label(names::METHOD), label(names::ROUTE)),
                    _ => Vec::new(),
                };
                let slowest_requests = Some(slowest.iter().map(SlowRequestView::of).collect());
                Some(Self { slowest_requests, ..Self::with_lists(bottleneck, core, usize::MAX) })
            }
        }
    }

    /// Returns the evidence but for the slow requests, with no more than `longest` entries of each list.
    fn with_lists(bottleneck: &Bottleneck, core: &Core, longest: usize) -> Self {
        let (subject, evidence) = (&bottleneck.subject, &bottleneck.evidence);
        let running = match bottleneck.rule.scope {
            Scope::Task => core.instruments().running(subject.label(names::TASK_NAME).unwrap_or_default()),
            _ => Vec::new(),
        };
        let few = longest.min(SHOWN);
        let mut view = Self {
            time_share: evidence.time_share.map(units::round_micros),
            time_split: evidence.split.and_then(SplitView::of),
            top_queries: evidence.queries.iter().take(few).map(QueryView::of).collect(),
            endpoints: evidence.endpoints.iter().take(few).map(EndpointShareView::of).collect(),
            outcomes: evidence.outcomes.iter().take(longest).map(OutcomeView::of).collect(),
            uses: evidence.uses.iter().take(few).map(UseView::of).collect(),
            blockers: evidence.blockers.iter().take(longest).map(|one| BlockerView::of(one, longest)).collect(),
            leak_suspects: evidence.suspects.iter().take(longest).map(SuspectView::of).collect(),
            running: running.into_iter().take(few).map(RunView::of).collect(),
            ..Self::default()
        };
        for (name, fact) in &evidence.facts {
            match fact {
                Fact::Number(value, _) => drop(view.numbers.insert((*name).to_owned(), units::round_micros(*value))),
                Fact::Word(word) => drop(view.words.insert((*name).to_owned(), word.to_string())),
            }
        }
        view
    }
}

impl QueryView {
    fn of(share: &QueryShare) -> Self {
        Self {
            query: share.query.to_string(),
            calls: share.calls,
            calls_per_request: share.calls_per_request.map(units::round_millis),
            total_seconds: units::round_micros(share.seconds),
            time_ratio: share.time_ratio.map(units::round_micros),
            place: share.place.map(str::to_owned),
        }
    }
}

impl UseView {
    fn of(share: &UseShare) -> Self {
        Self {
            kind: share.part.label().to_owned(),
            name: names::shown(&*share.name).into_owned(),
            calls: share.calls,
            failed: share.failed,
            calls_per_request: share.calls_per_request.map(units::round_millis),
            total_seconds: units::round_micros(share.seconds),
            time_ratio: share.time_ratio.map(units::round_micros),
            alone_seconds: units::round_micros(share.alone_seconds),
            held_seconds: units::round_micros(share.held_seconds),
            longest_holder: share.holder.as_ref().map(HolderView::of),
            most_at_once: share.most_at_once,
            place: share.place.map(str::to_owned),
        }
    }
}

impl EndpointShareView {
    fn of(share: &EndpointShare) -> Self {
        Self {
            endpoint: share.endpoint.to_string(),
            calls: share.calls,
            calls_per_request: share.calls_per_request.map(units::round_millis),
            total_seconds: units::round_micros(share.seconds),
            time_ratio: share.time_ratio.map(units::round_micros),
            endpoint_avg_ms: share.within.map(|within| units::millis(within.avg_duration)),
            endpoint_time_ratio: share.within.map(|within| units::round_micros(within.time_ratio)),
        }
    }
}

impl OutcomeView {
    fn of(share: &OutcomeShare) -> Self {
        Self {
            outcome: share.outcome.to_string(),
            count: share.count,
            ratio: units::round_micros(share.ratio),
            first_seen: share.seen.map(|(first, _)| timestamp::of_instant(first)),
            last_seen: share.seen.map(|(_, last)| timestamp::of_instant(last)),
        }
    }
}

impl SplitView {
    /// Returns the shares; `None` without any time.
    /// Returns the split that an endpoint's numbers have.
    #[cfg(feature = "page")]
    pub(super) fn of_endpoint(endpoint: &super::endpoints::EndpointView) -> Option<Self> {
        let ratio = |percent: Option<f64>| percent.unwrap_or_default() / 100.0;
        endpoint.waiting_time_percent.map(|waiting| Self {
            late: ratio(endpoint.late_time_percent),
            client: ratio(endpoint.client_time_percent),
            calls: ratio(endpoint.call_time_percent),
            waits: ratio(endpoint.tracked_wait_percent),
            database: ratio(endpoint.db_time_percent),
            tasks: ratio(endpoint.task_time_percent),
            busy: ratio(endpoint.busy_time_percent),
            waiting: waiting / 100.0,
        })
    }

    pub(super) fn of(split: Split) -> Option<Self> {
        let all = split.all();
        let share = |parts: &[Part]| units::round_micros(parts.iter().map(|part| split.of(*part)).sum::<f64>() / all);
        let mut view = Self {
            late: share(&[Part::Late]),
            client: share(&[Part::Client]),
            calls: share(&[Part::Http]),
            waits: share(&[
                Part::Pool,
                Part::Lock,
                Part::Semaphore,
                Part::Channel,
                Part::Wait,
                Part::ThreadPool,
                Part::Blocking,
            ]),
            database: share(&[Part::Db]),
            tasks: share(&[Part::Task]),
            busy: units::round_micros(split.busy / all),
            waiting: 0.0,
        };
        let others = view.late + view.client + view.calls + view.waits + view.database + view.tasks + view.busy;
        // The last part takes the rounding errors of the others, so that the parts add up to 1.
        view.waiting = units::round_micros((1.0 - others).max(0.0));
        (all > 0.0).then_some(view)
    }
}

impl BlockerView {
    fn of(blocker: &Blocker, longest: usize) -> Self {
        let waited = blocker
            .waited
            .iter()
            .take(longest)
            .map(|(endpoint, times)| WaitedView { endpoint: endpoint.to_string(), times: *times });
        Self {
            endpoint: blocker.endpoint.to_string(),
            polls: blocker.polls,
            total_seconds: units::round_micros(blocker.seconds),
            longest_ms: blocker.longest.map(units::millis),
            others_in_flight: blocker.others.map(units::round_millis),
            max_others_in_flight: blocker.most_others.map(units::count),
            waited: waited.collect(),
        }
    }
}

impl RunView {
    fn of(began: Instant) -> Self {
        let running = Instant::now().saturating_duration_since(began);
        Self { since: timestamp::of_instant(began), running_seconds: units::seconds(running) }
    }
}
