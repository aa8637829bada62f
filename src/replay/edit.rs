//! Where overrides go in the text of a rule file.
//!
//! Only lines are added, so that comments and layout stay as they are. A rule that is written in a way that has no place for such lines
//! is left alone, with the reason.

use std::collections::BTreeMap;

use crate::rules::located::{self, Node, Position, Value};

/// An override as it is written: a comment, and its two lines without their indentation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lines {
    pub(super) comment: String,
    pub(super) matches: String,
    pub(super) thresholds: String,
}

/// A rule file's text, and what is inserted into it.
#[derive(Debug)]
pub(super) struct Edit<'a> {
    lines: Vec<&'a str>,
    rules: Vec<Node>,
    pub(super) insertions: BTreeMap<usize, Vec<String>>,
}

impl<'a> Edit<'a> {
    /// Returns the text of a file whose rules are good.
    pub(super) fn of(text: &'a str) -> Self {
        let root = located::parse(text).ok().flatten();
        let rules = match root.and_then(|root| root.get("rules").cloned()) {
            Some(Node { value: Value::List(rules), .. }) => rules,
            _ => Vec::new(),
        };
        Self { lines: text.lines().collect(), rules, insertions: BTreeMap::new() }
    }

    /// Returns whether the file has a rule.
    pub(super) fn has(&self, id: &str) -> bool {
        self.place_of(id).is_some()
    }

    fn place_of(&self, id: &str) -> Option<usize> {
        self.rules.iter().position(|rule| rule.get("id").and_then(Node::as_text) == Some(id))
    }

    /// Inserts overrides into a rule, before those that it has.
    ///
    /// # Errors
    /// Returns why the rule has no place for them.
    pub(super) fn insert(&mut self, id: &str, overrides: &[Lines]) -> Result<(), &'static str> {
        let place = self.place_of(id).ok_or("the file has no such rule")?;
        let rule = &self.rules[place];
        let begins = rule.at.line;
        let ends = self.rules.get(place + 1).map_or(usize::MAX, |next| next.at.line);
        let is_own = |at: Position| (begins..ends).contains(&at.line);
        let Value::Map(entries) = &rule.value else { return Err("it is no mapping") };
        let own: Vec<Position> = entries.iter().map(|(key, _)| key.at).filter(|at| is_own(*at)).collect();
        let shares_a_line = |at: &Position| own.iter().filter(|other| other.line == at.line).count() > 1;
        if own.iter().any(shares_a_line) {
            return Err("it is written in braces; write it with a line for each key");
        }
        let (after, indentation, heading) = match rule.entry("overrides") {
            Some((key, _)) if !is_own(key.at) => return Err("its overrides are those of a merge key"),
            Some((key, value)) => {
                let first = value.item(0).map(|item| item.at.line).filter(|line| *line > key.at.line);
                let first = first.ok_or("its overrides are written in brackets; write them with a line for each")?;
                let line = self.lines.get(first - 1).copied().unwrap_or_default();
                (first - 1, line.len() - line.trim_start().len(), None)
            }
            None => {
                let (key, end) = match rule.entry("thresholds") {
                    Some((key, value)) if is_own(key.at) => (key.at, self.end_of(value)),
                    _ => {
                        let (key, value) = rule.entry("id").ok_or("it has no id")?;
                        (key.at, value.at.line)
                    }
                };
                let indentation = key.column - 1;
                (end, indentation + 2, Some(format!("{}overrides:", " ".repeat(indentation))))
            }
        };
        let spaces = " ".repeat(indentation);
        let written = overrides.iter().flat_map(|Lines { comment, matches, thresholds }| {
            [format!("{spaces}# {comment}"), format!("{spaces}- {matches}"), format!("{spaces}  {thresholds}")]
        });
        self.insertions.entry(after).or_default().extend(heading.into_iter().chain(written));
        Ok(())
    }

    /// Returns the last line of a value.
    fn end_of(&self, value: &Node) -> usize {
        let mut depth = 0_usize;
        let mut quote = None;
        for (at, line) in self.lines.iter().enumerate().skip(value.at.line - 1) {
            let from = if at + 1 == value.at.line { value.at.column - 1 } else { 0 };
            for character in line.chars().skip(from) {
                match (quote, character) {
                    (Some(open), closing) if open == closing => quote = None,
                    (Some(_), _) => {}
                    (None, '"' | '\'') => quote = Some(character),
                    (None, '{' | '[') => depth += 1,
                    (None, '}' | ']') => depth = depth.saturating_sub(1),
                    (None, _) => {}
                }
            }
            if depth == 0 {
                return (at + 1).max(last_line(value));
            }
        }
        last_line(value)
    }
}

fn last_line(node: &Node) -> usize {
    let within = match &node.value {
        Value::Nothing | Value::Scalar(_) => None,
        Value::List(items) => items.iter().map(last_line).max(),
        Value::Map(entries) => entries.iter().map(|(key, value)| key.at.line.max(last_line(value))).max(),
    };
    within.unwrap_or(node.at.line).max(node.at.line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "rules:\n  - id: slow # the only one\n    scope: endpoint\n    measure: avg_duration\n    description: x\n";

    #[track_caller]
    fn check(rule: &str, expected: Result<(usize, &[&str]), &str>) {
        let text = format!("{HEAD}{rule}");
        let mut edit = Edit::of(&text);
        let lines = Lines {
            comment: "why".to_owned(),
            matches: "match: {}".to_owned(),
            thresholds: "thresholds: {}".to_owned(),
        };
        let found = edit.insert("slow", &[lines]).map(|()| edit.insertions.pop_first());
        let expected =
            expected.map(|(at, lines)| Some((at, lines.iter().map(|line| line.to_string()).collect::<Vec<_>>())));
        assert_eq!(found, expected, "{rule}");
    }

    const NEW: [&str; 4] = ["    overrides:", "      # why", "      - match: {}", "        thresholds: {}"];

    #[test]
    fn overrides_follow_the_thresholds() {
        check("    thresholds: { high: \"> 1s\" } # }\n    impact: x\n", Ok((6, &NEW)));
        check("    thresholds: { high: \"> 1s\",\n      critical: '> 5s' }\n    impact: x\n", Ok((7, &NEW)));
        check("    thresholds:\n      high: \"> 1s\"\n      critical: \"> 5s\"\n\n    impact: x\n", Ok((8, &NEW)));
        check("    thresholds: { high: \"> 1s\" }\n  - id: other\n    scope: task\n", Ok((6, &NEW)));
    }

    #[test]
    fn overrides_come_before_those_that_are_there() {
        let more: [&str; 3] = ["    # why", "    - match: {}", "      thresholds: {}"];
        check(
            "    thresholds: { high: \"> 1s\" }\n    overrides:\n    - match: { a: b }\n      thresholds: { high: off }\n",
            Ok((7, &more)),
        );
    }

    #[test]
    fn a_rule_without_a_place_for_lines_is_left_alone() {
        let brackets = "its overrides are written in brackets; write them with a line for each";
        check(
            "    thresholds: { high: \"> 1s\" }\n    overrides: [{ match: { a: b }, thresholds: { high: off } }]\n",
            Err(brackets),
        );
        let mut edit = Edit::of("rules:\n  - { id: slow, scope: endpoint, thresholds: { high: \"> 1s\" } }\n");
        assert_eq!(edit.insert("slow", &[]), Err("it is written in braces; write it with a line for each key"));
    }
}
