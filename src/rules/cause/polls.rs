//! What long polls are: computing, a blocking call, a lock, or a thread without a CPU.

use CauseKind::{BlockingCall, BlockingLock, Computing, CpuStarved};

use super::{
    case::{Case, count, percent, seconds},
    diagnosis::{Diagnosis, of_candidates},
};
use crate::rules::{
    cause_kind::{
        CauseKind,
        Confidence::{Certain, Likely, Possible},
    },
    fact,
};

/// From this share of the blocking time on one kind explains it: what is left could not make the polls fast.
const MOST: f64 = 0.6;
/// From this share on a kind is one of those that remain.
const SOME: f64 = 0.3;
/// A poll that computes for this long, in seconds, would be a finding on an idle machine too, as the rule `blocked_runtime` has it.
const COMPUTES_LONG: f64 = 0.1;
/// From this share of the time that its threads want to run on, the process is starved of CPU. Two threads on one CPU wait
/// for half of it each, as on a machine that is merely full.
const STARVED: f64 = 0.5;
/// Threads that wait for less than this, in CPUs, delay nobody: a tenth of one.
const WAITED: f64 = 0.1;
/// From this share of the waiting on, threads wait for the process's own others.
const ITS_OWN: f64 = 0.5;
/// From this share of the time throttled on, the quota is what delays. A tenth is noise at the edge of the periods.
const THROTTLED: f64 = 0.25;

/// Returns why the polls of an endpoint or a task are long.
pub(super) fn diagnose(case: &Case<'_>) -> Option<Diagnosis> {
    let stretch = case.number(fact::LONGEST_POLL).or_else(|| case.number(fact::P95_LONGEST_POLL)).map(seconds);
    let at_a_stretch = stretch.as_ref().map_or_else(String::new, |stretch| format!(", up to {stretch} at a stretch"));
    let Some([computing, blocked, waiting]) = division(case) else {
        let candidates = match starved(case) {
            Some(because) => vec![Diagnosis::new(CpuStarved, Likely, because)],
            None => vec![
                Diagnosis::new(
                    Computing,
                    Possible,
                    format!("it keeps a worker of the runtime{at_a_stretch}; whether the thread computed or was blocked was not measured"),
                )
                .or(&[BlockingCall]),
            ],
        };
        return of_candidates(candidates).map(|cause| cause.word("stretch", stretch));
    };
    let split = format!(
        "of the time in its long polls{at_a_stretch}, the thread computed {}, was blocked {} and waited for a CPU {}",
        percent(computing),
        percent(blocked),
        percent(waiting)
    );
    let long = stretch_of_most(case).map(|poll| computing * poll >= COMPUTES_LONG);
    if let Some(cause) = computing_or_starved(&split, computing, waiting, blocked, long) {
        return Some(cause.word("stretch", stretch));
    }
    let mut each = [
        (computing, Diagnosis::new(Computing, Certain, split.clone())),
        (blocked, in_call(case, split.clone())),
        (waiting, Diagnosis::new(CpuStarved, Certain, split)),
    ];
    each.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let most = each[0].0 >= MOST;
    let remain = each.into_iter().enumerate().filter(|(at, (share, _))| *at == 0 || (!most && *share >= SOME));
    let mut candidates: Vec<_> = remain.map(|(_, (_, cause))| cause).collect();
    // The sentence names all three shares: once is enough.
    let kinds: Vec<_> = candidates.split_off(1).into_iter().map(|cause| cause.kind).collect();
    of_candidates(candidates).map(|cause| cause.or(&kinds).word("stretch", stretch))
}

/// Decides between the two that add up where a machine is busy: whether what it computes is long in itself. `None` where that was
/// not measured, or one of them is not much.
fn computing_or_starved(
    split: &str,
    computing: f64,
    waiting: f64,
    blocked: f64,
    long: Option<bool>,
) -> Option<Diagnosis> {
    if waiting < SOME || blocked >= SOME {
        return None;
    }
    Some(match long? {
        true if waiting >= MOST => Diagnosis::new(Computing, Likely, split).or(&[CpuStarved]),
        true => Diagnosis::new(Computing, Certain, split),
        false if computing >= MOST => Diagnosis::new(Computing, Likely, split).or(&[CpuStarved]),
        false => Diagnosis::new(CpuStarved, Certain, split),
    })
}

