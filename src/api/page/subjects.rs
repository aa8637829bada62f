//! The page of one endpoint, query, call or task.

use super::{
    charts, findings,
    html::{Html, NOTHING, count, duration, percent},
    list::{Column, List},
    place::{Place, View},
    rows::{Gathered, OtherUse, QueryUse, Row, UsedBy},
    shell,
    sight::Sight,
};
use crate::{
    api::{
        endpoints::{EndpointView, views},
        evidence::{SlowRequestView, SplitView},
        report::{finding, plot, words},
    },
    rules::{Bottleneck, Unit},
};

/// Slowest requests that are drawn.
const SLOWEST: usize = 5;

/// Writes the page of what has this name. Returns whether it was found.
pub(super) fn page(sight: &Sight<'_>, name: &str) -> (String, bool) {
    let here = sight.here;
    let gathered = Gathered::of(&sight.window);
    if here.view == View::Endpoints {
        return endpoint(sight, &gathered, name);
    }
    let json = here.own_data();
    let named = |gathered: &Gathered<'_>| gathered.rows(here.view).into_iter().filter(|row| row.name == name).collect();
    let found: Vec<Row> = named(&gathered);
    let title = words::shortened(name);
    let is_known =
        !found.is_empty() || (here.window.is_some() && !named(&Gathered::of(&sight.core.total(sight.now))).is_empty());
    let html = shell::page(sight, &title, &json, |page| {
        shell::windows(page, sight);
        if found.is_empty() {
            missing(page, name, sight, is_known);
        }
        found.iter().for_each(|row| one(page, sight, row));
        findings::section(page, sight, |bottleneck| *bottleneck.subject.name == *name);
    });
    (html, is_known)
}

fn missing(page: &mut Html, name: &str, sight: &Sight<'_>, is_known: bool) {
    page.raw("<p class=\"card empty\"><code>")
        .text(name)
        .raw("</code> has not been measured in ")
        .text(&sight.looks_back());
    page.raw(".");
    if is_known {
        page.raw(" It was before: <a data-go=\"here\" href=\"");
        page.text(&sight.here.link(&Place { window: None, ..sight.here.clone() })).raw("\">since the start</a>.");
    }
    page.raw("</p>");
}

fn one(page: &mut Html, sight: &Sight<'_>, row: &Row) {
    page.raw("<p class=\"whole\"><code>").text(&row.name).raw("</code></p><p class=\"small muted\">").text(&row.kind);
    if let Some(place) = &row.place {
        page.raw(" · <code>").text(place).raw("</code>");
    }
    page.raw("</p>");
    let mut all = vec![
        ("calls", count(row.calls)),
        ("per second", row.per_second.map_or_else(|| NOTHING.to_owned(), |rate| Unit::Count.render(rate))),
        ("mean", duration(row.avg_ms)),
    ];
    if sight.here.view != View::Calls {
        all.extend([("95th percentile", duration(row.p95_ms)), ("longest", duration(row.max_ms))]);
        all.push((
            "of the time of all requests",
            percent(row.time_share.filter(|share| *share > 0.0).map(|share| share * 100.0)),
        ));
    }
    all.extend([("total", Unit::Seconds.render(row.total_seconds)), ("failed", count(row.failed))]);
    all.extend(row.active.map(|active| ("in progress", count(active))));
    shell::tiles(page, &all);
    page.raw("<section class=\"card\"><h2>From where</h2>");
    if row.endpoints.is_empty() {
        page.raw("<p class=\"muted\">From no request: from tasks and other code of the service.</p>");
    } else {
        users(page, sight.here, &row.endpoints);
        page.raw("<p class=\"small muted\">The time in requests includes what each waited until a worker went on with it.</p>");
    }
    page.raw("</section>");
}

fn users(page: &mut Html, here: &Place, users: &[UsedBy]) {
    let link = |used: &UsedBy, page: &mut Html| {
        let to = here.about(View::Endpoints, &used.endpoint);
        page.raw("<a data-go=\"top\" href=\"")
            .text(&here.link(&to))
            .raw("\"><code>")
            .text(&used.endpoint)
            .raw("</code></a>");
    };
    let mut columns = vec![Column::written("", "endpoint", link, |used: &UsedBy| used.endpoint.clone())];
    columns.extend(use_columns(|used: &UsedBy| used));
    let list = List {
        what: "endpoints",
        columns,
        name: |used| &used.endpoint,
        first: Some((users.len(), here.clone())),
        prepare: None,
    };
    list.write(page, here, users);
}

