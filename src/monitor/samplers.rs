//! [`Samplers`]: the readers of the machine, each isolated from the panics of the others.

use std::{
    any::type_name,
    fmt,
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
};

use tracing::warn;

use crate::sample::Sampler;

/// The monitor's samplers and the host's. Invariant: a panic in one keeps neither the others nor the evaluation from going
/// on.
#[derive(Default)]
pub(super) struct Samplers {
    all: Vec<NamedSampler>,
    spare: Spare,
}

/// A file descriptor that is free while the machine is read. Where all of the process's descriptors are taken, nothing could be
/// read otherwise, and a leak of descriptors would be the one thing that the monitor cannot see.
#[derive(Debug, Default)]
struct Spare(Option<File>);

impl Spare {
    /// Runs `work` with one descriptor more than the process has now.
    fn lend<T>(&mut self, work: impl FnOnce() -> T) -> T {
        drop(self.0.take());
        let done = work();
        // Anything that is always there will do. Without it the next reading has to do without.
        self.0 = File::open("/dev/null").ok();
        done
    }
}

struct NamedSampler {
    /// The sampler's type, for the log.
    name: &'static str,
    sampler: Box<dyn Sampler>,
}

impl Samplers {
    pub(super) fn push<S: Sampler + 'static>(&mut self, sampler: S) {
        self.all.push(NamedSampler { name: type_name::<S>(), sampler: Box::new(sampler) });
    }

    /// Adds those of another after its own.
    pub(super) fn append(&mut self, mut others: Self) {
        self.all.append(&mut others.all);
    }

    /// Calls each once, and returns how many panicked. Those are called again the next time: a file that was missing for a
    /// moment must not leave its gauge at an old value for good.
    pub(super) fn sample(&mut self) -> usize {
        let all = &mut self.all;
        self.spare.lend(|| {
            let mut panics = 0;
            for NamedSampler { name, sampler } in all {
                // A panic can leave only the sampler's own state half changed: it borrows nothing from the monitor.
                if catch_unwind(AssertUnwindSafe(|| sampler.sample())).is_err() {
                    warn!(sampler = name, "a sampler panicked; it is called again at the next sampling");
                    panics += 1;
                }
            }
            panics
        })
    }
}

impl fmt::Debug for Samplers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all.iter().map(|named| named.name)).finish()
    }
}
