//! Overrides that no subject reaches.

use std::collections::BTreeMap;

use super::{
    builder::RuleBuilder,
    entry::{RuleEntry, Scalar},
    problem::ProblemKind,
};
use crate::context::Glob;

type Labels = BTreeMap<String, Scalar>;

impl RuleBuilder<'_, '_> {
    /// Reports overrides whose subjects an earlier one takes, or the rule's own match leaves out.
    pub(super) fn reach(&mut self, entry: &RuleEntry) {
        let entries = entry.overrides.as_deref().unwrap_or_default();
        let list = self.node.get("overrides");
        let place = |index| list.and_then(|list| list.item(index)).unwrap_or(self.node).at;
        for (index, later) in entries.iter().enumerate() {
            let Some(later) = &later.matches else { continue };
            let takes = |earlier: &Labels| !earlier.is_empty() && covers(earlier, later);
            let first = entries[..index].iter().position(|earlier| earlier.matches.as_ref().is_some_and(takes));
            if let Some(first) = first {
                self.context.report(place(index), ProblemKind::Shadowed { line: place(first).line });
            } else if let Some(kind) = entry.matches.as_ref().and_then(|rule| contradiction(rule, later)) {
                self.context.report(place(index), kind);
            }
        }
    }
}

/// Returns whether everything that the labels of `later` match is matched by those of `earlier`.
fn covers(earlier: &Labels, later: &Labels) -> bool {
    // A pattern that matches another as a text matches all that the other does: its stars take what those stand for.
    earlier.iter().all(|(label, Scalar(wide))| {
        later.get(label).is_some_and(|Scalar(narrow)| wide == narrow || Glob::new(wide).matches(narrow))
    })
}

/// Returns what to say about an override that matches nothing of its rule's; `None` where it may.
fn contradiction(rule: &Labels, later: &Labels) -> Option<ProblemKind> {
    let (label, found, expected) = later.iter().find_map(|(label, Scalar(found))| {
        let Scalar(expected) = rule.get(label)?;
        are_apart(found, expected).then_some((label, found, expected))
    })?;
    Some(ProblemKind::Contradiction { label: label.clone(), found: found.clone(), expected: expected.clone() })
}

/// Returns whether no text matches both patterns, where that is certain.
fn are_apart(a: &str, b: &str) -> bool {
    match (a.contains('*'), b.contains('*')) {
        (false, _) => !Glob::new(b).matches(a),
        (_, false) => !Glob::new(a).matches(b),
        (true, true) => {
            let (a_head, b_head) = (a.split('*').next().unwrap_or(a), b.split('*').next().unwrap_or(b));
            !a_head.starts_with(b_head) && !b_head.starts_with(a_head)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_apart_where_no_text_has_both() {
        for (a, b, expected) in [
            ("GET", "GET", false),
            ("GET", "POST", true),
            ("/api/users", "/api/*", false),
            ("/shop/users", "/api/*", true),
            ("/api/*", "/api/users/*", false),
            ("/api/*", "/shop/*", true),
            ("*/a", "/shop/*", false),
        ] {
            assert_eq!((are_apart(a, b), are_apart(b, a)), (expected, expected), "{a} {b}");
        }
    }

    #[test]
    fn a_wider_pattern_covers_a_narrower_one_and_not_the_other_way() {
        let labels = |all: &[(&str, &str)]| -> Labels {
            all.iter().map(|(label, pattern)| ((*label).to_owned(), Scalar((*pattern).to_owned()))).collect()
        };
        let (all, reports) = (labels(&[("route", "/api/*")]), labels(&[("route", "/api/reports/*")]));
        let posts = labels(&[("route", "/api/*"), ("method", "POST")]);
        assert!(covers(&all, &all) && covers(&all, &reports) && covers(&all, &posts));
        assert!(!covers(&reports, &all) && !covers(&posts, &all) && !covers(&reports, &posts));
    }
}