/// What is said of each use.
fn use_columns<'c, T: 'c>(of: impl Fn(&T) -> &UsedBy + Copy + 'c) -> [Column<'c, T>; 5] {
    let number = |value: f64| Unit::Count.render(value);
    [
        Column::number("", "calls", move |row| Some(of(row).calls as f64), |calls| count(calls as u64)),
        Column::number("", "per request", move |row| of(row).calls_per_request, number),
        Column::number("", "in requests", move |row| Some(of(row).total_seconds), |total| Unit::Seconds.render(total)),
        Column::number("", "at a time", move |row| Some(of(row).most_at_once as f64), number),
        Column::words("", "in the code", move |row| of(row).place.clone().unwrap_or_else(|| NOTHING.to_owned())),
    ]
}

fn endpoint(sight: &Sight<'_>, gathered: &Gathered<'_>, name: &str) -> (String, bool) {
    let found = views(&sight.window).into_iter().find(|row| row.endpoint == name);
    let is_known = found.is_some()
        || (sight.here.window.is_some() && views(&sight.core.total(sight.now)).iter().any(|row| row.endpoint == name));
    let path = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    let html = shell::page(sight, name, &format!("endpoints/{path}{}", sight.here.api_window("?")), |page| {
        shell::windows(page, sight);
        match &found {
            Some(row) => numbers(page, row),
            None => missing(page, name, sight, is_known),
        }
        let affects = |bottleneck: &Bottleneck| bottleneck.affected_endpoints.iter().any(|one| **one == *name);
        findings::section(page, sight, affects);
        charts::endpoint(page, sight, name);
        let Some(row) = &found else { return };
        uses(page, sight, gathered, name);
        slowest(page, sight, row);
    });
    (html, is_known)
}

fn numbers(page: &mut Html, row: &EndpointView) {
    shell::tiles(
        page,
        &[
            ("requests", count(row.request_count)),
            ("per second", row.requests_per_second.map_or_else(|| NOTHING.to_owned(), |rate| Unit::Count.render(rate))),
            ("median", duration(row.p50_duration_ms)),
            ("95th percentile", duration(row.p95_duration_ms)),
            ("99th percentile", duration(row.p99_duration_ms)),
            ("longest", duration(row.max_duration_ms)),
            ("server errors", percent(row.error_rate_percent)),
            ("4xx", percent(row.client_error_rate_percent)),
            ("ended before their answer", percent(row.cancelled_rate_percent)),
            ("of the time of all requests", percent(row.time_share_percent)),
            ("in flight", count(row.active_requests)),
        ],
    );
    if let Some(split) = SplitView::of_endpoint(row) {
        page.raw("<section class=\"card\"><h2>Where the time goes</h2>");
        plot::split_with_legend(page, &split);
        page.raw("</section>");
    }
}

fn uses(page: &mut Html, sight: &Sight<'_>, gathered: &Gathered<'_>, name: &str) {
    let Some((queries, others)) = gathered.used_by_endpoint(name) else { return };
    let here = sight.here;
    let cell = |view: View, name: &str, page: &mut Html| {
        page.raw("<a data-go=\"top\" title=\"").text(name).raw("\" href=\"").text(&here.link(&here.about(view, name)));
        page.raw("\"><code>").text(&words::shortened(name)).raw("</code></a>");
    };
    if !queries.is_empty() {
        page.raw("<section class=\"card\"><h2>Its queries</h2>");
        let link = |query: &QueryUse, page: &mut Html| cell(View::Queries, &query.0, page);
        let mut columns = vec![Column::written("", "query", link, |query: &QueryUse| query.0.clone())];
        columns.extend(use_columns(|query: &QueryUse| &query.1));
        let first = Some((queries.len(), here.clone()));
        List { what: "queries", columns, name: |query: &QueryUse| &query.0, first, prepare: None }
            .write(page, here, &queries);
        page.raw("</section>");
    }
    if !others.is_empty() {
        page.raw("<section class=\"card\"><h2>Its calls, waits and tasks</h2>");
        let link = |other: &OtherUse, page: &mut Html| {
            let view = if other.0 == "task" { View::Tasks } else { View::Calls };
            cell(view, &other.1, page);
        };
        let mut columns = vec![
            Column::written("", "name", link, |other: &OtherUse| other.1.clone()),
            Column::words("", "kind", |other: &OtherUse| other.0.to_owned()),
        ];
        columns.extend(use_columns(|other: &OtherUse| &other.2));
        let first = Some((others.len(), here.clone()));
        List { what: "calls, waits and tasks", columns, name: |other: &OtherUse| &other.1, first, prepare: None }
            .write(page, here, &others);
        page.raw("</section>");
    }
}

fn slowest(page: &mut Html, sight: &Sight<'_>, row: &EndpointView) {
    let slow = sight.core.instruments().slow_requests().of(&row.method, &row.route);
    if slow.is_empty() {
        return;
    }
    page.raw("<section class=\"card\" id=\"slowest\"><h2>Its slowest requests</h2>");
    slow.iter().take(SLOWEST).for_each(|request| finding::slow_request(page, &SlowRequestView::of(request)));
    page.raw("</section>");
}
