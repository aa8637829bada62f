//! The tables of endpoints, queries, calls and tasks.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use super::{
    html::{Html, NOTHING, count, duration, percent},
    list::{Column, List},
    place::{Place, View},
    rows::{Gathered, Row},
    shell,
    sight::Sight,
};
use crate::{
    api::{
        endpoints::{EndpointView, views},
        report::{plot, words},
    },
    markup::curve_only,
    rules::Unit,
};

/// A curve for each endpoint.
type Curves = HashMap<Arc<str>, Vec<Option<f64>>>;

fn section(page: &mut Html, sight: &Sight<'_>, write: impl FnOnce(&mut Html)) {
    shell::windows(page, sight);
    page.raw("<section class=\"card\">");
    write(page);
    page.raw("</section>");
}

fn nothing(page: &mut Html, sight: &Sight<'_>, what: &str) {
    page.raw("<p class=\"empty\">").text(what).raw(" in ").text(&sight.looks_back()).raw(".</p>");
}

pub(super) fn endpoints(page: &mut Html, sight: &Sight<'_>) {
    let rows = views(&sight.window);
    section(page, sight, |page| match rows.is_empty() {
        true => nothing(page, sight, "No request has ended"),
        false => {
            shell::ranges(page, sight.here);
            plot::split_legend(page);
            endpoint_list(sight, None).write(page, sight.here, &rows);
        }
    });
}

/// The table of endpoints; `first` limits it.
pub(super) fn endpoint_list<'c>(sight: &'c Sight<'_>, first: Option<usize>) -> List<'c, EndpointView> {
    let here = sight.here;
    let curves: Rc<RefCell<Curves>> = Rc::default();
    let read = curves.clone();
    let prepare = move |rows: &[&EndpointView]| {
        let shown: Vec<&str> = rows.iter().map(|row| &*row.endpoint).collect();
        *read.borrow_mut() = sight.core.sparklines(here.range.length(), here.range.coarse_width(), &shown, sight.now);
    };
    let link = move |row: &EndpointView, page: &mut Html| {
        let to = here.about(View::Endpoints, &row.endpoint);
        page.raw("<a data-go=\"top\" href=\"")
            .text(&here.link(&to))
            .raw("\"><code>")
            .text(&row.endpoint)
            .raw("</code></a>");
    };
    let curve = move |row: &EndpointView, page: &mut Html| {
        let curves = curves.borrow();
        let curve = curves.get(&*row.endpoint).map_or(&[][..], Vec::as_slice);
        let known = || curve.iter().flatten().copied();
        // In its first minute an endpoint has none yet.
        let Some((first, last)) = known().next().zip(known().next_back()) else {
            page.text(NOTHING);
            return;
        };
        let words = format!("p95 from {} to {}", Unit::Seconds.render(first), Unit::Seconds.render(last));
        curve_only(page, curve, &words);
    };
    let show_millis = |millis: f64| duration(Some(millis));
    let show_percent = |share: f64| percent(Some(share));
    let show_count = |number: f64| count(number as u64);
    List {
        what: "endpoints",
        name: |row| &row.endpoint,
        first: first.map(|first| (first, here.of(View::Endpoints))),
        prepare: Some(Box::new(prepare)),
        columns: vec![
            Column::written("name", "endpoint", link, |row: &EndpointView| row.endpoint.clone()),
            Column::number("share", "of all requests' time", |row: &EndpointView| row.time_share_percent, show_percent),
            Column::number("requests", "requests", |row: &EndpointView| Some(row.request_count as f64), show_count),
            Column::number(
                "rate",
                "per second",
                |row: &EndpointView| row.requests_per_second,
                |rate| Unit::Count.render(rate),
            ),
            Column::number("p50", "p50", |row: &EndpointView| row.p50_duration_ms, show_millis),
            Column::number("p95", "p95", |row: &EndpointView| row.p95_duration_ms, show_millis),
            Column::number("p99", "p99", |row: &EndpointView| row.p99_duration_ms, show_millis),
            Column::number("errors", "errors", |row: &EndpointView| row.error_rate_percent, show_percent),
            Column::drawn("p95 over time", curve),
            Column::drawn("where the time goes", |row, page| plot::split_only(page, row)),
        ],
    }
}

