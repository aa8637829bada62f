//! Which view is written how, and which data are behind it.

use serde::Serialize;

use super::{
    html::Html,
    lists, monitor, overview,
    place::{Place, View},
    rows::{Gathered, Row},
    rules, shell,
    sight::Sight,
    subjects,
};
use crate::{
    api::{slos::SloView, timestamp, units},
    monitor::Core,
};

/// Writes the page of a place. Returns whether what it is about was found.
pub(super) fn html(core: &Core, here: &Place) -> (String, bool) {
    let sight = Sight::of(core, here);
    if let Some(name) = &here.name {
        return subjects::page(&sight, name);
    }
    let window = here.api_window("?");
    let own = || here.own_data();
    let (json, view): (String, fn(&mut Html, &Sight<'_>)) = match here.view {
        View::Overview => (format!("report{window}"), overview::write),
        View::Endpoints => (format!("endpoints{window}"), lists::endpoints),
        View::Queries => (own(), lists::queries),
        View::Calls => (own(), lists::calls),
        View::Tasks => (own(), lists::tasks),
        View::Rules => ("rules".to_owned(), rules::write),
        View::Slos => ("slos".to_owned(), slos),
        View::Monitor => ("status".to_owned(), monitor::write),
    };
    let title = if here.view == View::Overview { "Performance" } else { here.view.title() };
    (shell::page(&sight, title, &json, |page| view(page, &sight)), true)
}

/// The queries, the calls and waits or the tasks of a view.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct RowsAnswer {
    /// `queries`, `calls` or `tasks`.
    view: &'static str,
    /// The most time first.
    rows: Vec<Row>,
    /// How far back they look.
    window_seconds: f64,
    timestamp: String,
}

/// Returns whether a view has data that the API has at no other path.
pub(super) fn has_data(view: View) -> bool {
    matches!(view, View::Queries | View::Calls | View::Tasks)
}

/// Returns the data of such a view; of one row where the place names it.
pub(super) fn data(core: &Core, here: &Place) -> RowsAnswer {
    let sight = Sight::of(core, here);
    let gathered = Gathered::of(&sight.window);
    let mut rows = gathered.rows(here.view);
    rows.retain(|row| here.name.as_ref().is_none_or(|name| *name == row.name));
    RowsAnswer {
        view: here.view.path(),
        rows,
        window_seconds: units::seconds(sight.window.span()),
        timestamp: timestamp::now(),
    }
}

fn slos(page: &mut Html, sight: &Sight<'_>) {
    let slos = SloView::all(&sight.judgement);
    if slos.is_empty() {
        page.raw("<p class=\"card empty\">No objective is set, or none of its requests has ended yet. <code>rules/examples/slo.yaml</code> has one.</p>");
        return;
    }
    page.raw("<section class=\"card\">");
    crate::api::report::tables::slos(&slos).html(page, "Error budgets");
    page.raw("</section>");
}
