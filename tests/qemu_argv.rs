//! Whole command lines: what they are, and that a real QEMU takes each of them.

mod qemu_support;

use std::path::{Path, PathBuf};
use std::process::Command;

use bootgate::plan::{Attachment, DiskCache, DiskFormat};
use bootgate::qemu::argv::{
    BootSpec, FirmwareSpec, IMAGE_NODE, Incoming, LayerSpec, MachineSpec, build, disk_node, shell_quoted,
};
use bootgate::qemu::binary::Qemu;
use bootgate::qemu::feature::Features;
use bootgate::units::MIB;
use proptest::prelude::*;
use qemu_support::machines::{cases, create_files, disk, usual};
use qemu_support::started::Started;

#[test]
fn command_lines_are_stable() {
    let dir = Path::new("/gate");
    let old = qemu_support::recorded_features("7.2.22");
    let lines = |features: &Features| {
        let lines = shell_quoted(&build(&usual(dir, features)).unwrap());
        assert!(lines.contains(&features.q35_machine), "{lines}");
        lines.replace(&features.q35_machine, "q35")
    };
    for version in ["8.2.2", "10.0.2"] {
        let recent = qemu_support::recorded_features(version);
        assert_eq!(
            lines(&old),
            lines(&recent),
            "they can do the same, as far as bootgate asks"
        );
    }
    for (name, spec) in cases(dir, &old) {
        insta::assert_snapshot!(name, shell_quoted(&build(&spec).unwrap()));
    }
    insta::assert_snapshot!("restored", shell_quoted(&build(&restored(dir, &old)).unwrap()));
    let mut newer = old;
    newer.exit_with_parent = true;
    newer.sandbox = false;
    newer.devices.remove("pvpanic-pci");
    insta::assert_snapshot!("other_features", shell_quoted(&build(&usual(dir, &newer)).unwrap()));
    let mut secure = usual(dir, &newer);
    if let FirmwareSpec::Uefi { flash0, flash1, smm } = &mut secure.firmware {
        flash0.read_only = false;
        *flash1 = None;
        *smm = true;
    }
    insta::assert_snapshot!("combined_flash_smm", shell_quoted(&build(&secure).unwrap()));
}

/// A machine that goes on from a checkpoint: each disk over the layers that belong to its memory.
fn restored(dir: &Path, features: &Features) -> MachineSpec {
    let layer = |name: &str, format| LayerSpec {
        path: dir.join(name),
        format,
    };
    let mut spec = usual(dir, features);
    spec.incoming = Some(Incoming {
        machine_type: "pc-q35-7.2".to_owned(),
    });
    spec.boot = BootSpec::DiskImage {
        overlay: dir.join("image-1.qcow2"),
        layers: vec![layer("image.qcow2", DiskFormat::Qcow2)],
        base: dir.join("base.raw"),
        base_format: DiskFormat::Raw,
        attach: Attachment::Virtio,
    };
    spec.disks = vec![disk(dir, "target", DiskFormat::Qcow2, DiskCache::Unsafe, true)];
    spec.disks[0].layers = vec![
        layer("disk-target.1.qcow2", DiskFormat::Qcow2),
        layer("target.raw", DiskFormat::Raw),
    ];
    spec
}

#[test]
fn what_can_not_be_asked_for_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let features = qemu_support::recorded_features("7.2.22");
    let mut spec = usual(Path::new("/gate"), &features);
    spec.boot = BootSpec::TargetDisk;
    spec.disks[0].target = false;
    let no_target = build(&spec).unwrap_err();
    assert!(no_target.to_string().contains("`target = true`"), "{no_target}");
    let odd = PathBuf::from(std::ffi::OsStr::from_bytes(b"/gate/\xff.iso"));
    spec.boot = BootSpec::Iso {
        path: odd,
        attach: Attachment::Cd,
    };
    assert!(build(&spec).unwrap_err().to_string().contains("not UTF-8"));
}

