//! Was it the kernel, for lack of memory, that killed a process?

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How many records of the kernel log are read at most: more is not needed to find one line about a process that has
/// just been killed, and a flood of messages must not hold the report up.
const KERNEL_RECORDS_MAX: usize = 20_000;
/// The longest record that the kernel log gives, in bytes (`PRINTKRB_RECORD_MAX` and `CONSOLE_EXT_LOG_MAX` in Linux).
const KERNEL_RECORD_BYTES_MAX: usize = 8192;

/// What makes us think that the kernel killed a process for lack of memory; the strongest of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OomEvidence {
    /// The kernel log names the process. Certain.
    KernelLog {
        /// The message.
        message: String,
    },
    /// The counter of the process's own memory cgroup rose while it ran. Near certain.
    CgroupCounter {
        /// The file that holds the counter.
        file: PathBuf,
        /// Kills counted when the process was started.
        before: u64,
        /// Kills counted when it had ended.
        after: u64,
    },
    /// The counter of the whole host rose while the process ran. It may have been another process.
    HostCounter {
        /// Kills counted when the process was started.
        before: u64,
        /// Kills counted when it had ended.
        after: u64,
    },
}

impl fmt::Display for OomEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KernelLog { message } => write!(f, "the kernel log says \"{}\"", message.escape_debug()),
            Self::CgroupCounter { file, before, after } => {
                write!(f, "`oom_kill` in `{}` rose from {before} to {after}", file.display())
            }
            Self::HostCounter { before, after } => {
                write!(f, "`oom_kill` in `/proc/vmstat` rose from {before} to {after}")
            }
        }
    }
}

/// The counters and the place in the kernel log at the time when a process was started.
#[derive(Debug)]
pub(super) struct OomWatch {
    pid: u32,
    cgroup: Option<(PathBuf, u64)>,
    host: Option<u64>,
    kernel_log: Option<File>,
}

impl OomWatch {
    pub(super) fn start(pid: u32) -> Self {
        Self {
            pid,
            cgroup: cgroup_counter(pid),
            host: counter(Path::new("/proc/vmstat")),
            kernel_log: kernel_log_from_now(),
        }
    }

    /// What speaks for a kill by the kernel between the start and now.
    pub(super) fn evidence(mut self) -> Option<OomEvidence> {
        let named = self.kernel_log.as_mut().and_then(|log| kill_message(log, self.pid));
        if let Some(message) = named {
            return Some(OomEvidence::KernelLog { message });
        }
        if let Some((file, before)) = self.cgroup
            && let Some(after) = counter(&file).filter(|&after| after > before)
        {
            return Some(OomEvidence::CgroupCounter { file, before, after });
        }
        let before = self.host?;
        let after = counter(Path::new("/proc/vmstat")).filter(|&after| after > before)?;
        Some(OomEvidence::HostCounter { before, after })
    }
}

/// The `oom_kill` line that `memory.events`, `memory.oom_control` and `/proc/vmstat` have in common.
fn counter(file: &Path) -> Option<u64> {
    parse_counter(&std::fs::read_to_string(file).ok()?)
}

fn parse_counter(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

fn cgroup_counter(pid: u32) -> Option<(PathBuf, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    counter_files(&text)
        .into_iter()
        .find_map(|file| counter(&file).map(|count| (file, count)))
}

/// Where the counter of the cgroups in `/proc/<pid>/cgroup` may be: version 1 by its memory controller, version 2 alone
/// or beside version 1.
fn counter_files(cgroups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in cgroups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let path = path.trim_start_matches('/');
        let below = |root: &str, file: &str| Path::new(root).join(path).join(file);
        if controllers.is_empty() {
            files.push(below("/sys/fs/cgroup", "memory.events"));
            files.push(below("/sys/fs/cgroup/unified", "memory.events"));
        } else if controllers.split(',').any(|name| name == "memory") {
            files.push(below("/sys/fs/cgroup/memory", "memory.oom_control"));
        }
    }
    files
}

/// The kernel log, placed behind its newest record, so that only what comes later is read. `None` without the right to
/// read it (`kernel.dmesg_restrict`).
fn kernel_log_from_now() -> Option<File> {
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let mut log = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open("/dev/kmsg")
        .ok()?;
    log.seek(SeekFrom::End(0)).ok()?;
    Some(log)
}

/// The message `Killed process <pid> (…)` if there is one: each read gives one record.
fn kill_message(log: &mut impl Read, pid: u32) -> Option<String> {
    let mut record = [0; KERNEL_RECORD_BYTES_MAX];
    for _ in 0..KERNEL_RECORDS_MAX {
        match log.read(&mut record) {
            Ok(0) => return None,
            Ok(length) => {
                let text = String::from_utf8_lossy(&record[..length]);
                let message = text.split_once(';').map_or("", |(_, message)| message);
                let message = message.lines().next().unwrap_or_default();
                if message.contains(&format!("Killed process {pid} (")) {
                    return Some(message.to_owned());
                }
            }
            // The log was overwritten under us: what is left is newer, so read on.
            Err(error) if error.kind() == ErrorKind::BrokenPipe || error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_the_same_line_in_all_three_files() {
        assert_eq!(
            parse_counter("low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\noom_group_kill 0\n"),
            Some(2)
        );
        assert_eq!(parse_counter("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"), Some(7));
        assert_eq!(parse_counter("nr_free_pages 1\n"), None);
    }

    #[test]
    fn the_counter_is_looked_for_where_either_cgroup_version_keeps_it() {
        let files = counter_files("4:cpu,memory:/a/b\n1:cpu:/c\n0::/user.slice/x.scope\n");
        let files: Vec<_> = files.iter().map(|file| file.to_str().unwrap()).collect();
        assert_eq!(
            files,
            [
                "/sys/fs/cgroup/memory/a/b/memory.oom_control",
                "/sys/fs/cgroup/user.slice/x.scope/memory.events",
                "/sys/fs/cgroup/unified/user.slice/x.scope/memory.events",
            ]
        );
    }

    /// Gives one record per read, as the kernel does.
    struct Records(Vec<&'static str>);

    impl Read for Records {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() {
                return Err(ErrorKind::WouldBlock.into());
            }
            let record = self.0.remove(0).as_bytes();
            buffer[..record.len()].copy_from_slice(record);
            Ok(record.len())
        }
    }

    #[test]
    fn the_kernel_names_the_process_that_it_killed() {
        let log = || {
            Records(vec![
                "6,1,1,-;other message\n",
                "3,2,2,-;Out of memory: Killed process 42 (qemu-system-x86) total-vm:9kB\n SUBSYSTEM=memory\n",
            ])
        };
        let message = kill_message(&mut log(), 42).unwrap();
        assert_eq!(
            message,
            "Out of memory: Killed process 42 (qemu-system-x86) total-vm:9kB"
        );
        assert_eq!(kill_message(&mut log(), 4), None);
    }

    #[test]
    fn nothing_happened_means_no_evidence() {
        let watch = OomWatch {
            pid: std::process::id(),
            cgroup: None,
            host: None,
            kernel_log: kernel_log_from_now(),
        };
        assert_eq!(watch.evidence(), None);
    }
}
