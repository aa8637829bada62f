//! The findings of a page: a line for each, which opens to all that is known of it.

use std::sync::Arc;

use super::{
    html::{Html, percent},
    place::{FINDINGS, Place, View},
    sight::Sight,
};
use crate::{
    api::{
        bottlenecks::BottleneckView,
        evidence::Detail,
        report::{finding, words},
    },
    rules::{Bottleneck, Scope, Severity, Threshold, Unit},
};

/// Findings with their evidence; of further ones the evidence comes when they are opened.
const WHOLE: usize = 4;

/// Writes what is wrong now, of `all` those that `chosen` lets through.
pub(super) fn section(page: &mut Html, sight: &Sight<'_>, chosen: impl Fn(&Bottleneck) -> bool) {
    let all: Vec<_> = sight.findings().into_iter().filter(|one| chosen(one)).collect();
    let pending: Vec<_> = sight.judgement.pending.iter().filter(|one| chosen(one)).collect();
    page.raw("<section id=\"findings\"><h2>What is wrong now</h2>");
    if all.is_empty() {
        nothing(page, sight);
    }
    for (at, one) in all.iter().take(FINDINGS).enumerate() {
        finding(page, sight, one, at < WHOLE);
    }
    if all.len() > FINDINGS {
        page.raw("<p class=\"small muted\">and ")
            .text(&(all.len() - FINDINGS).to_string())
            .raw(" more with a smaller share; <a href=\"");
        page.text(&sight.here.api("bottlenecks?limit=1000")).raw("\">all of them as JSON</a></p>");
    }
    if !pending.is_empty() {
        page.raw("<p class=\"small muted\">Over a threshold, but not for long enough yet: ");
        for (at, one) in pending.iter().take(5).enumerate() {
            page.raw(if at > 0 { ", " } else { "" })
                .text(&one.rule.id)
                .raw(" on <code>")
                .text(&words::shortened(&one.subject.name))
                .raw("</code>");
        }
        if pending.len() > 5 {
            page.text(&format!(" and {} more", pending.len() - 5));
        }
        page.raw(".</p>");
    }
    page.raw("</section>");
}

fn nothing(page: &mut Html, sight: &Sight<'_>) {
    let (word, message) = &sight.health;
    page.raw("<div class=\"card empty\"><p>");
    match *word {
        _ if sight.judgement.at.is_none() => {
            let interval = Unit::Seconds.render(sight.core.interval().as_secs_f64());
            page.text(&format!("The rules have not been evaluated yet; the first evaluation comes within {interval}."));
        }
        _ if !sight.status.monitoring => {
            _ = page.raw("Nothing that the rules look for, as far as was measured before monitoring was stopped.")
        }
        _ if sight.here.name.is_some() => _ = page.raw("Nothing that the rules look for here."),
        _ if sight.status.requests_measured == 0 => {
            page.raw("No request has been measured yet. Send one to any route of the service; it is here within ");
            page.text(&Unit::Seconds.render(sight.core.interval().as_secs_f64() * 2.0)).raw(".");
        }
        "unknown" => _ = page.text(&words::capitalised(message)).raw("."),
        _ => _ = page.raw("Nothing that the rules look for."),
    }
    page.raw("</p></div>");
}

fn finding(page: &mut Html, sight: &Sight<'_>, one: &Arc<Bottleneck>, is_whole: bool) {
    let id = one.id();
    let is_open = sight.here.findings.contains(&id);
    let is_whole = is_whole || is_open;
    page.raw("<details class=\"card finding is-").text(one.severity.as_str()).raw("\" id=\"f-").text(&id);
    page.raw("\" data-finding=\"").text(&id).raw(if is_open { "\" open>" } else { "\">" });
    page.raw("<summary><h3 class=\"what\">").badge(one.severity.as_str(), one.severity.as_str()).raw(" ");
    page.text(&one.description).raw("</h3><span class=\"facts\">");
    if let Some(share) = one.evidence.time_share.filter(|share| *share > 0.0) {
        page.raw("<span class=\"share\"><b>")
            .text(&percent(Some(share * 100.0)))
            .raw("</b> of the time of all requests</span>");
    }
    page.raw("<span>")
        .text(&one.rule.unit.render(one.value))
        .raw(" (threshold ")
        .text(&one.rule.unit.render(one.threshold.limit));
    page.raw(")</span><span>since ");
    page.time(&crate::api::timestamp::of_instant(one.since));
    page.raw("</span>");
    if sight.core.acknowledgement(one).is_some() {
        page.raw(" ").badge("low", "acknowledged");
    }
    page.raw("</span></summary><div class=\"body\">");
    if is_whole {
        let view = BottleneckView::of(one, sight.core, Detail::Full);
        finding::body(page, &view, finding::On::LivePage);
        ways_on(page, sight, one);
    } else {
        let mut findings = sight.here.findings.clone();
        findings.push(id);
        page.raw("<p data-missing><a data-go=\"here\" href=\"")
            .text(&sight.here.link(&Place { findings, ..sight.here.clone() }));
        page.raw("\">Show the evidence</a></p>");
    }
    page.raw("</div></details>");
}

/// The rule, the subject's own page, and what a person can do.
fn ways_on(page: &mut Html, sight: &Sight<'_>, one: &Bottleneck) {
    let rule = &one.rule;
    page.raw("<p class=\"small\">Rule <code>").text(&rule.id).raw("</code>: ").text(rule.measure_name).raw(" ");
    let of_subject = &rule.thresholds_for(&one.subject).0;
    let in_words = |(severity, threshold): &(Severity, Threshold)| {
        format!("{} {} is {severity}", threshold.operator.as_str(), rule.unit.render(threshold.limit))
    };
    let thresholds: Vec<String> = of_subject.iter().map(in_words).collect();
    page.text(&thresholds.join(", ")).raw(", over ").text(&Unit::Seconds.render(one.window.as_secs_f64()));
    page.raw("; <code>").text(&rule.place).raw("</code>");
    if sight.status.rules.source == "embedded" {
        page.raw(" as shipped");
    }
    page.raw("</p><p class=\"ways\">");
    let view = match rule.scope {
        Scope::Endpoint => Some(View::Endpoints),
        Scope::Query => Some(View::Queries),
        Scope::Task => Some(View::Tasks),
        Scope::Process | Scope::Metric | Scope::Slo => None,
    };
    if let Some(view) = view.filter(|_| sight.here.name.as_deref() != Some(&*one.subject.name)) {
        page.raw("<a data-go=\"top\" href=\"").text(&sight.here.link(&sight.here.about(view, &one.subject.name)));
        page.raw("\">All about <code>").text(&words::shortened(&one.subject.name)).raw("</code></a> ");
    }
    page.raw("<a href=\"")
        .text(&sight.here.api(&format!("bottlenecks?type={}&evidence=full", rule.id)))
        .raw("\">JSON</a> ");
    if sight.core.control() != &crate::monitor::Control::Refused {
        let id = one.id();
        match sight.core.acknowledgement(one) {
            None => {
                page.raw("<button type=\"button\" hidden data-script data-act=\"acknowledge\" data-id=\"").text(&id);
                page.raw("\">Acknowledge …</button>");
            }
            Some(_) => super::shell::act(
                page,
                "Take the acknowledgement back",
                &format!("bottlenecks/{id}/acknowledge"),
                "DELETE",
                "",
            ),
        }
    }
    page.raw("</p>");
}
