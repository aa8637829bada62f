//! [`CauseKind`]: the word for each cause that a finding can have.
//!
//! The API, conditions in rule files and docs/causes.md use the same word. What a cause means, how it is told from others
//! and what to do about it stands in the [catalogue](super::cause).

use std::fmt;

/// Declares the kinds with their words, in the order of the catalogue.
macro_rules! kinds {
    ($($kind:ident = $word:literal,)*) => {
        /// Why something is slow, fails or grows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum CauseKind {
            $($kind,)*
        }

        impl CauseKind {
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The word of each kind, for conditions.
            pub(crate) const WORDS: &[&str] = &[$($word,)*];

            /// Returns its word in JSON, conditions and docs.
            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $word,)*
                }
            }
        }
    };
}

kinds! {
    // The runtime and the CPU.
    Computing = "computing",
    BlockingCall = "blocking_call",
    BlockingLock = "blocking_lock",
    CpuStarved = "cpu_starved",
    RuntimeLate = "runtime_late",
    BlockingTask = "blocking_task",
    BlockedByUntracked = "blocked_by_untracked",
    Overload = "overload",
    // The database.
    SlowPlan = "slow_plan",
    SkewedPlan = "skewed_plan",
    DbLock = "db_lock",
    NPlusOne = "n_plus_one",
    ManyWrites = "many_writes",
    ManyTransactions = "many_transactions",
    FailingRetries = "failing_retries",
    Stampede = "stampede",
    DuplicateQueries = "duplicate_queries",
    OncePerRequest = "once_per_request",
    PoolExhausted = "pool_exhausted",
    PoolHeld = "pool_held",
    // Queues, calls and tasks.
    LockQueue = "lock_queue",
    SemaphoreQueue = "semaphore_queue",
    ThreadPoolQueue = "thread_pool_queue",
    Queue = "queue",
    SlowCall = "slow_call",
    SequentialCalls = "sequential_calls",
    Retries = "retries",
    SlowTask = "slow_task",
    SequentialTasks = "sequential_tasks",
    LongPoll = "long_poll",
    // Clients.
    SlowUpload = "slow_upload",
    SlowReader = "slow_reader",
    SlowProducer = "slow_producer",
    OwnTimeout = "own_timeout",
    ImpatientClients = "impatient_clients",
    ChangedMind = "changed_mind",
    WorkForNobody = "work_for_nobody",
    // How requests and runs end.
    NeverEnds = "never_ends",
    Tail = "tail",
    FallbackFails = "fallback_fails",
    FailingQuery = "failing_query",
    FailingCall = "failing_call",
    FailingTask = "failing_task",
    Panics = "panics",
    SameError = "same_error",
    MixedErrors = "mixed_errors",
    Refusals = "refusals",
    // The process.
    LeakByRoute = "leak_by_route",
    LeakByTasks = "leak_by_tasks",
    LeakElsewhere = "leak_elsewhere",
    HighMemory = "high_memory",
    DescriptorLeak = "descriptor_leak",
    // What was not measured.
    UntrackedWait = "untracked_wait",
    Unknown = "unknown",
}

impl fmt::Display for CauseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How sure a diagnosis is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Confidence {
    /// Other causes explain the measurements as well, or the one that would decide was not taken.
    Possible,
    /// The measurements fit this cause and contradict its neighbours.
    Likely,
    /// The cause itself was measured.
    Certain,
}

impl Confidence {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_kind_has_a_word_of_its_own() {
        let words: HashSet<_> = CauseKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(words.len(), CauseKind::ALL.len());
        assert_eq!(CauseKind::WORDS.len(), CauseKind::ALL.len());
    }
}
