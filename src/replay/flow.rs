//! [`Flow`]: traffic that is described becomes observations, as the request path makes them.

use std::{sync::Arc, time::Duration};

use metrics::{Counter, Histogram};

use super::traffic::{Kind, Requests, Shares, Statement, Traffic};
use crate::{
    context::{Outcome, Part, QuerySeries, TaskSeries, labelled},
    monitor::Simulation,
    names,
    track::shape,
};

/// The golden ratio's fraction: its multiples are spread evenly over 0 to 1, however many there are.
const GOLDEN: f64 = 0.618_033_988_749_894_9;
/// What rounding may take from a count.
const ROUNDING: f64 = 1e-6;

/// Requests, queries or runs of a task, one after another.
pub(super) struct Flow {
    traffic: Traffic,
    done: u64,
    /// What is due of each way to end, below 1.
    due: [f64; 3],
    into: Into,
}

enum Into {
    Requests(Box<Endpoint>),
    Query(Arc<QuerySeries>),
    Task(Arc<TaskSeries>),
}

/// How one of them ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Well,
    Error,
    Refused,
    Cancelled,
}

impl Flow {
    pub(super) fn new(traffic: Traffic, simulation: &Simulation) -> Self {
        let instruments = simulation.instruments();
        let into = match &traffic.of {
            Kind::Requests(requests) => Into::Requests(Box::new(Endpoint::new(requests, simulation))),
            Kind::Query(sql) => Into::Query(instruments.query(sql, shape).0),
            Kind::Task(name) => Into::Task(instruments.task(name)),
        };
        Self { traffic, done: 0, due: [0.0; 3], into }
    }

    /// Returns how many there are in a time.
    pub(super) fn count_in(traffic: &Traffic, time: Duration) -> f64 {
        let each = match &traffic.of {
            Kind::Requests(requests) => {
                1 + requests.statements.iter().map(|statement| u64::from(statement.calls)).sum::<u64>()
            }
            Kind::Query(_) | Kind::Task(_) => 1,
        };
        traffic.rate * time.as_secs_f64() * each as f64
    }

    /// Records all that happens up to `age` after its beginning.
    pub(super) fn record_until(&mut self, age: Duration) {
        let until = (self.traffic.rate * age.as_secs_f64() + ROUNDING) as u64;
        while self.done < until {
            let seconds = self.traffic.durations.at(((self.done as f64 + 0.5) * GOLDEN).fract());
            let ending = self.ending();
            self.done += 1;
            match &self.into {
                Into::Requests(endpoint) => endpoint.record(seconds, ending),
                Into::Query(series) => {
                    let duration = Duration::from_secs_f64(seconds);
                    series.durations.visit(None, |durations| durations.record(ending.outcome(), None, duration));
                }
                Into::Task(series) => series.durations.record(ending.outcome(), Duration::from_secs_f64(seconds)),
            }
        }
    }

    /// Returns how the next one ends, so that at any time the shares are right to one.
    fn ending(&mut self) -> Ending {
        let Shares { errors, refused, cancelled } = self.traffic.shares;
        let ways = [(errors, Ending::Error), (refused, Ending::Refused), (cancelled, Ending::Cancelled)];
        self.due.iter_mut().zip(ways).for_each(|(due, (share, _))| *due += share);
        let most = (0..ways.len()).max_by(|a, b| self.due[*a].total_cmp(&self.due[*b])).unwrap_or_default();
        if self.due[most] < 1.0 - ROUNDING {
            return Ending::Well;
        }
        self.due[most] -= 1.0;
        ways[most].1
    }
}

impl Ending {
    fn outcome(self) -> Outcome {
        match self {
            Self::Well | Self::Refused => Outcome::Ok,
            Self::Error => Outcome::Error,
            Self::Cancelled => Outcome::Cancelled,
        }
    }
}

/// The series of an endpoint.
struct Endpoint {
    durations: [Histogram; 4],
    busy: Histogram,
    longest_poll: Histogram,
    own: Option<Histogram>,
    parts: Vec<(f64, Counter)>,
    statements: Vec<Issued>,
    db_queries: Histogram,
    db_seconds: Histogram,
    in_queries: Counter,
    poll: f64,
    client: f64,
}