/// Returns how long a usual one of its long polls is, in seconds.
fn stretch_of_most(case: &Case<'_>) -> Option<f64> {
    let mean = case.number(fact::BLOCKED_TIME).zip(case.number(fact::BLOCKING_POLLS)).map(|(time, polls)| time / polls);
    let mean = mean.filter(|mean| mean.is_finite());
    case.number(fact::P50_LONGEST_POLL).or(mean).or_else(|| case.number(fact::LONGEST_POLL))
}

/// Returns the shares of the long polls: computing, blocked, waiting for a CPU.
fn division(case: &Case<'_>) -> Option<[f64; 3]> {
    let of = |facts: [fact::NumberFact; 3]| {
        let [computing, blocked, waiting] = facts.map(|fact| case.number(fact));
        let shares = [computing?, blocked?, waiting.unwrap_or(0.0)];
        let all: f64 = shares.iter().sum();
        (all > 0.0).then(|| shares.map(|share| share / all))
    };
    of([fact::BLOCKING_COMPUTING_RATIO, fact::BLOCKING_BLOCKED_RATIO, fact::BLOCKING_CPU_WAIT_RATIO])
        .or_else(|| of([fact::COMPUTING_RATIO, fact::BLOCKED_RATIO, fact::CPU_WAIT_RATIO]))
}

/// A thread that sleeps in a poll: in a call, or in a lock.
fn in_call(case: &Case<'_>, because: String) -> Diagnosis {
    let Some(blocked_in) = case.word(fact::BLOCKED_IN) else {
        return Diagnosis::new(BlockingCall, Likely, because).or(&[BlockingLock]);
    };
    let seen = case
        .number(fact::BLOCKED_IN_RATIO)
        .map_or_else(String::new, |ratio| format!(" ({} of the looks)", percent(ratio)));
    let because = format!("{because}; it was seen in {blocked_in}{seen}");
    let cause = if blocked_in.contains(FUTEX) {
        Diagnosis::new(BlockingLock, Likely, because)
    } else {
        Diagnosis::new(BlockingCall, Certain, because)
    };
    cause.word("seen_in", Some(blocked_in))
}

/// What a thread that waits for a std lock is seen in.
const FUTEX: &str = "futex";

/// Says that the process gets too little CPU because of others, where that was measured. A process that fills its CPUs itself waits
/// for them as well: that is [`fills_its_cpus`].
pub(super) fn starved(case: &Case<'_>) -> Option<String> {
    let run_queue = waits_in_run_queue(case).filter(|_| fills_its_cpus(case).is_none());
    let throttled = case.of_process(fact::THROTTLED_RATIO).filter(|ratio| *ratio >= THROTTLED);
    let stolen = case.of_process(fact::STEAL_RATIO).filter(|ratio| *ratio >= THROTTLED);
    match (throttled, run_queue, stolen) {
        (Some(ratio), ..) => {
            Some(format!("the CPU quota of its control group throttled it {} of the time", percent(ratio)))
        }
        (_, Some(ratio), _) => Some(format!(
            "its threads waited in the run queue {} of the time in which they could have run",
            percent(ratio)
        )),
        (_, _, Some(ratio)) => {
            Some(format!("the hypervisor gave {} of the machine's CPU time to others", percent(ratio)))
        }
        _ => None,
    }
}

/// Says that the process itself wants more CPUs than there are.
pub(super) fn fills_its_cpus(case: &Case<'_>) -> Option<String> {
    let waited = waits_in_run_queue(case)?;
    let (cpu, cpus) = (case.of_process(fact::CPU_RATIO)?, case.of_process(fact::CPUS)?);
    let cpus = cpus.min(case.of_process(fact::CPU_LIMIT).unwrap_or(f64::INFINITY));
    let wanted = cpu / (1.0 - waited).max(f64::EPSILON);
    // Alone on the machine it would wait for as many as it wants beyond those that there are.
    (wanted - cpus >= ITS_OWN * (wanted - cpu)).then(|| {
        format!(
            "{} threads of the process want a CPU at once on average, of {}: they wait {} of that time, mostly for each other",
            count(wanted),
            count(cpus),
            percent(waited)
        )
    })
}

