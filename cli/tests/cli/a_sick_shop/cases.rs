//! The sicknesses, the requests that meet them, and the findings that must follow.
//!
//! Sicknesses share a shop only where none takes from another what its rule measures: a share of time, a rate, a worker of
//! the runtime. So whether one is found does not depend on how much the machine can do besides.

use super::{
    expected::{
        Cause::{Above, Advice, Is, Names},
        Expected, expected,
    },
    visitors::{Crowd, Visit, get, post},
};

/// Some sicknesses in a shop where everything else is fixed.
pub(crate) struct Case {
    /// Their names, as `--fix` takes them.
    pub(crate) sick: &'static [&'static str],
    /// The requests that meet them, in turn.
    pub(crate) visits: &'static [Visit],
    /// The healthy requests of another visitor at the same time, in turn; the first round of `visits` comes before them.
    pub(crate) beside: &'static [Visit],
    /// Further visitors, who come at the same time and as often as they are answered.
    pub(crate) crowds: &'static [Crowd],
    pub(crate) expected: &'static [Expected],
    /// Parts of further subjects on which findings are right, since the sickness slows them too.
    pub(crate) consequences: &'static [&'static str],
}

/// What fails, and what never ends.
pub(crate) const FAILING: Case = Case {
    sick: &["checkout-errors", "failing-mail", "broken-links", "stuck-task"],
    visits: &[
        post("/api/checkout", r#"{"product_id":{product},"quantity":1,"email":"ada.byron.12@example.com"}"#),
        get("/api/coupons/SPRING10"),
        post("/api/newsletter", r#"{"email":"ada.{n}@example.com"}"#),
    ],
    beside: HEALTHY,
    crowds: &[],
    expected: &[
        expected(
            "high_error_rate",
            "POST /api/checkout",
            &[
                Names("/words/top_error", "500"),
                Names("/words/failing_query", "UPDATE stock"),
                Advice("Begin with the statement, and log the database's error message"),
            ],
        ),
        expected("query_errors", "UPDATE stock", &[Names("/endpoints/0/endpoint", "POST /api/checkout")]),
        expected(
            "task_failures",
            "send_receipt",
            &[Names("/words/top_failure", "error"), Above("/numbers/top_failure_ratio", 0.9)],
        ),
        expected(
            "stuck_task",
            "sync_newsletter",
            &[Above("/running/0/running_seconds", 10.0), Advice("Give every call, lock and channel in it a time-out")],
        ),
        expected(
            "high_client_error_rate",
            "GET /api/coupons/{code}",
            &[Names("/words/top_client_error", "404"), Advice("have the same status: 404")],
        ),
    ],
    consequences: &[],
};

/// What takes long by itself.
pub(crate) const SLOW: Case = Case {
    sick: &["slow-report", "missing-index", "slow-thumbnails"],
    visits: &[
        get("/api/reports/sales"),
        get("/api/products/{product}/reviews"),
        post("/api/products/{product}/thumbnail", ""),
    ],
    beside: HEALTHY,
    crowds: &[],
    expected: &[
        expected(
            "slow_endpoint",
            "GET /api/reports/sales",
            &[
                Above("/time_split/database", 0.8),
                Names("/top_queries/0/query", "FROM orders o WHERE o.day >= ?"),
                Names("/slowest_requests/0/timeline/0/kind", "query"),
                Advice("Look at its plan (EXPLAIN)"),
            ],
        ),
        expected(
            "slow_query",
            "FROM orders o WHERE o.day >= ?",
            &[Names("/endpoints/0/endpoint", "GET /api/reports/sales"), Advice("Look at its plan (EXPLAIN)")],
        ),
        expected(
            "slow_query",
            "FROM (SELECT * FROM reviews WHERE product_id = ?",
            &[Names("/endpoints/0/endpoint", "GET /api/products/{id}/reviews"), Advice("Look at its plan (EXPLAIN)")],
        ),
        expected(
            "slow_task",
            "render_thumbnail",
            &[
                Above("/numbers/waiting_ratio", 0.9),
                Advice("What it waits for was not measured: wrap the awaits in it in track_wait"),
            ],
        ),
    ],
    consequences: &["GET /api/products/{id}/reviews"],
};

/// One query for each line of a page.
pub(crate) const N_PLUS_ONE: Case = Case {
    sick: &["n-plus-one"],
    visits: &[get("/api/orders")],
    beside: HEALTHY,
    crowds: &[],
    expected: &[expected(
        "n_plus_one",
        "FROM products p WHERE p.id = ?",
        &[Names("/endpoints/0/endpoint", "GET /api/orders"), Above("/endpoints/0/calls_per_request", 50.0)],
    )],
    consequences: &["GET /api/orders"],
};

/// A worker of the runtime that computes.
pub(crate) const BLOCKING: Case = Case {
    sick: &["blocking-hash"],
    visits: &[post("/api/register", r#"{"name":"Ada","email":"ada.{n}@example.org","password":"hunter2hunter2"}"#)],
    // Checking a password takes as long as hashing it, on a blocking thread: such a request is in flight at most of the polls
    // that block, where the other pages would be by chance.
    beside: &[post("/api/login", r#"{"email":"ada.0@example.org","password":"hunter2hunter2"}"#)],
    crowds: &[],
    expected: &[expected(
        "blocked_runtime",
        "POST /api/register",
        &[
            Above("/numbers/busy_ratio", 0.8),
            Names("/blockers/0/waited/0/endpoint", "POST /api/login"),
            Above("/blockers/0/waited/0/times", 0.0),
            Advice("ove the computation (hashing"),
        ],
    )],
    consequences: &[],
};

/// The same small queries in each request; the visitors send as many requests as the machine can answer.
pub(crate) const CHATTY: Case = Case {
    sick: &["chatty-settings"],
    visits: HEALTHY,
    beside: HEALTHY,
    crowds: &[],
    expected: &[expected(
        "frequent_query",
        "FROM settings",
        &[Above("/numbers/endpoints", 5.0), Above("/numbers/calls_per_request", 3.0)],
    )],
    consequences: &[],
};

/// Answers that come after the visitor has disconnected.
pub(crate) const LATE: Case = Case {
    sick: &["late-suggestions"],
    visits: &[SUGGESTIONS],
    beside: HEALTHY,
    crowds: &[],
    expected: &[
        expected(
            "abandoned_requests",
            "GET /api/suggest",
            &[
                Names("/outcomes/0/outcome", "cancelled"),
                Above("/numbers/db_time_ratio", 0.8),
                Advice("of the time that they wait is spent in the database"),
            ],
        ),
        expected(
            "wasted_work",
            "GET /api/suggest",
            &[
                Names("/words/top_query", "FROM (SELECT id, name FROM products WHERE name LIKE ?"),
                Above("/numbers/wasted_db_time", 1.0),
                Advice(
                    "for requests that ended before their answer: give them a statement timeout below the clients' own",
                ),
            ],
        ),
        expected(
            "slow_query",
            "FROM (SELECT id, name FROM products WHERE name LIKE ?",
            &[Names("/endpoints/0/endpoint", "GET /api/suggest")],
        ),
    ],
    consequences: &[],
};

/// What waits: for a connection, for another service, for a lock. None of it uses the processor, so each has all that it needs.
pub(crate) const WAITING: Case = Case {
    sick: &["small-pool", "retry-storm", "held-lock"],
    visits: &[get("/api/delivery/DE")],
    beside: HEALTHY,
    crowds: &[
        Crowd { visitors: 10, visit: get("/api/invoices/7") },
        Crowd { visitors: 6, visit: post("/api/returns", r#"{"order":7}"#) },
    ],
    expected: &[
        expected(
            "slow_endpoint",
            "GET /api/invoices/{order}",
            &[Is("pool_exhausted"), Advice("enlarge the pool (PoolOptions::max_connections)")],
        ),
        expected("slow_endpoint", "GET /api/delivery/{country}", &[Is("retries"), Advice("A retry storm: ")]),
        expected(
            "slow_endpoint",
            "POST /api/returns",
            &[Is("lock_queue"), Advice("Hold lock return labels for shorter")],
        ),
    ],
    consequences: &[],
};

/// All cases but the leak, which has a test of its own.
pub(crate) const ALL: [&Case; 7] = [&FAILING, &SLOW, &N_PLUS_ONE, &BLOCKING, &CHATTY, &LATE, &WAITING];

/// Suggestions while a customer types: the browser drops the request at the next key.
pub(crate) const SUGGESTIONS: Visit = get("/api/suggest?q=e").hurried();

/// Healthy pages, each of little work.
pub(crate) const HEALTHY: &[Visit] = &[
    get("/api/categories"),
    get("/api/products?page={n}"),
    get("/api/products/{product}"),
    get("/api/search?q=am"),
    get("/api/coupons/spring10"),
    get("/api/recommendations?customer=7"),
    post("/api/cart", r#"{"cart":"ada","product_id":{product},"quantity":2}"#),
    post("/api/login", r#"{"email":"ada.byron.12@example.com","password":"correct horse battery staple"}"#),
    get("/health"),
    get("/"),
];
