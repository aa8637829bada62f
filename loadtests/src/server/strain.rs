//! What a load asked of a service: its processor, its runtime, and where its requests' time went.
//!
//! A rule takes its time to fire and a step of a search is short, so what was saturated is read from the counters of
//! both ends of a step, beside those of the highest load that held.

use std::time::Duration;

use super::client::{EndpointFacts, ServerSnapshot};
use super::join::difference;
use crate::span::show_seconds;

/// What a service had to do during one step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strain {
    /// Cores that the process kept busy.
    cores: f64,
    /// Worker threads of its runtime; none where it does not say.
    workers: f64,
    /// Share of these workers' time.
    workers_busy: f64,
    /// Mean time of a request, as users saw it.
    users: f64,
    /// What was done for all requests together.
    total: EndpointFacts,
    /// For those of each endpoint.
    endpoints: Vec<(String, EndpointFacts)>,
}

/// Where a request's time is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Database,
    Computing,
    Waiting,
    Outside,
}

const PARTS: [Part; 4] = [Part::Database, Part::Computing, Part::Waiting, Part::Outside];

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Database => "the database",
            Self::Computing => "computation inside the handlers",
            Self::Waiting => "something that requests queue for (a connection, a lock, a semaphore)",
            Self::Outside => "what comes before the handlers (the queue of new connections and requests, the network)",
        }
    }

    fn place(self) -> &'static str {
        match self {
            Self::Database => "in the database",
            Self::Computing => "computing",
            Self::Waiting => "waiting for what is neither the database nor computation",
            Self::Outside => "outside the handlers",
        }
    }
}

impl Strain {
    /// What happened between two snapshots; `None` without a request, or if the service was restarted.
    pub(crate) fn between(
        before: &ServerSnapshot,
        after: &ServerSnapshot,
        took: Duration,
        users_mean: f64,
    ) -> Option<Self> {
        let mut strain = Self { workers: after.process.workers, users: users_mean, ..Self::default() };
        for ((method, route), end) in &after.endpoints {
            let start = before.endpoints.get(&(method.clone(), route.clone())).copied().unwrap_or_default();
            let facts = difference(&start, end)?;
            strain.total.requests += facts.requests;
            strain.total.seconds += facts.seconds;
            strain.total.db_seconds += facts.db_seconds;
            strain.total.busy_seconds += facts.busy_seconds;
            strain.endpoints.push((format!("{method} {route}"), facts));
        }
        let seconds = took.as_secs_f64();
        if strain.total.requests == 0.0 || seconds <= 0.0 {
            return None;
        }
        strain.cores = (after.process.cpu_seconds - before.process.cpu_seconds).max(0.0) / seconds;
        if strain.workers > 0.0 {
            let busy = after.process.worker_busy_seconds - before.process.worker_busy_seconds;
            strain.workers_busy = (busy / seconds / strain.workers).clamp(0.0, 1.0);
        }
        Some(strain)
    }

    /// Says what was saturated, beside the highest load that held.
    pub(crate) fn explain(&self, held: Option<&Self>) -> Vec<String> {
        let growth = PARTS.map(|part| (part, self.mean(part) - held.map_or(0.0, |held| held.mean(part))));
        let most = growth.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, grown)| *grown > 0.0);
        let mut lines = Vec::new();
        if self.workers > 0.0 && self.cores >= MOST_OF * self.workers {
            lines.push("Saturated first: the processor.".to_owned());
        } else if self.workers_busy >= MOST_OF {
            lines.push("Saturated first: the runtime's workers.".to_owned());
        } else if let Some((part, _)) = most {
            lines.push(format!("Saturated first: {}.", part.name()));
        }
        if self.workers > 0.0 {
            lines.push(format!(
                "The service kept {:.1} cores busy; the {} of its runtime were at work {:.0} % of the time.",
                self.cores,
                if self.workers == 1.0 { "one worker".to_owned() } else { format!("{:.0} workers", self.workers) },
                self.workers_busy * 100.0
            ));
        }
        if let Some((part, grown)) = most {
            lines.push(self.sentence(held, part, grown));
        }
        lines
    }

    /// "A request took 98 ms instead of 61 ms; 30 ms of the difference were spent in the database, ..."
    fn sentence(&self, held: Option<&Self>, part: Part, grown: f64) -> String {
        let whole = self.users;
        let (instead, of_what) = match held {
            Some(held) => {
                (format!(" instead of {}", show_seconds(held.users)), format!("{} more", show_seconds(grown)))
            }
            None => (String::new(), show_seconds(grown)),
        };
        let mut sentence =
            format!("A request took {}{instead}: {of_what} were spent {}", show_seconds(whole), part.place());
        if let Some(endpoint) = self.worst(held, part) {
            sentence.push_str(&format!(", most of it by {endpoint}"));
        }
        sentence.push('.');
        sentence
    }

    /// Mean time that a request spent in a part.
    fn mean(&self, part: Part) -> f64 {
        match part {
            Part::Outside => (self.users - self.total.seconds / self.total.requests).max(0.0),
            inside => spent(&self.total, inside) / self.total.requests,
        }
    }

    /// The endpoint to which most of a part's growth belongs; `None` where there is one endpoint only, or none.
    fn worst(&self, held: Option<&Self>, part: Part) -> Option<&str> {
        if part == Part::Outside || self.endpoints.iter().filter(|(_, facts)| facts.requests > 0.0).count() < 2 {
            return None;
        }
        let grown = |name: &str, facts: &EndpointFacts| {
            let before = held.and_then(|held| held.endpoints.iter().find(|(known, _)| known == name));
            let before = before.map_or(0.0, |(_, facts)| per_request(facts, part));
            (per_request(facts, part) - before) * facts.requests
        };
        let each = self.endpoints.iter().map(|(name, facts)| (name.as_str(), grown(name, facts)));
        each.filter(|(_, grown)| *grown > 0.0).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(name, _)| name)
    }
}

