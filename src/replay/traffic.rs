//! Short descriptions of traffic: `GET /orders 20/s p95 800ms errors 5%`.
//!
//! A description names what is used and how often, and then says more about it in any order. What it leaves out is what a healthy
//! service has: requests of 10 ms that succeed and do not block. docs/rules-testing.md has the words.

use super::labels::quoted;
use crate::{context::Part, rules::Unit};

/// Duration of what a description says nothing about, in seconds.
const USUAL_SECONDS: f64 = 0.010;
/// Longest poll of a request of which the description does not say that it blocks, in seconds.
const USUAL_POLL: f64 = 0.000_1;
/// Duration of a call of a statement without a fault, in seconds.
const USUAL_CALL: f64 = 0.001;
/// How often something happens, each second, that does not happen too often.
const USUAL_RATE: f64 = 2.0;
/// Route of requests that matched none.
const UNMATCHED: &str = "unmatched";

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Traffic {
    pub(super) of: Kind,
    /// How often, each second.
    pub(super) rate: f64,
    pub(super) durations: Durations,
    pub(super) shares: Shares,
}

/// What it is that happens.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Requests(Requests),
    /// A statement outside of requests.
    Query(String),
    /// A tracked task.
    Task(String),
}

/// What the requests of an endpoint do.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Requests {
    pub(super) method: String,
    /// Empty for requests that matched none.
    pub(super) route: String,
    /// Longest poll of each, in seconds.
    pub(super) poll: f64,
    /// Shares of their time.
    pub(super) parts: Vec<(Part, f64)>,
    pub(super) statements: Vec<Statement>,
}

/// A statement that each request issues.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    pub(super) calls: u32,
    pub(super) sql: String,
    pub(super) seconds: f64,
}

/// Which share ends how; the rest succeeds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Shares {
    pub(super) errors: f64,
    pub(super) refused: f64,
    pub(super) cancelled: f64,
}

/// Durations by share: up to each share (0 to 1) they are at most so long, spread evenly from one to the next. The first begins at
/// 0 seconds; past the last, all are as long as it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Durations(Vec<(f64, f64)>);

impl Durations {
    fn all(seconds: f64) -> Self {
        Self(vec![(0.0, seconds)])
    }

    /// Returns the duration in seconds that a share does not exceed.
    pub(super) fn at(&self, share: f64) -> f64 {
        let next = self.0.partition_point(|(known, _)| *known < share);
        let (before, above) = (next.checked_sub(1).map_or((0.0, 0.0), |before| self.0[before]), self.0.get(next));
        match above {
            None => before.1,
            Some(above) if next == 0 && above.0 == 0.0 => above.1,
            Some(above) => before.1 + (above.1 - before.1) * (share - before.0) / (above.0 - before.0),
        }
    }
}

impl Traffic {
    /// Reads a description.
    ///
    /// # Errors
    /// Returns the first word that has no meaning, and what was expected.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut words = Words::of(text)?;
        let first = words.next("GET /orders 20/s, query \"SELECT 1\" 20/s or task mail 2/s")?;
        let mut of = match first.as_str() {
            "query" => Kind::Query(words.next("a statement in double quotes")?),
            "task" => Kind::Task(words.next("the name of a task")?),
            method if method.chars().all(|c| c.is_ascii_uppercase()) => Kind::Requests(Requests {
                route: match words.next("a route such as /orders")? {
                    route if route == UNMATCHED => String::new(),
                    route if route.starts_with('/') => route,
                    other => {
                        return Err(format!("{other:?} is no route; expected one such as /orders, or {UNMATCHED}"));
                    }
                },
                method: first,
                poll: USUAL_POLL,
                parts: Vec::new(),
                statements: Vec::new(),
            }),
            other => return Err(format!("{other:?}: expected a method such as GET, query or task")),
        };
        let rate = quantity(Unit::PerSecond, &words.next("a rate such as 20/s")?)?;
        let mut more = Details::default();
        while let Some(word) = words.take() {
            more.read(&word, &mut of, &mut words)?;
        }
        Ok(Self { durations: more.durations()?, shares: more.shares()?, of, rate })
    }
}

impl Traffic {
    /// Returns the same traffic of a service that has no fault.
    pub(super) fn healthy(&self) -> Self {
        let of = match &self.of {
            Kind::Requests(Requests { method, route, statements, .. }) => Kind::Requests(Requests {
                method: method.clone(),
                route: route.clone(),
                poll: USUAL_POLL,
                parts: Vec::new(),
                statements: statements
                    .iter()
                    .map(|one| Statement { calls: 1, seconds: USUAL_CALL, ..one.clone() })
                    .collect(),
            }),
            other => other.clone(),
        };
        Self { of, durations: Durations::all(USUAL_SECONDS), shares: Shares::default(), ..self.at_most(USUAL_RATE) }
    }

