//! Ends virtual machines whose controller has died. The kernel does that at once (PDEATHSIG); this is the net below it.

use super::atomic::write_atomically;
use super::error::{Context, EvidenceError};
use super::record::{list, read_json};
use super::rundir::{LOCK, QEMU_RECORD, QemuRecord, json_bytes};
use crate::procfs::{self, ProcessGrip, ProcessIdentity};
use jiff::Timestamp;
use rustix::process::Signal;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

pub(super) const REAPED: &str = "reaped.json";
/// What the names of our virtual machines start with: `-name bootgate-<run>`.
const MACHINE_NAME_PREFIX: &str = "bootgate-";
/// How long a killed QEMU may take to end.
const KILL_MAX: Duration = Duration::from_secs(2);

/// A QEMU of ours whose controller is dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The process.
    pub qemu: ProcessIdentity,
    /// The uuid of its run, which is on its command line.
    pub uuid: Uuid,
    /// The directory of its run; `None` if that has been removed.
    pub run: Option<PathBuf>,
}

/// What came of reaping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaped {
    /// It has been killed and has ended.
    Killed,
    /// It had ended before.
    AlreadyGone,
    /// It was left alone: somebody holds the lock of its run, a controller or another `reap`.
    Busy,
    /// It was killed and has not ended yet: it waits in the kernel, probably for a disk.
    StillThere,
}

/// Finds the QEMUs of dead controllers: those of the runs in `root`, and those whose run directory has been removed.
/// Each is proven to be what it is taken for by its start time and by the uuid on its command line.
pub fn find_orphans(root: &Path) -> Result<Vec<Orphan>, EvidenceError> {
    let mut orphans = Vec::new();
    for run in list(root)? {
        let Ok(record) = read_json::<QemuRecord>(&run.path.join(QEMU_RECORD)) else {
            continue;
        };
        // A restored machine has the uuid of another run, but the name of this one.
        let ours = is_named_for(record.qemu.pid, &run.info.id) && is_machine(record.qemu, record.uuid);
        if ours && !run.is_locked()? {
            orphans.push(Orphan {
                qemu: record.qemu,
                uuid: record.uuid,
                run: Some(run.path),
            });
        }
    }
    orphans.extend(homeless().context("list", Path::new("/proc"))?);
    Ok(orphans)
}

/// Kills an orphan and what it has started in its process group. Two of these at the same time are harmless, and a run
/// that has a controller is never touched.
pub fn reap(orphan: &Orphan, now: Timestamp) -> Result<Reaped, EvidenceError> {
    let _lock = match &orphan.run {
        None => None,
        Some(run) => match lock(run).context("lock", run)? {
            Some(lock) => Some(lock),
            None => return Ok(Reaped::Busy),
        },
    };
    let process = format!("/proc/{}", orphan.qemu.pid);
    let grip = ProcessGrip::take(orphan.qemu).context("take hold of", Path::new(&process))?;
    let Some(grip) = grip.filter(|_| is_machine(orphan.qemu, orphan.uuid)) else {
        return Ok(Reaped::AlreadyGone);
    };
    let gone = kill_group(orphan.qemu.pid)
        .and_then(|()| grip.signal(Signal::KILL))
        .and_then(|()| grip.wait_until_gone(KILL_MAX))
        .context("kill", Path::new(&process))?;
    if !gone {
        return Ok(Reaped::StillThere);
    }
    if let Some(run) = &orphan.run {
        let path = run.join(REAPED);
        let note = serde_json::json!({ "reaped": now.to_string(), "qemu": orphan.qemu });
        json_bytes(&note)
            .and_then(|bytes| write_atomically(&path, &bytes))
            .context("write", &path)?;
    }
    Ok(Reaped::Killed)
}

