//! Reading a firmware descriptor.

use std::path::PathBuf;

use serde::Deserialize;

use super::files::FlashFile;
use crate::plan::{Arch, DiskFormat};

/// As much of a descriptor as matters here. The format allows unknown keys.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Descriptor {
    interface_types: Vec<String>,
    mapping: Mapping,
    targets: Vec<Target>,
    features: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mapping {
    device: String,
    mode: Option<String>,
    executable: Option<FlashJson>,
    nvram_template: Option<FlashJson>,
}

#[derive(Debug, Deserialize)]
struct FlashJson {
    filename: PathBuf,
    format: String,
}

#[derive(Debug, Deserialize)]
struct Target {
    architecture: String,
    machines: Vec<String>,
}

/// The firmware of a descriptor that fits the machine. Whether its files exist is not known yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) code: FlashFile,
    /// `None`: code and variables are one file.
    pub(super) vars: Option<FlashFile>,
    pub(super) requires_smm: bool,
    pub(super) secure_boot: bool,
    pub(super) enrolled_keys: bool,
}

impl Candidate {
    /// What boots an image whatever it is signed with comes first.
    pub(super) fn rank(&self) -> u8 {
        u8::from(self.enrolled_keys) * 4 + u8::from(self.requires_smm) * 2 + u8::from(self.secure_boot)
    }
}

/// The candidate of a descriptor's text. `Ok(None)`: it is for other machines. `Err`: it can't be read.
pub(super) fn candidate(text: &str, arch: Arch, machine: &str) -> Result<Option<Candidate>, String> {
    let descriptor: Descriptor =
        serde_json::from_str(text).map_err(|error| format!("it is no firmware descriptor: {error}"))?;
    let fits = descriptor.targets.iter().any(|target| {
        target.architecture == arch.as_str() && target.machines.iter().any(|pattern| matches(pattern, machine))
    });
    let mapping = descriptor.mapping;
    let mode = mapping.mode.as_deref().unwrap_or("split");
    let uefi = descriptor.interface_types.iter().any(|kind| kind == "uefi");
    if !fits || !uefi || mapping.device != "flash" || !["split", "combined"].contains(&mode) {
        return Ok(None);
    }
    let missing = |key| format!("its mapping has no `{key}`");
    let code = flash(mapping.executable.ok_or_else(|| missing("executable"))?)?;
    let vars = match mode {
        "combined" => None,
        _ => Some(flash(mapping.nvram_template.ok_or_else(|| missing("nvram-template"))?)?),
    };
    let has = |feature: &str| descriptor.features.iter().any(|name| name == feature);
    Ok(Some(Candidate {
        code,
        vars,
        requires_smm: has("requires-smm"),
        secure_boot: has("secure-boot"),
        enrolled_keys: has("enrolled-keys"),
    }))
}

fn flash(json: FlashJson) -> Result<FlashFile, String> {
    let format = match json.format.as_str() {
        "raw" => DiskFormat::Raw,
        "qcow2" => DiskFormat::Qcow2,
        other => return Err(format!("the format `{other}` is neither raw nor qcow2")),
    };
    Ok(FlashFile {
        path: json.filename,
        format,
    })
}

/// Shell-style matching with `*`, as descriptors use it for versioned machine names.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(rest) = name.strip_prefix(head) else {
        return false;
    };
    (0..=rest.len())
        .filter_map(|start| rest.get(start..))
        .any(|rest| matches(tail, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_versioned_names() {
        assert!(matches("pc-q35-*", "pc-q35-7.2") && matches("*q35*", "pc-q35-rhel9.4.0"));
        assert!(!matches("pc-i440fx-*", "pc-q35-7.2") && !matches("pc-q35", "pc-q35-7.2"));
    }

    #[test]
    fn a_descriptor_for_another_machine_is_no_error() {
        let text = |device: &str, machine: &str, extra: &str| {
            format!(
                r#"{{"interface-types": ["uefi"], "mapping": {{"device": "{device}"{extra}}},
                   "targets": [{{"architecture": "x86_64", "machines": ["{machine}"]}}], "features": [], "new-key": 1}}"#
            )
        };
        let read = |text: &str| candidate(text, Arch::X86_64, "pc-q35-7.2");
        assert_eq!(read(&text("flash", "pc-i440fx-*", "")), Ok(None));
        assert_eq!(read(&text("memory", "pc-q35-*", r#", "filename": "/x""#)), Ok(None));
        let stateless = r#", "mode": "stateless", "executable": {"filename": "/x", "format": "raw"}"#;
        assert_eq!(read(&text("flash", "pc-q35-*", stateless)), Ok(None));
        assert!(
            read(&text("flash", "pc-q35-*", ""))
                .unwrap_err()
                .contains("`executable`")
        );
        assert!(read("[]").unwrap_err().contains("no firmware descriptor"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}", pattern in "[*ab]{0,6}", name in "[abé]{0,8}") {
            let _ = candidate(&text, Arch::X86_64, "pc-q35-7.2");
            let _ = matches(&pattern, &name);
        }
    }
}
