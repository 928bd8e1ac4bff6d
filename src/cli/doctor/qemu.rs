//! QEMU, what comes with it, and what runs the guest's instructions.

use std::path::PathBuf;

use crate::driver::Check;
use crate::plan::{Accelerator, Firmware};
use crate::qemu::accelerator::{self, AcceleratorError, Chosen};
use crate::qemu::binary::{BinaryError, Qemu};
use crate::qemu::disk::{self, DiskError};
use crate::qemu::feature::{Accel, DEVICES_USED, Features};
use crate::qemu::firmware::{self, BiosError, FirmwareError, UefiFiles};

use super::needs::Needs;

/// QEMU as it is here. Without one there is no more to look at.
pub(super) async fn findings(needs: &Needs) -> Vec<Check> {
    let found = Qemu::find(&needs.qemu, needs.qemu_data.clone()).await;
    let mut findings = vec![binary(&found)];
    let Ok(qemu) = found else {
        return findings;
    };
    findings.extend([sandbox(&qemu.features), devices(&qemu.features)]);
    findings.push(image_tool(&disk::qemu_img_for(&qemu.binary), needs.qcow2));
    let chosen = accelerator::choose(&qemu, needs.accelerator, needs.cpu_model.as_deref()).await;
    findings.push(accelerator(&chosen, needs.accelerator));
    if needs.firmware != Some(Firmware::Bios) {
        findings.push(uefi(&firmware::find(&qemu, needs.arch)));
    }
    if needs.firmware != Some(Firmware::Uefi) {
        findings.push(bios(&firmware::find_bios(&qemu).await, needs.firmware.is_some()));
    }
    findings
}

fn binary(found: &Result<Qemu, BinaryError>) -> Check {
    match found {
        Ok(qemu) => {
            let finding = format!("{}, {}", qemu.features.version_line, qemu.binary.display());
            Check::ok("qemu", finding)
        }
        Err(error) => Check::host("qemu", error.to_string(), error.mend()),
    }
}

fn sandbox(features: &Features) -> Check {
    if features.sandbox {
        return Check::ok("sandbox", "QEMU's seccomp sandbox works");
    }
    let finding = "QEMU's seccomp sandbox does not work: a guest that breaks out of QEMU can start programs";
    Check::warn(
        "sandbox",
        finding,
        "use a QEMU built with seccomp, on a kernel that allows it",
    )
}

fn devices(features: &Features) -> Check {
    let lacks: Vec<_> = DEVICES_USED
        .into_iter()
        .filter(|name| !features.has_device(name))
        .collect();
    if lacks.is_empty() {
        return Check::ok("devices", "QEMU has every device that bootgate uses");
    }
    let finding = format!("QEMU lacks {}", lacks.join(", "));
    let mend = "install the full QEMU package; without them some images can't be attached, or a panic is seen later";
    Check::warn("devices", finding, mend)
}

/// `needed`: `None` without a gate.
fn image_tool(found: &Result<PathBuf, DiskError>, needed: Option<bool>) -> Check {
    let id = "qemu-img";
    match (found, needed) {
        (Ok(path), _) => Check::ok(id, path.display().to_string()),
        (Err(_), Some(false)) => Check::ok(id, "there is none, and this gate needs none"),
        (Err(error), Some(true)) => Check::host(id, error.to_string(), error.mend()),
        (Err(error), None) => Check::warn(id, error.to_string(), error.mend()),
    }
}

fn accelerator(chosen: &Result<Chosen, AcceleratorError>, wanted: Accelerator) -> Check {
    let id = "accelerator";
    match chosen {
        Err(error) => Check::host(id, error.to_string(), error.mend()),
        Ok(chosen) => {
            let finding = format!("{}; CPU model `{}`", chosen.why, chosen.cpu_model);
            match (chosen.accel, wanted, chosen.mend) {
                (Accel::Tcg, Accelerator::Auto, Some(mend)) => Check::warn(
                    id,
                    format!("{finding}; TCG is several times slower, so deadlines are multiplied by 4"),
                    mend,
                ),
                _ => Check::ok(id, finding),
            }
        }
    }
}

fn uefi(found: &Result<UefiFiles, FirmwareError>) -> Check {
    let id = "uefi";
    match found {
        Err(error) => Check::host(id, error.to_string(), error.mend()),
        Ok(files) => {
            let vars = files.template().path.display();
            let finding = format!("{} with {vars} ({})", files.code.path.display(), files.source);
            if files.enrolled_keys {
                let finding = format!("{finding}; it holds Secure Boot keys: an image that they don't sign won't boot");
                return Check::warn(id, finding, "install firmware without keys, if the image is not signed");
            }
            Check::ok(id, finding)
        }
    }
}

