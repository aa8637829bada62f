//! The overview: is it healthy, what is wrong now, what changed, and where the time goes.

use super::{charts, findings, html::Html, lists, place::View, rows::Gathered, shell, sight::Sight};
use crate::api::{endpoints::views, report::tables, slos::SloView, summary::Summary};

/// Endpoints of the overview, and of the other tables.
const ENDPOINTS: usize = 10;
const ROWS: usize = 5;
/// Error budgets of the overview.
const BUDGETS: usize = 10;

pub(super) fn write(page: &mut Html, sight: &Sight<'_>) {
    shell::windows(page, sight);
    let summary = Summary::of(&sight.window, sight.core.mean_memory_of(&sight.window));
    tables::summary(&summary).tiles(page);
    findings::section(page, sight, |_| true);
    charts::service(page, sight);
    let endpoints = views(&sight.window);
    let gathered = Gathered::of(&sight.window);
    part(page, "Endpoints, by their share of the time of all requests", endpoints.is_empty(), |page| {
        crate::api::report::plot::split_legend(page);
        lists::endpoint_list(sight, Some(ENDPOINTS)).write(page, sight.here, &endpoints);
    });
    for (title, view) in [("Queries", View::Queries), ("Calls and waits", View::Calls), ("Tasks", View::Tasks)] {
        let rows = gathered.rows(view);
        part(page, title, rows.is_empty(), |page| {
            lists::row_list(sight, view, Some(ROWS)).write(page, sight.here, &rows);
        });
    }
    let slos = SloView::all(&sight.judgement);
    part(page, "Objectives", slos.is_empty(), |page| {
        tables::slos(&slos[..slos.len().min(BUDGETS)]).html(page, "Error budgets");
        page.raw("<p class=\"small\"><a data-go=\"top\" href=\"").text(&sight.here.link(&sight.here.of(View::Slos)));
        page.raw("\">All objectives</a></p>");
    });
}

/// A part of the page; nothing where there is nothing to show.
fn part(page: &mut Html, title: &'static str, is_empty: bool, write: impl FnOnce(&mut Html)) {
    if is_empty {
        return;
    }
    page.raw("<section class=\"card\"><h2>").raw(title).raw("</h2>");
    write(page);
    page.raw("</section>");
}
