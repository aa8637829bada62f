//! The view of the rules: what each looks for, and what it finds.

use super::{
    html::Html,
    list::{Column, List},
    sight::{Sight, time},
};
use crate::{api::rules::RuleView, markup::numbers, rules::Unit};

pub(super) fn write(page: &mut Html, sight: &Sight<'_>) {
    let rows = RuleView::all(sight.core, &sight.judgement);
    let status = &sight.status.rules;
    page.raw("<p>").text(&count(rows.len()));
    page.raw(if status.source == "embedded" { ", as shipped with Pinchpoint" } else { ", from rule files" });
    page.raw(", in force since ");
    time(page, &status.loaded_at);
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
            (_, 1.., _) => _ = page.badge("high", &format!("{} firing", rule.firing)),
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
            let texts: Vec<String> =
                rule.thresholds.iter().map(|(severity, limit)| format!("{limit} {severity}")).collect();
            texts.join(", ")
        }),
        Column::number("subjects", "subjects", |rule: &RuleView| Some(rule.subjects as f64), number),
        Column::number("judged", "with enough data", |rule: &RuleView| Some(rule.judged as f64), number),
    ];
    List { what: "rules", columns, name: |rule: &RuleView| &rule.id, first: None }.write(page, sight.here, &rows);
    page.raw("</section>");
}

fn count(rules: usize) -> String {
    if rules == 1 { "1 rule".to_owned() } else { format!("{rules} rules") }
}
