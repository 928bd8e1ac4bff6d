//! Memory, processors and the user.

use std::path::Path;

use crate::units::{ByteSize, KIB};

use super::finding::{Finding, counted};
use super::needs::Needs;

/// The host as it is now.
pub(super) fn findings(needs: &Needs) -> Vec<Finding> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let cpus = std::thread::available_parallelism().ok().map(std::num::NonZero::get);
    vec![
        memory(&meminfo, memory_limit(), needs.memory),
        processors(cpus, needs.cpus),
        user(nix::unistd::geteuid().is_root()),
    ]
}

/// `meminfo`: `/proc/meminfo`; `limit`: what the control group allows.
fn memory(meminfo: &str, limit: Option<ByteSize>, needed: ByteSize) -> Finding {
    let id = "memory";
    let capped = |size: ByteSize| limit.map_or(size, |limit| size.min(limit));
    let (Some(available), Some(total)) = (field(meminfo, "MemAvailable:"), field(meminfo, "MemTotal:")) else {
        let finding = "`/proc/meminfo` does not say how much there is";
        return Finding::warn(id, finding, format!("see that {needed} are free (`free -h`)"));
    };
    let (available, total) = (capped(available), capped(total));
    let finding = format!("{available} available of {total}; the largest machine has {needed}");
    if available >= needed {
        Finding::ok(id, finding)
    } else if total >= needed {
        Finding::warn(id, finding, "end other programs, or give the machine less `memory`")
    } else {
        Finding::fail(id, finding, "give the machine less `memory`, or use a larger host")
    }
}

/// A line such as `MemAvailable:   21561234 kB`, whose unit is always KiB (proc(5)).
fn field(meminfo: &str, name: &str) -> Option<ByteSize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(ByteSize(kib.saturating_mul(KIB)))
}

/// The least that this process's control group or one above it allows (cgroup v2). In a container this, and not what
/// the machine has, is what there is.
fn memory_limit() -> Option<ByteSize> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    let directory = root.join(group);
    let limits = directory
        .ancestors()
        .take_while(|directory| directory.starts_with(root));
    let limit = |directory: &Path| {
        std::fs::read_to_string(directory.join("memory.max"))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    limits.filter_map(limit).min().map(ByteSize)
}

fn processors(host: Option<usize>, needed: u32) -> Finding {
    let id = "cpus";
    let machine = format!("the largest machine has {}", counted(needed as usize, "CPU"));
    match host {
        None => Finding::warn(
            id,
            format!("the host does not say how many it has; {machine}"),
            "see that there are enough (`nproc`)",
        ),
        Some(host) if host >= needed as usize => Finding::ok(id, format!("{host} usable; {machine}")),
        Some(host) => Finding::warn(
            id,
            format!("{host} usable; {machine}, so they wait for each other"),
            "give the machine fewer `cpus`, or use a larger host",
        ),
    }
}

fn user(is_root: bool) -> Finding {
    if is_root {
        let finding = "bootgate runs as root: a guest that breaks out of QEMU is root on this host";
        Finding::warn("user", finding, "run it as a user with no other rights; it needs none")
    } else {
        Finding::ok("user", "bootgate does not run as root")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::{Level, render};
    use crate::units::GIB;

    const MEMINFO: &str = "MemTotal:        8388608 kB\nMemFree:          100000 kB\nMemAvailable:    4194304 kB\n";

    #[test]
    fn every_answer_reads_well() {
        let gib = |count| ByteSize(count * GIB);
        let findings = [
            memory(MEMINFO, None, gib(2)),
            memory(MEMINFO, None, gib(6)),
            memory(MEMINFO, None, gib(16)),
            memory(MEMINFO, Some(gib(1)), gib(2)),
            memory("MemTotal: many\n", None, gib(2)),
            processors(Some(4), 2),
            processors(Some(1), 4),
            processors(None, 1),
            user(true),
            user(false),
        ];
        insta::assert_snapshot!(render(&findings));
    }

    #[test]
    fn this_host_can_be_looked_at() {
        let findings = findings(&Needs::usual());
        assert_eq!(findings.len(), 3);
        assert!(!findings[0].found.contains("does not say"), "{findings:?}");
        assert!(findings[2].level < Level::Fail);
    }
}