/// What a real shell makes of a text. Control characters are written as `$'…'`, which dash does not know.
fn read_by_bash(text: &str) -> Vec<String> {
    let script = format!("printf '%s\\0' {text}");
    let output = Command::new("bash")
        .env("LC_ALL", "C.UTF-8")
        .args(["-c", &script])
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.split_terminator('\0').map(str::to_owned).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_shell_reads_the_same_arguments(arguments in prop::collection::vec("[^\0]{0,12}", 1..6)) {
        prop_assert_eq!(read_by_bash(&shell_quoted(&arguments)), arguments);
    }
}

fn expected_nodes(spec: &MachineSpec) -> Vec<String> {
    let mut nodes: Vec<_> = spec.disks.iter().map(|disk| disk_node(&disk.name)).collect();
    match spec.boot {
        BootSpec::Iso { .. } => nodes.push(IMAGE_NODE.to_owned()),
        BootSpec::DiskImage { .. } => nodes.extend([IMAGE_NODE, "image-base"].map(str::to_owned)),
        BootSpec::Kernel { .. } | BootSpec::TargetDisk => {}
    }
    if matches!(spec.firmware, FirmwareSpec::Uefi { .. }) {
        nodes.extend(["flash0", "flash1"].map(str::to_owned));
    }
    nodes
        .iter()
        .flat_map(|node| [node.clone(), format!("{node}-file")])
        .collect()
}

fn starts(qemu: &Qemu, name: &str, spec: &MachineSpec) {
    let context = format!("{name} on {}", qemu.features.version);
    let mut started = Started::new(&qemu.binary, &build(spec).unwrap());
    let Some(greeting) = started.line() else {
        panic!("{context}: {}", started.stderr_at_end());
    };
    assert!(greeting.get("QMP").is_some(), "{context}: {greeting}");
    started.execute("qmp_capabilities");
    assert_eq!(started.execute("query-status")["status"], "prelaunch", "{context}");
    assert_eq!(
        started.execute("query-uuid")["UUID"],
        spec.uuid.to_string(),
        "{context}"
    );
    let nodes = started.execute("query-named-block-nodes");
    let mut found: Vec<_> = nodes
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n["node-name"].as_str().unwrap().to_owned())
        .collect();
    let mut expected = expected_nodes(spec);
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "{context}");
    let stderr = started.quit();
    assert_eq!(stderr, "", "{context}");
}

#[tokio::test]
async fn a_real_qemu_takes_each_command_line() {
    for qemu in qemu_support::qemus().await {
        let dir = tempfile::tempdir().unwrap();
        create_files(dir.path());
        for (name, mut spec) in cases(dir.path(), &qemu.features) {
            spec.data_dirs.clone_from(&qemu.data_dirs);
            starts(&qemu, name, &spec);
        }
    }
}

#[tokio::test]
async fn a_blank_disk_is_a_dead_end_that_the_firmware_names() {
    for qemu in qemu_support::qemus().await {
        let dir = tempfile::tempdir().unwrap();
        let mut spec = usual(dir.path(), &qemu.features);
        spec.data_dirs.clone_from(&qemu.data_dirs);
        spec.firmware = FirmwareSpec::Bios;
        spec.boot = BootSpec::TargetDisk;
        // The scratch disk is not in the boot order, so it does not matter whether it would boot.
        let target = disk(dir.path(), "target", DiskFormat::Raw, DiskCache::Unsafe, true);
        let scratch = disk(dir.path(), "scratch", DiskFormat::Raw, DiskCache::Unsafe, false);
        std::fs::File::create(&target.path).unwrap().set_len(MIB).unwrap();
        let mut endless_loop = vec![0; 64 * 1024];
        endless_loop[..2].copy_from_slice(&[0xeb, 0xfe]);
        endless_loop[510..512].copy_from_slice(&[0x55, 0xaa]);
        std::fs::write(&scratch.path, endless_loop).unwrap();
        spec.disks = vec![scratch, target];
        let mut started = Started::running(&qemu.binary, &build(&spec).unwrap());
        started.firmware_says("No bootable device.");
    }
}
