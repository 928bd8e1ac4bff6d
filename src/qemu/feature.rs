//! What a QEMU binary can do, read from what it says of itself.
//!
//! Pure: the texts come from [`crate::qemu::binary`], which runs the binary.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The oldest QEMU that bootgate works with.
pub const OLDEST: Version = Version {
    major: 7,
    minor: 2,
    micro: 0,
};

/// The version of a QEMU binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub micro: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

/// What runs the guest's instructions, once it is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accel {
    /// The kernel's virtual machine.
    Kvm,
    /// QEMU's own translator.
    Tcg,
}

impl Accel {
    /// The name that QEMU knows it by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

impl fmt::Display for Accel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
        })
    }
}

/// What the binary printed when it was asked about itself.
#[derive(Debug, Clone, Default)]
pub struct HelpTexts {
    /// Output of `--version`.
    pub version: String,
    /// Output of `-help`.
    pub help: String,
    /// Output of `-device help`, or of `-device NAME,help` for one name after the other.
    pub device: String,
    /// Output of `-accel help`.
    pub accel: String,
    /// Output of `-machine help`.
    pub machine: String,
    /// True if the binary answered with its seccomp sandbox on. A binary built without it lists `-sandbox` all the same.
    pub sandbox_accepted: bool,
}

/// What a QEMU binary can do, as far as bootgate asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features {
    /// Its version.
    pub version: Version,
    /// The first line of `--version`: names the packager as well.
    pub version_line: String,
    /// The versioned name behind the machine `q35`, like `pc-q35-7.2`: what a machine is started as, so that a saved one can
    /// go on as the same. Firmware descriptors match on it.
    pub q35_machine: String,
    /// It has `-run-with exit-with-parent=on` (QEMU 10.2 and newer).
    pub exit_with_parent: bool,
    /// Its seccomp sandbox works.
    pub sandbox: bool,
    /// Those of [`DEVICES_USED`] that it has.
    pub devices: BTreeSet<&'static str>,
    /// The accelerators compiled in. Whether KVM works is another question.
    pub accelerators: BTreeSet<String>,
}

/// Why a binary can't be used, by what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeatureError {
    /// `--version` printed something else.
    #[error("it does not say `QEMU emulator version …` but `{said}`; it is not a QEMU system emulator")]
    NotQemu {
        /// The first line that it printed, shortened.
        said: String,
    },
    /// The binary is older than the oldest that bootgate works with.
    #[error("it is QEMU {found}; bootgate needs {OLDEST} or newer")]
    TooOld {
        /// Its version.
        found: Version,
    },
    /// The machine type is not in it.
    #[error("it has no machine type `q35`; it is not an x86_64 emulator, or its x86 machines were left out")]
    NoQ35,
    /// Devices that each run needs are not in it.
    #[error("it lacks the devices {}; install the full QEMU package", .missing.join(", "))]
    NoDevice {
        /// Their names.
        missing: Vec<&'static str>,
    },
}

/// Devices that bootgate uses. Others are not looked for.
pub const DEVICES_USED: [&str; 15] = [
    "VGA",
    "isa-serial",
    "virtio-blk-pci",
    "virtio-net-pci",
    "virtio-rng-pci",
    "virtio-scsi-pci",
    "scsi-cd",
    "scsi-hd",
    "ide-cd",
    "ide-hd",
    "qemu-xhci",
    "usb-storage",
    "pvpanic-pci",
    "pvpanic",
    "isa-debugcon",
];

/// How many of them, from the first on, each machine has.
const DEVICES_ALWAYS_NEEDED: usize = 5;

/// Longest part of a foreign line that a message repeats, in characters.
const SAID_CHARS_MAX: usize = 80;

impl Features {
    /// Reads the answers of one binary.
    pub fn parse(texts: &HelpTexts) -> Result<Self, FeatureError> {
        let (version, version_line) = usable_version(&texts.version)?;
        let features = Self {
            version,
            version_line: version_line.to_owned(),
            q35_machine: q35_machine(&texts.machine, version).ok_or(FeatureError::NoQ35)?,
            exit_with_parent: texts.help.contains("exit-with-parent="),
            sandbox: texts.sandbox_accepted,
            devices: device_names(&texts.device),
            accelerators: accelerator_names(&texts.accel),
        };
        let missing: Vec<_> = DEVICES_USED[..DEVICES_ALWAYS_NEEDED]
            .iter()
            .copied()
            .filter(|name| !features.has_device(name))
            .collect();
        if missing.is_empty() {
            Ok(features)
        } else {
            Err(FeatureError::NoDevice { missing })
        }
    }

    /// True if the binary knows the device.
    pub fn has_device(&self, name: &str) -> bool {
        self.devices.contains(name)
    }

    /// True if the accelerator is compiled in.
    pub fn has_accelerator(&self, accelerator: Accel) -> bool {
        self.accelerators.contains(accelerator.as_str())
    }
}

/// The version and the first line of the answer to `--version`, if it is one that bootgate works with.
pub fn usable_version(answer: &str) -> Result<(Version, &str), FeatureError> {
    let line = answer.lines().next().unwrap_or_default().trim();
    let version = parse_version(line).ok_or_else(|| FeatureError::NotQemu {
        said: line.chars().filter(|c| !c.is_control()).take(SAID_CHARS_MAX).collect(),
    })?;
    if version < OLDEST {
        return Err(FeatureError::TooOld { found: version });
    }
    Ok((version, line))
}