fn per_request(facts: &EndpointFacts, part: Part) -> f64 {
    if facts.requests > 0.0 { spent(facts, part) / facts.requests } else { 0.0 }
}

/// Seconds that requests spent in a part inside the service. What is computed while a query runs counts as the query's.
fn spent(facts: &EndpointFacts, part: Part) -> f64 {
    let database = facts.db_seconds.min(facts.seconds);
    let computing = facts.busy_seconds.min(facts.seconds - database);
    match part {
        Part::Database => database,
        Part::Computing => computing,
        Part::Waiting => facts.seconds - database - computing,
        Part::Outside => 0.0,
    }
}

/// Above this share of what there is, requests wait for it. Queueing theory: at 85 % of one server the mean wait is
/// already more than five times the service time (M/M/1: `u / (1 - u)`).
const MOST_OF: f64 = 0.85;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::client::ProcessFacts;

    fn snapshot(endpoints: &[(&str, [f64; 4])], process: [f64; 3]) -> ServerSnapshot {
        let endpoints = endpoints.iter().map(|(route, [requests, seconds, db_seconds, busy_seconds])| {
            let facts = EndpointFacts {
                requests: *requests,
                seconds: *seconds,
                db_seconds: *db_seconds,
                busy_seconds: *busy_seconds,
                ..EndpointFacts::default()
            };
            (("GET".to_owned(), (*route).to_owned()), facts)
        });
        let [cpu_seconds, worker_busy_seconds, workers] = process;
        ServerSnapshot {
            endpoints: endpoints.collect(),
            process: ProcessFacts { cpu_seconds, worker_busy_seconds, workers },
        }
    }

    /// A step of ten seconds from nothing, on two workers.
    fn strain(endpoints: &[(&str, [f64; 4])], cpu: f64, busy: f64, users: f64) -> Strain {
        let (before, after) = (snapshot(&[], [0.0, 0.0, 2.0]), snapshot(endpoints, [cpu, busy, 2.0]));
        Strain::between(&before, &after, Duration::from_secs(10), users).unwrap()
    }

    #[test]
    fn a_processor_at_its_end_is_named_before_the_queues_it_makes() {
        let held = strain(&[("/a", [100.0, 1.0, 0.2, 0.5])], 9.0, 5.0, 0.011);
        let broken = strain(&[("/a", [100.0, 9.0, 0.2, 4.0])], 18.0, 12.0, 0.1);
        assert_eq!(
            broken.explain(Some(&held)),
            [
                "Saturated first: the processor.",
                "The service kept 1.8 cores busy; the 2 workers of its runtime were at work 60 % of the time.",
                "A request took 100 ms instead of 11.0 ms: 45.0 ms more were spent waiting for what is neither the \
                 database nor computation.",
            ]
        );
    }

    #[test]
    fn workers_that_wait_inside_a_poll_are_saturated_without_a_processor() {
        let blocked = strain(&[("/a", [100.0, 9.0, 0.0, 8.5])], 2.0, 18.0, 0.1);
        assert_eq!(blocked.explain(None)[0], "Saturated first: the runtime's workers.");
    }

    #[test]
    fn the_part_that_grew_most_is_named_with_its_endpoint() {
        let held = strain(&[("/a", [100.0, 1.0, 0.6, 0.1]), ("/b", [100.0, 3.0, 0.3, 0.1])], 2.0, 1.0, 0.02);
        let database = strain(&[("/a", [100.0, 9.0, 8.6, 0.1]), ("/b", [100.0, 3.0, 0.3, 0.1])], 2.0, 1.0, 0.06);
        let lines = database.explain(Some(&held));
        assert_eq!(lines[0], "Saturated first: the database.");
        assert_eq!(
            lines[2],
            "A request took 60.0 ms instead of 20.0 ms: 40.0 ms more were spent in the database, most of it by GET /a."
        );
        let queued = strain(&[("/a", [100.0, 1.0, 0.6, 0.1]), ("/b", [100.0, 9.0, 0.3, 0.1])], 2.0, 1.0, 0.05);
        let lines = queued.explain(Some(&held));
        assert!(lines[0].contains("requests queue for") && lines[2].ends_with("by GET /b."), "{lines:?}");
        let outside = strain(&[("/a", [100.0, 1.0, 0.6, 0.1]), ("/b", [100.0, 3.0, 0.3, 0.1])], 2.0, 1.0, 0.5);
        assert!(outside.explain(Some(&held))[0].contains("before the handlers"));
    }

    #[test]
    fn a_restarted_or_idle_service_tells_nothing() {
        let some = snapshot(&[("/a", [100.0, 1.0, 0.0, 0.0])], [1.0, 1.0, 2.0]);
        let fewer = snapshot(&[("/a", [10.0, 1.0, 0.0, 0.0])], [1.0, 1.0, 2.0]);
        assert!(Strain::between(&some, &fewer, Duration::from_secs(1), 0.1).is_none());
        assert!(Strain::between(&some, &some, Duration::from_secs(1), 0.1).is_none());
    }
}
