//! [`groups`]: the control groups of this process, and [`MemoryLimit`], the memory limit of the group of its container.
//!
//! A limit may be set on the group itself and on every group above it, in the hierarchies of both versions; the
//! smallest one applies. Sources: cgroups(7) for `/proc/<pid>/cgroup`, proc_pid_mountinfo(5), and the kernel's
//! cgroup-v2 and memory (v1) documents.

use std::path::{Path, PathBuf};

/// Limits from here on, an exbibyte, are none: version 1 writes "no limit" as the largest multiple of the page size
/// below 2^63.
const NO_LIMIT: u64 = 1 << 60;

/// The groups that may limit the memory.
#[derive(Debug)]
pub(super) struct MemoryLimit {
    groups: Vec<Group>,
}

/// A limit, and how near the group is to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) bytes: u64,
    /// What the group holds and the kernel cannot take back: without pages of files, which it drops when memory runs short.
    pub(super) working_set: Option<u64>,
}

impl MemoryLimit {
    /// Finds the groups; there are none on other platforms than Linux.
    pub(super) fn find() -> Self {
        let (cgroup, mounts) = membership();
        Self::of(groups("memory", &cgroup, &mounts))
    }

    pub(super) fn of(groups: Vec<Group>) -> Self {
        Self { groups }
    }

    /// Returns the smallest limit. Read each time: it may be set, changed and removed while the process runs.
    pub(super) fn read(&self) -> Option<Limit> {
        let limits = self.groups.iter().filter_map(|group| Some((limit(&group.read(LIMIT)?)?, group)));
        let (bytes, group) = limits.min_by_key(|(bytes, _)| *bytes)?;
        let usage = group.read(USAGE).and_then(|usage| usage.trim().parse().ok());
        let files = group.read(["memory.stat"; 2]).map(|stat| pages_of_files(&stat, group.version));
        let working_set = usage.zip(files).map(|(usage, files): (u64, u64)| usage.saturating_sub(files));
        Some(Limit { bytes, working_set })
    }
}

/// The files of version 1 and of version 2.
const LIMIT: [&str; 2] = ["memory.limit_in_bytes", "memory.max"];
const USAGE: [&str; 2] = ["memory.usage_in_bytes", "memory.current"];

/// Returns the limit of a limit file.
fn limit(content: &str) -> Option<u64> {
    content.trim().parse().ok().filter(|bytes| *bytes < NO_LIMIT)
}

/// Returns the bytes of pages of files, active or not, in a `memory.stat` file. Version 1 has a number of the group alone and a
/// total with the groups below it.
fn pages_of_files(stat: &str, version: Version) -> u64 {
    let names = match version {
        Version::One => ["total_inactive_file ", "total_active_file "],
        Version::Two => ["inactive_file ", "active_file "],
    };
    let value = |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    names.into_iter().filter_map(value).sum()
}

/// Which of the two kinds of hierarchy a group is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// One hierarchy for each controller.
    One,
    /// One for all.
    Two,
}

/// A control group of this process.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) version: Version,
    pub(super) directory: PathBuf,
}

impl Group {
    /// Reads one of the group's files, whose name depends on the version.
    fn read(&self, [one, two]: [&str; 2]) -> Option<String> {
        let file = if self.version == Version::One { one } else { two };
        std::fs::read_to_string(self.directory.join(file)).ok()
    }
}

/// Returns the texts that say in which groups this process is, and where they are mounted; empty where there are none.
pub(super) fn membership() -> (String, String) {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    (read("/proc/self/cgroup"), read("/proc/self/mountinfo"))
}

/// Returns the process's group and all groups above it, the own one first, in both hierarchies.
pub(super) fn groups(controller: &str, cgroup: &str, mounts: &str) -> Vec<Group> {
    let mut groups = Vec::new();
    for line in cgroup.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let version = match controllers {
            "" => Version::Two,
            _ if controllers.split(',').any(|known| known == controller) => Version::One,
            _ => continue,
        };
        let mounts = mounts.lines().filter_map(|line| Mount::parse(line, controller));
        for mount in mounts.filter(|mount| mount.version == version) {
            let group = mount.group(path);
            let above = group.ancestors().take_while(|group| group.starts_with(mount.at));
            groups.extend(above.map(|directory| Group { version, directory: directory.to_owned() }));
        }
    }
    groups
}

