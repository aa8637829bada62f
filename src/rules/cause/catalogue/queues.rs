//! Queues, calls to others, and tasks that a request waits for.

use super::{CauseKind::*, Entry, NONE, Severity, UNSEEN_POOL};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        kind: LockQueue,
        title: "requests wait for a lock, one after another",
        signature: "time passes in waiting for a tracked lock; where track_hold measures the holds, the endpoint or task with the most time in all is named",
        neighbours: &[
            (Queue, "whether the lock is tracked: one place alone may be a permit, a connection or a task as well"),
            (SlowCall, "whether the duration grows with the requests in flight"),
        ],
        undecided: "wrap the lock in track_wait(\"lock\", \"name\", mutex.lock()), then it is named",
        advice: &[&[
            "Hold {wait} for shorter in {holder}: do not await a call, a query or a sleep while it is locked",
            "Hold {wait} for shorter: do not await a call, a query or a sleep while it is locked",
            "Hold the lock for shorter: copy out what is needed, and do not await a call, a query or a sleep while it is locked; \
             or divide it, one for each key",
        ]],
        certainty: "certain: the wait was measured",
        ..NONE
    },
    Entry {
        kind: SemaphoreQueue,
        title: "requests wait for a permit",
        signature: "time passes in waiting for a tracked semaphore; where track_hold measures the holds, the endpoint or task with the most time in all is named",
        neighbours: &[(SlowCall, "where the time passes: in waiting for the permit or after it")],
        undecided: "wrap the wait in track_wait(\"semaphore\", \"name\", semaphore.acquire())",
        advice: &[&[
            "Make what {holder} does under {wait} faster, or give it more permits",
            "Make what is done under {wait} faster, or give it more permits",
            "Make what is done with the permit faster, give out more permits, or refuse at once (try_acquire) what would wait too long",
        ]],
        certainty: "certain: the wait was measured",
        ..NONE
    },
    Entry {
        kind: ThreadPoolQueue,
        title: "blocking work waits for a thread",
        signature: "time passes between spawn_blocking and the beginning of its work",
        neighbours: &[(SlowTask, "whether it waits for a thread or runs")],
        undecided: "start blocking work with pinchpoint::spawn_blocking, which measures the two apart",
        advice: &[&[
            "Make the blocking work shorter or bound how much is started at once (a semaphore before spawn_blocking); compute on \
             as many threads as there are CPUs (rayon), not on tokio's 512",
        ]],
        certainty: "certain where the wait was measured",
        ..NONE
    },
    Entry {
        kind: Queue,
        title: "requests wait in a queue",
        signature: "requests take many times the shortest and about as long as each other, and those in flight times the shortest over the average is about a whole number: so many run at a time, and the others wait",
        neighbours: &[
            (SlowCall, "whether the duration grows with the requests in flight: that of a slow call does not"),
            (LockQueue, "whether the lock is tracked"),
            (LongPoll, "the shortest duration: in a queue it is a small part of the usual one"),
            (PoolExhausted, "whether the pool is tracked"),
        ],
        undecided: "wrap the suspects in track_wait(kind, name, future): a lock, a semaphore, a pool",
        advice: &[
            &[
                "{wait} serves about {places} at a time and the others wait: make what it does for each faster, or let more of it run at \
             once",
                "About {places} run at a time and the others wait: look for {suspects}, and wrap it in track_wait to see who holds it",
                "Look for a semaphore, a pool or a limit of so many places, and wrap it in track_wait to see who holds it",
            ],
            UNSEEN_POOL,
        ],
        certainty: "likely where the durations are alike; possible where only the number of places fits",
        ..NONE
    },
    Entry {
        kind: SlowCall,
        title: "a call to another service is slow",
        signature: "most of the time passes in one tracked call, made once in a request",
        neighbours: &[
            (SequentialCalls, "the calls in one request"),
            (Retries, "how many of the calls fail"),
            (Queue, "where the time passes: in the call or before it"),
        ],
        undecided: "wrap the calls in track_http_call or track_wait",
        advice: &[&[
            "{call} takes most of the time: look there, cache its answer, and give the call a timeout",
            "Look at the called service, cache its answer, and give the call a timeout",
        ]],
        certainty: "certain: the call was measured",
        ..NONE
    },
    Entry {
        kind: SequentialCalls,
        title: "calls are made one after another that could run together",
        signature: "several calls or statements in one request that do not overlap, none of which is most of the time",
        neighbours: &[
            (SlowCall, "the share of the largest of them"),
            (NPlusOne, "whether they are the same statement"),
        ],
        undecided: "look at the timeline of a slow request: calls that need each other's answers cannot overlap",
        advice: &[&[
            "Start those that do not need each other's answers together (tokio::join!, FuturesUnordered): the request then takes as \
             long as the longest of them",
        ]],
        certainty: "likely: whether one needs the other's answer is not measured",
        ..NONE
    },
    Entry {
        kind: Retries,
        title: "calls that fail are tried again",
        signature: "several tries of one call in a request, of which at most one succeeds; a storm where half of the calls or more are \
                    further tries",
        neighbours: &[(SlowCall, "how many of the calls fail"), (SequentialCalls, "how many of the calls fail")],
        undecided: "wrap the calls in track_http_call: tries and failures are counted then",
        advice: &[
            &[
                "A retry storm: {storm} of the calls of {call} are further tries, {calls} calls in a request: load that keeps an \
                 overloaded service down",
                "{call} fails and is tried again: begin with why it fails",
                "Begin with why the calls fail",
            ],
            &[
                "Bound the tries, with a pause that grows and some chance in it, and stop trying while the other side is down (circuit \
             breaker)",
            ],
        ],
        certainty: "certain: tries and failures were counted",
        ..NONE
    },
    Entry {
        kind: SlowTask,
        title: "a request waits for a slow task",
        signature: "most of the time passes while a tracked task or blocking work runs",
        neighbours: &[
            (SequentialTasks, "the runs in one request and whether they overlap"),
            (ThreadPoolQueue, "whether it waits for a thread or runs"),
        ],
        undecided: "wrap the parts of the task in track_wait, track_db_query or track_http_call",
        advice: &[&[
            "Answer first and let {task} finish in the background, or make it faster",
            "Answer first and let it finish in the background where the answer does not need it; otherwise make the task faster",
        ]],
        certainty: "certain: the task was measured",
        by_design: Some("work that has to take this long"),
        ..NONE
    },
    Entry {
        kind: SequentialTasks,
        title: "tasks run one after another that could run together",
        signature: "several runs of a task, or several tasks of which none is most of the time, in one request that do not overlap",
        neighbours: &[(SlowTask, "the runs in one request")],
        undecided: "look at the timeline of a slow request",
        advice: &[&[
            "Start what does not need the results of the others together, of {task} (JoinSet, tokio::join!): a request then takes as long as the longest of them",
            "Start the runs together (JoinSet, tokio::join!): a request then takes as long as the longest of them",
        ]],
        certainty: "likely: whether one needs the other's result is not measured",
        ..NONE
    },
    Entry {
        kind: LongPoll,
        title: "requests wait for an event, up to a limit",
        signature: "nearly all the time is waiting, nothing fails, and the waits end with an event or at one fixed duration of seconds",
        neighbours: &[
            (Queue, "the shortest duration: in a queue it is a small part of the usual one"),
            (UntrackedWait, "what is waited for: a channel or notification that is tracked, or anything else"),
            (OwnTimeout, "how the requests end: those that run into a timeout fail"),
        ],
        undecided: "wrap the wait in track_wait(\"channel\", \"name\", receiver.recv())",
        advice: &[&[
            "If clients wait on purpose, leave the route out of this rule; otherwise look for who should send the event",
        ]],
        certainty: "likely where a channel is tracked; otherwise possible",
        by_design: Some("a long poll"),
        at_most: Some(Severity::Medium),
    },
];
