//! [`Part`]: where the time of an endpoint went, as shares that add up to one.

use super::case::Case;
use crate::{
    context,
    rules::fact::{self, NumberFact},
};

/// A part of a request's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Client,
    Database,
    /// In something that the service tracks.
    Used(context::Part),
    Late,
    /// Inside poll.
    Busy,
    /// Neither of the others.
    Untracked,
}

/// The parts that are facts of their own.
const MEASURED: [(Part, NumberFact); 13] = [
    (Part::Client, fact::CLIENT_TIME_RATIO),
    (Part::Database, fact::DB_TIME_RATIO),
    (Part::Used(context::Part::Http), fact::HTTP_TIME_RATIO),
    (Part::Used(context::Part::Pool), fact::POOL_TIME_RATIO),
    (Part::Used(context::Part::Lock), fact::LOCK_TIME_RATIO),
    (Part::Used(context::Part::Semaphore), fact::SEMAPHORE_TIME_RATIO),
    (Part::Used(context::Part::Channel), fact::CHANNEL_TIME_RATIO),
    (Part::Used(context::Part::Wait), fact::WAIT_TIME_RATIO),
    (Part::Used(context::Part::ThreadPool), fact::THREAD_POOL_TIME_RATIO),
    (Part::Used(context::Part::Blocking), fact::BLOCKING_TIME_RATIO),
    (Part::Used(context::Part::Task), fact::TASK_TIME_RATIO),
    (Part::Late, fact::LATE_TIME_RATIO),
    (Part::Untracked, fact::WAITING_RATIO),
];

impl Part {
    /// Returns its name in a sentence: "40% of the time ...".
    pub(super) fn doing(self) -> &'static str {
        match self {
            Self::Client | Self::Used(context::Part::Client) => "waiting for the client",
            Self::Database | Self::Used(context::Part::Db) => "in the database",
            Self::Late | Self::Used(context::Part::Late) => "ready, and not polled by the runtime",
            Self::Used(context::Part::Http) => "in calls to other services",
            Self::Used(context::Part::Pool) => "waiting for a connection of a pool",
            Self::Used(context::Part::Lock) => "waiting for a lock",
            Self::Used(context::Part::Semaphore) => "waiting for a semaphore",
            Self::Used(context::Part::Channel) => "waiting for a channel",
            Self::Used(context::Part::Wait) => "in tracked waits",
            Self::Used(context::Part::ThreadPool) => "waiting for a blocking thread",
            Self::Used(context::Part::Blocking) => "in work on blocking threads",
            Self::Used(context::Part::Task) => "in tracked tasks",
            Self::Busy => "inside poll, keeping a worker",
            Self::Untracked => "waiting for something that is not tracked",
        }
    }
}

/// Returns the shares of a case's time, the largest first; empty where the time was not divided.
pub(super) fn shares(case: &Case<'_>) -> Vec<(Part, f64)> {
    let mut shares: Vec<_> = MEASURED
        .iter()
        .filter_map(|(part, fact)| Some((*part, case.number(*fact)?)))
        .filter(|(_, share)| *share > 0.0)
        .collect();
    let split = [fact::COMPUTING_RATIO, fact::BLOCKED_RATIO, fact::CPU_WAIT_RATIO];
    let busy = match (case.number(fact::WAITING_RATIO), case.number(fact::BUSY_RATIO)) {
        // Part of the time inside poll passes while a query or a task runs: what the others leave counts.
        (Some(_), Some(busy)) => Some(busy.min(1.0 - shares.iter().map(|(_, share)| share).sum::<f64>())),
        (None, Some(busy)) => Some(busy),
        (_, None) => split.iter().filter_map(|fact| case.number(*fact)).reduce(|sum, one| sum + one),
    };
    shares.extend(busy.filter(|share| *share > 0.0).map(|share| (Part::Busy, share)));
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares
}
