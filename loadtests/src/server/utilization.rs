//! [`Utilization`]: how busy a load kept a service's processor and runtime, and where its requests' time went.
//!
//! A step of a capacity search is too short for a rule to fire. What was saturated is therefore read from the counters at
//! both ends of a step, beside those of a lower load that held.

use std::time::Duration;

use super::{
    bottleneck::Bottleneck,
    client::{EndpointFacts, ServerSnapshot},
    join::difference,
};
use crate::{record::EndpointTally, span::show_seconds};

/// Share of what there is above which requests wait for it. Queueing theory: at 85 % of one server the mean wait is
/// already more than five times the service time (M/M/1: `u / (1 - u)`).
const MOST_OF: f64 = 0.85;
/// Share of the workers' time above which a finding of the service that something blocks them explains a limit: half of the
/// workers' time in long polls makes what is ready wait for half a poll on average (M/D/1: `u / (2 (1 - u))`).
const OFTEN_BUSY: f64 = 0.5;
/// Rules of the service that find the runtime's workers blocked.
const BLOCKED_WORKERS: [&str; 3] = ["blocked_runtime", "blocked_runtime_at_times", "scheduling_lag"];
/// Share of a request's time by which a part must have grown to be named; any two steps differ by less.
const REAL_GROWTH: f64 = 0.1;
/// Share of a request's time that a part must take to be named where no load held.
const HALF: f64 = 0.5;

/// How busy a service was during one step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Utilization {
    /// The load in words, such as `16 users`.
    load: String,
    /// Worker threads of its runtime; 0 where the service does not report them.
    workers: f64,
    /// Cores that the process kept busy, and share of the workers' time that they were busy; absent where the service has
    /// not read them since.
    process: Option<ProcessLoad>,
    /// Share of the workers' time that they spent on requests.
    requests_busy: f64,
    /// Mean time that a task which was ready waited for a worker; absent where the service does not report it.
    lag: Option<f64>,
    /// Mean times of a request, as users saw it.
    users: ClientMeans,
    /// The work for all requests together.
    total: EndpointFacts,
    /// The work for the requests of each endpoint.
    endpoints: Vec<(String, EndpointFacts)>,
}

/// How busy a process was.
#[derive(Clone, Copy, Debug)]
struct ProcessLoad {
    cores: f64,
    workers_busy: f64,
}

/// Whether the numbers of the process at the end of a step are from after it. A service reads them every few seconds, and a
/// worker that was always busy reports it only once it has nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessNumbers {
    Fresh,
    Stale,
}

/// Mean times of a request as users saw it, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClientMeans {
    /// To the last byte; in an open model since it was due.
    whole: f64,
    /// The part of it until the request was sent: in an open model the wait for a free user of the generator.
    until_sent: f64,
}

impl ClientMeans {
    /// The means of a tally; 0 without requests.
    pub(crate) fn of(tally: &EndpointTally) -> Self {
        let (count, whole) = (tally.count().max(1) as f64, tally.ranked().sum_seconds());
        Self { whole: whole / count, until_sent: (whole - tally.since_sent_seconds()).max(0.0) / count }
    }
}

/// Where a request's time is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Database,
    Computing,
    Waiting,
    Outside,
    /// In the generator, not in the service.
    FreeUser,
}

const PARTS: [Part; 5] = [Part::Database, Part::Computing, Part::Waiting, Part::Outside, Part::FreeUser];

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Database => "the database",
            Self::Computing => "computation inside the handlers",
            Self::Waiting => "something that requests queue for (a connection, a lock, a semaphore)",
            Self::Outside => "what comes before the handlers (the queue of new connections and requests, the network)",
            Self::FreeUser => "the --max-in-flight users, so that requests waited for one of them",
        }
    }

    fn place(self) -> &'static str {
        match self {
            Self::Database => "in the database",
            Self::Computing => "computing",
            Self::Waiting => "waiting for what is neither the database nor computation",
            Self::Outside => "outside the handlers",
            Self::FreeUser => "in the wait for one of the --max-in-flight users",
        }
    }
}

