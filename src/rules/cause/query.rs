//! Why a statement is slow, issued too often, or fails.

use CauseKind::{
    DbLock, DuplicateQueries, FailingQuery, FailingRetries, ManyTransactions, ManyWrites, NPlusOne, OncePerRequest,
    RuntimeLate, SkewedPlan, SlowPlan,
};

use super::{
    case::{Case, count, percent, seconds, shown},
    clients,
    diagnosis::{Diagnosis, Origin, of_candidates},
    process, stampede,
};
use crate::rules::{
    cause_kind::{
        CauseKind,
        Confidence::{Certain, Likely, Possible},
    },
    fact,
    measure::Measure,
};

/// Calls of one statement in a request that are one too many, as the rule `n_plus_one` has it.
pub(super) const TOO_MANY: f64 = 5.0;
/// From this share of failing calls on, repeating is not the fault.
const MOSTLY_FAILING: f64 = 0.5;
/// From this share of the calls with the same parameters on, they ask for one thing. Two equal calls of three are a third.
const MOSTLY_THE_SAME: f64 = 0.3;
/// A statement whose fastest call takes this share of the median is slow always.
const ALWAYS: f64 = 0.4;
/// Slow calls take this many times the fast ones, at least, where there are two kinds: a cold cache makes a call a few times
/// slower, a lock or another plan much more.
const TWO_KINDS: f64 = 8.0;
/// "Little in between": of all calls, those that are neither fast nor slow.
const LITTLE: f64 = 0.1;
/// Slow calls of one plan are much alike: the longest takes at most so many times the 95th percentile.
const ALIKE: f64 = 1.3;
/// From this share of a call's duration on, the scheduling lag explains it: a call needs two polls and more.
const LATE: f64 = 0.3;

pub(super) fn diagnose(case: &Case<'_>) -> Option<Diagnosis> {
    match case.measure {
        Measure::AvgDuration | Measure::DurationQuantile(_) | Measure::MaxDuration => slow(case),
        Measure::CallsPerRequest | Measure::TimePerRequest | Measure::EndpointTimeRatio => of_query(case),
        Measure::Rate => of_query(case).or_else(|| same_again(case)).or_else(|| once(case)),
        Measure::ErrorRatio => failing(case),
        _ => None,
    }
}

/// The calls of one statement by one endpoint.
pub(super) struct Repeated<'a> {
    pub(super) query: &'a str,
    pub(super) endpoint: Option<&'a str>,
    pub(super) calls: f64,
    pub(super) operation: Option<&'a str>,
    pub(super) error_ratio: Option<f64>,
    /// Share of the calls that were the very same as one shortly before, parameters included.
    pub(super) repeat_ratio: Option<f64>,
    /// Whether the calls of one request run side by side.
    pub(super) side_by_side: bool,
}

