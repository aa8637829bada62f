//! The report in both forms for people, from fixed numbers.

use std::collections::BTreeMap;

use super::{
    document::{MemoryAt, Recommendation, Report, ReportTrends},
    html, markdown,
};
use crate::{
    analysis::Direction,
    api::{
        acknowledge::AcknowledgementView,
        bottlenecks::{BottleneckView, CauseView, CausedByView, Counts, GainView},
        endpoints::EndpointView,
        evidence::{
            BlockerView, EndpointShareView, EvidenceView, OutcomeView, QueryView, RunView, SlowRequestView, SplitView,
            TimelineView, WaitedView,
        },
        rules::SilentRule,
        slos::{BurnRateView, SloView},
        sqlx::SqlxView,
        summary::Summary,
        trend::{TrendUnit, TrendView, direction_str},
    },
    rules::Unit,
};

const AT: &str = "2025-09-22T12:56:42.584696+02:00";

/// A report of one sick endpoint, one sick query and one stuck task; `name` is part of every name in it.
pub(super) fn report(name: &str) -> Report {
    let endpoint = format!("GET /orders{name}");
    let query = format!("SELECT * FROM items{name} WHERE order_id = ?");
    let gain = GainView {
        summary: format!("takes {endpoint} from 1.2s to about 185ms"),
        how: "1.02s of 1.2s a request are spent in it, in 40 calls a request".into(),
        endpoint: Some(endpoint.clone()),
        from: 1.2,
        to: 0.185,
        unit: Unit::Seconds,
        share: 0.62,
    };
    let recommendation = Recommendation {
        rank: 1,
        cause: Some(cause()),
        followed_by: 2,
        recommendation: format!("Fetch it once with a join: {query}"),
        more: vec!["Consider caching frequently accessed data".into()],
        severity: "high".into(),
        subject: endpoint.clone(),
        types: vec!["slow_endpoint".into(), "n_plus_one".into()],
        expected_gain: Some(gain.clone()),
    };
    let task = format!("import{name}");
    let without = Recommendation {
        rank: 2,
        cause: None,
        followed_by: 0,
        recommendation: "Give every call inside it a timeout".into(),
        more: Vec::new(),
        severity: "medium".into(),
        subject: task.clone(),
        types: vec!["stuck_task".into()],
        expected_gain: None,
    };
    Report {
        status: "degraded",
        message: "1 bottleneck of high severity".into(),
        summary: summary(),
        counts: Counts { total_count: 2, critical_count: 0, high_count: 1, medium_count: 1, low_count: 0 },
        recommendations: vec![recommendation, without],
        bottlenecks: vec![slow_endpoint(&endpoint, &query, gain), acknowledged(name, stuck_task(&task))],
        endpoints: vec![view(&endpoint, name, 1200.0), view(&format!("POST /pay{name}"), name, 12.0)],
        endpoint_count: 7,
        slos: vec![slo(&format!("GET /slow{name}"))],
        slo_count: 3,
        memory: (0..5)
            .map(|at| MemoryAt { seconds_ago: f64::from(4 - at) * 60.0, memory_mb: 50.0 + f64::from(at) })
            .collect(),
        memory_limit_mb: Some(64.0),
        trends: Some(trends()),
        #[cfg(feature = "archive")]
        comparison: None,
        rule_count: 26,
        silent_rules: vec![SilentRule {
            id: "queue".into(),
            reason: "nothing has recorded <b>queue_depth</b> so far".into(),
        }],
        sqlx: Some(SqlxView { layer_installed: true, query_events: 4_321, problem: None }),
        version: "0.0.0",
        timestamp: AT.into(),
    }
}

fn slo(subject: &str) -> SloView {
    let rate = |hours: f64, burn_rate| BurnRateView {
        window_seconds: hours * 3600.0,
        burn_rate,
        request_count: 1000,
        bad_count: 20,
    };
    SloView {
        id: "fast_enough".into(),
        subject: subject.into(),
        objective_percent: 99.9,
        window_seconds: 30.0 * 86_400.0,
        bad: "slower than 500ms".into(),
        request_count: 90_000,
        bad_count: 45,
        budget_left_percent: 50.0,
        budget_ends_in_seconds: Some(64_800.0),
        known_since: AT.into(),
        known_seconds: 36_000.0,
        is_whole: false,
        burn_rates: vec![rate(1.0, Some(20.0)), rate(6.0, Some(3.5)), rate(72.0, None)],
        worst_endpoints: Vec::new(),
        firing: Some("critical".into()),
    }
}

