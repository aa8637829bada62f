//! The table of results, and its totals.

use std::io::Write as _;

use crate::judge::{Judgement, Named, Outcome};

/// Prints what was found in one service, as soon as it is known.
pub(crate) fn print_one(judged: &Judgement) {
    let verdict = if judged.is_right() { "right" } else { "WRONG" };
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{verdict:5} {:32} {}", judged.truth.name, judged.truth.about);
    for line in details(judged) {
        let _ = writeln!(out, "      {line}");
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
    services: usize,
    broken: usize,
    expected: usize,
    found: usize,
    named: usize,
    misled: usize,
    accused: usize,
}

impl Totals {
    fn of<'a>(all: impl Iterator<Item = &'a Judgement>) -> Self {
        let mut totals = Self::default();
        for judged in all {
            totals.services += 1;
            totals.misled += usize::from(!judged.misleading.is_empty());
            totals.accused += usize::from(!judged.accused.is_empty());
            totals.broken += usize::from(judged.broken.is_some());
            judged.outcomes.iter().for_each(|outcome| totals.count(outcome));
        }
        totals
    }

    fn count(&mut self, outcome: &Outcome) {
        if outcome.expected.required {
            self.expected += 1;
            self.found += usize::from(outcome.found.is_some());
            self.named += usize::from(matches!(outcome.found, Some((_, Named::Rightly(_)))));
        }
    }

    fn row(&self, family: &str) -> String {
        let of = |number, all| if all == 0 { "–".to_owned() } else { format!("{number} of {all}") };
        let (found, named) = (of(self.found, self.expected), of(self.named, self.expected));
        format!("| {family} | {} | {found} | {named} | {} | {} |", self.services, self.misled, self.accused)
    }
}

/// Prints the table as Markdown, and what is wrong. Returns whether the monitor is wrong about a service, or one did not run.
pub(crate) fn print(all: &[Judgement]) -> bool {
    let mut families: Vec<_> = all.iter().map(|judged| judged.truth.family).collect();
    families.sort_unstable();
    families.dedup();
    let head = "\n| services | | faults found | cause named | misleading advice | innocent accused |\n|---|--:|--:|--:|--:|--:|";
    let rows = families.iter().map(|family| Totals::of(all.iter().filter(|it| it.truth.family == *family)).row(family));
    let total = Totals::of(all.iter());
    let wrong: Vec<_> = all.iter().filter(|judged| !judged.is_right()).collect();
    let mut lines: Vec<_> = [head.to_owned()].into_iter().chain(rows).chain([total.row("**all**")]).collect();
    lines.push(format!("\nservices that did not run: {}", total.broken));
    lines.extend(wrong.iter().map(|judged| format!("WRONG {}\n  {}", judged.truth.name, details(judged).join("\n  "))));
    let _ = writeln!(std::io::stdout(), "{}", lines.join("\n"));
    !wrong.is_empty()
}
