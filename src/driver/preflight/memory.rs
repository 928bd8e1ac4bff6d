//! Whether the host has the memory of the largest machine.

use std::path::{Path, PathBuf};

use crate::units::{ByteSize, KIB, MIB};

use super::check::Check;

/// What QEMU takes beside the guest's memory: itself, devices, translated code. Chosen: the tiny guest's QEMU takes 120 MiB.
const QEMU_BYTES: u64 = 256 * MIB;

/// What can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Memory {
    available: ByteSize,
    total: ByteSize,
}

/// Looks whether this host has the memory of the largest machine.
pub fn check_memory(needed: ByteSize) -> Check {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    judge(of_host(&meminfo), &groups(), needed)
}

fn judge(host: Option<Memory>, groups: &[Memory], needed: ByteSize) -> Check {
    let id = "memory";
    let Some(host) = host else {
        let found = "`/proc/meminfo` does not say how much there is";
        return Check::warn(id, found, format!("see that {needed} are free (`free -h`)"));
    };
    let least = |of: fn(&Memory) -> ByteSize| groups.iter().map(of).fold(of(&host), ByteSize::min);
    let (available, total) = (least(|memory| memory.available), least(|memory| memory.total));
    let limited = if total < host.total {
        " that the control group allows"
    } else {
        ""
    };
    let qemu = ByteSize(QEMU_BYTES);
    let found = format!(
        "{available} available of {total}{limited}; the largest machine has {needed}, and QEMU takes about {qemu} more"
    );
    if total < needed {
        Check::host(id, found, "give the machine less `memory`, or use a larger host")
    } else if available.0 < needed.0.saturating_add(QEMU_BYTES) {
        let mend = "end other programs, or give the machine less `memory`: the kernel may kill QEMU";
        Check::warn(id, found, mend)
    } else {
        Check::ok(id, found)
    }
}

fn of_host(meminfo: &str) -> Option<Memory> {
    Some(Memory {
        available: field(meminfo, "MemAvailable:")?,
        total: field(meminfo, "MemTotal:")?,
    })
}

/// A line such as `MemAvailable:   21561234 kB`, whose unit is always KiB (proc(5)).
fn field(meminfo: &str, name: &str) -> Option<ByteSize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(ByteSize(kib.saturating_mul(KIB)))
}

/// What this process's control group and those above it allow (cgroup v2). In a container this, and not what the host has,
/// is what there is.
fn groups() -> Vec<Memory> {
    let root = Path::new("/sys/fs/cgroup");
    let Some(directory) = own_group(root) else {
        return Vec::new();
    };
    let up = directory
        .ancestors()
        .take_while(|directory| directory.starts_with(root));
    up.filter_map(of_group).collect()
}

fn own_group(root: &Path) -> Option<PathBuf> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(root.join(group))
}

/// What a control group allows; `None` if it has no limit. File pages other than shared memory are given up when they must.
fn of_group(directory: &Path) -> Option<Memory> {
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).ok();
    let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
    let limit = number("memory.max")?;
    let stat = read("memory.stat").unwrap_or_default();
    Some(limited(limit, number("memory.current").unwrap_or(0), &stat))
}

fn limited(limit: u64, current: u64, stat: &str) -> Memory {
    let count = |name: &str| {
        let mut lines = stat.lines().filter_map(|line| line.split_once(' '));
        lines
            .find(|(key, _)| *key == name)
            .and_then(|(_, value)| value.trim().parse::<u64>().ok())
            .unwrap_or(0)
    };
    let given_up = count("file").saturating_sub(count("shmem"));
    let used = current.saturating_sub(given_up);
    Memory {
        available: ByteSize(limit.saturating_sub(used)),
        total: ByteSize(limit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::GIB;

    const MEMINFO: &str = "MemTotal:        8388608 kB\nMemFree:          100000 kB\nMemAvailable:    4194304 kB\n";

    #[test]
    fn every_answer_reads_well() {
        let host = || of_host(MEMINFO);
        let gib = |count| ByteSize(count * GIB);
        let group = [limited(3 * GIB, 2 * GIB, "anon 1\nfile 1073741824\nshmem 0\n")];
        let checks = [
            judge(host(), &[], gib(2)),
            judge(host(), &[], gib(4)),
            judge(host(), &[], gib(16)),
            judge(host(), &group, gib(1)),
            judge(host(), &group, gib(2)),
            judge(host(), &group, gib(4)),
            judge(of_host("MemTotal: many\n"), &[], gib(2)),
        ];
        let lines: Vec<_> = checks.iter().map(|check| format!("{check:?}")).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn this_host_can_be_looked_at() {
        let check = check_memory(ByteSize(MIB));
        assert!(!check.found.contains("does not say"), "{check:?}");
        assert!(!check.refuses(), "{check:?}");
    }
}
