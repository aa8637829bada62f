//! [`QueryDurations`]: the durations of a statement by how its calls ended, errors by the database's own code.

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use metrics::Histogram;

use super::outcome::{Outcome, OutcomeDurations};

/// Codes by which the errors of a statement are told apart; a statement has a handful. Further ones are errors without a code.
const MOST: usize = 16;
/// Longest code. SQLSTATEs have 5 characters, Oracle's codes 9.
const LONGEST: usize = 32;

/// Makes the histogram of an error's code.
type Make = Box<dyn Fn(&Arc<str>) -> Histogram + Send + Sync>;

/// Durations by outcome, and by the code of an error.
pub(crate) struct QueryDurations {
    outcomes: OutcomeDurations,
    codes: ArcSwap<Vec<(Arc<str>, Histogram)>>,
    make: Make,
}

impl fmt::Debug for QueryDurations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryDurations").field("outcomes", &self.outcomes).finish_non_exhaustive()
    }
}

impl QueryDurations {
    /// `make` makes the histogram of an error's code.
    pub(super) fn new(
        outcomes: OutcomeDurations,
        make: impl Fn(&Arc<str>) -> Histogram + Send + Sync + 'static,
    ) -> Self {
        Self { outcomes, codes: ArcSwap::default(), make: Box::new(make) }
    }

    /// Records a call; `code` is the database's own of its error, where that is known.
    pub(crate) fn record(&self, outcome: Outcome, code: Option<&str>, duration: Duration) {
        let Some(code) = code.filter(|code| outcome == Outcome::Error && is_code(code)) else {
            return self.outcomes.record(outcome, duration);
        };
        let codes = self.codes.load();
        if let Some((_, known)) = codes.iter().find(|(known, _)| **known == *code) {
            return known.record(duration.as_secs_f64());
        }
        if codes.len() >= MOST {
            return self.outcomes.record(outcome, duration);
        }
        // Two threads may make it at once: they register the same series.
        let code: Arc<str> = code.into();
        let made = (self.make)(&code);
        self.codes.rcu(|codes| {
            let mut codes = Vec::clone(codes);
            codes.push((code.clone(), made.clone()));
            codes
        });
        made.record(duration.as_secs_f64());
    }
}

/// Whether the text may be a code, and is no message, whose values would be a label.
fn is_code(text: &str) -> bool {
    let is_sign = |ch: char| ch.is_ascii_alphanumeric() || "-_.:".contains(ch);
    !text.is_empty() && text.len() <= LONGEST && text.chars().all(is_sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_no_code() {
        for code in ["23505", "08P01", "ORA-17002", "SQLITE_CONSTRAINT", "1555"] {
            assert!(is_code(code), "{code}");
        }
        for text in ["", "duplicate key value", "eve@example.org", "é", &"1".repeat(33)] {
            assert!(!is_code(text), "{text}");
        }
    }
}
