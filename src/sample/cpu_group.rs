//! [`CpuGroup`]: how much CPU this process's control group may use, and how often and how long it had to wait for it.
//!
//! A quota may be set on the group itself and on every group above it; the tightest one counts, and its group says how often it
//! was throttled. Sources: the kernel's documents cgroup-v2, sched-bwc (version 1) and psi.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::cgroup::{Group, Version, groups, membership};

/// The groups that may limit the CPU.
#[derive(Debug)]
pub(super) struct CpuGroup {
    groups: Vec<Group>,
    /// The process's own group has this file only in version 2.
    pressure: Option<PathBuf>,
}

/// A quota and what it cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quota {
    /// CPUs at a time.
    pub(super) cpus: f64,
    pub(super) throttling: Option<Throttling>,
}

/// What a `cpu.stat` file counts since the group was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Throttling {
    /// Periods of the quota in which the group ran.
    pub(super) periods: u64,
    /// Those of them in which it used the quota up and had to wait.
    pub(super) throttled_periods: u64,
    /// How long it waited, summed over the CPUs.
    pub(super) throttled: Duration,
}

impl CpuGroup {
    /// Finds the groups; there are none on other platforms than Linux.
    pub(super) fn find() -> Self {
        let (cgroup, mounts) = membership();
        Self::of(groups("cpu", &cgroup, &mounts))
    }

    pub(super) fn of(groups: Vec<Group>) -> Self {
        let own = groups.iter().find(|group| group.version == Version::Two);
        let pressure = own.map(|group| group.directory.join("cpu.pressure")).filter(|file| file.exists());
        Self { groups, pressure }
    }

    /// Returns the tightest quota. Read each time: it may be set, changed and removed while the process runs.
    pub(super) fn quota(&self) -> Option<Quota> {
        let quotas = self.groups.iter().filter_map(|group| Some((cpus(group)?, group)));
        let (cpus, group) = quotas.min_by(|a, b| a.0.total_cmp(&b.0))?;
        Some(Quota { cpus, throttling: throttling(&read(&group.directory, "cpu.stat")?) })
    }

    /// Returns how long some task of the group waited for a CPU, since the group was made.
    pub(super) fn pressure(&self) -> Option<Duration> {
        pressure(&std::fs::read_to_string(self.pressure.as_ref()?).ok()?)
    }
}

fn read(directory: &Path, file: &str) -> Option<String> {
    std::fs::read_to_string(directory.join(file)).ok()
}

/// Returns the CPUs that a group's own quota allows; `None` without a quota.
fn cpus(group: &Group) -> Option<f64> {
    match group.version {
        Version::Two => cpus_of_max(&read(&group.directory, "cpu.max")?),
        Version::One => {
            cpus_of_quota(&read(&group.directory, "cpu.cfs_quota_us")?, &read(&group.directory, "cpu.cfs_period_us")?)
        }
    }
}

/// Reads `cpu.max`: the quota and its period in microseconds, `max` for none.
fn cpus_of_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    cpus_of_quota(quota, period)
}

/// Reads a quota and its period in microseconds; version 1 writes -1 for none.
fn cpus_of_quota(quota: &str, period: &str) -> Option<f64> {
    let positive = |text: &str| text.trim().parse::<f64>().ok().filter(|micros| *micros > 0.0);
    Some(positive(quota)? / positive(period)?)
}

/// Reads `cpu.stat`, whose time is in microseconds in version 2 and in nanoseconds in version 1.
fn throttling(stat: &str) -> Option<Throttling> {
    let value = |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    let throttled = value("throttled_usec ").map(Duration::from_micros);
    Some(Throttling {
        periods: value("nr_periods ")?,
        throttled_periods: value("nr_throttled ")?,
        throttled: throttled.or_else(|| value("throttled_time ").map(Duration::from_nanos))?,
    })
}

/// Reads the total of the line `some` of a pressure file.
pub(super) fn pressure(text: &str) -> Option<Duration> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let total = some.split(' ').find_map(|field| field.strip_prefix("total="))?;
    total.parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_in_cpus() {
        #[track_caller]
        fn check(found: Option<f64>, expected: Option<f64>) {
            assert_eq!(found, expected);
        }
        check(cpus_of_max("max 100000\n"), None);
        check(cpus_of_max("150000 100000\n"), Some(1.5));
        check(cpus_of_max("50000 100000\n"), Some(0.5));
        check(cpus_of_max(""), None);
        check(cpus_of_quota("-1\n", "100000\n"), None);
        check(cpus_of_quota("200000\n", "100000\n"), Some(2.0));
        check(cpus_of_quota("200000\n", "0\n"), None);
    }

    #[test]
    fn throttling_is_read_in_both_versions() {
        let expected =
            |micros| Throttling { periods: 1204, throttled_periods: 371, throttled: Duration::from_micros(micros) };
        let v2 = "usage_usec 132043120\nuser_usec 120931010\nsystem_usec 11112110\nnice_usec 0\ncore_sched.force_idle_usec 0\n\
                  nr_periods 1204\nnr_throttled 371\nthrottled_usec 18273645\nnr_bursts 0\nburst_usec 0\n";
        assert_eq!(throttling(v2), Some(expected(18_273_645)));
        let v1 = "nr_periods 1204\nnr_throttled 371\nthrottled_time 18273645000\nnr_bursts 0\nburst_time 0\n";
        assert_eq!(throttling(v1), Some(expected(18_273_645)));
        // The root of version 2 has no quota to count.
        assert_eq!(throttling("usage_usec 49614765741\nuser_usec 44018330255\nsystem_usec 5596435486\n"), None);
    }

    #[test]
    fn pressure_is_the_total_of_some() {
        let text = "some avg10=59.86 avg60=73.88 avg300=66.32 total=15271929539\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=12\n";
        assert_eq!(pressure(text), Some(Duration::from_micros(15_271_929_539)));
        assert_eq!(pressure(""), None);
    }

    #[test]
    fn the_tightest_quota_of_all_groups_above_counts() {
        let root = tempfile::tempdir().expect("a directory");
        let own = root.path().join("slice/service");
        std::fs::create_dir_all(&own).expect("made");
        let write = |directory: &Path, file: &str, text: &str| {
            std::fs::write(directory.join(file), text).expect("written");
        };
        let above = own.parent().expect("a slice").to_owned();
        write(&own, "cpu.max", "400000 100000\n");
        write(&own, "cpu.stat", "nr_periods 9\nnr_throttled 0\nthrottled_usec 0\n");
        write(&own, "cpu.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=7000\n");
        write(&above, "cpu.max", "50000 100000\n");
        write(&above, "cpu.stat", "nr_periods 9\nnr_throttled 3\nthrottled_usec 4000\n");
        let group = |directory: &Path| Group { version: Version::Two, directory: directory.to_owned() };
        let groups = CpuGroup::of(vec![group(&own), group(&above), group(root.path())]);
        let throttling = Throttling { periods: 9, throttled_periods: 3, throttled: Duration::from_millis(4) };
        assert_eq!(groups.quota(), Some(Quota { cpus: 0.5, throttling: Some(throttling) }));
        assert_eq!(groups.pressure(), Some(Duration::from_millis(7)));
        write(&above, "cpu.max", "max 100000\n");
        assert_eq!(groups.quota().map(|quota| quota.cpus), Some(4.0));
        write(&own, "cpu.max", "max 100000\n");
        assert_eq!(groups.quota(), None);
        assert_eq!(CpuGroup::of(Vec::new()).pressure(), None);
    }
}
