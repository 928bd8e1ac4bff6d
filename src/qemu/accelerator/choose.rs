//! The decision, from what the gate wants and what the probes show.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use super::probe::{PROBE_DEADLINE, ProbeOutcome, ProbeResult, probe};
use crate::plan::Accelerator;
use crate::qemu::binary::Qemu;
use crate::qemu::feature::Accel;

const KVM_NODE: &str = "/dev/kvm";
/// The guests' architecture: KVM runs its host's own instructions only.
const GUEST_ARCHITECTURE: &str = "x86_64";
/// CPU models under KVM, best first. The second knows what current distributions ask for (x86-64-v2), and sets few
/// model-specific registers, which is where `host` fails on some nested hosts.
const KVM_MODELS: [&str; 2] = ["host", "Nehalem"];
/// The CPU model under TCG. Older models did not boot a kernel and run programs any quicker, and `max` runs what they
/// refuse; four levels of page tables instead of five took 8 % off its time. Without `erms` (and `fsrm`, which implies it for
/// programs) a guest clears and copies by words: QEMU does what `rep stosb` and `rep movsb` ask for byte by byte, and each byte
/// that goes to a page whose old code it has translated makes it walk all of that code.
const TCG_MODEL: &str = "max,la57=off,erms=off,fsrm=off";

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// What runs the guest's instructions.
    pub accel: Accel,
    /// The CPU model that goes with it.
    pub cpu_model: String,
    /// The reason, as a sentence that a person can act on.
    pub why: String,
    /// What a person does to get KVM. `None`: it is used, or nobody asked for it.
    pub mend: Option<&'static str>,
    /// The last probe, if KVM was tried at all.
    pub probed: Option<ProbeResult>,
}

/// Why there is no accelerator to run with.
#[derive(Debug, thiserror::Error)]
pub enum AcceleratorError {
    /// The gate asks for KVM, and KVM can't be used.
    #[error("the gate asks for KVM, but {why}")]
    NoKvm {
        /// The reason, as a clause.
        why: String,
        /// What a person does about it.
        mend: &'static str,
    },
    /// The gate asks for TCG, or nothing else is left, and the binary was built without it.
    #[error("`{}` was built without TCG, and {why}", .binary.display())]
    NoTcg {
        /// The binary.
        binary: PathBuf,
        /// Why KVM is not used.
        why: String,
    },
    /// The probe itself could not be made.
    #[error("the accelerator probe can't be started: {0}")]
    Probe(#[from] io::Error),
}

impl AcceleratorError {
    /// What a person does about it.
    pub fn mend(&self) -> &'static str {
        match self {
            Self::NoKvm { mend, .. } => mend,
            Self::NoTcg { .. } => "install a QEMU that has TCG, or mend KVM",
            Self::Probe(_) => "check the limits on memory and processes (`ulimit -a`)",
        }
    }
}

/// Why KVM is not used, and what would change that.
struct NoKvm {
    why: String,
    mend: &'static str,
    probed: Option<ProbeResult>,
}

/// The machine that bootgate runs on.
struct Host {
    node: &'static Path,
    /// As [`std::env::consts::ARCH`] names it.
    architecture: &'static str,
}

impl Host {
    fn this() -> Self {
        Self {
            node: Path::new(KVM_NODE),
            architecture: std::env::consts::ARCH,
        }
    }
}

/// Decides by trying. Takes up to two seconds where KVM hangs, and no time where there is none.
pub async fn choose(qemu: &Qemu, wanted: Accelerator, cpu_model: Option<&str>) -> Result<Chosen, AcceleratorError> {
    choose_on(&Host::this(), qemu, wanted, cpu_model).await
}

async fn choose_on(
    host: &Host,
    qemu: &Qemu,
    wanted: Accelerator,
    cpu_model: Option<&str>,
) -> Result<Chosen, AcceleratorError> {
    let no_kvm = match wanted {
        Accelerator::Tcg => NoKvm {
            why: "the gate asks for TCG".to_owned(),
            mend: "",
            probed: None,
        },
        Accelerator::Auto | Accelerator::Kvm => match try_kvm(host, qemu, cpu_model).await? {
            Ok(result) => {
                return Ok(Chosen {
                    accel: Accel::Kvm,
                    cpu_model: result.cpu_model.clone(),
                    why: format!("KVM is used: a probe {result}"),
                    mend: None,
                    probed: Some(result),
                });
            }
            Err(no_kvm) => no_kvm,
        },
    };
    let NoKvm { why, mend, probed } = no_kvm;
    if wanted == Accelerator::Kvm {
        return Err(AcceleratorError::NoKvm { why, mend });
    }
    if !qemu.features.has_accelerator(Accel::Tcg) {
        let binary = qemu.binary.clone();
        return Err(AcceleratorError::NoTcg { binary, why });
    }
    let mut why = format!("KVM is not used: {why}");
    if cpu_model.is_some_and(needs_kvm) {
        why = format!("{why}; `-cpu host` needs KVM, so the CPU model is `{TCG_MODEL}`");
    }
    Ok(Chosen {
        accel: Accel::Tcg,
        cpu_model: tcg_model(cpu_model),
        why,
        mend: Some(mend).filter(|mend| !mend.is_empty()),
        probed,
    })
}