impl Repeated<'_> {
    /// Returns the cause by the operation and its failures; `None` for few calls.
    pub(super) fn diagnose(&self) -> Option<Diagnosis> {
        if self.calls <= TOO_MANY {
            return None;
        }
        let failing = self.error_ratio.filter(|ratio| *ratio >= MOSTLY_FAILING);
        let kind = match self.operation.map(str::to_ascii_uppercase).as_deref() {
            _ if failing.is_some() => FailingRetries,
            Some("INSERT" | "UPDATE" | "DELETE" | "MERGE" | "REPLACE" | "UPSERT") => ManyWrites,
            Some("BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "SAVEPOINT" | "RELEASE") => ManyTransactions,
            _ if self.repeat_ratio.is_some_and(|ratio| ratio >= MOSTLY_THE_SAME) => DuplicateQueries,
            _ => NPlusOne,
        };
        let who =
            self.endpoint.map_or_else(|| "one request".to_owned(), |endpoint| format!("one request of {endpoint}"));
        let mut because = format!("{who} issues it {} times", count(self.calls));
        if let Some(ratio) = failing {
            because += &format!(", and {} of the calls fail", percent(ratio));
        }
        if kind == DuplicateQueries {
            because +=
                &format!(", {} of them with the same parameters", percent(self.repeat_ratio.unwrap_or_default()));
        }
        if self.side_by_side {
            because += "; the calls run side by side, so fewer of them spare the database and not the request";
        }
        let confidence = if self.error_ratio.is_some() && self.operation.is_some() { Certain } else { Likely };
        let cause = Diagnosis::new(kind, confidence, because)
            .word("query", Some(shown(self.query)))
            .word("commit", self.is_commit().then(|| shown(self.query)))
            .word("savepoint", self.is_savepoint().then(|| shown(self.query)))
            .word("endpoint", self.endpoint)
            .word("calls", Some(count(self.calls)));
        Some(cause)
    }

    /// Returns whether it ends a transaction: then the database waits for the disk.
    fn is_commit(&self) -> bool {
        self.operation.is_some_and(|operation| ["COMMIT", "END"].iter().any(|end| operation.eq_ignore_ascii_case(end)))
    }

    /// Returns whether it is a step of a transaction inside a transaction.
    fn is_savepoint(&self) -> bool {
        let statement = self.query.trim_start().to_ascii_uppercase();
        ["SAVEPOINT", "RELEASE", "ROLLBACK TO"].iter().any(|step| statement.starts_with(step))
    }
}

fn of_query(case: &Case<'_>) -> Option<Diagnosis> {
    let repeated = Repeated {
        query: case.subject,
        endpoint: case.word(fact::WORST_ENDPOINT),
        calls: case.number(fact::CALLS_PER_REQUEST)?,
        operation: case.word(fact::OPERATION),
        error_ratio: case.number(fact::ERROR_RATIO),
        repeat_ratio: case.number(fact::REPEAT_RATIO),
        side_by_side: is_side_by_side(case),
    };
    repeated.diagnose()
}

/// Returns whether the calls of one request overlap: together they take longer than the request gives them.
fn is_side_by_side(case: &Case<'_>) -> bool {
    let worst = case.word(fact::WORST_ENDPOINT);
    let share = case.evidence.endpoints.iter().find(|share| Some(&*share.endpoint) == worst);
    share.and_then(|share| share.within.map(|within| (share, within))).is_some_and(|(share, within)| {
        share.seconds > OVERLAPPING * within.requests as f64 * within.avg_duration * within.time_ratio
    })
}

/// Calls side by side take this many times the time in which at least one of them runs.
pub(super) const OVERLAPPING: f64 = 1.5;

/// A statement that is issued often, a few times in each request.
fn same_again(case: &Case<'_>) -> Option<Diagnosis> {
    let calls = case.number(fact::CALLS_PER_REQUEST).filter(|calls| *calls >= 2.0)?;
    if let Some(ratio) = case.number(fact::REPEAT_RATIO).filter(|ratio| *ratio > 0.0) {
        let because = format!(
            "one request issues it {} times, {} of them with the same parameters",
            count(calls),
            percent(ratio)
        );
        let same = ratio >= MOSTLY_THE_SAME;
        return same
            .then(|| Diagnosis::new(DuplicateQueries, Certain, because).word("query", Some(shown(case.subject))));
    }
    let because =
        format!("one request issues it {} times; whether with the same parameters was not measured", count(calls));
    Some(Diagnosis::new(DuplicateQueries, Possible, because).word("query", Some(shown(case.subject))).or(&[NPlusOne]))
}

/// A statement that is issued often, because its endpoint is asked often.
fn once(case: &Case<'_>) -> Option<Diagnosis> {
    let calls = case.number(fact::CALLS_PER_REQUEST)?;
    case.number(fact::ERROR_RATIO).filter(|ratio| *ratio < MOSTLY_FAILING)?;
    let who = case.word(fact::WORST_ENDPOINT).map_or_else(String::new, |endpoint| format!(" of {endpoint}"));
    let because = format!("a request{who} that issues it does so {} times", count(calls));
    let because = if calls <= 1.0 { format!("a request{who} issues it once") } else { because };
    Some(Diagnosis::new(OncePerRequest, Certain, because))
}

