//! [`Samplers`]: the readers of the machine, each isolated from the panics of the others.

use std::{
    any::type_name,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use tracing::warn;

use crate::sample::Sampler;

/// The monitor's samplers and the host's. Invariant: a panic in one keeps neither the others nor the evaluation from going
/// on.
#[derive(Default)]
pub(super) struct Samplers(Vec<NamedSampler>);

struct NamedSampler {
    /// The sampler's type, for the log.
    name: &'static str,
    sampler: Box<dyn Sampler>,
}

impl Samplers {
    pub(super) fn push<S: Sampler + 'static>(&mut self, sampler: S) {
        self.0.push(NamedSampler { name: type_name::<S>(), sampler: Box::new(sampler) });
    }

    /// Adds those of another after its own.
    pub(super) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// Calls each once, and returns how many panicked. Those are called again the next time: a file that was missing for a
    /// moment must not leave its gauge at an old value for good.
    pub(super) fn sample(&mut self) -> usize {
        let mut panics = 0;
        for NamedSampler { name, sampler } in &mut self.0 {
            // A panic can leave only the sampler's own state half changed: it borrows nothing from the monitor.
            if catch_unwind(AssertUnwindSafe(|| sampler.sample())).is_err() {
                warn!(sampler = name, "a sampler panicked; it is called again at the next sampling");
                panics += 1;
            }
        }
        panics
    }
}

impl fmt::Debug for Samplers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|named| named.name)).finish()
    }
}
