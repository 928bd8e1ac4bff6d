//! Memory, processors and the user.

use crate::driver::{Check, check_memory};

use super::finding::counted;
use super::needs::Needs;

/// The host as it is now.
pub(super) fn findings(needs: &Needs) -> Vec<Check> {
    let cpus = std::thread::available_parallelism().ok().map(std::num::NonZero::get);
    vec![
        check_memory(needs.memory),
        processors(cpus, needs.cpus),
        user(nix::unistd::geteuid().is_root()),
    ]
}

fn processors(host: Option<usize>, needed: u32) -> Check {
    let id = "cpus";
    let machine = format!("the largest machine has {}", counted(needed as usize, "CPU"));
    match host {
        None => Check::warn(
            id,
            format!("the host does not say how many it has; {machine}"),
            "see that there are enough (`nproc`)",
        ),
        Some(host) if host >= needed as usize => Check::ok(id, format!("{host} usable; {machine}")),
        Some(host) => Check::warn(
            id,
            format!("{host} usable; {machine}, so they wait for each other"),
            "give the machine fewer `cpus`, or use a larger host",
        ),
    }
}

fn user(is_root: bool) -> Check {
    if is_root {
        let finding = "bootgate runs as root: a guest that breaks out of QEMU is root on this host";
        Check::warn("user", finding, "run it as a user with no other rights; it needs none")
    } else {
        Check::ok("user", "bootgate does not run as root")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::render;

    #[test]
    fn every_answer_reads_well() {
        let findings = [
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
        assert!(!findings[2].refuses());
    }
}
