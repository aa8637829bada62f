//! The series of a service, which every contestant records.

/// Bucket edges of the durations: those that Pinchpoint gives a host's metric in seconds, OpenTelemetry's and 2 s.
pub(crate) const EDGES: [f64; 15] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 2.5, 5.0, 7.5, 10.0];

pub(crate) const ORDERS: &str = "shop_orders";
pub(crate) const ACTIVE: &str = "shop_active_requests";
pub(crate) const DURATION: &str = "shop_request_duration_seconds";

const METHODS: [&str; 2] = ["GET", "POST"];
const STATUSES: [&str; 3] = ["200", "404", "500"];
const DURATIONS: usize = 100;

/// Lines of a route: a gauge for each method, a counter for each status, and a histogram for both: its buckets with `+Inf`, its
/// sum and its count.
const LINES: usize = METHODS.len() + STATUSES.len() + METHODS.len() * STATUSES.len() * (EDGES.len() + 3);

pub(crate) type Labels = Vec<(&'static str, String)>;

/// What is recorded in a series.
pub(crate) enum Recorded {
    /// Added to a counter.
    Count(u64),
    Gauge(f64),
    Seconds(Vec<f64>),
}

/// One series.
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) labels: Labels,
    pub(crate) recorded: Recorded,
}

/// Returns the series of so many routes that they have `lines` lines, or a few more.
pub(crate) fn of_lines(lines: usize) -> Vec<Series> {
    (0..lines.div_ceil(LINES)).flat_map(of_route).collect()
}

/// Returns how many lines series have.
pub(crate) fn lines(series: &[Series]) -> usize {
    let lines = |one: &Series| if let Recorded::Seconds(_) = one.recorded { EDGES.len() + 3 } else { 1 };
    series.iter().map(lines).sum()
}

fn of_route(number: usize) -> Vec<Series> {
    let route = format!("/api/v1/warehouses/{{warehouse}}/shelves/{number}");
    let labels = |method: Option<&str>, status: Option<&str>| {
        let optional = [("method", method), ("status", status)];
        let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned())));
        optional.chain([("route", route.clone())]).collect::<Labels>()
    };
    let gauges = METHODS.map(|method| Series {
        name: ACTIVE,
        labels: labels(Some(method), None),
        recorded: Recorded::Gauge(number as f64),
    });
    let counters = STATUSES.map(|status| Series {
        name: ORDERS,
        labels: labels(None, Some(status)),
        recorded: Recorded::Count(number as u64 * 1000 + 7),
    });
    let mut series: Vec<Series> = gauges.into_iter().chain(counters).collect();
    for (at, (method, status)) in METHODS.iter().flat_map(|method| STATUSES.map(|status| (method, status))).enumerate()
    {
        // Between 1 ms and 1 s, spread alike in each decade, and different in each series.
        let seconds = |one: usize| 10_f64.powf(-3.0 + 3.0 * ((one * 37 + number * 11 + at) % 101) as f64 / 101.0);
        series.push(Series {
            name: DURATION,
            labels: labels(Some(method), Some(status)),
            recorded: Recorded::Seconds((0..DURATIONS).map(seconds).collect()),
        });
    }
    series
}
