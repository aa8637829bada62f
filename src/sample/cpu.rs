//! [`CpuSampler`]: whether this process gets the CPU that it wants: waits of its threads, throttling, pressure, stolen time.

use metrics::Gauge;

use super::{
    Sampler,
    cpu_group::{CpuGroup, Quota, pressure},
    run_queue::RunQueueTime,
};
use crate::{
    context::{DynRecorder, labelled},
    names::{self, Metric},
};

/// Ticks of `/proc/stat` in a second. The kernel's user interface fixes it at 100 on every architecture that tokio runs on.
const TICKS: f64 = 100.0;

/// The modes of `/proc/stat`, in the order of its fields. Time of guests, the last two, is part of the first two.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "interrupt", "interrupt", names::STEAL];

/// Samples what the machine and the control group give to this process.
pub(crate) struct CpuSampler {
    recorder: DynRecorder,
    run_queue: RunQueueTime,
    group: CpuGroup,
    /// Registered with their first value: what the platform does not report stays absent.
    gauges: Vec<((&'static str, &'static str), Gauge)>,
}

impl std::fmt::Debug for CpuSampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CpuSampler").field("group", &self.group).finish_non_exhaustive()
    }
}

impl CpuSampler {
    /// Reads once and registers a gauge for each value that this platform reports.
    pub(crate) fn new(recorder: DynRecorder) -> Self {
        let (run_queue, gauges) = (RunQueueTime::default(), Vec::new());
        let mut sampler = Self { recorder, run_queue, group: CpuGroup::find(), gauges };
        sampler.sample();
        sampler
    }

    fn set(&mut self, metric: &'static Metric, label: Option<(&'static str, &'static str)>, value: f64) {
        let key = (metric.name, label.map_or("", |(_, value)| value));
        let place = self.gauges.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            let labels: Vec<_> = label.iter().map(|(name, value)| (*name, (*value).into())).collect();
            self.gauges.push((key, labelled::gauge(&self.recorder, metric, &labels)));
            self.gauges.len() - 1
        });
        self.gauges[place].1.set(value);
    }

    fn set_quota(&mut self, quota: Option<Quota>) {
        let is_shown = self.gauges.iter().any(|((name, _), _)| *name == names::CPU_LIMIT.name);
        match &quota {
            Some(quota) => self.set(&names::CPU_LIMIT, None, quota.cpus),
            // A limit that was removed becomes infinite, since a gauge cannot become absent again.
            None if is_shown => self.set(&names::CPU_LIMIT, None, f64::INFINITY),
            None => {}
        }
        if let Some(throttling) = quota.and_then(|quota| quota.throttling) {
            self.set(&names::CPU_PERIODS, None, throttling.periods as f64);
            self.set(&names::CPU_THROTTLED_PERIODS, None, throttling.throttled_periods as f64);
            self.set(&names::CPU_THROTTLED, None, throttling.throttled.as_secs_f64());
        }
    }
}

impl Sampler for CpuSampler {
    fn sample(&mut self) {
        if let Some(waited) = self.run_queue.read() {
            self.set(&names::PROCESS_CPU_WAITING, None, waited.as_secs_f64());
        }
        let quota = self.group.quota();
        self.set_quota(quota);
        if let Some(allowed) = allowed_cpus() {
            let cpus = quota.map_or(allowed, |quota| quota.cpus.min(allowed));
            self.set(&names::CPUS, None, cpus);
        }
        let machine = std::fs::read_to_string("/proc/pressure/cpu").ok().as_deref().and_then(pressure);
        for (of, waited) in [(names::MACHINE, machine), (names::GROUP, self.group.pressure())] {
            if let Some(waited) = waited {
                self.set(&names::CPU_PRESSURE, Some((names::KIND, of)), waited.as_secs_f64());
            }
        }
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        for (mode, seconds) in machine_times(&stat) {
            self.set(&names::SYSTEM_CPU_TIME, Some((names::CPU_MODE, mode)), seconds);
        }
    }
}

/// Returns how many CPUs this process may run on, without regard to quotas.
fn allowed_cpus() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok();
    let list =
        status.as_deref().and_then(|status| status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")));
    match list {
        Some(list) => cpus_of_list(list),
        None => std::thread::available_parallelism().ok().map(|cpus| cpus.get() as f64),
    }
}