/// Returns the share of the time in which its threads wanted to run and waited, where that is much. An idle process that wakes up
/// often on a busy machine waits for much of very little.
fn waits_in_run_queue(case: &Case<'_>) -> Option<f64> {
    let ratio = case.of_process(fact::RUN_QUEUE_RATIO).filter(|ratio| *ratio >= STARVED)?;
    let waited = case.of_process(fact::CPU_RATIO).map(|cpu| cpu * ratio / (1.0 - ratio).max(f64::EPSILON));
    waited.is_none_or(|waited| waited >= WAITED).then_some(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::cause::tables::{Table, endpoint};

    fn of(table: &Table) -> Diagnosis {
        table.read(diagnose).expect("a cause")
    }

    fn polls(computing: f64, blocked: f64, waiting: f64) -> Table {
        endpoint()
            .number(fact::LONGEST_POLL, 0.3)
            .number(fact::BLOCKING_COMPUTING_RATIO, computing)
            .number(fact::BLOCKING_BLOCKED_RATIO, blocked)
            .number(fact::BLOCKING_CPU_WAIT_RATIO, waiting)
    }

    #[test]
    fn the_threads_time_tells_computing_from_blocking() {
        let computing = of(&polls(0.95, 0.03, 0.02));
        assert_eq!((computing.kind, computing.decided(), computing.confidence), (Computing, Some(Computing), Certain));
        assert_eq!(
            computing.because,
            "of the time in its long polls, up to 300ms at a stretch, the thread computed 95%, was blocked 3% and waited for a \
             CPU 2%"
        );
        assert_eq!(of(&polls(0.1, 0.2, 0.7)).kind, CpuStarved);
        let call = of(&polls(0.01, 0.98, 0.01).word(fact::BLOCKED_IN, "sleep").number(fact::BLOCKED_IN_RATIO, 0.9));
        assert_eq!((call.kind, call.confidence), (BlockingCall, Certain));
        assert!(call.advice()[0].contains("seen in sleep"), "{:?}", call.advice());
        let lock = of(&polls(0.01, 0.98, 0.01).word(fact::BLOCKED_IN, "a lock (futex)"));
        assert_eq!((lock.kind, lock.decided()), (BlockingLock, Some(BlockingLock)));
    }

    #[test]
    fn what_was_not_measured_leaves_both() {
        let unmeasured = of(&endpoint().number(fact::LONGEST_POLL, 0.3).number(fact::BUSY_RATIO, 0.99));
        assert_eq!(
            (unmeasured.kind, &*unmeasured.or, unmeasured.confidence),
            (Computing, &[BlockingCall][..], Possible)
        );
        let unseen = of(&polls(0.01, 0.98, 0.01));
        assert_eq!((unseen.kind, &*unseen.or), (BlockingCall, &[BlockingLock][..]));
    }

    #[test]
    fn half_and_half_is_both() {
        let both = of(&polls(0.5, 0.45, 0.05).word(fact::BLOCKED_IN, "reading a file"));
        assert_eq!((both.kind, &*both.or, both.decided()), (Computing, &[BlockingCall][..], None));
        let starved = of(&polls(0.0, 0.5, 0.5));
        assert_eq!((starved.kind, &*starved.or), (BlockingCall, &[BlockingLock, CpuStarved][..]));
    }

    #[test]
    fn what_computes_long_is_not_excused_by_a_busy_machine() {
        let of = |computing: f64, poll: f64| {
            let cause = of(&polls(computing, 0.0, 1.0 - computing).number(fact::P50_LONGEST_POLL, poll));
            (cause.kind, cause.or)
        };
        // 150 ms of CPU time in a poll of 385 ms.
        assert_eq!(of(0.39, 0.385), (Computing, vec![CpuStarved]));
        assert_eq!(of(0.51, 0.312), (Computing, vec![]));
        assert_eq!(of(0.11, 0.4), (CpuStarved, vec![]));
        assert_eq!(of(0.55, 0.12), (CpuStarved, vec![]));
        assert_eq!(of(0.65, 0.12), (Computing, vec![CpuStarved]));
    }

    #[test]
    fn a_starved_process_is_not_accused_of_its_code() {
        let busy = endpoint().number(fact::LONGEST_POLL, 0.3);
        let starved = of(&busy.clone().process(fact::RUN_QUEUE_RATIO, 0.8));
        assert_eq!((starved.kind, starved.decided()), (CpuStarved, Some(CpuStarved)));
        assert_eq!(of(&busy.clone().process(fact::THROTTLED_RATIO, 0.5)).kind, CpuStarved);
        assert_eq!(of(&busy.process(fact::RUN_QUEUE_RATIO, 0.2)).kind, Computing);
    }
}
