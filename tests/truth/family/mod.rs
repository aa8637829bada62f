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

/// Returns every service of the set.
pub(crate) fn all() -> Vec<Truth> {
    let families = [
        runtime::truths(),
        starved::truths(),
        database::truths(),
        plans::truths(),
        pools::truths(),
        queues::truths(),
        calls::truths(),
        tasks::truths(),
        tracked::truths(),
        clients::truths(),
        endpoints::truths(),
        process::truths(),
        healthy::truths(),
        patient::truths(),
        combined::truths(),
    ];
    let all: Vec<_> = families.into_iter().flatten().collect();
    let mut names: Vec<_> = all.iter().map(|truth| truth.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len(), "two services have the same name");
    all
}