fn trends() -> ReportTrends {
    let trend = |unit, direction, series: &[Option<f64>]| TrendView {
        direction,
        message: format!("{}: so it seems", direction_str(direction)),
        unit,
        change: None,
        change_percent: None,
        slope_per_hour: None,
        slope_low: None,
        slope_high: None,
        confidence: None,
        shape: None,
        step_at: None,
        samples: None,
        bucket_count: series.len(),
        needed_buckets: 8,
        series: series.to_vec(),
    };
    let values = [Some(40.0), Some(44.0), None, Some(80.0), Some(95.0)];
    ReportTrends {
        hours: 24,
        covered_hours: 5.0,
        bucket_seconds: 300.0,
        response_time: trend(TrendUnit::Millis, Direction::Degrading, &values),
        error_rate: trend(TrendUnit::Percent, Direction::Stable, &values),
        memory: trend(TrendUnit::Megabytes, Direction::Improving, &values),
        throughput: trend(TrendUnit::PerSecond, Direction::Unknown, &[]),
    }
}

fn summary() -> Summary {
    Summary {
        total_requests: 12_345,
        avg_duration_ms: Some(245.67),
        max_duration_ms: Some(3400.0),
        min_duration_ms: Some(1.5),
        error_rate_percent: Some(2.4),
        avg_memory_mb: Some(51.2),
        total_db_queries: 34_200,
        total_db_time_ms: 1_234_567.0,
        total_async_tasks: 89,
        total_async_time_ms: 567.89,
        p50_duration_ms: Some(40.0),
        p95_duration_ms: Some(1300.0),
        p99_duration_ms: Some(2100.0),
        requests_per_second: Some(41.15),
        active_requests: 3,
        unmatched_requests: 12,
        window_seconds: 300.0,
    }
}

fn view(endpoint: &str, route: &str, millis: f64) -> EndpointView {
    EndpointView {
        endpoint: endpoint.into(),
        method: "GET".into(),
        route: route.into(),
        request_count: 1234,
        avg_duration_ms: Some(millis),
        min_duration_ms: Some(millis / 10.0),
        max_duration_ms: Some(millis * 3.0),
        p50_duration_ms: Some(millis * 0.9),
        p95_duration_ms: Some(millis * 2.0),
        p99_duration_ms: Some(millis * 2.5),
        requests_per_second: Some(4.1),
        error_count: 12,
        error_rate_percent: Some(0.97),
        client_error_rate_percent: Some(0.0),
        cancelled_rate_percent: None,
        status_codes: BTreeMap::new(),
        time_share_percent: Some(62.0),
        db_time_percent: Some(80.0),
        late_time_percent: Some(0.0),
        client_time_percent: Some(0.0),
        call_time_percent: Some(3.0),
        tracked_wait_percent: Some(2.0),
        task_time_percent: Some(0.0),
        busy_time_percent: Some(5.0),
        waiting_time_percent: Some(10.0),
        active_requests: 3,
        oldest_active_seconds: 1.5,
        db_queries_per_request: Some(41.0),
        longest_poll_ms: Some(12.0),
    }
}

fn acknowledged(name: &str, bottleneck: BottleneckView) -> BottleneckView {
    let acknowledged = AcknowledgementView {
        by: format!("ana{name}"),
        reason: format!("the import is large tonight{name}"),
        severity: bottleneck.severity.clone(),
        at: AT.into(),
        until: "2025-09-23T00:56:42.584696+02:00".into(),
    };
    BottleneckView { acknowledged: Some(acknowledged), ..bottleneck }
}

