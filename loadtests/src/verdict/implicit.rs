//! The condition that every test is held to, with or without rules and thresholds.

use super::{Check, Source, Status};
use crate::record::{Outcome, Tally};

/// Each endpoint must have succeeded at least once: a test of nothing but errors must not pass.
///
/// An endpoint that is meant to refuse says so with an expected status, and then refusing is its success.
pub(crate) fn answered(tally: &Tally) -> Vec<Check> {
    let check = |subject: String, observed: String| Check {
        source: Source::Always,
        subject,
        condition: "some request succeeds".to_owned(),
        observed,
        status: Status::Breached,
    };
    let total = tally.total();
    if total.count() == 0 {
        return vec![check("all requests".to_owned(), "no request was sent".to_owned())];
    }
    if total.count() == total.of(Outcome::Cancelled) {
        return vec![check("all requests".to_owned(), "none got a response before the end of the test".to_owned())];
    }
    tally
        .endpoints()
        .iter()
        .filter(|course| course.tally.count() > course.tally.of(Outcome::Cancelled))
        .filter(|course| course.tally.of(Outcome::Success) == 0)
        .map(|course| {
            let failures = course.tally.failures().by_count();
            let main = failures.first().map_or("", |(kind, _)| kind.as_str());
            let mut observed = format!("all {} failed: {main}", course.tally.count());
            if main == "status 404" {
                observed.push_str("; check the path");
            } else if main == "status 405" {
                observed.push_str("; check the method");
            }
            if let Some(example) = failures.first().and_then(|(_, failure)| failure.example.as_deref()) {
                observed.push_str(&format!(" ({example})"));
            }
            check(course.name.to_string(), observed)
        })
        .collect()
}
