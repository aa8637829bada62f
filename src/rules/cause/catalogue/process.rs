//! The process as a whole, and what was not measured.

use super::{CauseKind::*, Entry, NONE, Severity, UNSEEN_POOL};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        kind: LeakByRoute,
        title: "the requests of a route keep memory",
        signature: "memory grows, and what a route's requests allocated and did not free grows with it",
        neighbours: &[
            (LeakByTasks, "what grows: the route's live bytes or the number of tasks"),
            (HighMemory, "whether it grows"),
        ],
        undecided: "install the counting allocator (feature `alloc`), which counts what each route keeps",
        advice: &[&[
            "Look for what {endpoint} stores and never removes: a map, a cache or a list without a bound",
            "Look for what it stores and never removes: a map, a cache or a list without a bound",
        ]],
        certainty: "likely with the counting allocator",
        ..NONE
    },
    Entry {
        kind: LeakByTasks,
        title: "tasks that never end keep memory",
        signature: "memory and the number of tasks alive grow together",
        neighbours: &[(LeakByRoute, "what grows"), (LeakElsewhere, "whether the number of tasks grows")],
        undecided: "look at the number of tasks alive (pinchpoint_tokio_alive_tasks)",
        advice: &[&[
            "Find the tasks that are spawned and never end (tokio-console), and give them an end: a time-out, a closed channel",
        ]],
        certainty: "likely where both grow",
        ..NONE
    },
    Entry {
        kind: LeakElsewhere,
        title: "memory grows, and no route keeps it",
        signature: "memory grows steadily; no route's live bytes and no number of tasks grows with it, or they were not measured",
        neighbours: &[(LeakByRoute, "the live bytes of each route"), (LeakByTasks, "the number of tasks alive")],
        undecided: "install the counting allocator (feature `alloc`), and compare two heap profiles some minutes apart",
        advice: &[
            &[
                "Look for collections that only ever grow, channels that are filled faster than they are read, and caches without a bound \
             in background work",
            ],
            &["Compare two heap profiles taken some minutes apart"],
        ],
        certainty: "possible: growth is consistent with a leak; only a heap profile proves one",
        ..NONE
    },
    Entry {
        kind: HighMemory,
        title: "the process holds much memory and does not grow",
        signature: "much resident memory, flat, and far from its limit",
        neighbours: &[(LeakElsewhere, "whether it grows")],
        undecided: "wait: growth shows within half an hour",
        advice: &[&["If it needs that much, raise the rule's threshold; otherwise profile the memory"]],
        certainty: "certain: the memory was measured",
        by_design: Some("a large index or cache in memory"),
        at_most: Some(Severity::Medium),
    },
    Entry {
        kind: DescriptorLeak,
        title: "descriptors stay open",
        signature: "the number of open descriptors nears its limit",
        neighbours: &[],
        undecided: "",
        advice: &[&[
            "Their number does not grow: raise the limit of {limit}, or bound how many are open at once, such as connections that are \
             kept alive",
            "Most of them are {error}: look for what opens those and keeps them",
            "Look for connections and files that are opened and never closed, and bound the sizes of pools (`ls -l /proc/PID/fd`)",
        ]],
        certainty: "likely: by the kind that is most frequent; possible where their number does not grow",
        ..NONE
    },
    Entry {
        kind: UntrackedWait,
        title: "it waits for something that is not tracked",
        signature: "most of the time passes outside polls, queries, tracked tasks, calls and waits",
        neighbours: &[
            (Queue, "whether the duration grows with the requests in flight"),
            (LongPoll, "how the waits end"),
            (RuntimeLate, "the scheduling lag"),
        ],
        undecided: "wrap the suspects: track_wait for locks, semaphores and channels, track_http_call for calls",
        advice: &[
            &[
                "What it waits for was not measured: wrap the awaits in it in track_wait(kind, name, future), track_http_call or \
             track_async_task, and the next finding names it",
            ],
            UNSEEN_POOL,
        ],
        certainty: "certain that it waits; for what is not measured",
        ..NONE
    },
    Entry {
        kind: Unknown,
        title: "the measurements name no cause",
        signature: "no part of the time is most of it, or the measurements are missing",
        neighbours: &[],
        undecided: "",
        advice: &[&["Look at the timelines of the slowest requests"]],
        certainty: "possible",
        ..NONE
    },
];