/// `needed`: the gate asks for it.
fn bios(found: &Result<PathBuf, BiosError>, needed: bool) -> Check {
    let id = "bios";
    match found {
        Ok(path) => Check::ok(id, format!("SeaBIOS, {}", path.display())),
        Err(error) if needed => Check::host(id, error.to_string(), error.mend()),
        Err(error) => Check::warn(id, error.to_string(), error.mend()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::render;
    use crate::plan::DiskFormat;
    use crate::qemu::feature::Version;
    use crate::qemu::firmware::FlashFile;

    fn features() -> Features {
        Features {
            version: Version {
                major: 7,
                minor: 2,
                micro: 22,
            },
            version_line: "QEMU emulator version 7.2.22".to_owned(),
            q35_machine: "pc-q35-7.2".to_owned(),
            exit_with_parent: false,
            sandbox: true,
            devices: DEVICES_USED.into(),
            accelerators: ["kvm", "tcg"].map(str::to_owned).into(),
        }
    }

    fn not_found(wanted: &str) -> BinaryError {
        BinaryError::NotFound { wanted: wanted.into() }
    }

    #[test]
    fn every_answer_about_the_binary_reads_well() {
        let mut poor = features();
        poor.sandbox = false;
        poor.devices
            .retain(|name| !name.starts_with("usb") && !name.starts_with("pvpanic"));
        let qemu = Qemu {
            binary: "/usr/bin/qemu-system-x86_64".into(),
            data_dirs: Vec::new(),
            features: features(),
        };
        let no_img = || Err(DiskError::NoQemuImg(not_found("qemu-img")));
        let findings = [
            binary(&Ok(qemu)),
            binary(&Err(not_found("qemu-system-x86_64"))),
            sandbox(&features()),
            sandbox(&poor),
            devices(&features()),
            devices(&poor),
            image_tool(&Ok("/usr/bin/qemu-img".into()), None),
            image_tool(&no_img(), None),
            image_tool(&no_img(), Some(true)),
            image_tool(&no_img(), Some(false)),
        ];
        insta::assert_snapshot!(render(&findings));
    }

    #[test]
    fn every_answer_about_accelerator_and_firmware_reads_well() {
        let tcg = |mend| Chosen {
            accel: Accel::Tcg,
            cpu_model: "max".to_owned(),
            why: "KVM is not used: /dev/kvm can't be opened".to_owned(),
            mend,
            probed: None,
        };
        let refused = AcceleratorError::NoKvm {
            why: "/dev/kvm can't be opened".to_owned(),
            mend: "load `kvm_intel` or `kvm_amd`",
        };
        let flash = |path: &str| FlashFile {
            path: path.into(),
            format: DiskFormat::Raw,
        };
        let files = |enrolled_keys| UefiFiles {
            code: flash("/usr/share/OVMF/OVMF_CODE_4M.fd"),
            vars: Some(flash("/usr/share/OVMF/OVMF_VARS_4M.fd")),
            requires_smm: false,
            enrolled_keys,
            source: "descriptor /usr/share/qemu/firmware/60.json".to_owned(),
        };
        let no_uefi = FirmwareError::NotFound {
            machine: "pc-q35-7.2".to_owned(),
            skipped: Vec::new(),
            searched: vec!["/usr/share/qemu/firmware/*.json".to_owned()],
        };
        let no_bios = || {
            Err(BiosError::NotFound {
                searched: vec!["/usr/share/qemu".into(), "/usr/share/seabios".into()],
            })
        };
        let findings = [
            accelerator(&Ok(tcg(Some("load `kvm_intel` or `kvm_amd`"))), Accelerator::Auto),
            accelerator(&Ok(tcg(None)), Accelerator::Tcg),
            accelerator(&Err(refused), Accelerator::Kvm),
            uefi(&Ok(files(false))),
            uefi(&Ok(files(true))),
            uefi(&Err(no_uefi)),
            bios(&Ok("/usr/share/seabios/bios-256k.bin".into()), true),
            bios(&no_bios(), true),
            bios(&no_bios(), false),
        ];
        insta::assert_snapshot!(render(&findings));
    }
}
