//! [`look_at`]: what a thread of this process is doing now, from outside it.
//!
//! Linux on x86-64 and ARM64 only, and there only where `/proc` shows it; a process may look at its own threads without privileges.
//! Sources: proc_pid_syscall(5) and the tables of system calls, whose numbers libc names.

use crate::context::polls::Sight;

/// Returns what a thread is seen in; `None` where the system does not say.
pub(crate) fn look_at(thread: u32) -> Option<Sight> {
    read::look_at(thread)
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod read {
    use nix::libc::{self, c_long};

    use super::Sight;

    pub(super) fn look_at(thread: u32) -> Option<Sight> {
        let call = std::fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).ok()?;
        sight(&call, |fd| Some(std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?.to_str()?.to_owned()))
    }

    /// Returns what the text of a `syscall` file means. `target` returns what a file descriptor leads to.
    fn sight(call: &str, target: impl Fn(u64) -> Option<String>) -> Option<Sight> {
        let mut fields = call.split_ascii_whitespace();
        let number = match fields.next()? {
            "running" => return Some(Sight::Running),
            // It waits and is in no call: memory that it touched is being read.
            "-1" => return Some(Sight::PageFault),
            number => number.parse().ok()?,
        };
        let arguments: Vec<u64> =
            fields.map_while(|field| u64::from_str_radix(field.trim_start_matches("0x"), 16).ok()).collect();
        let argument = |at: usize| arguments.get(at).copied().unwrap_or_default();
        // A descriptor is an `int`: the upper half of the register is not part of it.
        let leads_to = || target(argument(0) & u64::from(u32::MAX));
        Some(match number {
            libc::SYS_futex => Sight::Lock,
            libc::SYS_clock_nanosleep | libc::SYS_nanosleep => Sight::Sleep,
            libc::SYS_connect => Sight::Connecting,
            libc::SYS_recvfrom | libc::SYS_recvmsg | libc::SYS_recvmmsg | libc::SYS_accept | libc::SYS_accept4 => {
                Sight::ReadSocket
            }
            libc::SYS_sendto | libc::SYS_sendmsg | libc::SYS_sendmmsg => Sight::WriteSocket,
            libc::SYS_read | libc::SYS_readv | libc::SYS_pread64 | libc::SYS_preadv | libc::SYS_preadv2 => {
                by_target(leads_to().as_deref(), Sight::ReadFile, Sight::ReadSocket)
            }
            libc::SYS_write | libc::SYS_writev | libc::SYS_pwrite64 | libc::SYS_pwritev | libc::SYS_pwritev2 => {
                by_target(leads_to().as_deref(), Sight::WriteFile, Sight::WriteSocket)
            }
            libc::SYS_fsync | libc::SYS_fdatasync | libc::SYS_sync | libc::SYS_syncfs | libc::SYS_msync => Sight::Sync,
            libc::SYS_wait4 | libc::SYS_waitid => Sight::Child,
            libc::SYS_openat | libc::SYS_statx | libc::SYS_newfstatat | libc::SYS_getdents64 | libc::SYS_unlinkat => {
                Sight::ReadFile
            }
            libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => Sight::ReadSocket,
            number if waits_for_some(number) => {
                // Without descriptors these calls are a sleep.
                let count = if number == libc::SYS_pselect6 || is_select(number) { argument(0) } else { argument(1) };
                if count == 0 { Sight::Sleep } else { Sight::ReadSocket }
            }
            number if is_of_a_path(number) => Sight::ReadFile,
            _ => Sight::Other,
        })
    }

    fn by_target(target: Option<&str>, file: Sight, socket: Sight) -> Sight {
        match target {
            Some(target) if target.starts_with("socket:") => socket,
            Some(target) if target.starts_with("pipe:") => Sight::Pipe,
            Some(target) if target.starts_with('/') => file,
            _ => Sight::Other,
        }
    }

    fn waits_for_some(number: c_long) -> bool {
        #[cfg(target_arch = "x86_64")]
        if matches!(number, libc::SYS_poll | libc::SYS_select) {
            return true;
        }
        matches!(number, libc::SYS_ppoll | libc::SYS_pselect6)
    }

    fn is_select(number: c_long) -> bool {
        #[cfg(target_arch = "x86_64")]
        return number == libc::SYS_select;
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// The calls on paths that ARM64 has not.
    fn is_of_a_path(number: c_long) -> bool {
        #[cfg(target_arch = "x86_64")]
        return matches!(
            number,
            libc::SYS_open | libc::SYS_stat | libc::SYS_lstat | libc::SYS_access | libc::SYS_unlink | libc::SYS_rename
        );
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[track_caller]
        fn check(call: &str, leads_to: &str, expected: Option<Sight>) {
            let target = |fd| (fd == 7).then(|| leads_to.to_owned());
            assert_eq!(sight(call, target), expected, "of {call:?} on {leads_to:?}");
        }

        #[test]
        fn a_thread_in_no_call_runs_or_waits_for_memory() {
            check("running\n", "", Some(Sight::Running));
            check("-1 0x7ffd2d4f3a38 0x55ba1a2b3c4d\n", "", Some(Sight::PageFault));
            check("", "", None);
            check("nonsense", "", None);
        }

        /// The texts are those of x86-64; only the numbers differ on others.
        #[test]
        fn a_call_says_what_it_waits_for() {
            let call =
                |number: c_long, arguments: &str| format!("{number} {arguments} 0x7ffe66fc08f8 0x7f26250202ad\n");
            check(&call(libc::SYS_futex, "0x7f2624ea4000 0x80 0x2 0x0 0x0 0x0"), "", Some(Sight::Lock));
            check(&call(libc::SYS_clock_nanosleep, "0x1 0x1 0x7ffd 0x0 0x0 0x0"), "", Some(Sight::Sleep));
            check(&call(libc::SYS_connect, "0x7 0x7ffd 0x10 0x0 0x0 0x0"), "socket:[9]", Some(Sight::Connecting));
            check(&call(libc::SYS_recvfrom, "0x7 0x7ffd 0x10 0x0 0x0 0x0"), "socket:[9]", Some(Sight::ReadSocket));
            for (target, expected) in [
                ("/var/lib/big.bin", Sight::ReadFile),
                ("socket:[123]", Sight::ReadSocket),
                ("pipe:[123]", Sight::Pipe),
                ("anon_inode:[eventfd]", Sight::Other),
            ] {
                check(&call(libc::SYS_read, "0x7 0x7f26 0x20000 0x0 0x0 0x0"), target, Some(expected));
            }
            // The upper half of the register may hold anything.
            check(&call(libc::SYS_write, "0xdead00000007 0x7f26 0x2 0x0 0x0 0x0"), "/a", Some(Sight::WriteFile));
            check(&call(libc::SYS_fdatasync, "0x7 0x0 0x0 0x0 0x0 0x0"), "/a", Some(Sight::Sync));
            check(&call(libc::SYS_wait4, "0x123 0x0 0x0 0x0 0x0 0x0"), "", Some(Sight::Child));
            check(&call(libc::SYS_ppoll, "0x7f26 0x1 0x0 0x0 0x0 0x0"), "", Some(Sight::ReadSocket));
            check(&call(libc::SYS_ppoll, "0x0 0x0 0x7ffd 0x0 0x0 0x0"), "", Some(Sight::Sleep));
            check(&call(libc::SYS_pselect6, "0x0 0x0 0x0 0x0 0x7ffd 0x0"), "", Some(Sight::Sleep));
            check(&call(libc::SYS_getrandom, "0x7f26 0x20 0x0 0x0 0x0 0x0"), "", Some(Sight::Other));
        }

        /// Looks at a thread until it is seen in what it waits for.
        #[track_caller]
        fn check_thread(expected: Sight, wait: impl FnOnce() + Send) {
            let (say, id) = std::sync::mpsc::channel();
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    let link = std::fs::read_link("/proc/thread-self").expect("linux");
                    let id = link.file_name().and_then(|id| id.to_str()?.parse::<u32>().ok()).expect("an id");
                    say.send(id).expect("the test waits");
                    wait();
                });
                let id = id.recv().expect("sent");
                let mut seen = None;
                for _ in 0..10_000_000 {
                    seen = look_at(id);
                    // It has ended, or is where it waits.
                    if seen.is_none() || seen == Some(expected) {
                        break;
                    }
                }
                assert_eq!(seen, Some(expected));
            });
        }

        #[test]
        fn a_real_thread_is_seen_in_what_it_waits_for() {
            const LONG: std::time::Duration = std::time::Duration::from_millis(500);
            check_thread(Sight::Sleep, || std::thread::sleep(LONG));
            let (hold, held) = std::sync::mpsc::channel::<()>();
            check_thread(Sight::Lock, move || assert!(held.recv_timeout(LONG).is_err()));
            drop(hold);
            check_thread(Sight::Running, || {
                let began = std::time::Instant::now();
                while began.elapsed() < LONG {}
            });
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
            socket.set_read_timeout(Some(LONG)).expect("set");
            check_thread(Sight::ReadSocket, || drop(socket.recv(&mut [0])));
            check_thread(Sight::Child, || {
                drop(std::process::Command::new("sleep").arg("0.5").status());
            });
        }
    }
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod read {
    use super::Sight;

    pub(super) fn look_at(_: u32) -> Option<Sight> {
        None
    }
}
