//! How requests and runs end.

use super::{CauseKind::*, Entry, NONE};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        kind: NeverEnds,
        title: "it does not end",
        signature: "requests or runs are in progress far longer than those that end take",
        neighbours: &[(LongPoll, "whether they end at all, at a limit or with an event")],
        undecided: "look where they wait (tokio-console, or a tracing span around each step)",
        advice: &[
            &["Give every call, lock and channel in it a time-out: it waits for something that does not come"],
            &["If their number grows, each of them waits for the same thing"],
        ],
        certainty: "certain that it has not ended; what it waits for is not measured",
        by_design: Some("work that is meant to run for ever, such as a stream"),
        ..NONE
    },
    Entry {
        kind: Tail,
        title: "a few are slow, and most are not",
        signature: "a high percentile is many times the median",
        neighbours: &[
            (SlowPlan, "the median"),
            (RuntimeLate, "the scheduling lag: a blocked runtime delays a few of everything"),
        ],
        undecided: "compare the timelines of the slowest requests with a usual one",
        advice: &[&[
            "Compare the timelines of the slowest requests with a usual one: the part that differs is the cause",
        ]],
        certainty: "certain that it is a tail; its reason is in the slow requests alone",
        ..NONE
    },
    Entry {
        kind: FallbackFails,
        title: "requests that match no route fail in the fallback",
        signature: "responses 5xx to requests without a route; 404 do not count",
        neighbours: &[],
        undecided: "",
        advice: &[&[
            "The fallback (a proxy, a file service, a default handler) fails: log its errors, or give those paths a route",
        ]],
        certainty: "certain: the responses were counted",
        ..NONE
    },
    Entry {
        kind: FailingQuery,
        title: "a statement that it issues fails",
        signature: "a statement of the endpoint fails about as often as its requests",
        neighbours: &[(FailingCall, "which of them fails"), (SameError, "whether a statement fails at all")],
        undecided: "log the error that the handler returns",
        advice: &[&[
            "Begin with the statement, and log the database's error message: {query}",
            "Begin with the statement, and log the database's error message: constraint violations, timeouts and lost connections \
             need different fixes",
        ]],
        certainty: "likely: a failing statement and failing requests beside it",
        ..NONE
    },
    Entry {
        kind: FailingCall,
        title: "a call to another service fails",
        signature: "a tracked call of the endpoint fails about as often as its requests",
        neighbours: &[
            (FailingQuery, "which of them fails"),
            (Retries, "the calls in one request, and how many of them succeed"),
        ],
        undecided: "log the error that the handler returns",
        advice: &[&[
            "Begin with {call}: see how it fails, and what the endpoint can answer without it",
            "Begin with the call: see how it fails, and what the endpoint can answer without it",
        ]],
        certainty: "likely: a failing call and failing requests beside it",
        ..NONE
    },
    Entry {
        kind: FailingTask,
        title: "a task fails",
        signature: "runs of the task end with an error, without a panic; of an endpoint, about as often as its requests",
        neighbours: &[
            (Panics, "the outcome"),
            (FailingCall, "which of them fails"),
            (OwnTimeout, "the durations of the runs that fail"),
        ],
        undecided: "log the error that the task returns",
        advice: &[&[
            "Log the error that {task} returns; it is what decides the fix",
            "Log the error that the task returns; it is what decides the fix",
        ]],
        certainty: "certain that it fails; why is in the error alone",
        ..NONE
    },
    Entry {
        kind: Panics,
        title: "it panics",
        signature: "most of the failures are panics",
        neighbours: &[(SameError, "the outcome")],
        undecided: "look for panics in the log",
        advice: &[&["Fix the panic: the log has its message and line (set RUST_BACKTRACE=1 for the way there)"]],
        certainty: "certain: the panics were counted",
        ..NONE
    },
    Entry {
        kind: SameError,
        title: "one error makes most of the failures",
        signature: "nine in ten of the failures have the same status or kind",
        neighbours: &[
            (MixedErrors, "the share of the most frequent"),
            (FailingQuery, "whether a statement fails as often"),
            (OwnTimeout, "the status: a time-out is answered with 408, 503 or 504, and what succeeds takes less"),
        ],
        undecided: "log the error that the handler returns",
        advice: &[&[
            "Log why the handler answers with {error}: it is one fault",
            "Log why the handler fails: it is one fault",
        ]],
        certainty: "certain that it is one error; why is in the log alone",
        ..NONE
    },
    Entry {
        kind: MixedErrors,
        title: "several errors, none of which is nine in ten of them",
        signature: "the most frequent status or kind is less than nine in ten of the failures",
        neighbours: &[(SameError, "the share of the most frequent")],
        undecided: "log the error that the handler returns",
        advice: &[&["Log the cause of each failure and take the most frequent first"]],
        certainty: "certain: the failures were counted",
        ..NONE
    },
    Entry {
        kind: Refusals,
        title: "clients send what the service refuses",
        signature: "responses 4xx; the advice is that for the most frequent status",
        neighbours: &[],
        undecided: "",
        advice: &[&[
            "{limited} is a limit of the service's own: see which clients send too much, or raise the limit if they are right to",
            "{unauthorized}: look at the credentials or the permissions of these clients, such as a session that ran out, a token that \
             was replaced, or a role that they lack",
            "{missing}: look where the clients have these links or ids from; what they name is gone or never was",
            "Compare what clients send with what the endpoint documents; a recent change may have broken them",
        ]],
        certainty: "certain: the responses were counted",
        ..NONE
    },
];