/// Counts the CPUs of a list such as `0-3,8`.
fn cpus_of_list(list: &str) -> Option<f64> {
    let count = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        Some(f64::from(last.checked_sub(first)?) + 1.0)
    };
    list.trim().split(',').map(count).sum()
}

/// Returns the seconds that all CPUs of the machine spent in each mode, from `/proc/stat`; nothing where it has no such line.
fn machine_times(stat: &str) -> Vec<(&'static str, f64)> {
    let Some(all) = stat.lines().find_map(|line| line.strip_prefix("cpu ")) else { return Vec::new() };
    let fields = all.split_ascii_whitespace().map_while(|field| field.parse::<f64>().ok());
    let mut times: Vec<(&str, f64)> = Vec::new();
    for (mode, ticks) in MODES.into_iter().zip(fields) {
        match times.iter_mut().find(|(known, _)| *known == mode) {
            Some((_, seconds)) => *seconds += ticks / TICKS,
            None => times.push((mode, ticks / TICKS)),
        }
    }
    times
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Arc};

    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::{
        super::cgroup::{Group, Version},
        *,
    };

    #[test]
    fn a_group_shows_its_quota_how_it_was_throttled_and_its_pressure() {
        let group = tempfile::tempdir().expect("a directory");
        let write = |file: &str, text: &str| std::fs::write(group.path().join(file), text).expect("written");
        write("cpu.max", "150000 100000\n");
        write("cpu.stat", "nr_periods 9\nnr_throttled 3\nthrottled_usec 4000\n");
        write("cpu.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=7000\n");
        let recorder = DebuggingRecorder::new();
        let taken = recorder.snapshotter();
        let mut sampler = CpuSampler {
            recorder: Arc::new(recorder),
            run_queue: RunQueueTime::default(),
            group: CpuGroup::of(vec![Group { version: Version::Two, directory: group.path().to_owned() }]),
            gauges: Vec::new(),
        };
        sampler.sample();
        let of_group = |(key, _, _, value): (metrics_util::CompositeKey, _, _, DebugValue)| {
            let is_of_group = key.key().labels().all(|label| label.value() == names::GROUP);
            let DebugValue::Gauge(value) = value else { panic!("not a gauge: {value:?}") };
            is_of_group.then(|| (key.key().name().to_owned(), value.into_inner()))
        };
        let shown: HashMap<String, f64> = taken.snapshot().into_vec().into_iter().filter_map(of_group).collect();
        let expected = [
            (names::CPU_LIMIT, 1.5),
            (names::CPU_PERIODS, 9.0),
            (names::CPU_THROTTLED_PERIODS, 3.0),
            (names::CPU_THROTTLED, 0.004),
            (names::CPU_PRESSURE, 0.007),
        ];
        for (metric, value) in expected {
            assert_eq!(shown.get(metric.name), Some(&value), "{}", metric.name);
        }
    }

    #[test]
    fn a_list_of_cpus_is_counted() {
        #[track_caller]
        fn check(list: &str, expected: Option<f64>) {
            assert_eq!(cpus_of_list(list), expected, "of {list:?}");
        }
        check("\t0-1\n", Some(2.0));
        check("\t0\n", Some(1.0));
        check("0-3,8,10-11", Some(7.0));
        check("", None);
        check("3-1", None);
    }

    #[test]
    fn the_machines_times_are_in_seconds() {
        let stat = "cpu  4120352 138539 533164 3544194 19831 10 9402 4377 5 6\ncpu0 2087283 48448 242926 1794594 5552 0 3356 2113 0 0\n";
        let expected = [
            ("user", 41_203.52),
            ("nice", 1_385.39),
            ("system", 5_331.64),
            ("idle", 35_441.94),
            ("iowait", 198.31),
            ("interrupt", 94.12),
            (names::STEAL, 43.77),
        ];
        let found = machine_times(stat);
        assert_eq!(found.len(), expected.len());
        for ((mode, seconds), (wanted_mode, wanted)) in found.into_iter().zip(expected) {
            assert!(mode == wanted_mode && (seconds - wanted).abs() < 1e-9, "{mode}: {seconds} is not {wanted}");
        }
        assert_eq!(machine_times(""), []);
    }
}