/// What is to be expected without a probe, which starts a machine: for showing what a run would do. A run may decide
/// otherwise.
pub fn expected(wanted: Accelerator, cpu_model: Option<&str>) -> Chosen {
    let (accel, cpu_model, why) = match wanted {
        Accelerator::Auto => (
            Accel::Tcg,
            tcg_model(cpu_model),
            "accelerator auto: decided by a probe at run time; shown as tcg",
        ),
        Accelerator::Tcg => (
            Accel::Tcg,
            tcg_model(cpu_model),
            "accelerator tcg: the gate asks for it",
        ),
        Accelerator::Kvm => (
            Accel::Kvm,
            cpu_model.unwrap_or(KVM_MODELS[0]).to_owned(),
            "accelerator kvm: a probe at run time tells whether it works, and with which CPU model",
        ),
    };
    Chosen {
        accel,
        cpu_model,
        why: why.to_owned(),
        mend: None,
        probed: None,
    }
}

/// True for the CPU model that no accelerator but KVM knows, whatever its properties.
fn needs_kvm(cpu_model: &str) -> bool {
    cpu_model.split(',').next() == Some("host")
}

fn tcg_model(wanted: Option<&str>) -> String {
    wanted.filter(|model| !needs_kvm(model)).unwrap_or(TCG_MODEL).to_owned()
}

/// The first CPU model with which KVM works, or why there is none.
async fn try_kvm(host: &Host, qemu: &Qemu, cpu_model: Option<&str>) -> io::Result<Result<ProbeResult, NoKvm>> {
    let Host { node, .. } = host;
    if let Some(reason) = not_worth_a_probe(host, qemu) {
        return Ok(Err(reason));
    }
    let models = cpu_model.map_or(KVM_MODELS.to_vec(), |model| vec![model]);
    let mut failures = Vec::new();
    let mut last = None;
    for model in models {
        let result = probe(qemu, Accel::Kvm, model, PROBE_DEADLINE).await?;
        if result.outcome == ProbeOutcome::LongMode {
            return Ok(Ok(result));
        }
        failures.push(result.to_string());
        let hung = matches!(result.outcome, ProbeOutcome::Hung { .. });
        last = Some(result);
        if hung {
            // No choice of registers makes a CPU run that does not run.
            break;
        }
    }
    Ok(Err(NoKvm {
        why: format!("{} opens, but the probe {}", node.display(), failures.join("; and ")),
        mend: "KVM is broken on this host, as on some nested virtual machines: use `accelerator = \"tcg\"`, or another host",
        probed: last,
    }))
}