pub(super) fn queries(page: &mut Html, sight: &Sight<'_>) {
    let rows = Gathered::of(&sight.window).rows(View::Queries);
    section(page, sight, |page| match rows.is_empty() {
        true => nothing(page, sight, "No query has been seen"),
        false => row_list(sight, View::Queries, None).write(page, sight.here, &rows),
    });
}

pub(super) fn calls(page: &mut Html, sight: &Sight<'_>) {
    let rows = Gathered::of(&sight.window).rows(View::Calls);
    section(page, sight, |page| match rows.is_empty() {
        true => nothing(page, sight, "No tracked call to another service and no tracked wait has ended"),
        false => row_list(sight, View::Calls, None).write(page, sight.here, &rows),
    });
}

pub(super) fn tasks(page: &mut Html, sight: &Sight<'_>) {
    let rows = Gathered::of(&sight.window).rows(View::Tasks);
    section(page, sight, |page| match rows.is_empty() {
        true => nothing(page, sight, "No tracked task has run"),
        false => row_list(sight, View::Tasks, None).write(page, sight.here, &rows),
    });
}

/// The table of queries, calls or tasks; `first` limits it.
pub(super) fn row_list<'c>(sight: &'c Sight<'_>, view: View, first: Option<usize>) -> List<'c, Row> {
    let here: &Place = sight.here;
    let link = move |row: &Row, page: &mut Html| {
        let to = here.about(view, &row.name);
        page.raw("<a data-go=\"top\" title=\"")
            .text(&row.name)
            .raw("\" href=\"")
            .text(&here.link(&to))
            .raw("\"><code>");
        page.text(&words::shortened(&row.name)).raw("</code></a>");
        if let Some(place) = &row.place {
            page.raw("<br><span class=\"small muted\">").text(place).raw("</span>");
        }
    };
    let (what, name, kind) = match view {
        View::Queries => ("queries", "query", "operation"),
        View::Tasks => ("tasks", "task", ""),
        _ => ("calls and waits", "name", "kind"),
    };
    let show_millis = |millis: f64| duration(Some(millis));
    let show_count = |number: f64| count(number as u64);
    let mut columns = vec![Column::written("name", name, link, |row: &Row| row.name.clone())];
    if !kind.is_empty() {
        columns.push(Column::words("kind", kind, |row: &Row| row.kind.clone()));
    }
    columns.push(Column::number(
        "total",
        "total",
        |row: &Row| Some(row.total_seconds),
        |total| Unit::Seconds.render(total),
    ));
    if view != View::Calls {
        let show = |share: f64| Unit::Ratio.render(share);
        columns.push(Column::number(
            "share",
            "of all requests' time",
            |row: &Row| row.time_share.filter(|share| *share > 0.0),
            show,
        ));
    }
    columns.extend([
        Column::number(
            "calls",
            if view == View::Tasks { "runs" } else { "calls" },
            |row: &Row| Some(row.calls as f64),
            show_count,
        ),
        Column::number("rate", "per second", |row: &Row| row.per_second, |rate| Unit::Count.render(rate)),
        Column::number("mean", "mean", |row: &Row| row.avg_ms, show_millis),
    ]);
    if view != View::Calls {
        columns.push(Column::number("p95", "p95", |row: &Row| row.p95_ms, show_millis));
        columns.push(Column::number("max", "longest", |row: &Row| row.max_ms, show_millis));
    }
    columns.push(Column::number("failed", "failed", |row: &Row| Some(row.failed as f64), show_count));
    if view == View::Tasks {
        columns.push(Column::number(
            "active",
            "in progress",
            |row: &Row| row.active.map(|active| active as f64),
            show_count,
        ));
    }
    columns.push(Column::words("by", "mostly from", |row: &Row| match &row.endpoints[..] {
        [] => "outside requests".to_owned(),
        [one] => one.endpoint.clone(),
        [first, rest @ ..] => format!("{} and {} more", first.endpoint, rest.len()),
    }));
    List { what, columns, name: |row| &row.name, first: first.map(|first| (first, here.of(view))), prepare: None }
}