impl Utilization {
    /// Returns the work between two snapshots; `None` without a request, or if the service was restarted.
    pub(crate) fn between(
        before: &ServerSnapshot,
        after: &ServerSnapshot,
        took: Duration,
        numbers: ProcessNumbers,
        users: ClientMeans,
        load: String,
    ) -> Option<Self> {
        let mut utilization = Self { load, workers: after.process.workers, users, ..Self::default() };
        for ((method, route), end) in &after.endpoints {
            let start = before.endpoints.get(&(method.clone(), route.clone())).copied().unwrap_or_default();
            let facts = difference(&start, end)?;
            utilization.total.requests += facts.requests;
            utilization.total.seconds += facts.seconds;
            utilization.total.db_seconds += facts.db_seconds;
            utilization.total.busy_seconds += facts.busy_seconds;
            utilization.endpoints.push((format!("{method} {route}"), facts));
        }
        let seconds = took.as_secs_f64();
        if utilization.total.requests == 0.0 || seconds <= 0.0 {
            return None;
        }
        if utilization.workers > 0.0 {
            let of_workers = |busy: f64| (busy / seconds / utilization.workers).clamp(0.0, 1.0);
            utilization.requests_busy = of_workers(utilization.total.busy_seconds);
            let busy = after.process.worker_busy_seconds - before.process.worker_busy_seconds;
            let cpu = after.process.cpu_seconds - before.process.cpu_seconds;
            let load = ProcessLoad { cores: cpu.max(0.0) / seconds, workers_busy: of_workers(busy) };
            utilization.process = (numbers == ProcessNumbers::Fresh).then_some(load);
        }
        let lags = after.process.lags - before.process.lags;
        utilization.lag =
            (lags > 0.0).then(|| (after.process.lag_seconds - before.process.lag_seconds).max(0.0) / lags);
        Some(utilization)
    }

    /// Returns what was saturated in comparison with a lower load that held, or without one where the time is spent.
    ///
    /// `findings` are what the service found of itself during the run: where it has seen what blocks its workers, that
    /// explains waits which look like those for a lock.
    pub(crate) fn explain(&self, held: Option<&Self>, findings: &[Bottleneck]) -> Vec<String> {
        let most = self.most(held);
        let mut lines = Vec::new();
        if self.process.is_some_and(|process| process.cores >= MOST_OF * self.workers) {
            lines.push("Saturated first: the processor.".to_owned());
        } else if let Some(blocked) = self.blocked_workers(findings) {
            lines.push(format!("Saturated first: the runtime's workers{}.", blocked_by(blocked)));
        } else if self.workers_busy() >= MOST_OF || self.waits_for_workers(held) {
            lines.push("Saturated first: the runtime's workers.".to_owned());
        } else if let (Some((part, _)), Some(_)) = (most, held) {
            lines.push(format!("Saturated first: {}.", part.name()));
        }
        lines.extend(self.busyness());
        if let Some(lag) = self.lag.filter(|lag| *lag >= REAL_GROWTH * self.users.whole) {
            lines.push(format!("What was ready to run waited {} for a worker on average.", show_seconds(lag)));
        }
        if let Some((part, seconds)) = most {
            lines.push(self.sentence(held, part, seconds));
        }
        lines
    }

    /// Returns the share of the workers' time that they were busy, as far as it is known.
    fn workers_busy(&self) -> f64 {
        self.process.map_or(0.0, |process| process.workers_busy).max(self.requests_busy)
    }

    /// "The service kept 1.8 cores busy; the 2 workers of its runtime were at work 60 % of the time."
    fn busyness(&self) -> Option<String> {
        let workers = match self.workers {
            0.0 => return None,
            1.0 => "one worker".to_owned(),
            workers => format!("{workers:.0} workers"),
        };
        let percent = self.workers_busy() * 100.0;
        Some(match self.process {
            Some(ProcessLoad { cores, .. }) => format!(
                "The service kept {cores:.1} cores busy; the {workers} of its runtime were at work {percent:.0} % of the time."
            ),
            None => format!("Requests kept the {workers} of the service's runtime at work {percent:.0} % of the time."),
        })
    }