fn slow_endpoint(endpoint: &str, query: &str, gain: GainView) -> BottleneckView {
    let timeline = (0..40_u32).map(|at| TimelineView {
        kind: "query".into(),
        name: query.into(),
        start_ms: f64::from(at) * 30.0,
        duration_ms: 25.5,
        place: Some("src/orders.rs:41".into()),
    });
    let evidence = EvidenceView {
        time_share: Some(0.62),
        numbers: numbers(&[
            ("requests", 1234.0),
            ("avg_duration", 1.2),
            ("p50_duration", 1.1),
            ("p99_duration", 3.0),
            ("in_flight", 4.9),
            ("longest_poll", 0.012),
            ("db_queries_per_request", 41.0),
        ]),
        top_queries: vec![QueryView {
            query: query.into(),
            calls: 49_360,
            calls_per_request: Some(40.0),
            total_seconds: 1258.7,
            time_ratio: Some(0.85),
            place: Some("src/orders.rs:41".into()),
        }],
        time_split: Some(SplitView {
            late: 0.0,
            client: 0.0,
            calls: 0.03,
            waits: 0.02,
            database: 0.8,
            tasks: 0.0,
            busy: 0.05,
            waiting: 0.1,
        }),
        outcomes: vec![OutcomeView {
            outcome: "502".into(),
            count: 12,
            ratio: 0.0097,
            first_seen: Some(AT.into()),
            last_seen: None,
        }],
        blockers: vec![BlockerView {
            endpoint: endpoint.into(),
            polls: 3,
            total_seconds: 0.036,
            longest_ms: Some(12.0),
            others_in_flight: Some(1.5),
            max_others_in_flight: Some(4),
            waited: vec![WaitedView { endpoint: endpoint.into(), times: 2 }],
        }],
        endpoints: vec![EndpointShareView {
            endpoint: endpoint.into(),
            calls: 3,
            calls_per_request: None,
            total_seconds: 0.5,
            time_ratio: None,
            endpoint_avg_ms: None,
            endpoint_time_ratio: None,
        }],
        slowest_requests: Some(vec![SlowRequestView {
            timestamp: AT.into(),
            duration_ms: 1250.0,
            busy_ms: 61.0,
            longest_poll_ms: 12.0,
            status: Some(200),
            error_type: None,
            trace_id: Some("0af7651916cd43dd8448eb211c80319c".into()),
            timeline: timeline.collect(),
            timeline_beyond: 2,
        }]),
        ..EvidenceView::default()
    };
    BottleneckView {
        id: "44bc2cf5ad770999".to_owned(),
        acknowledged: None,
        kind: "slow_endpoint".into(),
        severity: "high".into(),
        subject: endpoint.into(),
        cause: Some(cause()),
        caused_by: Some(CausedByView { kind: "n_plus_one".into(), subject: "SELECT <1>".into() }),
        description: format!("Endpoint {endpoint} has slow average response time"),
        impact: "Average response time: 1.2s".into(),
        recommendations: vec![format!("Fetch it once with a join: {query}")],
        affected_endpoints: vec![endpoint.into()],
        metrics: BTreeMap::new(),
        since: AT.into(),
        value: 1.2,
        threshold: 1.0,
        unit: Unit::Seconds,
        window_seconds: 300.0,
        samples: 1234,
        compared_samples: None,
        evidence: Some(evidence),
        expected_gain: Some(gain),
    }
}

fn cause() -> CauseView {
    CauseView {
        kind: "n_plus_one",
        title: "one statement is issued for each row",
        because: "one request issues <it> 41 times".into(),
        confidence: "certain",
        or: vec!["slow_plan"],
        or_titles: vec!["the statement's plan is slow"],
    }
}

fn numbers(known: &[(&str, f64)]) -> BTreeMap<String, f64> {
    known.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

fn stuck_task(task: &str) -> BottleneckView {
    BottleneckView {
        id: "44bc2cf5ad770999".to_owned(),
        acknowledged: None,
        kind: "stuck_task".into(),
        severity: "medium".into(),
        subject: task.into(),
        cause: None,
        caused_by: None,
        description: format!("Task {task} may be stuck"),
        impact: "Its oldest run has been in progress for 6m".into(),
        recommendations: Vec::new(),
        affected_endpoints: Vec::new(),
        metrics: BTreeMap::new(),
        since: AT.into(),
        value: 360.0,
        threshold: 300.0,
        unit: Unit::Seconds,
        window_seconds: 300.0,
        samples: 1,
        compared_samples: None,
        evidence: Some(EvidenceView {
            time_share: Some(0.0),
            numbers: numbers(&[("runs", 3.0), ("waiting_ratio", 0.98), ("active", 1.0), ("oldest_active", 360.0)]),
            running: vec![RunView { since: AT.into(), running_seconds: 360.0 }],
            ..EvidenceView::default()
        }),
        expected_gain: None,
    }
}

#[test]
fn the_page_matches_its_snapshot() {
    // Without the style sheet, whose changes would show here too.
    let page = html::page(&report(""));
    let (head, rest) = page.split_once("<style>").expect("a style");
    let (_, body) = rest.split_once("</style>").expect("its end");
    insta::assert_snapshot!(format!("{head}<style/>{}", body.replace("><", ">\n<")));
}

#[test]
fn the_markdown_matches_its_snapshot() {
    insta::assert_snapshot!(markdown::text(&report("")));
}

#[test]
fn who_knows_of_a_finding_is_beside_it() {
    let said = "by ana until 2025-09-23 00:56:42: the import is large tonight";
    let on_page = "until <time datetime=\"2025-09-23T00:56:42";
    let (page, text) = (html::page(&report("")), markdown::text(&report("")));
    let article = page.split("<article").find(|article| article.contains(on_page)).expect("it is on the page");
    assert!(
        article.contains("<h3>Task import may be stuck</h3>")
            && article.contains(">acknowledged</span> by ana")
            && article.contains("</time>: the import is large tonight"),
        "{article}"
    );
    let row = text.lines().find(|line| line.contains(said)).expect("it is in the text");
    assert!(row.starts_with("| medium | stuck\\_task | `import` |"), "{row}");
    let nobody = Report { bottlenecks: vec![stuck_task("import")], ..report("") };
    let (page, text) = (html::page(&nobody), markdown::text(&nobody));
    assert!(!page.contains(">acknowledged<") && !text.contains("acknowledged"), "nothing where nobody does");
}

/// A name that tries to become markup.
const HOSTILE: &str =
    "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}&lt;`|[x](javascript:alert(3))\n# @all";

#[test]
fn a_hostile_name_is_text_wherever_it_stands() {
    let page = html::page(&report(HOSTILE));
    // A name of the same length: a name that is cut stands on the page once more.
    let harmless = html::page(&report(&"x".repeat(HOSTILE.chars().count())));
    let tags = |page: &str| page.matches('<').count();
    assert_eq!(tags(&page), tags(&harmless), "no name adds a tag");
    assert!(!page.contains("<script") && !page.contains("<img"), "no element of a name");
    // Quotes, too: no name ends an attribute.
    let quotes = |page: &str| page.matches('"').count();
    assert_eq!(quotes(&page), quotes(&harmless));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "and it can be read");
}