/// Why each of its calls is slow.
pub(super) fn slow(case: &Case<'_>) -> Option<Diagnosis> {
    if let Some(late) = late(case) {
        return Some(late);
    }
    // Statements that lock come together where they wait for each other.
    let together = if locks(case) { None } else { stampede::diagnose(case, is_side_by_side(case)) };
    let mut candidates: Vec<Diagnosis> = together.into_iter().collect();
    if candidates.is_empty() {
        candidates.extend(two_kinds(case));
    }
    if candidates.is_empty() {
        candidates.extend(always(case));
    }
    of_candidates(candidates).map(|cause| cause.word("query", Some(shown(case.subject))))
}

/// The runtime polls late: that is no time of the database.
fn late(case: &Case<'_>) -> Option<Diagnosis> {
    let duration = case.number(fact::AVG_DURATION)?;
    let (late, exact) = match case.number(fact::LATE_TIME_RATIO) {
        Some(ratio) => (ratio * duration, true),
        // Of a query in a request what the runtime was late is left out already.
        None if !case.evidence.endpoints.is_empty() => return None,
        None => (case.lag()?, false),
    };
    let longest_lag = case.of_process(fact::MAX_SCHEDULING_LAG);
    let is_longer = case.number(fact::P95_DURATION).zip(longest_lag).is_some_and(|(slow, lag)| lag < slow);
    if late < LATE * duration || !exact && is_longer {
        return None;
    }
    let blocker = process::top_blocker(case);
    let because = format!(
        "of {} a call, up to {} is the runtime's: it polls what is ready that late{}",
        seconds(duration),
        seconds(late.min(duration)),
        blocker.as_ref().map_or_else(String::new, |blocker| format!(", mostly because of {}", blocker.name)),
    );
    let cause = Diagnosis::new(RuntimeLate, if exact { Certain } else { Likely }, because)
        .word("blocker", blocker.as_ref().map(|blocker| blocker.name))
        .of(Some(blocker.map_or(Origin::Process, |blocker| blocker.origin())));
    // The lag is that of the slowest in a hundred wake-ups: it explains a call without doubt only where it is as long.
    Some(if exact || late >= duration { cause } else { cause.or(&[SlowPlan]) })
}

/// Fast calls and slow ones, with little in between.
fn two_kinds(case: &Case<'_>) -> Option<Diagnosis> {
    let (fastest, longest) = (case.number(fact::MIN_DURATION)?, case.number(fact::MAX_DURATION)?);
    let (median, p95) = (case.number(fact::P50_DURATION)?, case.number(fact::P95_DURATION)?);
    if p95 < TWO_KINDS * fastest.max(TINY)
        || (median - fastest) <= (1.0 - ALWAYS) * median && longest < TWO_KINDS * median
    {
        return None;
    }
    let between = case.number(fact::BETWEEN_RATIO);
    let slow = case
        .number(fact::SLOW_RATIO)
        .map_or_else(String::new, |ratio| format!(" {} of its calls are slow;", percent(ratio)));
    let because = format!(
        "its fastest call takes {}, the median {}, the 95th percentile {}:{slow} {}",
        seconds(fastest),
        seconds(median),
        seconds(p95),
        between.map_or_else(
            || "how many lie in between was not measured".to_owned(),
            |ratio| format!("{} lie in between", percent(ratio))
        ),
    );
    let little = between.is_some_and(|ratio| ratio <= LITTLE);
    let alike = longest <= ALIKE * p95;
    let cause = match (locks(case), little) {
        (true, true) if !alike => Diagnosis::new(DbLock, Likely, because),
        (true, _) => Diagnosis::new(DbLock, Possible, because).or(&[SkewedPlan]),
        (false, true) if alike => Diagnosis::new(SkewedPlan, Likely, because),
        (false, _) => Diagnosis::new(SkewedPlan, Possible, because).or(&[DbLock]),
    };
    Some(cause)
}

/// Faster than this is a lookup, however much faster: 1 ms is a round trip.
const TINY: f64 = 0.001;