fn not_worth_a_probe(host: &Host, qemu: &Qemu) -> Option<NoKvm> {
    let Host { node, architecture } = host;
    let because = |why: String, mend| {
        Some(NoKvm {
            why,
            mend,
            probed: None,
        })
    };
    if *architecture != GUEST_ARCHITECTURE {
        return because(
            format!("this host is an {architecture} machine, whose KVM runs no {GUEST_ARCHITECTURE} guest"),
            "use `accelerator = \"tcg\"`, or an x86_64 host",
        );
    }
    if !qemu.features.has_accelerator(Accel::Kvm) {
        return because(
            format!("`{}` was built without it", qemu.binary.display()),
            "install a QEMU that has KVM",
        );
    }
    let error = OpenOptions::new().read(true).write(true).open(node).err()?;
    let why = format!("{} can't be opened: {error}", node.display());
    because(
        why,
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "join the group that owns it: `sudo usermod -aG kvm $USER`, then log in again"
            }
            _ => {
                "enable virtualisation in the firmware and load `kvm_intel` or `kvm_amd`; in a container or virtual \
                  machine, ask its host for it"
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::feature::{Features, Version};
    use std::collections::BTreeSet;

    /// A host whose device file opens, as a useless kvm node does.
    fn opens() -> Host {
        Host {
            node: Path::new("/dev/null"),
            architecture: GUEST_ARCHITECTURE,
        }
    }

    fn fake(name: &str) -> Qemu {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/qemu/fake");
        Qemu {
            binary: fixtures.join(name),
            data_dirs: Vec::new(),
            features: Features {
                version: Version {
                    major: 7,
                    minor: 2,
                    micro: 0,
                },
                version_line: String::new(),
                q35_machine: "pc-q35-7.2".to_owned(),
                exit_with_parent: false,
                sandbox: true,
                devices: BTreeSet::new(),
                accelerators: ["kvm", "tcg"].map(str::to_owned).into(),
            },
        }
    }

    async fn auto(name: &str, cpu_model: Option<&str>) -> Chosen {
        let chosen = choose_on(&opens(), &fake(name), Accelerator::Auto, cpu_model).await;
        chosen.unwrap()
    }

    #[tokio::test]
    async fn kvm_that_works_is_used() {
        let chosen = auto("works", None).await;
        assert_eq!((chosen.accel, &*chosen.cpu_model), (Accel::Kvm, "host"));
        assert!(
            chosen
                .why
                .starts_with("KVM is used: a probe with `-cpu host` reached 64-bit code in"),
            "{}",
            chosen.why
        );
    }

    /// The fake works with KVM; on another machine it is not asked.
    #[tokio::test]
    async fn another_machines_kvm_is_not_tried() {
        let host = Host {
            architecture: "aarch64",
            ..opens()
        };
        let why = "this host is an aarch64 machine, whose KVM runs no x86_64 guest";
        for model in [None, Some("host")] {
            let chosen = choose_on(&host, &fake("works"), Accelerator::Auto, model)
                .await
                .unwrap();
            assert_eq!((chosen.accel, &*chosen.cpu_model), (Accel::Tcg, TCG_MODEL));
            assert!(
                chosen.why.starts_with(&format!("KVM is not used: {why}")),
                "{}",
                chosen.why
            );
            assert!(chosen.mend.is_some_and(|mend| mend.contains("x86_64 host")));
            assert_eq!(chosen.probed, None);
        }
        let error = choose_on(&host, &fake("works"), Accelerator::Kvm, None)
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), format!("the gate asks for KVM, but {why}"));
    }

    #[tokio::test]
    async fn a_model_that_aborts_is_followed_by_one_that_does_not() {
        let chosen = auto("aborts-with-host", None).await;
        assert_eq!((chosen.accel, &*chosen.cpu_model), (Accel::Kvm, "Nehalem"));
        let chosen = auto("aborts-with-host", Some("host")).await;
        assert_eq!((chosen.accel, &*chosen.cpu_model), (Accel::Tcg, TCG_MODEL));
        assert_eq!(
            chosen.why,
            "KVM is not used: /dev/null opens, but the probe with `-cpu host` was killed by SIGABRT: error: failed to \
             set MSR 0x10a to 0x69; `-cpu host` needs KVM, so the CPU model is `max,la57=off,erms=off,fsrm=off`"
        );
    }

    #[test]
    fn what_is_expected_needs_no_probe() {
        let of = |wanted, model| {
            let chosen = expected(wanted, model);
            (chosen.accel, chosen.cpu_model)
        };
        assert_eq!(of(Accelerator::Auto, None), (Accel::Tcg, TCG_MODEL.to_owned()));
        assert_eq!(of(Accelerator::Tcg, Some("host")), (Accel::Tcg, TCG_MODEL.to_owned()));
        assert_eq!(of(Accelerator::Kvm, None), (Accel::Kvm, "host".to_owned()));
        assert_eq!(
            of(Accelerator::Kvm, Some("Nehalem")),
            (Accel::Kvm, "Nehalem".to_owned())
        );
    }

    #[tokio::test]
    async fn a_hang_is_told_from_a_refusal() {
        let chosen = auto("hangs-in-real-mode", None).await;
        assert_eq!((chosen.accel, &*chosen.cpu_model), (Accel::Tcg, TCG_MODEL));
        let why = &chosen.why;
        assert!(
            why.contains("ran in real mode and hung before 64-bit code (waited 2."),
            "{why}"
        );
        assert_eq!(chosen.probed.unwrap().outcome, ProbeOutcome::Hung { real_mode: true });
        let why = auto("refuses", Some("x")).await.why;
        assert!(
            why.ends_with("`-cpu x` exited with status 1: unable to find CPU model"),
            "{why}"
        );
    }

    #[tokio::test]
    async fn what_was_asked_for_is_not_replaced() {
        let host = Host {
            node: Path::new("/nonexistent/kvm"),
            ..opens()
        };
        let error = choose_on(&host, &fake("works"), Accelerator::Kvm, None)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the gate asks for KVM, but /nonexistent/kvm can't be opened: No such file or directory (os error 2)"
        );
        assert!(error.mend().contains("kvm_intel"));
        let chosen = choose_on(&opens(), &fake("works"), Accelerator::Tcg, None).await;
        assert_eq!(chosen.unwrap().accel, Accel::Tcg);
        let mut no_tcg = fake("works");
        no_tcg.features.accelerators.clear();
        let error = choose_on(&host, &no_tcg, Accelerator::Auto, None).await.unwrap_err();
        assert!(matches!(error, AcceleratorError::NoTcg { .. }), "{error}");
    }
}
