//! The view of the rules: what each looks for, and what it finds.

use super::{
    html::Html,
    list::{Column, List},
    sight::Sight,
};
use crate::{
    api::rules::RuleView,
    markup::numbers,
    rules::{Severity, Unit},
};

pub(super) fn write(page: &mut Html, sight: &Sight<'_>) {
    let rows = RuleView::all(sight.core, &sight.judgement);
    let status = &sight.status.rules;
    page.raw("<p>").text(&count(rows.len()));
    page.raw(if status.source == "embedded" { ", as shipped with Pinchpoint" } else { ", from rule files" });
    page.raw(", in force since ");
    page.time(&status.loaded_at);
    page.raw(".</p><section class=\"card\">");
    let cell = |rule: &RuleView, page: &mut Html| {
        page.raw("<code>")
            .text(&rule.id)
            .raw("</code><br><span class=\"small muted\">")
            .text(&rule.place)
            .raw("</span>");
    };
    let state = |rule: &RuleView, page: &mut Html| {
        match (&rule.silent_because, rule.firing, rule.pending) {
            (_, 1.., _) => _ = page.badge(worst(sight, &rule.id), &format!("{} firing", rule.firing)),
            (_, _, 1..) => _ = page.badge("medium", &format!("{} pending", rule.pending)),
            (Some(_), ..) => _ = page.badge("low", "silent"),
            (None, ..) => _ = page.badge("good", "nothing found"),
        }
        if let Some(why) = &rule.silent_because {
            page.raw("<br><span class=\"small muted\">").text(why).raw("</span>");
        }
    };
    let number = |value: f64| numbers::count(value as u64);
    let columns = vec![
        Column::written("name", "rule", cell, |rule: &RuleView| rule.id.clone()),
        Column::written("state", "state", state, |rule: &RuleView| {
            format!("{:05} {:05} {}", 99_999 - rule.firing.min(99_999), 99_999 - rule.pending.min(99_999), rule.id)
        }),
        Column::words("measure", "looks at", |rule: &RuleView| {
            format!("{} of each {} over {}", rule.measure, rule.scope, Unit::Seconds.render(rule.window_seconds))
        }),
        Column::words("thresholds", "thresholds", |rule: &RuleView| {
            let of = |severity: Severity| Some(format!("{} {severity}", rule.thresholds.get(severity.as_str())?));
            let texts: Vec<String> = Severity::ALL.into_iter().filter_map(of).collect();
            texts.join(", ")
        }),
        Column::number("subjects", "subjects", |rule: &RuleView| Some(rule.subjects as f64), number),
        Column::number("judged", "with enough data", |rule: &RuleView| Some(rule.judged as f64), number),
    ];
    List { what: "rules", columns, name: |rule: &RuleView| &rule.id, first: None, prepare: None }
        .write(page, sight.here, &rows);
    page.raw("</section>");
}

/// Returns the highest severity of what a rule finds.
fn worst(sight: &Sight<'_>, rule: &str) -> &'static str {
    let of = sight.judgement.firing.iter().filter(|one| *one.rule.id == *rule).map(|one| one.severity).max();
    of.map_or("low", Severity::as_str)
}

fn count(rules: usize) -> String {
    if rules == 1 { "1 rule".to_owned() } else { format!("{rules} rules") }
}
