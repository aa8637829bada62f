//! The view of the monitor itself: what it costs, what it keeps, and the ways to stop it.

use super::{
    html::{Html, count},
    shell,
    sight::Sight,
};
use crate::{markup::numbers::NOTHING, monitor::Control, rules::Unit};

pub(super) fn write(page: &mut Html, sight: &Sight<'_>) {
    let status = &sight.status;
    let bytes = |bytes: usize| Unit::Bytes.render(bytes as f64);
    let seconds = |seconds: f64| Unit::Seconds.render(seconds);
    let tiles = [
        (
            "an evaluation takes",
            status.evaluation_ms.map_or_else(|| NOTHING.to_owned(), |millis| seconds(millis / 1e3)),
        ),
        ("between two evaluations", seconds(status.evaluation_interval_seconds)),
        ("of the time, for evaluations", cost(status.evaluation_ms, status.evaluation_interval_seconds)),
        ("memory of windows and trends", bytes(status.history_bytes)),
        ("series", format!("{} of {}", count(status.series as u64), count(status.max_series as u64))),
        ("requests measured", count(status.requests_measured)),
    ];
    shell::tiles(page, &tiles);
    page.raw("<section class=\"card\"><h2>What it keeps</h2><ul><li>Measured since ");
    page.time(&status.data_since);
    page.raw("; running since ");
    page.time(&status.started_at);
    page.raw(".</li><li>").text(&format!(
        "{} in windows, {} in trends.",
        bytes(status.windows_bytes),
        bytes(status.trends_bytes)
    ));
    page.raw("</li>");
    #[cfg(feature = "archive")]
    match &status.history_file {
        Some(file) => {
            page.raw("<li>History file <code>")
                .text(file.name.as_deref().unwrap_or(NOTHING))
                .raw("</code>: ")
                .text(file.state);
            if let Some(at) = &file.written_at {
                page.raw(", written ");
                page.time(at);
            }
            page.raw(".</li>");
        }
        None => _ = page.raw("<li>No history file: a restart forgets the trends.</li>"),
    }
    page.raw("</ul></section>");
    control(page, sight);
}

/// Returns which share of the time an evaluation is under way; on a busy machine others run in it too.
fn cost(evaluation_ms: Option<f64>, interval_seconds: f64) -> String {
    evaluation_ms
        .map_or_else(|| NOTHING.to_owned(), |millis| Unit::Ratio.render(millis / 1e3 / interval_seconds.max(1e-3)))
}

fn control(page: &mut Html, sight: &Sight<'_>) {
    page.raw("<section class=\"card\"><h2>Control</h2>");
    if sight.core.control() == &Control::Refused {
        page.raw("<p class=\"muted\">The service refuses to be controlled from here; <code>MonitorBuilder::control</code> allows it.</p></section>");
        return;
    }
    page.raw("<p class=\"ways\">");
    if sight.status.monitoring {
        let question =
            "Stop measuring? Requests then pass unmeasured until it is started again; what was measured stays.";
        shell::act(page, "Stop monitoring", "stop-monitoring", "POST", question);
    } else {
        shell::act(page, "Start monitoring", "start-monitoring", "POST", "");
    }
    let question =
        "Clear all windows, trends and slowest requests, also those of the history file? This cannot be undone.";
    shell::act(page, "Clear the data", "clear-data", "DELETE", question);
    page.raw("</p><noscript><p class=\"muted\">The buttons need the script of this page.</p></noscript></section>");
}
