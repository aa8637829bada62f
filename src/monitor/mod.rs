//! The wiring: owns the recorder, the history, the rules and the one loop that ticks.
//!
//! Every background task is owned here and ends with the last handle. The invariant that a change could break: the loop
//! holds the [`Core`], never the handle that stops it, so that dropping the last handle leaks nothing.

mod access;
mod acknowledgements;
#[cfg(feature = "archive")]
mod archive;
mod background;
mod bottleneck_gauges;
mod builder;
mod clock;
mod config;
mod control;
mod core;
mod current_gauges;
#[cfg(feature = "deliver")]
mod deliver;
mod errand;
mod error;
mod fanout;
mod handle;
mod happenings;
mod judgement;
#[cfg(feature = "page")]
mod marks;
#[cfg(feature = "page")]
mod pulse;
#[cfg(feature = "archive")]
mod regressions;
mod reload;
mod samplers;
mod service;
mod settings;
#[cfg(feature = "replay")]
mod simulation;
mod slo_gauges;
mod token;
mod version_gauges;
#[cfg(feature = "archive")]
mod versions;
mod watchdog;

pub use access::Access;
pub use builder::MonitorBuilder;
pub use control::Control;
#[cfg(feature = "deliver")]
pub use deliver::{AlertReceiver, Secret, TestedReceiver};
pub use error::BuildError;
pub use handle::Monitor;
pub use settings::{Settings, SettingsError};

#[cfg(feature = "replay")]
pub use archive::HistoryError;
pub(crate) use background::Work;
pub(crate) use core::{Core, RuleCoverage};
pub(crate) use happenings::{Happening, Place, Text};
pub(crate) use judgement::Judgement;
#[cfg(feature = "archive")]
pub(crate) use {
    archive::{ArchiveState, ArchiveStatus},
    versions::VersionComparison,
};
#[cfg(feature = "replay")]
pub(crate) use {
    archive::{StoredContents, read_history},
    simulation::Simulation,
};
#[cfg(feature = "page")]
pub(crate) use {
    marks::{Happened, Mark},
    pulse::{STEP as PULSE_STEP, Step},
};
