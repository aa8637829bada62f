//! [`Samplers`]: what reads the machine, each kept apart from the others.

use std::{
    any::type_name,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use tracing::warn;

use crate::sample::Sampler;

/// Readers of the machine. Invariant: what one of them does, a panic included, keeps neither the others nor the
/// evaluation from going on.
#[derive(Default)]
pub(super) struct Samplers(Vec<Named>);

struct Named {
    /// The sampler's type, for the log.
    name: &'static str,
    sampler: Box<dyn Sampler>,
}

impl Samplers {
    pub(super) fn push<S: Sampler + 'static>(&mut self, sampler: S) {
        self.0.push(Named { name: type_name::<S>(), sampler: Box::new(sampler) });
    }

    /// Adds those of another after its own.
    pub(super) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// Reads each once, and returns how many panicked. Those are read again the next time: a file that was not there for
    /// a moment shall not leave its gauge at an old value for good.
    pub(super) fn sample(&mut self) -> usize {
        let mut panics = 0;
        for Named { name, sampler } in &mut self.0 {
            // What a panic leaves half done is the sampler's own; nothing of the monitor's is lent to it.
            if catch_unwind(AssertUnwindSafe(|| sampler.sample())).is_err() {
                warn!(sampler = name, "a sampler panicked; it is read again at the next sampling");
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