    /// Returns the finding of the service that its workers are blocked, if they were busy enough for it to matter.
    fn blocked_workers<'f>(&self, findings: &'f [Bottleneck]) -> Option<&'f Bottleneck> {
        let is_about_workers = |finding: &&Bottleneck| BLOCKED_WORKERS.contains(&finding.kind.as_str());
        findings.iter().find(is_about_workers).filter(|_| self.workers_busy() >= OFTEN_BUSY)
    }

    /// Whether requests waited for a worker: what was ready waited for a good part of a request's time, and the workers were
    /// busy meanwhile.
    fn waits_for_workers(&self, held: Option<&Self>) -> bool {
        let before = held.and_then(|held| held.lag).unwrap_or(0.0);
        let grown = self.lag.map_or(0.0, |lag| lag - before);
        self.workers_busy() >= OFTEN_BUSY && grown >= REAL_GROWTH * self.users.whole
    }

    /// Returns the part that grew most (without a load that held: took most) and by how much, or `None` if that explains
    /// little.
    fn most(&self, held: Option<&Self>) -> Option<(Part, f64)> {
        let least = if held.is_some() { REAL_GROWTH } else { HALF } * self.users.whole;
        let seconds = PARTS.map(|part| (part, self.mean(part) - held.map_or(0.0, |held| held.mean(part))));
        seconds.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, most)| *most > 0.0 && *most >= least)
    }

    /// "At 16 users a request took 98 ms instead of 61 ms at 8 users: 30 ms more were spent in the database."
    fn sentence(&self, held: Option<&Self>, part: Part, seconds: f64) -> String {
        let (whole, seconds) = (show_seconds(self.users.whole), show_seconds(seconds));
        let mut sentence = match held {
            Some(held) => {
                let (before, place) = (show_seconds(held.users.whole), part.place());
                let (load, lower) = (&self.load, &held.load);
                format!(
                    "At {load} a request took {whole} instead of {before} at {lower}: {seconds} more were spent {place}"
                )
            }
            None => format!("Most of a request's time, {seconds} of {whole}, is spent {}", part.place()),
        };
        if let Some(endpoint) = self.worst(held, part) {
            sentence.push_str(&format!(", most of it by {endpoint}"));
        }
        sentence.push('.');
        sentence
    }

    /// Returns the mean time that a request spent in a part.
    fn mean(&self, part: Part) -> f64 {
        match part {
            Part::FreeUser => self.users.until_sent,
            Part::Outside => {
                let since_sent = self.users.whole - self.users.until_sent;
                (since_sent - self.total.seconds / self.total.requests).max(0.0)
            }
            inside => spent(&self.total, inside) / self.total.requests,
        }
    }

    /// Returns the endpoint to which most of a part's growth belongs; `None` with fewer than two endpoints.
    fn worst(&self, held: Option<&Self>, part: Part) -> Option<&str> {
        if matches!(part, Part::Outside | Part::FreeUser)
            || self.endpoints.iter().filter(|(_, facts)| facts.requests > 0.0).count() < 2
        {
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

/// Returns who blocks the workers, as ` (GET /hash blocks them)`; empty where the finding does not say so.
fn blocked_by(finding: &Bottleneck) -> String {
    finding.affected_endpoints.first().map_or_else(String::new, |endpoint| format!(" ({endpoint} blocks them)"))
}

fn per_request(facts: &EndpointFacts, part: Part) -> f64 {
    if facts.requests > 0.0 { spent(facts, part) / facts.requests } else { 0.0 }
}

/// Returns the seconds that requests spent in a part inside the service. Computing while a query runs counts as the
/// query's time.
fn spent(facts: &EndpointFacts, part: Part) -> f64 {
    let database = facts.db_seconds.min(facts.seconds);
    let computing = facts.busy_seconds.min(facts.seconds - database);
    match part {
        Part::Database => database,
        Part::Computing => computing,
        Part::Waiting => facts.seconds - database - computing,
        Part::Outside | Part::FreeUser => 0.0,
    }
}

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
            process: ProcessFacts { cpu_seconds, worker_busy_seconds, workers, ..ProcessFacts::default() },
        }
    }

    /// A step of ten seconds from nothing, on two workers.
    fn utilization(endpoints: &[(&str, [f64; 4])], cpu: f64, busy: f64, users: f64) -> Utilization {
        open_strain(endpoints, cpu, busy, users, 0.0)
    }

    fn open_strain(endpoints: &[(&str, [f64; 4])], cpu: f64, busy: f64, users: f64, until_sent: f64) -> Utilization {
        let users = ClientMeans { whole: users, until_sent };
        after_ten_seconds(&snapshot(endpoints, [cpu, busy, 2.0]), ProcessNumbers::Fresh, users)
    }

    /// Returns the utilization of a service that had done nothing ten seconds before.
    fn after_ten_seconds(after: &ServerSnapshot, numbers: ProcessNumbers, users: ClientMeans) -> Utilization {
        let (before, span) = (snapshot(&[], [0.0, 0.0, 2.0]), Duration::from_secs(10));
        Utilization::between(&before, after, span, numbers, users, "16 users".to_owned()).unwrap()
    }

    #[test]
    fn a_processor_at_its_end_is_named_before_the_queues_it_makes() {
        let held = utilization(&[("/a", [100.0, 1.0, 0.2, 0.5])], 9.0, 5.0, 0.011);
        let broken = utilization(&[("/a", [100.0, 9.0, 0.2, 4.0])], 18.0, 12.0, 0.1);
        assert_eq!(
            broken.explain(Some(&held), &[]),
            [
                "Saturated first: the processor.",
                "The service kept 1.8 cores busy; the 2 workers of its runtime were at work 60 % of the time.",
                "At 16 users a request took 100 ms instead of 11.0 ms at 16 users: 45.0 ms more were spent waiting for \
                 what is neither the database nor computation.",
            ]
        );
    }

    #[test]
    fn workers_that_wait_inside_a_poll_are_saturated_without_a_processor() {
        let blocked = utilization(&[("/a", [100.0, 9.0, 0.0, 8.5])], 2.0, 18.0, 0.1);
        assert_eq!(blocked.explain(None, &[])[0], "Saturated first: the runtime's workers.");
    }

    fn finding(kind: &str, endpoint: &str) -> Bottleneck {
        Bottleneck { kind: kind.to_owned(), affected_endpoints: vec![endpoint.to_owned()], ..Bottleneck::default() }
    }

    #[test]
    fn what_the_service_found_to_block_its_workers_is_no_lock() {
        // 84 % of two workers: what waits for them looks as if it waited for a lock.
        let held = utilization(&[("/a", [100.0, 4.0, 0.0, 2.0])], 1.0, 5.0, 0.05);
        let blocked = utilization(&[("/a", [100.0, 14.0, 0.0, 2.0])], 2.0, 16.8, 0.15);
        let line = |findings: &[Bottleneck]| blocked.explain(Some(&held), findings)[0].clone();
        assert!(line(&[]).contains("requests queue for"));
        assert!(line(&[finding("n_plus_one", "GET /a")]).contains("requests queue for"));
        let findings = [finding("n_plus_one", "GET /a"), finding("blocked_runtime", "GET /a")];
        assert_eq!(line(&findings), "Saturated first: the runtime's workers (GET /a blocks them).");
        // Workers that had much time left are not what was saturated, whatever blocks one of them now and then.
        let idle = utilization(&[("/a", [100.0, 14.0, 0.0, 2.0])], 2.0, 4.0, 0.15);
        assert!(idle.explain(Some(&held), &findings)[0].contains("requests queue for"));
    }

    #[test]
    fn numbers_from_before_the_end_of_a_step_are_not_shown_as_its_own() {
        let after = snapshot(&[("/a", [100.0, 19.0, 0.0, 18.0])], [0.0, 0.0, 2.0]);
        let users = ClientMeans { whole: 0.2, until_sent: 0.0 };
        let stale = after_ten_seconds(&after, ProcessNumbers::Stale, users);
        assert_eq!(
            stale.explain(None, &[])[..2],
            [
                "Saturated first: the runtime's workers.",
                "Requests kept the 2 workers of the service's runtime at work 90 % of the time.",
            ]
        );
    }

    #[test]
    fn what_waits_for_a_worker_waits_for_no_lock() {
        let with_lag = |seconds: f64, busy: f64, mean: f64, lag: f64| {
            let mut after = snapshot(&[("/a", [100.0, seconds, 0.0, 2.0])], [1.0, busy, 2.0]);
            (after.process.lags, after.process.lag_seconds) = (100.0, lag * 100.0);
            let users = ClientMeans { whole: mean, until_sent: 0.0 };
            after_ten_seconds(&after, ProcessNumbers::Fresh, users)
        };
        let held = with_lag(4.0, 5.0, 0.05, 0.001);
        let lines = with_lag(14.0, 15.0, 0.15, 0.04).explain(Some(&held), &[]);
        assert_eq!(lines[0], "Saturated first: the runtime's workers.");
        assert_eq!(lines[2], "What was ready to run waited 40.0 ms for a worker on average.");
        assert!(with_lag(14.0, 15.0, 0.15, 0.002).explain(Some(&held), &[])[0].contains("requests queue for"));
    }

    #[test]
    fn the_part_that_grew_most_is_named_with_its_endpoint() {
        let held = utilization(&[("/a", [100.0, 1.0, 0.6, 0.1]), ("/b", [100.0, 3.0, 0.3, 0.1])], 2.0, 1.0, 0.02);
        let database = utilization(&[("/a", [100.0, 9.0, 8.6, 0.1]), ("/b", [100.0, 3.0, 0.3, 0.1])], 2.0, 1.0, 0.06);
        let lines = database.explain(Some(&held), &[]);
        assert_eq!(lines[0], "Saturated first: the database.");
        assert_eq!(
            lines[2],
            "At 16 users a request took 60.0 ms instead of 20.0 ms at 16 users: 40.0 ms more were spent in the database, \
             most of it by GET /a."
        );
        let queued = utilization(&[("/a", [100.0, 1.0, 0.6, 0.1]), ("/b", [100.0, 9.0, 0.3, 0.1])], 2.0, 1.0, 0.05);
        let lines = queued.explain(Some(&held), &[]);
        assert!(lines[0].contains("requests queue for") && lines[2].ends_with("by GET /b."), "{lines:?}");
        let outside = utilization(&[("/a", [100.0, 1.0, 0.6, 0.1]), ("/b", [100.0, 3.0, 0.3, 0.1])], 2.0, 1.0, 0.5);
        assert!(outside.explain(Some(&held), &[])[0].contains("before the handlers"));
    }

    #[test]
    fn the_wait_for_a_free_user_is_not_the_services() {
        let held = open_strain(&[("/a", [100.0, 2.0, 0.0, 0.1])], 2.0, 1.0, 0.022, 0.001);
        let broken = open_strain(&[("/a", [100.0, 2.5, 0.0, 0.1])], 2.0, 1.0, 0.1, 0.073);
        let lines = broken.explain(Some(&held), &[]);
        assert_eq!(lines[0], "Saturated first: the --max-in-flight users, so that requests waited for one of them.");
        assert!(lines[2].ends_with("72.0 ms more were spent in the wait for one of the --max-in-flight users."));
    }

    #[test]
    fn without_a_load_that_held_it_is_said_where_the_time_goes() {
        let slow = utilization(&[("/a", [100.0, 4.9, 4.8, 0.1])], 2.0, 1.0, 0.051);
        let lines = slow.explain(None, &[]);
        assert_eq!(lines.last().unwrap(), "Most of a request's time, 48.0 ms of 51.0 ms, is spent in the database.");
        assert!(!lines.concat().contains("Saturated"), "{lines:?}");
        let even = utilization(&[("/a", [100.0, 4.0, 2.0, 2.0])], 2.0, 1.0, 0.06);
        assert_eq!(even.explain(None, &[]).len(), 1);
    }

    #[test]
    fn nothing_that_hardly_grew_is_called_saturated() {
        let held = utilization(&[("/a", [100.0, 5.0, 1.0, 0.1])], 2.0, 1.0, 0.051);
        let failing = utilization(&[("/a", [100.0, 5.4, 1.0, 0.1])], 2.0, 1.0, 0.055);
        assert_eq!(failing.explain(Some(&held), &[]).len(), 1, "only how busy the service was");
        let slower = utilization(&[("/a", [100.0, 5.7, 1.0, 0.1])], 2.0, 1.0, 0.058);
        assert!(slower.explain(Some(&held), &[])[0].contains("requests queue for"));
    }

    #[test]
    fn a_restarted_or_idle_service_tells_nothing() {
        let some = snapshot(&[("/a", [100.0, 1.0, 0.0, 0.0])], [1.0, 1.0, 2.0]);
        let fewer = snapshot(&[("/a", [10.0, 1.0, 0.0, 0.0])], [1.0, 1.0, 2.0]);
        assert!(
            Utilization::between(
                &some,
                &fewer,
                Duration::from_secs(1),
                ProcessNumbers::Fresh,
                ClientMeans::default(),
                String::new()
            )
            .is_none()
        );
        assert!(
            Utilization::between(
                &some,
                &some,
                Duration::from_secs(1),
                ProcessNumbers::Fresh,
                ClientMeans::default(),
                String::new()
            )
            .is_none()
        );
    }
}