    /// Returns the same traffic, no more often than so many times a second.
    pub(super) fn at_most(&self, rate: f64) -> Self {
        Self { rate: self.rate.min(rate), ..self.clone() }
    }
}

/// What a description says after the rate.
#[derive(Debug, Default)]
struct Details {
    all: Option<f64>,
    quantiles: Vec<(f64, f64)>,
    shares: Shares,
}

impl Details {
    fn read(&mut self, word: &str, of: &mut Kind, words: &mut Words) -> Result<(), String> {
        let mut next = |unit: Unit| quantity(unit, &words.next(unit.example())?);
        match (word, of) {
            ("avg", _) => self.all = Some(next(Unit::Seconds)?),
            ("p50" | "p75" | "p90" | "p95" | "p99" | "max", _) => {
                let percent = word[1..].parse().unwrap_or(100.0);
                self.quantiles.push((percent / 100.0, next(Unit::Seconds)?));
            }
            ("errors", _) => self.shares.errors = share(next(Unit::Ratio)?)?,
            ("cancelled", _) => self.shares.cancelled = share(next(Unit::Ratio)?)?,
            ("refused", Kind::Requests(_)) => self.shares.refused = share(next(Unit::Ratio)?)?,
            ("blocks", Kind::Requests(requests)) => requests.poll = next(Unit::Seconds)?,
            ("queries", Kind::Requests(requests)) => {
                let calls = words.next("a number of calls in each request")?;
                let calls = calls.parse().ok().filter(|calls| (1..=10_000).contains(calls));
                requests.statements.push(Statement {
                    calls: calls
                        .ok_or("queries: expected a number of calls from 1 to 10000, a statement and a duration")?,
                    sql: words.next("a statement in double quotes")?,
                    seconds: quantity(Unit::Seconds, &words.next("the duration of a call")?)?,
                });
            }
            (part, Kind::Requests(requests)) if Part::of_label(part).is_some() => {
                let of_duration = share(next(Unit::Ratio)?)?;
                requests.parts.extend(Part::of_label(part).map(|part| (part, of_duration)));
            }
            (duration, _) if duration.starts_with(|c: char| c.is_ascii_digit()) => {
                self.all = Some(quantity(Unit::Seconds, duration)?);
            }
            (other, of) => return Err(format!("unknown word {other:?}; expected one of {}", expected(of))),
        }
        Ok(())
    }

    fn durations(&mut self) -> Result<Durations, String> {
        if self.all.is_some() && !self.quantiles.is_empty() {
            return Err("a mean and percentiles; expected either".to_owned());
        }
        self.quantiles.sort_by(|a, b| a.0.total_cmp(&b.0));
        let falls = self.quantiles.windows(2).any(|pair| pair[0].0 == pair[1].0 || pair[0].1 > pair[1].1);
        if falls {
            return Err("percentiles: expected each once, and none below one of a smaller share".to_owned());
        }
        match &self.quantiles[..] {
            [] => Ok(Durations::all(self.all.unwrap_or(USUAL_SECONDS))),
            quantiles => Ok(Durations(quantiles.to_vec())),
        }
    }

    fn shares(&self) -> Result<Shares, String> {
        let Shares { errors, refused, cancelled } = self.shares;
        match errors + refused + cancelled {
            0.0..=1.000_001 => Ok(self.shares),
            _ => Err("errors, refused and cancelled are together more than 100%".to_owned()),
        }
    }
}

fn expected(of: &Kind) -> String {
    let mut words = vec!["a duration", "avg", "p50", "p75", "p90", "p95", "p99", "max", "errors", "cancelled"];
    if matches!(of, Kind::Requests(_)) {
        words.extend(["refused", "blocks", "queries"]);
        words.extend(Part::ALL.map(Part::label));
    }
    words.join(", ")
}

fn quantity(unit: Unit, text: &str) -> Result<f64, String> {
    unit.parse(text).map_err(|error| error.to_string())
}

fn share(ratio: f64) -> Result<f64, String> {
    if ratio <= 1.0 { Ok(ratio) } else { Err("a share of more than 100%".to_owned()) }
}

/// The words of a description that are left, the last one first.
#[derive(Debug)]
struct Words(Vec<String>);

