//! The machine becomes gauges.
//!
//! Owns the reading of the process, its control group and its runtime. Refuses to read a clock, to spawn and to keep
//! anything over time: the monitor's loop calls [`Sampler::sample`] and drives [`SchedulingLag::run`]. The invariant
//! that a change could break: what the platform does not tell is absent, never zero.

mod cgroup;
mod lag;
mod process;
mod runtime;

pub(crate) use lag::SchedulingLag;
pub(crate) use process::ProcessSampler;
pub(crate) use runtime::RuntimeSampler;

/// Reads something of the machine and writes it to metrics that it has registered before.
///
/// The monitor calls it at every sampling interval, on its own task: it must not block for longer than it takes to
/// read a few small files.
///
/// A panic in it ends nothing, unless panics abort the process: the log names the sampler's type,
/// `/performance/status` counts it as `sampler_panics`, the evaluation and the other samplers go on, and the one that
/// panicked is called again at the next interval.
pub trait Sampler: Send {
    /// Reads once and writes the values.
    fn sample(&mut self);
}
