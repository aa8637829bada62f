//! The table of results, and its totals.

use std::io::Write as _;

use crate::judge::{Judgement, Named, Outcome};

/// Prints what was found in one service, as soon as it is known.
pub(crate) fn print_one(judged: &Judgement) {
    let verdict = match (judged.is_right(), judged.truth.gap) {
        (true, _) => "right",
        (false, Some(_)) if judged.broken.is_none() => "known gap",
        (false, _) => "WRONG",
    };
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{verdict:9} {:32} {}", judged.truth.name, judged.truth.about);
    for line in details(judged) {
        let _ = writeln!(out, "          {line}");
    }
}

fn details(judged: &Judgement) -> Vec<String> {
    let outcomes = judged.outcomes.iter().filter_map(|outcome| {
        let wanted = format!("{} on {}", outcome.expected.rules.join("|"), outcome.expected.subject);
        let causes = outcome.expected.causes.join("|");
        match &outcome.found {
            None if outcome.expected.required => Some(format!("MISSED  {wanted}: {causes}")),
            None => None,
            Some((label, Named::Rightly(kind))) => Some(format!("found   {label}: {kind}")),
            Some((label, Named::Wrongly(kind))) => Some(format!("CAUSE   {label}: {kind}, not {causes}")),
            Some((label, Named::Not)) => Some(format!("CAUSE   {label}: none, not {causes}")),
        }
    });
    let broken = judged.broken.iter().map(|why| format!("BROKEN  {why}"));
    let misleading = judged.misleading.iter().map(|what| format!("MISLEADS {what}"));
    let accused = judged.accused.iter().map(|what| format!("ACCUSES {what}"));
    outcomes.chain(misleading).chain(accused).chain(broken).collect()
}

/// How often the monitor is right.
#[derive(Default)]
struct Totals {
    sick: usize,
    healthy: usize,
    expected: usize,
    found: usize,
    named: usize,
    wrongly_named: usize,
    misleading: usize,
    accused: usize,
    accused_healthy: usize,
    broken: usize,
}

impl Totals {
    fn of(all: &[Judgement]) -> Self {
        let mut totals = Self::default();
        for judged in all {
            let sick = judged.truth.is_sick();
            totals.sick += usize::from(sick);
            totals.healthy += usize::from(!sick);
            totals.misleading += usize::from(!judged.misleading.is_empty());
            totals.accused += judged.accused.len();
            totals.accused_healthy += usize::from(!sick && !judged.accused.is_empty());
            totals.broken += usize::from(judged.broken.is_some());
            judged.outcomes.iter().for_each(|outcome| totals.count(outcome));
        }
        totals
    }

    fn count(&mut self, outcome: &Outcome) {
        let required = usize::from(outcome.expected.required);
        self.expected += required;
        self.found += if outcome.found.is_some() { required } else { 0 };
        match &outcome.found {
            Some((_, Named::Rightly(_))) => self.named += required,
            Some((_, Named::Wrongly(_))) => self.wrongly_named += 1,
            _ => {}
        }
    }
}

/// Prints the table and the totals. Returns whether the monitor is wrong about a service without a known gap.
pub(crate) fn print(all: &[Judgement]) -> bool {
    let mut out = std::io::stdout().lock();
    let totals = Totals::of(all);
    let is_wrong = |it: &&Judgement| !it.is_right() && (it.truth.gap.is_none() || it.broken.is_some());
    let wrong: Vec<_> = all.iter().filter(is_wrong).collect();
    let closed: Vec<_> = all.iter().filter(|judged| judged.is_right() && judged.truth.gap.is_some()).collect();
    let _ = writeln!(
        out,
        "\n| services | sick: what is wrong is found | its cause is named | misleading advice | healthy services accused | \
         findings that accuse |\n|---|--:|--:|--:|--:|--:|\n| {} sick, {} healthy | {} of {} | {} of {} | {} services | {} of {} | {} |",
        totals.sick,
        totals.healthy,
        totals.found,
        totals.expected,
        totals.named,
        totals.expected,
        totals.misleading,
        totals.accused_healthy,
        totals.healthy,
        totals.accused,
    );
    let _ =
        writeln!(out, "causes named wrongly: {}; services that did not run: {}", totals.wrongly_named, totals.broken);
    for judged in closed {
        let _ = writeln!(out, "right at last, remove its gap: {}", judged.truth.name);
    }
    for judged in &wrong {
        let _ = writeln!(out, "WRONG {}\n  {}", judged.truth.name, details(judged).join("\n  "));
    }
    !wrong.is_empty()
}
