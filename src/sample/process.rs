//! [`ProcessSampler`]: the process's memory, CPU time, threads and file descriptors, under the names that Prometheus's
//! client libraries use.

use std::fmt;

use metrics::Gauge;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::{Sampler, cgroup::MemoryLimit};
use crate::{
    context::{DynRecorder, labelled},
    names::{self, Metric},
};

/// The metrics, in the order in which [`ProcessSampler::read`] returns their values.
const METRICS: [&Metric; 11] = [
    &names::PROCESS_RESIDENT,
    &names::PROCESS_VIRTUAL,
    &names::PROCESS_VIRTUAL_MAX,
    &names::PROCESS_CPU,
    &names::PROCESS_START,
    &names::PROCESS_OPEN_FDS,
    &names::PROCESS_MAX_FDS,
    &names::PROCESS_THREADS,
    &names::PROCESS_OWNED,
    &names::MEMORY_WORKING_SET,
    &names::PROCESS_MEMORY_LIMIT,
];

/// Index of the memory limit among them.
const LIMIT: usize = METRICS.len() - 1;

/// Samples this process.
pub(crate) struct ProcessSampler {
    system: Option<(System, Pid)>,
    memory_limit: MemoryLimit,
    recorder: DynRecorder,
    gauges: [Option<Gauge>; METRICS.len()],
}

impl fmt::Debug for ProcessSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessSampler").field("memory_limit", &self.memory_limit).finish_non_exhaustive()
    }
}

impl ProcessSampler {
    /// Reads the process once and registers a gauge for each value that this platform reports.
    pub(crate) fn new(recorder: DynRecorder) -> Self {
        let mut sampler = Self {
            system: sysinfo::get_current_pid().ok().map(|pid| (System::new(), pid)),
            memory_limit: MemoryLimit::find(),
            recorder,
            gauges: Default::default(),
        };
        sampler.sample();
        sampler
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is an f64; bytes are exact up to 8 PiB")]
    fn read(&mut self) -> [Option<f64>; METRICS.len()] {
        let process = self.system.as_mut().and_then(|(system, pid)| {
            let kind = ProcessRefreshKind::nothing().with_memory().with_cpu().without_tasks();
            system.refresh_processes_specifics(ProcessesToUpdate::Some(&[*pid]), false, kind);
            system.process(*pid)
        });
        // sysinfo returns 0 for unknown values; no process has 0 bytes of memory or began with the epoch.
        let known = |value: u64| (value > 0).then_some(value as f64);
        let limit = self.memory_limit.read();
        [
            process.and_then(|process| known(process.memory())),
            process.and_then(|process| known(process.virtual_memory())),
            std::fs::read_to_string("/proc/self/limits").ok().as_deref().and_then(virtual_max),
            process.map(|process| process.accumulated_cpu_time() as f64 / 1000.0),
            process.and_then(|process| known(process.start_time())),
            open_fds().or_else(|| process.and_then(sysinfo::Process::open_files).map(|count| count as f64)),
            process.and_then(max_fds).map(|count| count as f64),
            std::fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(threads),
            std::fs::read_to_string("/proc/self/status").ok().as_deref().and_then(owned),
            limit.and_then(|limit| limit.working_set).map(|bytes| bytes as f64),
            // A limit that was removed becomes infinite, since a gauge cannot become absent again.
            match limit {
                Some(limit) => Some(limit.bytes as f64),
                None => self.gauges[LIMIT].is_some().then_some(f64::INFINITY),
            },
        ]
    }
}

impl Sampler for ProcessSampler {
    fn sample(&mut self) {
        let values = self.read();
        for ((gauge, metric), value) in self.gauges.iter_mut().zip(METRICS).zip(values) {
            if let Some(value) = value {
                // Not in `new`: a limit is often set when the process is already running.
                gauge.get_or_insert_with(|| labelled::gauge(&self.recorder, metric, &[])).set(value);
            }
        }
    }
}

/// Returns the number of open file descriptors if the kernel counts them: since Linux 6.2 it is the size of
/// `/proc/self/fd`. To list them one by one, as sysinfo does, takes milliseconds for ten thousand sockets.
#[expect(clippy::cast_precision_loss, reason = "no process has 2^53 files open")]
pub(super) fn open_fds() -> Option<f64> {
    let counted = std::fs::metadata("/proc/self/fd").ok()?.len();
    (counted > 0).then_some(counted as f64)
}

/// Returns the limit of open file descriptors. On Windows the open ones are handles, which have no limit; sysinfo
/// returns the C runtime's limit of its own files there, 8192, which does not apply to handles.
fn max_fds(process: &sysinfo::Process) -> Option<usize> {
    if cfg!(windows) { None } else { process.open_files_limit() }
}

/// Returns the memory that a process owns, in bytes, from `/proc/<pid>/status`: what it allocated and what it shares with others,
/// without the pages of files that it has mapped. A process that reads a large file through a mapping does not grow.
///
/// Source: proc_pid_status(5), `RssAnon` and `RssShmem`, both since Linux 4.5.
fn owned(status: &str) -> Option<f64> {
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<f64>().ok()
    };
    Some((kib("RssAnon:")? + kib("RssShmem:")?) * 1024.0)
}