impl Words {
    fn of(text: &str) -> Result<Self, String> {
        let mut words: Vec<String> = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            if rest.starts_with('"') {
                let (word, after) = quoted(rest).ok_or("a quotation mark that is not closed")?;
                words.push(word);
                rest = after.trim_start();
                continue;
            }
            let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            match words.last_mut() {
                // As in `5 %`.
                Some(number) if word == "%" => number.push('%'),
                _ => words.push(word.to_owned()),
            }
            rest = after.trim_start();
        }
        words.reverse();
        Ok(Self(words))
    }

    fn take(&mut self) -> Option<String> {
        self.0.pop()
    }

    fn next(&mut self, expected: &str) -> Result<String, String> {
        self.take().ok_or_else(|| format!("it ends too early; expected {expected}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Traffic {
        Traffic::read(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn requests(traffic: &Traffic) -> &Requests {
        if let Kind::Requests(requests) = &traffic.of { requests } else { panic!("{traffic:?}") }
    }

    #[test]
    fn requests_are_described_in_a_line() {
        let traffic = read("GET /orders/{id} 20/s p50 100ms p95 800ms errors 5 % refused 1% lock 50% blocks 20ms");
        assert_eq!((traffic.rate, traffic.shares.errors, traffic.shares.refused), (20.0, 0.05, 0.01));
        assert_eq!(traffic.durations, Durations(vec![(0.5, 0.1), (0.95, 0.8)]));
        let requests = requests(&traffic);
        assert_eq!((requests.method.as_str(), requests.route.as_str(), requests.poll), ("GET", "/orders/{id}", 0.02));
        assert_eq!(requests.parts, [(Part::Lock, 0.5)]);
    }

    #[test]
    fn what_is_not_said_is_healthy() {
        let traffic = read("POST unmatched 6/m");
        assert_eq!((traffic.rate, traffic.shares, traffic.durations.at(0.99)), (0.1, Shares::default(), USUAL_SECONDS));
        assert_eq!((requests(&traffic).route.as_str(), requests(&traffic).poll), ("", USUAL_POLL));
    }

    #[test]
    fn statements_and_tasks_are_named_in_quotation_marks_where_they_have_spaces() {
        let listed = requests(&read("GET /list 1/s 300ms queries 20 \"SELECT * FROM lines WHERE id = 7\" 5ms"))
            .statements
            .clone();
        assert_eq!((listed[0].calls, listed[0].seconds, listed[0].sql.len()), (20, 0.005, 32));
        assert_eq!(read("query \"SELECT 1\" 3/s").of, Kind::Query("SELECT 1".to_owned()));
        assert_eq!(read("task mail 2/s avg 1s errors 50%").of, Kind::Task("mail".to_owned()));
    }

    #[test]
    fn durations_are_spread_between_percentiles() {
        let durations = read("GET /a 1/s p50 100ms p95 550ms").durations;
        for (share, expected) in [(0.0, 0.0), (0.25, 0.05), (0.5, 0.1), (0.6, 0.2), (0.95, 0.55), (0.99, 0.55)] {
            assert!((durations.at(share) - expected).abs() < 1e-9, "{share}: {}", durations.at(share));
        }
        assert_eq!(read("GET /a 1/s 300ms").durations.at(0.01), 0.3);
        assert_eq!(read("GET /a 1/s avg 300ms").durations.at(1.0), 0.3);
    }

    #[track_caller]
    fn wrong(text: &str, expected: &str) {
        let error = Traffic::read(text).expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
    }

    #[test]
    fn what_has_no_meaning_is_reported_with_what_has() {
        wrong("", "it ends too early; expected GET /orders 20/s");
        wrong("get /orders 20/s", "\"get\": expected a method such as GET, query or task");
        wrong("GET orders 20/s", "\"orders\" is no route; expected one such as /orders, or unmatched");
        wrong("GET /orders", "it ends too early; expected a rate such as 20/s");
        wrong("GET /orders 20", "no unit in \"20\"");
        wrong("GET /orders 20/s fast", "unknown word \"fast\"; expected one of a duration, avg, p50");
        wrong("GET /orders 20/s errors", "it ends too early; expected a share such as 10%");
        wrong("GET /orders 20/s errors 120%", "a share of more than 100%");
        wrong("GET /orders 20/s errors 60% refused 50%", "together more than 100%");
        wrong("GET /orders 20/s avg 1s p95 2s", "a mean and percentiles; expected either");
        wrong("GET /orders 20/s p50 2s p95 1s", "none below one of a smaller share");
        wrong("GET /orders 20/s queries 0 \"SELECT 1\" 1ms", "a number of calls from 1 to 10000");
        wrong("task mail 1/s refused 10%", "unknown word \"refused\"");
        wrong("query \"SELECT 1 1/s", "a quotation mark that is not closed");
    }
}