#[test]
fn a_hostile_name_stays_on_its_line_of_markdown() {
    let (text, harmless) = (markdown::text(&report(HOSTILE)), markdown::text(&report("harmless")));
    assert_eq!(text.lines().count(), harmless.lines().count());
    let text = outside_of_code(&text.replace("<sub>", "").replace("</sub>", ""));
    for (at, c) in text.char_indices() {
        let is_escaped = text[..at].chars().rev().take_while(|before| *before == '\\').count() % 2 == 1;
        assert!(is_escaped || !['<', '@', '['].contains(&c), "{c} in {}", &text[at..]);
    }
}

/// Returns Markdown without its code spans.
fn outside_of_code(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('`') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let fence = from.len() - from.trim_start_matches('`').len();
        if before.ends_with('\\') {
            out.push_str(&from[..fence]);
            rest = &from[fence..];
            continue;
        }
        let inside = &from[fence..];
        let mut place = 0;
        rest = loop {
            let at = place + inside[place..].find('`').expect("a span ends");
            let run = inside[at..].len() - inside[at..].trim_start_matches('`').len();
            place = at + run;
            if run == fence {
                break &inside[place..];
            }
        };
    }
    out + rest
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = html::page(&report("")).replacen("<link rel=\"icon\" href=\"data:image/svg+xml,", "", 1);
    for elsewhere in ["http://", "https://", "src=", "href=", "url(", "@import", "<script", "<link"] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
}

#[test]
fn an_empty_report_is_still_written() {
    let nothing = Report {
        status: "unknown",
        message: "no request was measured yet".into(),
        summary: Summary {
            total_requests: 0,
            avg_duration_ms: None,
            p95_duration_ms: None,
            p99_duration_ms: None,
            error_rate_percent: None,
            requests_per_second: None,
            avg_memory_mb: None,
            ..summary()
        },
        counts: Counts { total_count: 0, critical_count: 0, high_count: 0, medium_count: 0, low_count: 0 },
        recommendations: Vec::new(),
        slos: Vec::new(),
        slo_count: 0,
        bottlenecks: Vec::new(),
        endpoints: Vec::new(),
        endpoint_count: 0,
        memory: Vec::new(),
        memory_limit_mb: None,
        trends: None,
        #[cfg(feature = "archive")]
        comparison: None,
        rule_count: 26,
        silent_rules: Vec::new(),
        sqlx: Some(SqlxView { layer_installed: true, query_events: 4_321, problem: None }),
        version: "0.0.0",
        timestamp: AT.into(),
    };
    let (page, text) = (html::page(&nothing), markdown::text(&nothing));
    assert!(page.contains("No request was measured yet") && text.contains("No request was measured yet"));
    assert!(!page.contains("NaN") && !page.contains("inf") && !text.contains("NaN"));
}
