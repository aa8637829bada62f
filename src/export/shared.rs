//! [`Shared`]: expressions that several alerts read, each recorded once.

use std::collections::BTreeMap;

use super::rule_file::{Entry, Labels};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pass {
    #[default]
    Count,
    Write,
}

/// Expressions, each with the name that it is recorded under where it is read more than once.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) pass: Pass,
    known: BTreeMap<String, (String, usize)>,
}

impl Shared {
    /// Returns how an alert reads an expression: by the name `name` if several do.
    pub(super) fn read(&mut self, expression: String, name: impl FnOnce() -> String) -> String {
        match self.pass {
            Pass::Count => {
                if let Some((_, reads)) = self.known.get_mut(&expression) {
                    *reads += 1;
                } else {
                    let name = self.unused(&name());
                    self.known.insert(expression.clone(), (name, 1));
                }
                expression
            }
            Pass::Write => match self.known.get(&expression) {
                Some((name, 2..)) => name.clone(),
                _ => expression,
            },
        }
    }

    /// Returns the name, with a number if another expression has it: that of other subjects of the same rule.
    fn unused(&self, name: &str) -> String {
        let is_used = |name: &str| self.known.values().any(|(other, _)| other == name);
        let numbered = |number: usize| match name.rsplit_once(':') {
            Some((what, operation)) => format!("{what}_{number}:{operation}"),
            None => format!("{name}_{number}"),
        };
        let mut names = std::iter::once(name.to_owned()).chain((2..).map(numbered));
        names.find(|name| !is_used(name)).unwrap_or_default()
    }

    pub(super) fn records(self) -> Vec<Entry> {
        let read_often = self.known.into_iter().filter(|(_, (_, reads))| *reads > 1);
        let mut records: Vec<(String, String)> = read_often.map(|(expr, (record, _))| (record, expr)).collect();
        records.sort();
        let entry = |(record, expr)| Entry::Record { record, expr, labels: Labels::default() };
        records.into_iter().map(entry).collect()
    }
}