/// Returns the limit of virtual memory from `/proc/<pid>/limits`, in bytes: the soft one, which is in force. Without a limit it is
/// 2^64 - 1, as the kernel and Prometheus' own process collector have it.
///
/// Source: proc_pid_limits(5).
fn virtual_max(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    match line.split_ascii_whitespace().next()? {
        "unlimited" => Some(u64::MAX as f64),
        bytes => bytes.parse().ok(),
    }
}

/// Returns the number of threads from `/proc/<pid>/stat`.
///
/// Source: proc_pid_stat(5), field 20. The second field is the program's name in parentheses and may hold both spaces
/// and parentheses, so the fields are counted from its end.
fn threads(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(17)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Arc};

    use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

    use super::{
        super::cgroup::{Group, Version},
        *,
    };

    fn recorder() -> (DynRecorder, Snapshotter) {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        (Arc::new(recorder), snapshotter)
    }

    fn gauges(snapshotter: &Snapshotter) -> HashMap<String, f64> {
        let taken = snapshotter.snapshot().into_vec();
        let gauge = |value| match value {
            DebugValue::Gauge(value) => value.into_inner(),
            other => panic!("not a gauge: {other:?}"),
        };
        taken.into_iter().map(|(key, _, _, value)| (key.key().name().to_owned(), gauge(value))).collect()
    }

    #[test]
    fn threads_are_the_twentieth_field_whatever_the_programs_name() {
        #[track_caller]
        fn check(stat: &str, expected: Option<f64>) {
            assert_eq!(threads(stat), expected, "of {stat:?}");
        }
        let tail = "S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 17 0 99 1000 200";
        check(&format!("42 (shop) {tail}"), Some(17.0));
        check(&format!("42 (a b) c (d)) {tail}"), Some(17.0));
        check("42 (shop) S 1 1", None);
        check("", None);
    }

    #[test]
    fn the_limit_of_virtual_memory_is_the_soft_one() {
        let line = |soft: &str| {
            format!(
                "Limit    Soft Limit   Hard Limit   Units\nMax address space   {soft}   8589934592   bytes\nMax file locks 1 1 locks\n"
            )
        };
        assert_eq!(virtual_max(&line("4294967296")), Some(4_294_967_296.0));
        assert_eq!(virtual_max(&line("unlimited")), Some(18_446_744_073_709_551_615.0));
        assert_eq!(virtual_max("Max file locks 1 1 locks\n"), None);
    }

    #[test]
    fn memory_that_is_owned_is_without_pages_of_files() {
        let status =
            "Name:\tshop\nVmRSS:\t 3100000 kB\nRssAnon:\t   40000 kB\nRssFile:\t 3000000 kB\nRssShmem:\t   60000 kB\n";
        assert_eq!(owned(status), Some(100_000.0 * 1024.0));
        assert_eq!(owned("VmRSS:\t 3100000 kB\n"), None, "before Linux 4.5");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_sample_agrees_with_proc() {
        let (recorder, taken) = recorder();
        let mut sampler = ProcessSampler::new(recorder);
        let ballast = vec![1_u8; 64 << 20];
        let held: Vec<_> = (0..20).map(|_| std::fs::File::open("/proc/self/stat").expect("linux")).collect();
        let before = gauges(&taken);
        sampler.sample();
        let after = gauges(&taken);

        let status = std::fs::read_to_string("/proc/self/status").expect("linux");
        let kib = |name: &str| -> f64 {
            let line = status.lines().find(|line| line.starts_with(name)).expect("in status");
            line.split_ascii_whitespace().nth(1).expect("a value").parse::<f64>().expect("a number") * 1024.0
        };
        let close = |name: &str, expected: f64, within: f64| {
            let value = after[name];
            assert!((value - expected).abs() <= within, "{name} is {value}, expected {expected}");
        };
        // Other tests of this process allocate and open files meanwhile.
        close("process_resident_memory_bytes", kib("VmRSS:"), f64::from(64 << 20));
        close("pinchpoint_owned_memory_bytes", kib("RssAnon:") + kib("RssShmem:"), f64::from(64 << 20));
        close("process_virtual_memory_bytes", kib("VmSize:"), f64::from(256 << 20));
        close("process_threads", kib("Threads:") / 1024.0, 16.0);
        assert!(after["process_resident_memory_bytes"] > ballast.len() as f64);
        assert!(after["process_open_fds"] >= held.len() as f64, "{after:?}");
        let listed = std::fs::read_dir("/proc/self/fd").expect("linux").count() as f64;
        close("process_open_fds", listed, 64.0);
        assert!(after["process_max_fds"] >= after["process_open_fds"], "{after:?}");
        assert!(after["process_cpu_seconds_total"] >= before["process_cpu_seconds_total"]);
        assert!(after["process_cpu_seconds_total"] < 3600.0, "seconds, not milliseconds: {after:?}");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
        assert!((now - 3600.0..=now + 2.0).contains(&after["process_start_time_seconds"]), "{after:?} at {now}");
    }

    #[test]
    fn a_value_that_is_not_reported_has_no_gauge() {
        let (mut sampler, _, _) = limited_by("");
        assert_eq!((sampler.read()[0], sampler.read()[LIMIT]), (None, None));
    }

    /// Returns a sampler that reads only a limit, from a file.
    fn limited_by(limit: &str) -> (ProcessSampler, Snapshotter, tempfile::TempDir) {
        let group = tempfile::tempdir().expect("a directory");
        std::fs::write(group.path().join("memory.max"), limit).expect("written");
        let (recorder, taken) = recorder();
        let memory_limit = MemoryLimit::of(vec![Group { version: Version::Two, directory: group.path().to_owned() }]);
        (ProcessSampler { system: None, memory_limit, recorder, gauges: Default::default() }, taken, group)
    }

    #[test]
    fn a_limit_may_be_set_changed_and_removed_while_the_process_runs() {
        let (mut sampler, taken, group) = limited_by("max\n");
        let write = |file: &str, text: &str| std::fs::write(group.path().join(file), text).expect("written");
        write("memory.current", "5000\n");
        write("memory.stat", "anon 1000\nfile 4000\ninactive_file 1500\nactive_file 2500\n");
        let mut limit = |text: &str| {
            write("memory.max", text);
            sampler.sample();
            let shown = gauges(&taken);
            [names::PROCESS_MEMORY_LIMIT, names::MEMORY_WORKING_SET].map(|metric| shown.get(metric.name).copied())
        };
        assert_eq!(limit("max\n"), [None; 2]);
        assert_eq!(limit("1073741824\n"), [Some(1_073_741_824.0), Some(1_000.0)]);
        assert_eq!(limit("536870912\n"), [Some(536_870_912.0), Some(1_000.0)]);
        assert_eq!(limit("max\n")[0], Some(f64::INFINITY));
    }

    /// Returns how long `work` takes where nothing interrupts it.
    #[cfg(target_os = "linux")]
    fn shortest(mut work: impl FnMut()) -> std::time::Duration {
        let times = (0..51).map(|_| {
            let began = std::time::Instant::now();
            work();
            began.elapsed()
        });
        times.min().expect("some tries")
    }

    /// A millisecond where the README was measured; elsewhere it follows the machine.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_sample_takes_no_longer_than_reading_some_files_of_the_kernel() {
        let mut sampler = ProcessSampler::new(recorder().0);
        let sample = shortest(|| sampler.sample());
        let read = shortest(|| assert!(std::fs::read("/proc/self/status").is_ok_and(|text| !text.is_empty())));
        assert!(sample < 40 * read, "{sample:?}, and {read:?} for one file");
    }
}
