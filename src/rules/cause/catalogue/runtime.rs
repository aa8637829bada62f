//! Causes in the runtime and the CPU.

use super::{CauseKind::*, Entry, NONE};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        kind: Computing,
        title: "it computes on a worker of the runtime",
        signature: "most of the time inside its polls of 10 ms or longer the thread used the CPU",
        neighbours: &[
            (BlockingCall, "the CPU time of those polls: a thread that is blocked uses none"),
            (CpuStarved, "the time in the run queue: a starved thread is runnable and does not run"),
        ],
        undecided: "compare the CPU time of the thread with the time of the poll (`perf top`, or tokio-console), or look where \
                    the thread is while it is busy",
        advice: &[
            &[
                "Move the computation (hashing, compression, parsing, rendering) to tokio::task::spawn_blocking or to a thread pool",
            ],
            &["Divide long loops with tokio::task::yield_now().await, or do less: an index, a cache, a smaller page"],
        ],
        certainty: "certain where the thread's CPU time was measured; otherwise possible, beside a blocking call",
        by_design: Some("a computation that has to take this long"),
        ..NONE
    },
    Entry {
        kind: BlockingCall,
        title: "a blocking call holds a worker of the runtime",
        signature: "most of the time inside its polls of 10 ms or longer the thread slept in a system call: it used no CPU and \
                    was not runnable",
        neighbours: &[
            (Computing, "the CPU time of those polls"),
            (BlockingLock, "the system call that the thread was seen in: a futex is a lock"),
        ],
        undecided: "look at the stack of a worker while it is blocked (`gdb -p`, `eu-stack -p`): it names the call",
        advice: &[&[
            "The thread was seen in {seen_in}: use the async version of that call, or run it in tokio::task::spawn_blocking",
            "Use async versions of blocking calls (sleeping, files, sockets and clients of std), or run them in \
             tokio::task::spawn_blocking",
        ]],
        certainty: "certain where the thread's CPU time was measured",
        ..NONE
    },
    Entry {
        kind: BlockingLock,
        title: "a std lock holds a worker of the runtime",
        signature: "most of the time inside its polls of 10 ms or longer the thread slept in a futex",
        neighbours: &[(BlockingCall, "the system call that the thread was seen in")],
        undecided: "look at the stack of a worker while it is blocked (`gdb -p`, `eu-stack -p`): it names the lock or the call",
        advice: &[
            &[
                "Hold the std Mutex or RwLock for shorter: copy out what is needed, and do no I/O and no sleep while it is locked",
            ],
            &["Where it must be held across an await, use tokio::sync::Mutex: waiting for that one keeps no worker"],
        ],
        certainty: "likely: a futex is how std locks, condition variables and blocking channels all wait",
        ..NONE
    },
    Entry {
        kind: CpuStarved,
        title: "the process gets too little CPU",
        signature: "its threads are runnable and do not run: a large share of their time passes in the run queue, throttled or \
                    stolen",
        neighbours: &[
            (Computing, "the share of the time in the run queue: code that computes alone runs at once"),
            (Overload, "whether this process uses the CPUs itself"),
        ],
        undecided: "compare `cpu.stat` of the control group (nr_throttled) and /proc/pressure/cpu with the CPU time of this \
                    process",
        advice: &[&[
            "Give it more CPU (raise the quota of the container, move noisy neighbours), or start fewer workers than there \
             are CPUs: its code is not what is slow",
        ]],
        certainty: "certain where the run-queue delay or the throttling was measured",
        ..NONE
    },
    Entry {
        kind: RuntimeLate,
        title: "the runtime polls it late because others keep its workers",
        signature: "it is woken and then waits for a worker; others have polls of 10 ms or longer in the same time",
        neighbours: &[
            (UntrackedWait, "the time between wake-up and poll: a request that waits for something else is not woken"),
            (CpuStarved, "the run-queue delay of the threads"),
        ],
        undecided: "fix what blocks the runtime first, then look again",
        advice: &[&[
            "Look at {blocker}: it keeps workers of the runtime from all other work, and what waits here is not at fault",
            "Nothing is to be changed here: move what blocks the runtime to tokio::task::spawn_blocking",
        ]],
        certainty: "certain where the delay of the wake-ups was measured; likely where only the scheduling lag is known",
        ..NONE
    },
    Entry {
        kind: BlockingTask,
        title: "a background task blocks the runtime",
        signature: "a tracked task has polls of 10 ms or longer, and no endpoint has longer ones",
        neighbours: &[
            (BlockedByUntracked, "whether the task that blocks is tracked"),
            (CpuStarved, "the run-queue delay of the threads"),
        ],
        undecided: "wrap background tasks in track_async_task: then the one that blocks is named",
        advice: &[&[
            "Move what {task} computes or waits for to tokio::task::spawn_blocking, or divide it with yield_now",
            "Move the blocking part of that task to tokio::task::spawn_blocking",
        ]],
        certainty: "certain: its polls were measured",
        ..NONE
    },
    Entry {
        kind: BlockedByUntracked,
        title: "something that is not tracked blocks the runtime",
        signature: "the runtime polls late, and no request and no tracked task had a poll that explains it",
        neighbours: &[
            (CpuStarved, "the run-queue delay of the threads"),
            (Overload, "how busy the workers are: short polls that fill them delay others too"),
        ],
        undecided: "wrap background tasks in track_async_task, and look at /proc/pressure/cpu",
        advice: &[&["No request blocked it: wrap background tasks in track_async_task to see which of them does"]],
        certainty: "possible: it is what is left",
        ..NONE
    },
    Entry {
        kind: Overload,
        title: "the runtime has more work than its workers can do",
        signature: "the workers are busy nearly all the time with polls that are short each",
        neighbours: &[
            (Computing, "the longest polls: one endpoint with long ones is the cause, not their number"),
            (CpuStarved, "the run-queue delay: workers that wait for a CPU look busy"),
        ],
        undecided: "compare the CPU time of the process with the busy time of its workers",
        advice: &[&[
            "Give the runtime more workers and CPUs, or less work: limit the requests in flight, and answer the rest with 503",
        ]],
        certainty: "likely where the run-queue delay was measured and is small",
        ..NONE
    },
];