/// The lock of a run without a controller; `None` if somebody holds it.
fn lock(run: &Path) -> io::Result<Option<File>> {
    let file = File::open(run.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Kills the other members of a process group whose leader is known to be there, each through a grip of its own.
fn kill_group(leader: u32) -> io::Result<()> {
    let in_group = |pid| procfs::stat(pid).is_ok_and(|stat| stat.process_group == leader);
    for pid in procfs::all_pids()?
        .into_iter()
        .filter(|&pid| pid != leader && in_group(pid))
    {
        if let Ok(identity) = ProcessIdentity::of(pid)
            && let Some(grip) = ProcessGrip::take(identity)?
            && in_group(pid)
        {
            grip.signal(Signal::KILL)?;
        }
    }
    Ok(())
}

/// True if this very process lives, belongs to our user, and was started as the virtual machine of this run.
fn is_machine(qemu: ProcessIdentity, uuid: Uuid) -> bool {
    qemu.is_alive() && is_our_users(qemu.pid) && machine_uuid(qemu.pid) == Some(uuid)
}

fn is_our_users(pid: u32) -> bool {
    let owner = std::fs::metadata(format!("/proc/{pid}")).map(|data| data.uid());
    owner.is_ok_and(|uid| uid == nix::unistd::geteuid().as_raw())
}

/// The uuid on the command line of a virtual machine of ours; `None` for every other process.
fn machine_uuid(pid: u32) -> Option<Uuid> {
    uuid_of(&procfs::arguments(pid).ok()?)
}

fn uuid_of(arguments: &[Vec<u8>]) -> Option<Uuid> {
    run_of(arguments)?;
    Uuid::parse_str(value_of(arguments, "-uuid")?).ok()
}

/// The name of the run on a command line, if it is that of a virtual machine of ours.
fn run_of(arguments: &[Vec<u8>]) -> Option<&str> {
    let name = value_of(arguments, "-name")?.split(',').next()?;
    name.strip_prefix("guest=")
        .unwrap_or(name)
        .strip_prefix(MACHINE_NAME_PREFIX)
}

fn value_of<'a>(arguments: &'a [Vec<u8>], option: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == option.as_bytes())?;
    std::str::from_utf8(arguments.get(at + 1)?).ok()
}

/// True if a process was started as the virtual machine of the run with this name.
fn is_named_for(pid: u32, run: &str) -> bool {
    procfs::arguments(pid).is_ok_and(|arguments| run_of(&arguments) == Some(run))
}

/// Virtual machines of ours whose working directory, which is the run directory, has been removed, and whose parent is
/// no bootgate.
fn homeless() -> io::Result<Vec<Orphan>> {
    let mut orphans = Vec::new();
    for pid in procfs::all_pids()?.into_iter().filter(|&pid| is_our_users(pid)) {
        let Some(uuid) = machine_uuid(pid) else {
            continue;
        };
        let Ok(qemu) = ProcessIdentity::of(pid) else {
            continue;
        };
        if works_in_a_removed_directory(pid) && !has_controller(pid) && qemu.is_alive() {
            orphans.push(Orphan { qemu, uuid, run: None });
        }
    }
    Ok(orphans)
}

/// The kernel adds a word to the name of a working directory that has been removed (proc(5)).
fn works_in_a_removed_directory(pid: u32) -> bool {
    let name = std::fs::read_link(format!("/proc/{pid}/cwd"));
    name.is_ok_and(|name| name.as_os_str().as_bytes().ends_with(b" (deleted)") && !name.exists())
}

/// True if the parent of a process is a bootgate: the parent of an orphan is a process that collects orphans.
fn has_controller(pid: u32) -> bool {
    let Ok(stat) = procfs::stat(pid) else {
        return false;
    };
    let parent = format!("/proc/{}", stat.parent_pid);
    let same_program = match (std::fs::read_link(format!("{parent}/exe")), std::env::current_exe()) {
        (Ok(theirs), Ok(ours)) => theirs == ours,
        _ => false,
    };
    let name = std::fs::read_to_string(format!("{parent}/comm")).unwrap_or_default();
    same_program || name.trim_end() == env!("CARGO_PKG_NAME")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_machine_of_ours_has_a_uuid() {
        let uuid = Uuid::from_u128(7);
        let of = |line: &str| uuid_of(&line.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>());
        assert_eq!(
            of(&format!("qemu -name guest=bootgate-x,debug-threads=on -uuid {uuid}")),
            Some(uuid)
        );
        assert_eq!(of(&format!("qemu -uuid {uuid} -name bootgate-x")), Some(uuid));
        assert_eq!(of(&format!("qemu -uuid {uuid} -name other")), None);
        assert_eq!(of("qemu -name bootgate-x -uuid"), None);
        assert_eq!(of(&format!("grep bootgate-x {uuid}")), None);
    }
}