/// Returns whether the statement takes locks that others may hold.
fn locks(case: &Case<'_>) -> bool {
    let operation = case.word(fact::OPERATION).unwrap_or_default().to_ascii_uppercase();
    let writes =
        ["INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "LOCK", "BEGIN", "COMMIT", "ALTER"].contains(&&*operation);
    let statement = case.subject.to_ascii_uppercase();
    writes
        || statement.contains("FOR UPDATE")
        || statement.contains("FOR SHARE")
        || statement.contains("FOR NO KEY UPDATE")
}

/// Slow in each call.
fn always(case: &Case<'_>) -> Option<Diagnosis> {
    let median = case.number(fact::P50_DURATION)?;
    let (fastest, p95) = (case.number(fact::MIN_DURATION), case.number(fact::P95_DURATION));
    let because = match fastest.zip(p95) {
        Some((fastest, p95)) => format!(
            "every call is slow: the fastest takes {}, the median {}, the 95th percentile {}",
            seconds(fastest),
            seconds(median),
            seconds(p95)
        ),
        None => format!("the median call takes {}", seconds(median)),
    };
    if fastest.is_some_and(|fastest| fastest >= ALWAYS * median) {
        return Some(Diagnosis::new(SlowPlan, Likely, because));
    }
    let because = match fastest.zip(p95) {
        Some((fastest, p95)) => format!(
            "its fastest call takes {}, the median {}, the 95th percentile {}",
            seconds(fastest),
            seconds(median),
            seconds(p95)
        ),
        None => because,
    };
    Some(Diagnosis::new(SlowPlan, Possible, because).or(&[if locks(case) { DbLock } else { SkewedPlan }]))
}

fn failing(case: &Case<'_>) -> Option<Diagnosis> {
    if let Some(retried) = of_query(case).filter(|cause| cause.kind == FailingRetries) {
        return Some(retried);
    }
    if let Some(timeout) = clients::own_timeout(case, fact::FAILED_MIN_DURATION, fact::FAILED_MAX_DURATION) {
        return Some(timeout);
    }
    let ratio = case.number(fact::ERROR_RATIO)?;
    let because = format!("{} of its calls fail", percent(ratio));
    Some(Diagnosis::new(FailingQuery, Certain, because).word("query", Some(shown(case.subject))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{
        cause::tables::{self, Table},
        evidence::{EndpointShare, Within},
        fact::NumberFact,
        severity::Severity,
    };

    /// Fastest, median, 95th percentile, longest, and the shares between and slow.
    fn durations([fastest, median, p95, longest, between, slow]: [f64; 6]) -> Table {
        let facts: [(NumberFact, f64); 7] = [
            (fact::MIN_DURATION, fastest),
            (fact::P50_DURATION, median),
            (fact::P95_DURATION, p95),
            (fact::MAX_DURATION, longest),
            (fact::AVG_DURATION, median.max(p95 / 4.0)),
            (fact::BETWEEN_RATIO, between),
            (fact::SLOW_RATIO, slow),
        ];
        facts.into_iter().fold(tables::query(), |table, (fact, value)| table.number(fact, value))
    }

    #[track_caller]
    fn check(table: &Table, kind: CauseKind, or: &[CauseKind]) {
        let cause = table.read(diagnose).expect("a cause");
        assert_eq!((cause.kind, &*cause.or), (kind, or), "{}", cause.because);
    }

    #[test]
    fn slow_always_is_the_plan() {
        check(&durations([0.2, 0.25, 0.3, 0.5, 0.0, 1.0]), SlowPlan, &[]);
        check(&durations([0.2, 0.25, 0.3, 0.5, 0.0, 1.0]).word(fact::OPERATION, "UPDATE"), SlowPlan, &[]);
        check(&tables::query().number(fact::P50_DURATION, 0.3), SlowPlan, &[SkewedPlan]);
    }

    #[test]
    fn two_kinds_of_calls_are_a_lock_for_writers_and_a_plan_for_readers() {
        let varied = [0.001, 0.002, 0.9, 2.9, 0.04, 0.3];
        let alike = [0.001, 0.002, 0.5, 0.55, 0.01, 0.2];
        check(&durations(varied).word(fact::OPERATION, "UPDATE"), DbLock, &[]);
        check(&durations(alike).word(fact::OPERATION, "SELECT"), SkewedPlan, &[]);
    }

    #[test]
    fn what_fits_both_is_both() {
        let alike = [0.001, 0.002, 0.5, 0.55, 0.01, 0.2];
        check(&durations(alike).word(fact::OPERATION, "UPDATE"), DbLock, &[SkewedPlan]);
        let varied = [0.001, 0.002, 0.9, 2.9, 0.3, 0.3];
        check(&durations(varied).word(fact::OPERATION, "SELECT"), SkewedPlan, &[DbLock]);
    }

    #[test]
    fn many_at_once_with_pauses_are_a_stampede() {
        let burst = durations([0.1, 0.4, 0.9, 1.2, 0.5, 0.4]).number(fact::MAX_AT_ONCE, 40.0);
        check(&burst.clone().number(fact::IN_FLIGHT, 0.8), CauseKind::Stampede, &[]);
        let steady =
            durations([0.2, 0.25, 0.3, 0.5, 0.0, 1.0]).number(fact::MAX_AT_ONCE, 40.0).number(fact::IN_FLIGHT, 30.0);
        check(&steady, SlowPlan, &[]);
        let refilled =
            durations([0.25, 0.26, 0.26, 0.26, 0.0, 1.0]).number(fact::MAX_AT_ONCE, 25.0).number(fact::IN_FLIGHT, 5.2);
        check(&refilled, CauseKind::Stampede, &[]);
        let used = |requests: u64, each: f64| {
            let within = Within { requests, avg_duration: 0.26, time_ratio: 0.9, alone_ratio: 0.9 };
            let calls = (100.0 * each) as u64;
            let (calls_per_request, seconds) = (Some(each), 0.26 * calls as f64);
            EndpointShare {
                endpoint: "GET /top".into(),
                calls,
                calls_per_request,
                seconds,
                time_ratio: None,
                within: Some(within),
            }
        };
        check(&refilled.clone().used_by(used(1_000, 1.0)), CauseKind::Stampede, &[]);
        check(&refilled.used_by(used(100, 1.0)), CauseKind::Stampede, &[SlowPlan]);
        // One visitor every five seconds, twelve queries side by side.
        let parallel = durations([1.2, 1.2, 1.2, 1.2, 0.0, 1.0]).number(fact::MAX_AT_ONCE, 12.0);
        let parallel = parallel.number(fact::IN_FLIGHT, 2.3).number(fact::CALLS_PER_REQUEST, 12.0);
        let parallel = parallel.word(fact::WORST_ENDPOINT, "GET /top").used_by(used(100, 12.0));
        check(&parallel, SlowPlan, &[]);
        let waiting = durations([0.001, 0.002, 0.9, 2.9, 0.04, 0.3]).number(fact::MAX_AT_ONCE, 40.0);
        check(&waiting.number(fact::IN_FLIGHT, 0.8).word(fact::OPERATION, "UPDATE"), DbLock, &[]);
    }

    #[test]
    fn a_late_runtime_is_not_the_databases_fault() {
        let slow = durations([0.2, 0.25, 0.3, 0.5, 0.0, 1.0]);
        check(&slow.clone().process(fact::SCHEDULING_LAG, 0.4).blocker("GET /hash", 9.0), RuntimeLate, &[]);
        check(&slow.clone().process(fact::SCHEDULING_LAG, 0.15).blocker("GET /hash", 9.0), RuntimeLate, &[SlowPlan]);
        check(&slow.clone().process(fact::SCHEDULING_LAG, 0.02), SlowPlan, &[]);
        // The longest delay is shorter than the slow calls.
        let longest = |lag: f64| {
            slow.clone()
                .process(fact::SCHEDULING_LAG, 0.25)
                .process(fact::MAX_SCHEDULING_LAG, lag)
                .blocker("GET /hash", 9.0)
        };
        check(&longest(0.26), SlowPlan, &[]);
        check(&longest(0.5), RuntimeLate, &[]);
        let skewed = durations([0.001, 0.002, 0.5, 0.55, 0.01, 0.2]).word(fact::OPERATION, "SELECT");
        check(&skewed.process(fact::SCHEDULING_LAG, 0.17).process(fact::MAX_SCHEDULING_LAG, 0.174), SkewedPlan, &[]);
        check(&slow.number(fact::LATE_TIME_RATIO, 0.01).process(fact::SCHEDULING_LAG, 0.4), SlowPlan, &[]);
    }

    #[test]
    fn repetition_has_the_advice_of_its_operation() {
        let repeated = |operation: &str, errors: f64| {
            tables::query()
                .measure(Measure::CallsPerRequest)
                .number(fact::CALLS_PER_REQUEST, 12.0)
                .number(fact::ERROR_RATIO, errors)
                .word(fact::OPERATION, operation)
                .word(fact::WORST_ENDPOINT, "GET /a")
        };
        check(&repeated("SELECT", 0.0), NPlusOne, &[]);
        check(&repeated("SELECT", 0.0).number(fact::REPEAT_RATIO, 0.9), DuplicateQueries, &[]);
        check(&repeated("SELECT", 0.0).number(fact::REPEAT_RATIO, 0.0), NPlusOne, &[]);
        check(&repeated("INSERT", 0.0), ManyWrites, &[]);
        check(&repeated("COMMIT", 0.0), ManyTransactions, &[]);
        check(&repeated("SAVEPOINT", 0.1), ManyTransactions, &[]);
        check(&repeated("SELECT", 1.0), FailingRetries, &[]);
        let advice = repeated("INSERT", 0.0).read(diagnose).expect("a cause").advice();
        assert!(
            advice[0].starts_with("GET /a issues it 12 times in one request: write many rows in one"),
            "{advice:?}"
        );
        let of = |statement: &'static str, operation: &str| {
            let table = repeated(operation, 0.0).subject(statement);
            table.read(diagnose).expect("a cause").advice().remove(0)
        };
        assert_eq!(
            of("SAVEPOINT ?", "SAVEPOINT"),
            "GET /a issues SAVEPOINT ? 12 times in one request: each nested begin() is a round trip or two, so nest only where a \
             part must roll back alone"
        );
        assert!(of("RELEASE SAVEPOINT ?", "RELEASE").contains("nest only where"));
        assert!(of("ROLLBACK TO SAVEPOINT ?", "ROLLBACK").contains("nest only where"));
        assert_eq!(
            of("BEGIN", "BEGIN"),
            "GET /a issues BEGIN 12 times in one request: put its work into one transaction"
        );
        assert!(of("COMMIT", "COMMIT").ends_with("put its work into one transaction; each commit waits for the disk"));
        let few = tables::query().measure(Measure::CallsPerRequest).number(fact::CALLS_PER_REQUEST, 5.0);
        assert_eq!(few.read(diagnose), None);
    }

    #[test]
    fn a_statement_that_each_request_needs_is_frequent_by_design() {
        let frequent = |calls: f64, errors: f64| {
            tables::query()
                .measure(Measure::Rate)
                .number(fact::CALLS_PER_REQUEST, calls)
                .number(fact::ERROR_RATIO, errors)
                .word(fact::WORST_ENDPOINT, "GET /a")
        };
        check(&frequent(1.0, 0.0), OncePerRequest, &[]);
        let cause = frequent(1.0, 0.0).read(diagnose).expect("a cause");
        assert_eq!(
            (cause.because.as_str(), cause.at_most()),
            ("a request of GET /a issues it once", Some(Severity::Low))
        );
        check(&frequent(3.0, 0.0), DuplicateQueries, &[NPlusOne]);
        check(&frequent(12.0, 0.0), NPlusOne, &[]);
        assert_eq!(frequent(1.0, 0.9).read(diagnose), None, "it fails");
    }
}