/// A mounted hierarchy of one controller, or of all.
#[derive(Debug)]
struct Mount<'a> {
    /// The group that is mounted: not the root inside a container.
    root: &'a str,
    at: &'a Path,
    version: Version,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str, controller: &str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, at) = (mount.next()?, Path::new(mount.next()?));
        let mut file_system = file_system.split(' ');
        let version = match file_system.next()? {
            "cgroup2" => Version::Two,
            "cgroup" if file_system.nth(1)?.split(',').any(|option| option == controller) => Version::One,
            _ => return None,
        };
        Some(Self { root, at, version })
    }

    /// Returns the directory of a group. For a group outside the mount, as of another namespace, that is the mount
    /// itself.
    fn group(&self, path: &str) -> PathBuf {
        let inside = Path::new(path).strip_prefix(self.root).unwrap_or(Path::new(""));
        if inside.components().any(|component| component == std::path::Component::ParentDir) {
            return self.at.to_owned();
        }
        self.at.join(inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1: &str = "\
        32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n";

    #[track_caller]
    fn check_files(cgroup: &str, mounts: &str, expected: &[&str]) {
        let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
        let file = |group: Group| group.directory.join(LIMIT[usize::from(group.version == Version::Two)]);
        let files: Vec<_> = groups("memory", cgroup, mounts).into_iter().map(file).collect();
        assert_eq!(files, expected, "of {cgroup:?} on {mounts:?}");
    }

    #[test]
    fn every_group_above_may_hold_the_limit() {
        check_files(
            "0::/system.slice/shop.service\n",
            V2,
            &[
                "/sys/fs/cgroup/system.slice/shop.service/memory.max",
                "/sys/fs/cgroup/system.slice/memory.max",
                "/sys/fs/cgroup/memory.max",
            ],
        );
        check_files(
            "5:cpu:/a\n4:memory:/a/b\n3:hugetlb:/x\n",
            V1,
            &[
                "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            ],
        );
    }

    #[test]
    fn a_containers_group_is_at_the_root_of_the_mount() {
        check_files("0::/\n", V2, &["/sys/fs/cgroup/memory.max"]);
        let bound = V1.replace("0:32 / ", "0:32 /docker/0a58 ");
        check_files("4:memory:/docker/0a58\n", &bound, &["/sys/fs/cgroup/memory/memory.limit_in_bytes"]);
        check_files(
            "4:cpu,memory:/docker/0a58/in\n",
            &bound,
            &["/sys/fs/cgroup/memory/in/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.limit_in_bytes"],
        );
    }

    #[test]
    fn a_group_outside_the_mount_is_the_mounts_root() {
        check_files("0::/../other\n", V2, &["/sys/fs/cgroup/memory.max"]);
        let bound = V1.replace("0:32 / ", "0:32 /docker/0a58 ");
        check_files("4:memory:/docker/0a589\n", &bound, &["/sys/fs/cgroup/memory/memory.limit_in_bytes"]);
    }

    #[test]
    fn both_hierarchies_are_read_if_they_are_mounted() {
        check_files(
            "4:memory:/\n0::/\n",
            &format!("{V1}{V2}"),
            &["/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory.max"],
        );
        check_files("4:memory:/\n0::/\n", "", &[]);
        check_files("nonsense\n\n::\n", V2, &["/sys/fs/cgroup/memory.max"]);
    }

    #[test]
    fn groups_are_those_of_the_controller() {
        let cpu = groups("cpu", "1:cpu,cpuacct:/a\n4:memory:/b\n0::/c\n", &format!("{V1}{V2}"));
        let expected = [
            (Version::One, "/sys/fs/cgroup/cpu/a"),
            (Version::One, "/sys/fs/cgroup/cpu"),
            (Version::Two, "/sys/fs/cgroup/c"),
            (Version::Two, "/sys/fs/cgroup"),
        ];
        assert_eq!(cpu, expected.map(|(version, at)| Group { version, directory: at.into() }));
    }

    /// Makes groups of version 2 with these limits.
    fn limited(limits: &[&str]) -> (MemoryLimit, tempfile::TempDir) {
        let root = tempfile::tempdir().expect("a directory");
        let group = |(at, limit): (usize, &&str)| {
            let directory = root.path().join(at.to_string());
            std::fs::create_dir(&directory).expect("made");
            std::fs::write(directory.join("memory.max"), limit).expect("written");
            Group { version: Version::Two, directory }
        };
        (MemoryLimit::of(limits.iter().enumerate().map(group).collect()), root)
    }

    #[test]
    fn the_smallest_limit_applies() {
        #[track_caller]
        fn check(contents: &[&str], expected: Option<u64>) {
            let (limit, _root) = limited(contents);
            assert_eq!(limit.read().map(|limit| limit.bytes), expected, "of {contents:?}");
        }
        check(&["536870912\n"], Some(536_870_912));
        check(&["max\n", "1073741824\n", "max\n"], Some(1_073_741_824));
        check(&["2147483648\n", "1073741824\n"], Some(1_073_741_824));
        check(&["max\n"], None);
        check(&["9223372036854771712\n"], None);
        check(&["9223372036854710272\n"], None);
        check(&["", "garbage", "-1"], None);
        check(&[], None);
    }

    #[test]
    fn the_working_set_is_that_of_the_group_with_the_limit_without_pages_of_files() {
        let (limit, root) = limited(&["max\n", "1000000\n"]);
        assert_eq!(limit.read(), Some(Limit { bytes: 1_000_000, working_set: None }));
        let write = |file: &str, text: &str| std::fs::write(root.path().join("1").join(file), text).expect("written");
        write("memory.current", "900000\n");
        write(
            "memory.stat",
            "anon 90000\nfile 800000\ninactive_anon 90000\nactive_anon 0\ninactive_file 500000\nactive_file 300000\n",
        );
        assert_eq!(limit.read(), Some(Limit { bytes: 1_000_000, working_set: Some(100_000) }));
    }

    #[test]
    fn version_1_has_totals_with_the_groups_below() {
        let stat = "cache 11583488\nrss 8720384\nactive_file 2441216\ninactive_file 57344\ntotal_cache 14363402240\n\
                    total_inactive_file 9487118336\ntotal_active_file 4785377280\ntotal_unevictable 16273408\n";
        assert_eq!(pages_of_files(stat, Version::One), 9_487_118_336 + 4_785_377_280);
    }
}
