//! What stands around every view: the head, the way to the others, the state, what is wrong with the monitor, and the foot.

use super::{
    html::Html,
    place::{Place, Range, View},
    problems::problems,
    sight::Sight,
};
use crate::{
    api::icon,
    monitor::{Access, Control},
};

/// Writes a page; `view` writes what is its own.
pub(super) fn page(sight: &Sight<'_>, title: &str, json: &str, view: impl FnOnce(&mut Html)) -> String {
    let mut page = Html::default();
    let Sight { core, here, health: (word, message), .. } = sight;
    page.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.raw("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><link rel=\"icon\" href=\"");
    page.text(&icon::data_uri())
        .raw("\"><link rel=\"stylesheet\" href=\"")
        .text(&here.api(&super::assets::style_link()));
    page.raw("\"><script type=\"module\" src=\"").text(&here.api(&super::assets::script_link()));
    page.raw("\"></script><title>").text(word).raw(" · ").text(title).raw("</title></head>\n<body data-root=\"");
    let control = match core.control() {
        Control::Refused => "none",
        Control::Token(_) => "token",
        Control::Open => "open",
        Control::Loopback => "loopback",
    };
    page.text(here.root()).raw("\" data-control=\"").text(control).raw("\" data-interval=\"");
    page.text(&core.interval().as_secs_f64().to_string());
    page.raw("\"><a class=\"skip\" href=\"#main\">To the content</a><nav aria-label=\"Views\"><ul>");
    for other in View::ALL {
        if other == View::Slos && sight.judgement.budgets.0.is_empty() && here.view != View::Slos {
            continue;
        }
        page.raw("<li><a data-go=\"top\" href=\"").text(&here.link(&here.of(other)));
        page.raw(if other == here.view { "\" aria-current=\"page\">" } else { "\">" })
            .text(other.title())
            .raw("</a></li>");
    }
    page.raw("</ul></nav>\n<div class=\"bar\"><p id=\"live\" class=\"live\" role=\"status\" data-kept>");
    page.raw("Reload to see how it goes on</p><p id=\"note\" class=\"note small\" role=\"status\" data-kept></p></div>\n<main id=\"main\">");
    header(&mut page, sight, title, word, message);
    banner(&mut page, sight);
    view(&mut page);
    page.raw("</main>\n<footer><p>As of ");
    match &sight.status.evaluated_at {
        Some(at) => page.time(at),
        None => page.raw("the start, before the first evaluation"),
    };
    page.raw(". Times are in the zone <span data-zone>").text(&zone(&sight.status.timestamp));
    page.raw("</span>. Durations are to the last byte of the response; percentiles are within 5\u{a0}%, in plots over an hour and more within 15\u{a0}%.</p><p>");
    page.raw("<a href=\"")
        .text(&here.api(json))
        .raw("\">These data as JSON</a> · <a href=\"")
        .text(&here.api(&format!("report?format=html{}", here.api_window("&"))));
    page.raw("\">Report to print or send</a> · <a href=\"")
        .text(&here.api(&format!("report?format=markdown{}", here.api_window("&"))));
    page.raw("\">as Markdown</a> · pinchpoint ").text(sight.status.version).raw("</p>");
    if matches!(core.performance_access(), Access::Token(_)) {
        page.raw("<form method=\"post\" action=\"").text(&here.api("logout")).raw("\"><button>Log out</button></form>");
    }
    page.raw("</footer></body></html>\n");
    page.finish()
}

fn header(page: &mut Html, sight: &Sight<'_>, title: &str, word: &'static str, message: &str) {
    page.raw("<header><div><h1 tabindex=\"-1\">").text(title).raw("</h1></div><div class=\"state\">");
    page.badge(word, word);
    if let Some(since) = sight.since() {
        page.raw(" <span class=\"small muted\">since ").time(&since).raw("</span>");
    }
    page.raw(": <span>").text(message).raw("</span></div></header>");
    if !sight.status.monitoring {
        page.raw("<p class=\"card stopped\" role=\"note\"><b>Monitoring is stopped.</b> Requests pass unmeasured, and what you see is from before. ");
        act(page, "Start monitoring", "start-monitoring", "POST", "");
        page.raw("</p>");
    }
}

