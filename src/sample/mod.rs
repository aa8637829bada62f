//! The machine becomes gauges.
//!
//! Owns the reading of the process, its control group and its runtime. Refuses to spawn and to keep anything over time:
//! the monitor's loop calls [`Sampler::sample`], and spawns [`SchedulingLag::run`] and the thread that calls [`look_at`]. The invariant that a change could
//! break: a value that the platform does not report is absent, never zero.
//!
//! Files of this room import only files to their left: `cgroup < cpu_group`, `{cgroup, cpu_group, run_queue} < {cpu, process}`;
//! `descriptors`, `lag`, `pools`, `runtime` and `sight` import none. In a file
//! `std` comes first, then other crates, then `super` and `crate`, with an empty line between.

mod cgroup;
mod cpu;
mod cpu_group;
mod descriptors;
mod lag;
mod pools;
mod process;
mod run_queue;
mod runtime;
mod sight;

pub(crate) use cpu::CpuSampler;
pub(crate) use descriptors::DescriptorSampler;
pub(crate) use lag::SchedulingLag;
pub use pools::PoolState;
pub(crate) use pools::{PoolSampler, WatchedPools};
pub(crate) use process::ProcessSampler;
pub(crate) use runtime::RuntimeSampler;
pub(crate) use sight::look_at;

/// Reads a part of the machine's or the service's state and writes it to metrics that it has registered before.
///
/// The monitor calls it at every sampling interval, on a thread of its own that is inside the runtime: it may read files and
/// spawn. While it does not return, no sampler is called, `/performance/status` reports it in `sampling_overdue_seconds`, and the
/// gauges keep their values.
///
/// If it panics (and panics do not abort the process), the log names the sampler's type, `/performance/status` counts
/// the panic in `sampler_panics`, and evaluation and other samplers continue. It is called again at the next interval.
pub trait Sampler: Send {
    /// Reads once and writes the values.
    fn sample(&mut self);
}
