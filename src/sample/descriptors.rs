//! [`DescriptorSampler`]: what kinds of file descriptors are open.
//!
//! The kernel counts them without a look at each; what each leads to must be read one by one. So this looks seldom, and of many
//! descriptors at some, spread over all of them.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use metrics::Gauge;

use super::{Sampler, process::open_fds};
use crate::{
    context::{DynRecorder, labelled},
    names,
};

/// Time between two looks. Kinds matter where descriptors leak, which takes minutes.
const PERIOD: Duration = Duration::from_secs(30);
/// Growth of their number after which they are looked at at once: of a fast leak the kinds at its start say nothing.
const GROWN: f64 = 1.1;
/// Descriptors that are looked at: each takes some microseconds.
const LOOKS: usize = 1024;
/// Descriptors that are listed: a list of this length takes some ten milliseconds. Those beyond are of no kind.
const LISTED: usize = 65_536;

/// Samples the kinds of open descriptors.
pub(crate) struct DescriptorSampler {
    recorder: DynRecorder,
    last: Option<Instant>,
    /// How many were open then.
    open: Option<f64>,
    gauges: Option<[Gauge; names::DESCRIPTORS.len()]>,
}

impl std::fmt::Debug for DescriptorSampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DescriptorSampler").field("last", &self.last).finish_non_exhaustive()
    }
}

impl DescriptorSampler {
    /// Reads once; registers the gauges only where the platform has what they count.
    pub(crate) fn new(recorder: DynRecorder) -> Self {
        let mut sampler = Self { recorder, last: None, open: None, gauges: None };
        sampler.sample();
        sampler
    }
}

impl Sampler for DescriptorSampler {
    fn sample(&mut self) {
        let open = open_fds();
        let grew = open.zip(self.open).is_some_and(|(open, before)| open > before * GROWN);
        if !grew && self.last.is_some_and(|last| last.elapsed() < PERIOD) {
            return;
        }
        (self.last, self.open) = (Some(Instant::now()), open);
        let Some(counts) = count(Path::new("/proc/self/fd")) else { return };
        let recorder = &self.recorder;
        let register = |kind: &'static str| labelled::gauge(recorder, &names::OPEN_FDS, &[(names::KIND, kind.into())]);
        let gauges = self.gauges.get_or_insert_with(|| names::DESCRIPTORS.map(register));
        for (gauge, count) in gauges.iter().zip(counts) {
            gauge.set(count);
        }
    }
}

/// Counts the links of a directory by what they lead to, in the order of [`names::DESCRIPTORS`]; `None` where it cannot be read.
#[expect(clippy::cast_precision_loss, reason = "no more than `LISTED` are counted")]
fn count(directory: &Path) -> Option<[f64; names::DESCRIPTORS.len()]> {
    let listed: Vec<_> = fs::read_dir(directory).ok()?.flatten().take(LISTED).collect();
    let step = listed.len().div_ceil(LOOKS).max(1);
    let mut counts = [0.0; names::DESCRIPTORS.len()];
    let mut looks = 0;
    for entry in listed.iter().step_by(step) {
        // The descriptor of this very list is closed by now, and others may be.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        counts[kind(&target.to_string_lossy())] += 1.0;
        looks += 1;
    }
    let each = if looks > 0 { listed.len() as f64 / f64::from(looks) } else { 0.0 };
    Some(counts.map(|count| if step > 1 { (count * each).round() } else { count }))
}

/// Returns the kind of what a descriptor leads to, as an index in [`names::DESCRIPTORS`].
fn kind(target: &str) -> usize {
    let starts = |prefix| target.starts_with(prefix);
    match () {
        () if starts("socket:") => 0,
        () if starts("pipe:") => 2,
        // Devices are files, as the kernel has it, but nothing that a service opens again and again.
        () if starts("/dev/") => 3,
        () if starts("/") => 1,
        () => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_what_it_leads_to() {
        #[track_caller]
        fn check(target: &str, expected: &str) {
            assert_eq!(names::DESCRIPTORS[kind(target)], expected, "of {target:?}");
        }
        check("socket:[48213]", "socket");
        check("pipe:[48213]", "pipe");
        check("/var/lib/shop/orders.db", "file");
        check("/var/lib/shop/orders.db (deleted)", "file");
        check("/dev/null", "other");
        check("anon_inode:[eventpoll]", "other");
        check("/memfd:x (deleted)", "file");
    }

    #[cfg(unix)]
    #[test]
    fn of_many_descriptors_some_stand_for_all() {
        let directory = tempfile::tempdir().expect("a directory");
        for at in 0..3 * LOOKS {
            let target = if at % 3 == 0 { "/a" } else { "socket:[1]" };
            std::os::unix::fs::symlink(target, directory.path().join(at.to_string())).expect("a link");
        }
        let [sockets, files, pipes, others] = count(directory.path()).expect("readable");
        assert!((sockets - 2048.0).abs() < 200.0 && (files - 1024.0).abs() < 200.0, "{sockets} {files}");
        assert_eq!((pipes, others), (0.0, 0.0));
        assert_eq!(count(&directory.path().join("none")), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_leak_is_looked_at_at_once() {
        let recorder = metrics_util::debugging::DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let mut sampler = DescriptorSampler::new(std::sync::Arc::new(recorder));
        let before = sampler.last;
        sampler.sample();
        assert_eq!(sampler.last, before, "nothing changed");
        let open = sampler.open.expect("linux") as usize;
        let leaked: Vec<_> = (0..open + 20).map(|_| tempfile::tempfile().expect("a file")).collect();
        sampler.sample();
        let files = snapshotter.snapshot().into_vec().into_iter().find_map(|(key, _, _, value)| {
            let is_file = key.key().labels().any(|label| label.value() == "file");
            match value {
                metrics_util::debugging::DebugValue::Gauge(count) if is_file => Some(count.0),
                _ => None,
            }
        });
        assert!(files.is_some_and(|files| files >= leaked.len() as f64), "{files:?} of {}", leaked.len());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kinds_of_this_process_are_counted() {
        let sockets: Vec<_> = (0..20).map(|_| std::net::UdpSocket::bind("127.0.0.1:0").expect("bound")).collect();
        let file = tempfile::tempfile().expect("a file");
        let [counted, files, ..] = count(Path::new("/proc/self/fd")).expect("linux");
        assert!(counted >= sockets.len() as f64 && files >= 1.0, "{counted} sockets, {files} files");
        drop(file);
    }
}