/// Writes a button that changes something; without the script it is not there.
pub(super) fn act(page: &mut Html, label: &str, path: &str, method: &str, question: &str) {
    page.raw("<button type=\"button\" hidden data-script data-act=\"control\" data-path=\"").text(path);
    page.raw("\" data-method=\"").text(method).raw("\" data-question=\"").text(question).raw("\">").text(label);
    page.raw("</button>");
}

/// The monitor's own problems.
fn banner(page: &mut Html, sight: &Sight<'_>) {
    let problems = problems(&sight.status);
    if problems.is_empty() {
        return;
    }
    page.raw("<section class=\"card banner\" aria-label=\"Problems of the monitor\"><h2>The monitor itself has a problem</h2>");
    page.list(&problems).raw("</section>");
}

/// Writes a page that says why there is no other, with the way back.
pub(super) fn refused(root: &'static str, why: &str) -> String {
    let mut page = Html::default();
    page.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.raw("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><link rel=\"icon\" href=\"");
    page.text(&icon::data_uri()).raw("\"><link rel=\"stylesheet\" href=\"").raw(root).raw("/");
    page.text(&super::assets::style_link()).raw("\"><title>No such view</title></head>\n<body><main id=\"main\">");
    page.raw("<h1>This view is not there</h1><p class=\"card\">").text(&crate::api::report::words::capitalised(why));
    page.raw(".</p><p><a href=\"").raw(root).raw("\">To the overview</a></p></main></body></html>\n");
    page.finish()
}

/// Returns the offset of a timestamp.
fn zone(timestamp: &str) -> String {
    let offset = timestamp.get(timestamp.len().saturating_sub("+00:00".len())..).unwrap_or_default();
    if timestamp.ends_with('Z') { "UTC".to_owned() } else { format!("UTC{offset}") }
}

/// Writes numbers large above their names.
pub(super) fn tiles(page: &mut Html, tiles: &[(&'static str, String)]) {
    page.raw("<div class=\"tiles\">");
    for (name, value) in tiles {
        page.raw("<div class=\"tile\"><b>").text(value).raw("</b><span>").raw(name).raw("</span></div>");
    }
    page.raw("</div>");
}

/// Writes links to the other ranges of the plots.
pub(super) fn ranges(page: &mut Html, here: &Place) {
    page.raw("<p class=\"choice\" role=\"group\" aria-label=\"Time shown in the plots\">");
    for range in Range::ALL {
        page.raw("<a data-go=\"here\" href=\"").text(&here.link(&Place { range, ..here.clone() }));
        page.raw(if range == here.range { "\" aria-current=\"true\">" } else { "\">" }).text(range.title()).raw("</a>");
    }
    page.raw("</p>");
}

/// Writes links to the other windows of the tables.
pub(super) fn windows(page: &mut Html, sight: &Sight<'_>) {
    let here = sight.here;
    let usual = crate::names::DEFAULT_WINDOW.min(sight.core.longest_window());
    let mut choices = vec![Some(usual), Some(sight.core.longest_window()), here.window, None];
    let mut seen = Vec::new();
    choices.retain(|choice| {
        let is_new = !seen.contains(choice);
        seen.push(*choice);
        is_new
    });
    page.raw("<p class=\"choice\" role=\"group\" aria-label=\"Time that the tables look back\">");
    for window in choices {
        page.raw("<a data-go=\"here\" href=\"").text(&here.link(&Place { window, page: 1, ..here.clone() }));
        page.raw(if window == here.window { "\" aria-current=\"true\">" } else { "\">" });
        page.text(&match window {
            Some(window) => format!("last {}", crate::rules::Unit::Seconds.render(window.as_secs_f64())),
            None => "since the start".to_owned(),
        });
        page.raw("</a>");
    }
    page.raw("</p>");
}
