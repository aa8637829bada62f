//! This version of the service beside the one before, for the rules.

use std::{borrow::Cow, sync::Arc};

use tokio::time::Instant;

use super::Core;
use crate::rules::Regression;
#[cfg(feature = "archive")]
use crate::{analysis::VersionSnapshot, monitor::regressions::ThisRun};

#[cfg(feature = "archive")]
impl Core {
    /// Compares this version with the one before. Returns when that is done, on a thread that may block: it reads all histograms.
    pub(in crate::monitor) async fn compare_versions(self: Arc<Self>) {
        let Some((previous, version)) = self.versions.previous() else { return };
        let compare = move || self.compare_with(&previous, &version, Instant::now());
        // An error means that the runtime is shutting down.
        let _ = tokio::task::spawn_blocking(compare).await;
    }

    /// Compares what was measured up to now with a version before, and shows it.
    pub(in crate::monitor) fn compare_with(&self, previous: &VersionSnapshot, version: &str, now: Instant) {
        let (total, wall) = (self.total(now), self.clock.at(now));
        self.regressions.compare(previous, &ThisRun { started: self.started, version, total: &total, now, wall });
        self.show_versions();
    }

    /// Returns the latest comparison with the version before.
    pub(super) fn regression(&self) -> Option<Arc<Regression>> {
        self.regressions.latest()
    }

    pub(super) fn forget_regressions(&self, now: Instant) {
        self.regressions.clear(now);
    }

    /// Returns why this version is not compared with the one before; `None` where it is.
    pub(super) fn not_compared(&self) -> Option<Cow<'static, str>> {
        if self.regressions.latest().is_some() {
            return None;
        }
        let reason = match self.versions.previous() {
            Some(_) => {
                "this run of the service has just begun: its first ten minutes do not count, and it is compared every five minutes"
            }
            None if self.config.history_file.is_none() => {
                "no history file is set, in which each version leaves what it measured to the next"
            }
            None if self.config.service_version.is_none() || self.config.service_name.is_none() => {
                "the service has no name and version; without them a restart cannot be told from a deployment"
            }
            None => match self.versions.unread() {
                Some(why) => {
                    return Some(format!("what another version of the service left is not known yet: {why}").into());
                }
                None => "no other version of the service has left what it measured in the history file",
            },
        };
        Some(reason.into())
    }
}

#[cfg(not(feature = "archive"))]
impl Core {
    pub(in crate::monitor) async fn compare_versions(self: Arc<Self>) {}

    pub(super) fn regression(&self) -> Option<Arc<Regression>> {
        None
    }

    pub(super) fn forget_regressions(&self, _: Instant) {}

    pub(super) fn not_compared(&self) -> Option<Cow<'static, str>> {
        let reason = "the program is built without the feature archive, with which each version leaves what it measured to the next";
        Some(reason.into())
    }
}
