//! What the kernel says about a process, and a grip on a process that can't slip to another one with the same number.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// One process for ever: a process number alone is given to another process after a while, the number together with
/// the time at which that process started is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The process number.
    pub pid: u32,
    /// When it started, in clock ticks since the host booted (field 22 of `/proc/<pid>/stat`, see proc(5)).
    pub start_ticks: u64,
}

impl ProcessIdentity {
    /// The identity of the process that has this number now.
    pub fn of(pid: u32) -> io::Result<Self> {
        let start_ticks = stat(pid)?.start_ticks;
        Ok(Self { pid, start_ticks })
    }

    /// True if this very process is there and not just waiting to be reaped by its parent.
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_ok_and(|now| now.start_ticks == self.start_ticks && !now.state.is_gone())
    }
}

impl fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)
    }
}

/// What a process is doing, by the letter in `/proc/<pid>/stat` (proc(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessState {
    /// `R`: it runs or is ready to.
    Running,
    /// `S` or `I`: it waits for something, as a healthy QEMU mostly does.
    Sleeping,
    /// `D`: it waits in the kernel, mostly for a disk, and no signal reaches it before that is over.
    DiskWait,
    /// `T` or `t`: a signal (SIGSTOP) or a debugger has stopped it; it is not hung, and SIGCONT lets it go on.
    Stopped,
    /// `Z`, `X` or no such process: it has ended.
    Gone,
    /// A letter that proc(5) does not name.
    Other(char),
}

impl ProcessState {
    fn from_letter(letter: char) -> Self {
        match letter {
            'R' => Self::Running,
            'S' | 'I' => Self::Sleeping,
            'D' => Self::DiskWait,
            'T' | 't' => Self::Stopped,
            'Z' | 'X' | 'x' => Self::Gone,
            other => Self::Other(other),
        }
    }

    /// True if the process has ended.
    pub fn is_gone(self) -> bool {
        self == Self::Gone
    }
}

/// The fields of `/proc/<pid>/stat` that are of use here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What the process is doing.
    pub state: ProcessState,
    /// The number of its parent.
    pub parent_pid: u32,
    /// The number of its process group.
    pub process_group: u32,
    /// When it started, in clock ticks since the host booted.
    pub start_ticks: u64,
}

/// Reads `/proc/<pid>/stat`.
pub fn stat(pid: u32) -> io::Result<Stat> {
    let bytes = std::fs::read(format!("/proc/{pid}/stat"))?;
    parse_stat(&bytes).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat is not as proc(5) describes it")))
}

/// The name in the second field may hold spaces and brackets, so the fields are counted from the last bracket.
fn parse_stat(bytes: &[u8]) -> Option<Stat> {
    let end_of_name = bytes.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(&bytes[end_of_name + 1..]).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        state: ProcessState::from_letter(fields.first()?.chars().next()?),
        parent_pid: fields.get(1)?.parse().ok()?,
        process_group: fields.get(2)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

/// How long a thread has run, or has been ready to run and had to wait for a CPU, since it began: a thread that a loaded
/// host keeps from running is not idle. From `/proc/<pid>/task/<tid>/schedstat` (Linux, Documentation/scheduler/sched-stats).
pub fn thread_busy(pid: u32, tid: u32) -> io::Result<Duration> {
    let path = format!("/proc/{pid}/task/{tid}/schedstat");
    let text = std::fs::read_to_string(&path)?;
    let mut numbers = text.split_ascii_whitespace().map(str::parse::<u64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(ran_ns)), Some(Ok(waited_ns))) => Ok(Duration::from_nanos(ran_ns.saturating_add(waited_ns))),
        _ => Err(io::Error::other(format!("{path} is not as the kernel describes it"))),
    }
}

/// The arguments a process was started with, the program first. Empty for a process that has ended.
pub fn arguments(pid: u32) -> io::Result<Vec<Vec<u8>>> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline"))?;
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    Ok(bytes.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect())
}

/// The numbers of all processes that can be seen.
pub fn all_pids() -> io::Result<Vec<u32>> {
    let names = std::fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.parse().ok()).collect())
}

/// True if this process was started with a signal ignored, as `nohup` does, and has not changed that.
pub fn is_ignored(signal: Signal) -> io::Result<bool> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    Ok(mask.unwrap_or(0) & (1 << (signal.as_raw() - 1)) != 0)
}

/// A pidfd: signals sent through it reach the process it was opened for or nobody.
#[derive(Debug)]
pub struct ProcessGrip(OwnedFd);

impl ProcessGrip {
    /// Takes hold of exactly this process; `None` if it has ended.
    pub fn take(identity: ProcessIdentity) -> io::Result<Option<Self>> {
        let Some(pid) = raw_pid(identity.pid) else {
            return Ok(None);
        };
        let grip = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => Self(fd),
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Looked at after the grip is taken: if the number belongs to our process now, it did when the grip closed.
        Ok(identity.is_alive().then_some(grip))
    }

    /// Sends a signal. A process that has ended is no error.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.0, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Blocks until the process has ended; false if it has not within `limit`.
    pub fn wait_until_gone(&self, limit: Duration) -> io::Result<bool> {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).ok();
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], timeout.as_ref()) {
                Ok(ready) => return Ok(ready > 0),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A process number as the system calls take it; `None` for 0 and for what no process number can be, which would mean
/// “my own group” or “everybody” to kill(2).
pub(crate) fn raw_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().filter(|&pid| pid > 0).and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let line = b"42 (a) b (c)) T 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9001 11 12\n";
        let stat = parse_stat(line).unwrap();
        assert_eq!(stat.state, ProcessState::Stopped);
        assert_eq!((stat.parent_pid, stat.process_group, stat.start_ticks), (7, 42, 9001));
    }

    #[test]
    fn a_process_number_with_another_start_time_is_another_process() {
        let me = ProcessIdentity::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        assert!(ProcessGrip::take(me).unwrap().is_some());
        let before_me = ProcessIdentity {
            start_ticks: me.start_ticks - 1,
            ..me
        };
        assert!(!before_me.is_alive());
        assert!(ProcessGrip::take(before_me).unwrap().is_none());
    }

    #[test]
    fn numbers_that_mean_everybody_are_refused() {
        for pid in [0, u32::MAX, 1 << 31] {
            assert!(raw_pid(pid).is_none());
            assert!(
                ProcessGrip::take(ProcessIdentity { pid, start_ticks: 0 })
                    .unwrap()
                    .is_none()
            );
        }
    }

    proptest! {
        #[test]
        fn no_stat_line_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_stat(&bytes);
        }
    }
}
