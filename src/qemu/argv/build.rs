//! The whole command line, in a fixed order.

use std::path::{Path, PathBuf};

use super::spec::{BootSpec, FirmwareSpec, MachineSpec};
use super::storage;
use crate::plan::Network;
use crate::units::MIB;

/// Why no command line can be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgvError {
    /// QEMU takes file names as JSON, and JSON is UTF-8.
    #[error("the path `{}` is not UTF-8, and QEMU takes no other; rename it", .path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// Nothing to boot: the installed system is wanted, and no disk is the target.
    #[error(
        "no disk is marked as the target, so there is no installed system to boot; set `target = true` on one disk"
    )]
    NoTarget,
}

impl ArgvError {
    pub(super) fn utf8(path: &Path) -> Result<&str, Self> {
        path.to_str().ok_or_else(|| Self::NotUtf8 {
            path: path.to_path_buf(),
        })
    }
}

/// The arguments so far.
#[derive(Default)]
pub(super) struct Arguments(Vec<String>);

impl Arguments {
    fn flag(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    pub(super) fn option(&mut self, name: &str, value: impl Into<String>) {
        self.0.push(name.to_owned());
        self.0.push(value.into());
    }
}

/// QEMU's arguments for the machine, without the binary's own name.
///
/// The machine starts stopped (`-S`): whoever started it sends `cont` once QMP and the console are attached. One that goes
/// on from a saved state waits for `migrate-incoming` as well.
pub fn build(spec: &MachineSpec) -> Result<Vec<String>, ArgvError> {
    let mut arguments = Arguments::default();
    process(&mut arguments, spec)?;
    machine(&mut arguments, spec)?;
    channels(&mut arguments, spec);
    devices(&mut arguments, spec);
    let boots_target = spec.boot == BootSpec::TargetDisk;
    if boots_target && !spec.disks.iter().any(|disk| disk.target) {
        return Err(ArgvError::NoTarget);
    }
    for disk in &spec.disks {
        storage::disk(&mut arguments, disk, boots_target && disk.target)?;
    }
    // After the disks: with and without the image they have the same PCI addresses, so the installed system finds its
    // devices where the installer saw them.
    storage::boot(&mut arguments, &spec.boot)?;
    for path in &spec.smbios_strings {
        let path = escaped(ArgvError::utf8(path)?);
        arguments.option("-smbios", format!("type=11,path={path}"));
    }
    arguments.0.extend(spec.extra_args.iter().cloned());
    Ok(arguments.0)
}

/// QEMU as a process: its name, its confinement, where its data is.
fn process(arguments: &mut Arguments, spec: &MachineSpec) -> Result<(), ArgvError> {
    let name = escaped(&spec.run_id);
    arguments.option("-name", format!("guest=bootgate-{name},debug-threads=on"));
    arguments.flag("-nodefaults");
    arguments.flag("-no-user-config");
    if spec.features.sandbox {
        arguments.option(
            "-sandbox",
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        );
    }
    if spec.features.exit_with_parent {
        arguments.option("-run-with", "exit-with-parent=on");
    }
    for dir in &spec.data_dirs {
        arguments.option("-L", ArgvError::utf8(dir)?);
    }
    Ok(())
}

/// Board, CPU, memory and firmware, and what happens when the guest stops.
fn machine(arguments: &mut Arguments, spec: &MachineSpec) -> Result<(), ArgvError> {
    let incoming = spec.incoming.as_ref().map(|incoming| &incoming.machine_type);
    let mut machine = escaped(incoming.unwrap_or(&spec.features.q35_machine));
    match &spec.firmware {
        FirmwareSpec::Bios => {}
        FirmwareSpec::Uefi { flash1, smm, .. } => {
            machine += ",pflash0=flash0";
            if flash1.is_some() {
                machine += ",pflash1=flash1";
            }
            if *smm {
                machine += ",smm=on";
                arguments.option("-global", "driver=cfi.pflash01,property=secure,value=on");
            }
        }
    }
    storage::firmware(arguments, &spec.firmware)?;
    arguments.option("-machine", machine);
    arguments.option("-accel", spec.accel.as_str());
    arguments.option("-cpu", &*spec.cpu_model);
    arguments.option("-smp", spec.cpus.to_string());
    arguments.option("-m", format!("{}M", spec.memory.0.div_ceil(MIB)));
    arguments.option("-uuid", spec.uuid.hyphenated().to_string());
    arguments.option("-rtc", "base=utc");
    // Nothing boots that has no place in the boot order, and the network card has none: no PXE in place of a verdict.
    arguments.option("-boot", "menu=off,strict=on");
    arguments.option("-action", "reboot=reset,shutdown=pause,panic=pause,watchdog=pause");
    arguments.flag("-S");
    if spec.incoming.is_some() {
        arguments.option("-incoming", "defer");
    }
    Ok(())
}

/// The inherited sockets of QMP, the serial console and the firmware's debug console.
fn channels(arguments: &mut Arguments, spec: &MachineSpec) {
    arguments.option("-chardev", format!("socket,id=qmp,fd={}", spec.qmp_fd));
    // Not `-mon`: QEMU 11.1 warns that it is deprecated.
    arguments.option("-qmp", "chardev:qmp");
    arguments.option("-chardev", format!("socket,id=serial,fd={}", spec.serial_fd));
    arguments.option("-device", "isa-serial,id=serial,chardev=serial");
    if let Some(fd) = spec.firmware_fd.filter(|_| spec.features.has_device("isa-debugcon")) {
        // Not SeaBIOS's own serial output (`graphics=off`): it repeats what a boot loader with a serial terminal prints,
        // and the two come out interleaved.
        arguments.option("-chardev", format!("socket,id=firmware,fd={fd}"));
        // The port that SeaBIOS and OVMF expect.
        arguments.option("-device", "isa-debugcon,id=firmware,iobase=0x402,chardev=firmware");
    }
}

/// The devices that each machine has. The screen has no window, but a screenshot needs it.
fn devices(arguments: &mut Arguments, spec: &MachineSpec) {
    arguments.option("-display", "none");
    arguments.option("-device", "VGA,id=vga");
    for panic_device in ["pvpanic-pci", "pvpanic"] {
        if spec.features.has_device(panic_device) {
            arguments.option("-device", format!("{panic_device},id=pvpanic"));
            break;
        }
    }
    arguments.option("-object", "rng-builtin,id=rng");
    arguments.option("-device", "virtio-rng-pci,id=rng,rng=rng");
    let mut netdev = "user,id=net".to_owned();
    if spec.network == Network::Isolated {
        netdev += ",restrict=on";
    }
    if spec.ssh_forward {
        netdev += ",hostfwd=tcp:127.0.0.1:0-:22";
    }
    arguments.option("-netdev", netdev);
    arguments.option("-device", "virtio-net-pci,id=net,netdev=net,romfile=");
}

/// A value inside a comma-separated option.
fn escaped(value: &str) -> String {
    value.replace(',', ",,")
}
