//! Causes in the database and on the way to it.

use super::{CauseKind::*, Entry, NONE, Severity};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        kind: SlowPlan,
        title: "the statement's plan is slow",
        signature: "it is slow always: even its fastest calls take about as long as the median",
        neighbours: &[
            (SkewedPlan, "the spread: a plan that is slow for some parameters has fast calls too"),
            (DbLock, "the fastest calls: a statement that waits for a lock is fast without it"),
            (RuntimeLate, "the scheduling lag: a late poll adds to a query's time what the database did not take"),
        ],
        undecided: "run EXPLAIN (ANALYZE, BUFFERS) with the parameters of a slow call: it shows the time in the database alone",
        advice: &[&[
            "Look at its plan (EXPLAIN); an index on the columns it filters and sorts by, or fewer rows, make every call faster: {query}",
            "Look at its plan (EXPLAIN): a missing index is the usual reason where every call is slow",
        ]],
        certainty: "likely where the spread is small",
        ..NONE
    },
    Entry {
        kind: SkewedPlan,
        title: "the statement is slow for some parameters",
        signature: "fast calls and slow calls, each kind much alike, and only reads",
        neighbours: &[
            (DbLock, "who waits: readers rarely wait for locks, and a wait has any length"),
            (Stampede, "how many run at once when it is slow"),
            (SlowPlan, "the fastest calls"),
        ],
        undecided: "log the parameters of the slow calls: the same ones each time mean the plan; any, while another transaction \
                    is open, mean a lock (pg_stat_activity: wait_event_type)",
        advice: &[
            &[
                "Find the parameters that are slow (log them above a limit) and look at the plan with those (EXPLAIN): they select \
             far more rows, or miss the index: {query}",
                "Find the parameters that are slow (log them above a limit) and look at the plan with those (EXPLAIN): they select \
             far more rows, or miss the index",
            ],
            &["Do not judge it by its average: most calls are fast"],
        ],
        certainty: "likely for a read whose slow calls are much alike; otherwise possible, beside a lock",
        ..NONE
    },
    Entry {
        kind: DbLock,
        title: "the statement waits for a lock in the database",
        signature: "a write, or a read that locks: fast or very slow, with little in between",
        neighbours: &[
            (SlowPlan, "the fastest calls: with a slow plan none is fast"),
            (SkewedPlan, "the slow calls: those of a plan are much alike"),
            (PoolExhausted, "the time before the call: waiting for a connection is no part of a query"),
        ],
        undecided: "look at pg_stat_activity (wait_event_type = Lock) or the engine's lock list while it is slow",
        advice: &[
            &[
                "Look for the transaction that holds the row or table (pg_locks, SHOW ENGINE INNODB STATUS) and make it shorter: no \
             calls to other services and no waiting inside it",
            ],
            &[
                "Bound the wait (lock_timeout, SELECT ... FOR UPDATE SKIP LOCKED), and touch rows in one order everywhere: {query}",
                "Bound the wait (lock_timeout, SELECT ... FOR UPDATE SKIP LOCKED), and touch rows in one order everywhere",
            ],
        ],
        certainty: "likely for a write with little in between; otherwise possible",
        ..NONE
    },
    Entry {
        kind: NPlusOne,
        title: "one statement is issued for each row",
        signature: "the same SELECT more than five times in one request, one after another, with success",
        neighbours: &[
            (FailingRetries, "how many of the calls fail"),
            (SlowPlan, "calls in one request: the fastest of them are fast"),
            (DuplicateQueries, "whether the parameters are the same each time"),
        ],
        undecided: "count the distinct parameters in one request",
        advice: &[&[
            "{endpoint} issues it {calls} times in one request: fetch all rows at once, with a join or with \"WHERE id IN (...)\": {query}",
            "Fetch all rows at once, with a join, \"WHERE id IN (...)\" or the eager loading of your ORM",
        ]],
        certainty: "certain: the calls of each request were counted",
        ..NONE
    },
    Entry {
        kind: ManyWrites,
        title: "rows are written one by one",
        signature: "the same INSERT, UPDATE or DELETE more than five times in one request, with success",
        neighbours: &[(NPlusOne, "the statement's operation"), (FailingRetries, "how many of the calls fail")],
        undecided: "count the distinct parameters in one request",
        advice: &[&[
            "{endpoint} issues it {calls} times in one request: write many rows in one statement (INSERT ... VALUES (...), (...), \
             or UNNEST), in one transaction: {query}",
            "Write many rows in one statement (multi-row INSERT, UPDATE ... FROM), in one transaction",
        ]],
        certainty: "certain: the calls of each request were counted",
        ..NONE
    },
    Entry {
        kind: ManyTransactions,
        title: "one request begins many transactions or savepoints",
        signature: "BEGIN, COMMIT, SAVEPOINT or the like more than five times in one request",
        neighbours: &[(ManyWrites, "the statement's operation")],
        undecided: "log the statements of one request",
        advice: &[&[
            "{endpoint} issues {commit} {calls} times in one request: put its work into one transaction; each commit waits for the disk",
            "{endpoint} issues {savepoint} {calls} times in one request: each nested begin() is a round trip or two, so nest only where \
             a part must roll back alone",
            "Each nested begin() ({savepoint}) is a round trip or two: nest only where a part must roll back alone",
            "{endpoint} issues {query} {calls} times in one request: put its work into one transaction",
            "Put the work of a request into one transaction",
        ]],
        certainty: "certain: the calls of each request were counted",
        ..NONE
    },
    Entry {
        kind: FailingRetries,
        title: "a statement that fails is tried again and again",
        signature: "the same statement more than five times in one request, and most of the calls fail",
        neighbours: &[(NPlusOne, "how many of the calls fail"), (ManyWrites, "how many of the calls fail")],
        undecided: "log the database's error message",
        advice: &[
            &[
                "Fix why it fails, not how often it is issued; log the database's error message: {query}",
                "Fix why it fails, not how often it is issued; log the database's error message",
            ],
            &["Bound the tries of one request, with a pause that grows between them"],
        ],
        certainty: "certain: calls and failures were counted",
        ..NONE
    },
    Entry {
        kind: Stampede,
        title: "many issue the same statement at once",
        signature: "far more calls run at once at times than on average: they come together, with pauses between",
        neighbours: &[(SlowPlan, "the most calls running at once"), (DbLock, "whether it is slow when few run")],
        undecided: "look whether the slow calls begin together, as when a cache entry has run out",
        advice: &[&[
            "Let one refill the cache while the others wait for it or take the old value (moka's get_with, a lock for each key), \
             and let entries run out at different times",
        ]],
        certainty: "likely where the most running at once was measured",
        ..NONE
    },
    Entry {
        kind: DuplicateQueries,
        title: "one request asks for the same row again and again",
        signature: "the same statement with the same parameters more than once in one request",
        neighbours: &[(NPlusOne, "whether the parameters are the same each time")],
        undecided: "count the distinct parameters in one request",
        advice: &[&["Fetch it once in a request and hand it on: {query}", "Fetch it once in a request and hand it on"]],
        certainty: "certain where parameters were compared",
        ..NONE
    },
    Entry {
        kind: OncePerRequest,
        title: "each request asks for it about once",
        signature: "a statement that is issued often, less than twice in one request, and mostly with success",
        neighbours: &[
            (NPlusOne, "the calls in one request"),
            (DuplicateQueries, "the calls in one request, and their parameters"),
            (SlowPlan, "the duration of a call: the rule slow_query judges it"),
        ],
        undecided: "count the calls in one request",
        advice: &[&[
            "Nothing repeats it needlessly, it is as frequent as the requests: only fewer requests or a cache make it rarer",
        ]],
        certainty: "certain: the calls of each request were counted",
        by_design: Some("a statement that each request needs"),
        at_most: Some(Severity::Low),
    },
    Entry {
        kind: PoolExhausted,
        title: "requests wait for a connection of the pool",
        signature: "time passes in acquiring a connection, while the connections are busy with queries",
        neighbours: &[
            (PoolHeld, "what the connections do: held across other work they run no query"),
            (SlowPlan, "where the time passes: in acquiring, or in the query"),
        ],
        undecided: "compare the time that connections are out of the pool with the time of their queries",
        advice: &[&[
            "Make the queries that hold the connections faster, or enlarge the pool (PoolOptions::max_connections) up to what the \
             database can take",
        ]],
        certainty: "certain that it is the pool; likely that it is too small, where its connections run queries",
        ..NONE
    },
    Entry {
        kind: PoolHeld,
        title: "connections of the pool are held across other work",
        signature: "time passes in acquiring a connection, while those that are out run no query",
        neighbours: &[(PoolExhausted, "what the connections do")],
        undecided: "compare the time that connections are out of the pool with the time of their queries",
        advice: &[&[
            "Give the connection or the transaction back in {holder} before calling other services, sleeping or computing: acquire \
             late, release early",
            "Give the connection or the transaction back before calling other services, sleeping or computing: acquire late, \
             release early",
        ]],
        certainty: "likely where the queries take far less than the connections are out",
        ..NONE
    },
];
