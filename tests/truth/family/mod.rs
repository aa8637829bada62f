//! The services, by what is wrong with them.

mod calls;
mod clients;
mod combined;
mod database;
mod endpoints;
mod healthy;
mod patient;
mod plans;
mod pools;
mod process;
mod queues;
mod runtime;
mod starved;
mod tasks;
mod tracked;

use crate::truth::Truth;

/// Returns every service of the set, with its family.
pub(crate) fn all() -> Vec<Truth> {
    let families = [
        ("computing, blocking, std locks, too little CPU", [runtime::truths(), starved::truths()].concat()),
        ("queries and pools", [database::truths(), plans::truths(), pools::truths()].concat()),
        ("queues, calls, tasks", [queues::truths(), calls::truths(), tracked::truths(), tasks::truths()].concat()),
        ("clients and streams", clients::truths()),
        ("errors, tails, requests without an end", endpoints::truths()),
        ("memory and descriptors", process::truths()),
        ("two faults at once", combined::truths()),
        ("healthy, though some look sick", [healthy::truths(), patient::truths()].concat()),
    ];
    let with_family =
        |(family, truths): (_, Vec<Truth>)| truths.into_iter().map(move |truth| Truth { family, ..truth });
    let all: Vec<_> = families.into_iter().flat_map(with_family).collect();
    let mut names: Vec<_> = all.iter().map(|truth| truth.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len(), "two services have the same name");
    all
}