/// `QEMU emulator version 7.2.22 (Debian …)` to its three numbers.
fn parse_version(line: &str) -> Option<Version> {
    let rest = line.strip_prefix("QEMU emulator version ")?;
    let mut numbers = rest
        .split(|c: char| !(c.is_ascii_digit() || c == '.'))
        .next()?
        .split('.')
        .map(str::parse);
    Some(Version {
        major: numbers.next()?.ok()?,
        minor: numbers.next()?.ok()?,
        micro: numbers.next()?.ok()?,
    })
}

/// The machine behind the alias: `q35   Standard PC (Q35 + ICH9, 2009) (alias of pc-q35-7.2)`. Where two machines have it, as in
/// Ubuntu's QEMU, it is QEMU's own of this version.
fn q35_machine(text: &str, version: Version) -> Option<String> {
    let lines = text
        .lines()
        .filter(|line| line.split_whitespace().next() == Some("q35"));
    let alias = |line: &str| Some(line.rsplit_once("(alias of ")?.1.split(')').next()?.to_owned());
    let names: Vec<String> = lines
        .map(|line| alias(line).unwrap_or_else(|| "q35".to_owned()))
        .collect();
    let own = format!("pc-q35-{}.{}", version.major, version.minor);
    names.iter().find(|name| **name == own).or(names.first()).cloned()
}

/// The quoted names of `name "virtio-rng-pci", bus PCI, alias "virtio-rng"`, and the first words of
/// `virtio-rng-pci options:`.
fn device_names(text: &str) -> BTreeSet<&'static str> {
    let name = |line: &str| match line.strip_prefix("name \"") {
        Some(rest) => rest.split('"').next().map(str::to_owned),
        None => line.strip_suffix(" options:").map(str::to_owned),
    };
    text.lines()
        .filter_map(name)
        .filter_map(|name| DEVICES_USED.into_iter().find(|used| *used == name))
        .collect()
}

/// The lines below `Accelerators supported in QEMU binary:`.
fn accelerator_names(text: &str) -> BTreeSet<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.ends_with(':'))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the QEMU of this version said when it was recorded.
    macro_rules! recorded {
        ($version:literal) => {
            HelpTexts {
                version: include_str!(concat!("../../fixtures/qemu/", $version, "/version.txt")).into(),
                help: include_str!(concat!("../../fixtures/qemu/", $version, "/help.txt")).into(),
                device: include_str!(concat!("../../fixtures/qemu/", $version, "/device.txt")).into(),
                accel: include_str!(concat!("../../fixtures/qemu/", $version, "/accel.txt")).into(),
                machine: include_str!(concat!("../../fixtures/qemu/", $version, "/machine.txt")).into(),
                sandbox_accepted: true,
            }
        };
    }

    fn texts_7_2() -> HelpTexts {
        recorded!("7.2.22")
    }

    #[test]
    fn recorded_binaries_are_read() {
        for (texts, version, q35) in [
            (texts_7_2(), "7.2.22", "pc-q35-7.2"),
            (recorded!("8.2.2"), "8.2.2", "pc-q35-8.2"),
            (recorded!("10.0.2"), "10.0.2", "pc-q35-10.0"),
        ] {
            let features = Features::parse(&texts).unwrap();
            assert_eq!(features.version.to_string(), version);
            assert_eq!(features.q35_machine, q35);
            assert!(!features.exit_with_parent);
            assert!(features.has_accelerator(Accel::Kvm) && features.has_accelerator(Accel::Tcg));
            assert!(
                DEVICES_USED.iter().all(|name| features.has_device(name)),
                "{features:?}"
            );
        }
    }

    #[test]
    fn devices_are_read_one_by_one_too() {
        let text = "VGA options:\n  addr=<int32> - x\npvpanic-pci options:\n";
        assert_eq!(device_names(text), BTreeSet::from(["VGA", "pvpanic-pci"]));
    }

    #[test]
    fn exit_with_parent_is_read_from_the_help() {
        let mut texts = texts_7_2();
        texts.help += "-run-with [async-teardown=on|off][,chroot=dir][,exit-with-parent=on|off][,user=...]\n";
        assert!(Features::parse(&texts).unwrap().exit_with_parent);
    }

    #[test]
    fn a_wrong_binary_says_why() {
        let with = |change: fn(&mut HelpTexts)| {
            let mut texts = texts_7_2();
            change(&mut texts);
            Features::parse(&texts).unwrap_err().to_string()
        };
        let errors = [
            with(|t| t.version = "bash 5.2\n".into()),
            with(|t| t.version = "QEMU emulator version 6.2.0 (x)\n".into()),
            with(|t| t.machine = "virt  QEMU ARM Virtual Machine\n".into()),
            with(|t| t.device = t.device.replace("name \"VGA\"", "name \"vga\"")),
        ];
        insta::assert_snapshot!(errors.join("\n"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(?s).{0,200}") {
            let texts = HelpTexts { version: format!("QEMU emulator version 9.0.{text}"), help: text.clone(),
                device: text.clone(), accel: text.clone(), machine: text, sandbox_accepted: false };
            let _ = Features::parse(&texts);
        }
    }
}