/// The series of an endpoint and a statement that it issues.
struct Issued {
    statement: Statement,
    query: Arc<QuerySeries>,
    calls: Counter,
    nanos: Counter,
    alone: Counter,
    requests: Counter,
}

impl Endpoint {
    fn new(requests: &Requests, simulation: &Simulation) -> Self {
        let recorder = simulation.recorder();
        let (method, route): (Arc<str>, Arc<str>) = (requests.method.as_str().into(), requests.route.as_str().into());
        let named = |more: &[(&'static str, &str)]| -> Vec<(&'static str, Arc<str>)> {
            let more = more.iter().map(|(name, value)| (*name, Arc::from(*value)));
            [(names::METHOD, method.clone()), (names::ROUTE, route.clone())].into_iter().chain(more).collect()
        };
        let part = |part: Part| {
            labelled::counter(recorder, &names::ENDPOINT_PART_NANOS, &named(&[(names::PART, part.label())]))
        };
        let of = |metric| labelled::histogram(recorder, metric, &named(&[]));
        let ended =
            |label: (&'static str, &str)| labelled::histogram(recorder, &names::HTTP_DURATION, &named(&[label]));
        let issued = |statement: &Statement| {
            let query = simulation.instruments().query(&statement.sql, shape).0;
            let labels = named(&[(names::WAIT_KIND, Part::Db.label()), (names::WAIT_NAME, &query.query_id)]);
            let counter = |metric| labelled::counter(recorder, metric, &labels);
            Issued {
                calls: counter(&names::ENDPOINT_USE_CALLS),
                nanos: counter(&names::ENDPOINT_USE_NANOS),
                alone: counter(&names::ENDPOINT_USE_ALONE_NANOS),
                requests: counter(&names::ENDPOINT_USE_REQUESTS),
                statement: statement.clone(),
                query,
            }
        };
        let client: f64 = requests.parts.iter().filter(|(part, _)| *part == Part::Client).map(|(_, share)| share).sum();
        Self {
            durations: [
                ended((names::STATUS, "200")),
                ended((names::STATUS, "500")),
                ended((names::STATUS, "404")),
                ended((names::ERROR_TYPE, names::CANCELLED)),
            ],
            busy: of(&names::HTTP_BUSY),
            longest_poll: of(&names::HTTP_LONGEST_POLL),
            own: (client > 0.0).then(|| of(&names::ENDPOINT_OWN_DURATION)),
            parts: requests.parts.iter().map(|(of, share)| (*share, part(*of))).collect(),
            statements: requests.statements.iter().map(issued).collect(),
            db_queries: of(&names::HTTP_DB_QUERIES),
            db_seconds: of(&names::HTTP_DB_SECONDS),
            in_queries: part(Part::Db),
            poll: requests.poll,
            client,
        }
    }

    fn record(&self, seconds: f64, ending: Ending) {
        self.durations[ending as usize].record(seconds);
        let poll = self.poll.min(seconds);
        self.busy.record(poll);
        self.longest_poll.record(poll);
        if let Some(own) = &self.own {
            own.record(seconds * (1.0 - self.client));
        }
        for (share, nanos) in &self.parts {
            nanos.increment(as_nanos(seconds * share));
        }
        self.record_statements(seconds);
    }

    fn record_statements(&self, seconds: f64) {
        if self.statements.is_empty() {
            return;
        }
        let (mut calls, mut left) = (0, seconds);
        for Issued { statement, query, calls: counted, nanos, alone, requests } in &self.statements {
            let duration = Duration::from_secs_f64(statement.seconds);
            for _ in 0..statement.calls {
                query.durations.visit(None, |durations| durations.record(Outcome::Ok, None, duration));
            }
            // Statements take no longer than the request that issues them, one after another.
            let took = (statement.seconds * f64::from(statement.calls)).min(left);
            left -= took;
            calls += statement.calls;
            counted.increment(statement.calls.into());
            nanos.increment(as_nanos(took));
            alone.increment(as_nanos(took));
            requests.increment(1);
        }
        self.in_queries.increment(as_nanos(seconds - left));
        self.db_queries.record(f64::from(calls));
        self.db_seconds.record(seconds - left);
    }
}

fn as_nanos(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}
