//! The comparison with the version before, on the page and in Markdown.

use super::words::duration;
use crate::{
    api::comparison::{ComparisonView, RouteChangeView, verdict_str},
    markup::{Column, Html, Table, escaped},
};

/// Writes the section of the page; nothing without an earlier version.
pub(super) fn section(page: &mut Html, comparison: Option<&ComparisonView>) {
    let Some(comparison) = comparison else { return };
    page.element("<h2>", &title(comparison), "</h2>\n<div class=\"card\">");
    page.element("<p class=\"muted\">", &sentence(comparison), "</p>");
    routes(comparison).html(page, "Routes of both versions");
    page.raw("</div>\n");
}

/// Writes the section of the Markdown; nothing without an earlier version.
pub(super) fn markdown(out: &mut String, comparison: Option<&ComparisonView>) {
    let Some(comparison) = comparison else { return };
    *out += &format!("\n## {}\n\n{}\n", escaped(&title(comparison)), escaped(&sentence(comparison)));
    routes(comparison).markdown(out);
}

fn routes(comparison: &ComparisonView) -> Table {
    let columns: [Column<RouteChangeView>; 5] = [
        Column::code("endpoint", |route| route.endpoint.clone()),
        Column::words("verdict", |route| verdict_str(route.verdict).replace('_', " ")),
        Column::number("mean before", |route| duration(route.avg_before_ms)),
        Column::number("mean now", |route| duration(route.avg_after_ms)),
        Column::words("what changed", |route| route.message.clone()),
    ];
    Table::of(&comparison.routes, &columns)
}

fn title(comparison: &ComparisonView) -> String {
    format!("Version {} compared with {}", comparison.after, comparison.before)
}

fn sentence(comparison: &ComparisonView) -> String {
    let (new, gone) = (comparison.only_after.len(), comparison.only_before.len());
    let errors = match comparison.more_errors_count {
        0 => String::new(),
        count => format!("Fail more often: {}. ", routes_in_words(count)),
    };
    format!(
        "{errors}Slower beyond chance: {}, faster: {}. Called in this version only: {}, in the version before only: {}.",
        routes_in_words(comparison.slower_count),
        routes_in_words(comparison.faster_count),
        routes_in_words(new),
        routes_in_words(gone)
    )
}

fn routes_in_words(count: usize) -> String {
    match count {
        0 => "no route".to_owned(),
        1 => "1 route".to_owned(),
        count => format!("{count} routes"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        analysis::{LatencyHistogram, RouteLatency, VersionSnapshot, compare},
        monitor::VersionComparison,
    };

    fn version(version: &str, seconds: f64, failed: u64) -> VersionSnapshot {
        let route = |route: &str, seconds: f64| RouteLatency {
            method: "GET".into(),
            route: route.into(),
            latency: LatencyHistogram {
                sum_seconds: 1000.0 * seconds,
                min_seconds: seconds * 0.97,
                max_seconds: seconds * 1.03,
                buckets: vec![(seconds * 0.97, seconds * 1.03, 1000).into()],
            },
            failed: if route == "/same" { failed } else { 0 },
            refused: 0,
        };
        let routes = vec![route("/<script>|`", seconds), route("/same", 0.1), route(&format!("/{version}"), 0.1)];
        VersionSnapshot::new("shop", version, "2026-01-01T00:00:00Z", routes).expect("sound histograms")
    }

    fn compared(after: f64, failed: u64) -> ComparisonView {
        let comparison = compare(&version("1", 0.1, 0), &version("<2>", after, failed));
        let compared = VersionComparison {
            service: "shop".into(),
            before: "1".into(),
            before_written_at: "2026-01-01T00:00:00Z".into(),
            after: "<2>".into(),
            comparison: Arc::new(comparison),
        };
        ComparisonView::of(&compared).changes_only()
    }

    #[test]
    fn changed_routes_are_listed_and_names_stay_names() {
        let slower = compared(0.3, 0);
        let (mut page, mut text) = (Html::default(), String::new());
        section(&mut page, Some(&slower));
        markdown(&mut text, Some(&slower));
        let page = page.finish();
        assert!(
            page.contains("Version &lt;2&gt; compared with 1")
                && page.contains("Slower beyond chance: 1 route, faster: no route")
        );
        assert!(
            page.contains("GET /&lt;script&gt;|`") && !page.contains("<script>") && !page.contains("/same"),
            "{page}"
        );
        assert!(page.contains("slower: median +200% (100ms to 300ms)"), "{page}");
        assert!(text.contains("| `` GET /<script>\\|` `` | slower | 100"), "{text}");
        assert!(text.contains("Called in this version only: 1 route, in the version before only: 1 route."), "{text}");
    }

    #[test]
    fn errors_come_before_speed() {
        let mut text = String::new();
        markdown(&mut text, Some(&compared(0.03, 500)));
        assert!(text.contains("Fail more often: 1 route. Slower beyond chance: no route, faster: 1 route."), "{text}");
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
        let failing =
            "GET /same` | more errors | 100ms | 100ms | more errors: 0% of the requests failed before, 33.3% now";
        assert!(at(failing) < at("| faster |"), "{text}");
    }

    #[test]
    fn without_a_version_before_there_is_no_section() {
        let (mut page, mut text) = (Html::default(), String::new());
        section(&mut page, None);
        markdown(&mut text, None);
        assert_eq!((page.finish(), text), (String::new(), String::new()));
    }
}
