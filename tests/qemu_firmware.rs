//! Firmware is found as QEMU's documentation says, in trees made for the purpose and on this machine.

mod qemu_support;

use std::fs;
use std::path::{Path, PathBuf};

use bootgate::plan::{Arch, DiskFormat};
use bootgate::qemu::argv::{BootSpec, FirmwareSpec, build};
use bootgate::qemu::firmware::{FirmwareError, Places, UefiFiles, find, find_in};
use bootgate::units::MIB;
use qemu_support::machines::usual;
use qemu_support::started::Started;

const MACHINE: &str = "pc-q35-10.0";

/// A root directory with some files in it.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.0.path().join(relative)
    }

    fn file(&self, relative: &str, text: &str) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A descriptor whose files are `NAME.code` and `NAME.vars` at the top of the tree; they exist.
    fn descriptor(&self, dir: &str, name: &str, machine: &str, features: &[&str]) {
        let code = self.file(&format!("{name}.code"), name);
        let vars = self.file(&format!("{name}.vars"), name);
        let text = descriptor_text(&code, Some(&vars), machine, features);
        self.file(&format!("{dir}/{name}.json"), &text);
    }

    fn places(&self) -> Places {
        Places::below(self.0.path(), Some(&self.path("home/.config")), &[])
    }

    fn found(&self) -> UefiFiles {
        find_in(&self.places(), Arch::X86_64, MACHINE).unwrap()
    }
}

fn descriptor_text(code: &Path, vars: Option<&Path>, machine: &str, features: &[&str]) -> String {
    let flash = |path: &Path| serde_json::json!({"filename": path, "format": "raw"});
    let mut mapping = serde_json::json!({"device": "flash", "executable": flash(code)});
    match vars {
        Some(vars) => mapping["nvram-template"] = flash(vars),
        None => mapping["mode"] = "combined".into(),
    }
    serde_json::json!({
        "description": "test", "interface-types": ["uefi"], "mapping": mapping, "features": features, "tags": [],
        "targets": [{"architecture": "x86_64", "machines": [machine]}],
    })
    .to_string()
}

fn code_name(files: &UefiFiles) -> &str {
    files.code.path.file_name().unwrap().to_str().unwrap()
}

#[test]
fn the_order_is_that_of_the_documentation() {
    let tree = Tree::new();
    let system = "usr/share/qemu/firmware";
    tree.descriptor(system, "10-other-machine", "pc-i440fx-*", &[]);
    tree.descriptor(system, "60-plain", "pc-q35-*", &[]);
    assert_eq!(code_name(&tree.found()), "60-plain.code");
    tree.descriptor(system, "50-earlier", "pc-q35-*", &["verbose-dynamic"]);
    assert_eq!(code_name(&tree.found()), "50-earlier.code");
    // The same name in a directory that comes before hides the file, even with nothing in it.
    tree.file("etc/qemu/firmware/50-earlier.json", "");
    assert_eq!(code_name(&tree.found()), "60-plain.code");
    tree.descriptor("home/.config/qemu/firmware", "55-mine", "pc-q35-*", &[]);
    assert_eq!(code_name(&tree.found()), "55-mine.code");
    assert!(tree.found().source.ends_with("home/.config/qemu/firmware/55-mine.json"));
}

#[test]
fn firmware_that_takes_any_image_comes_first() {
    let tree = Tree::new();
    let system = "usr/share/qemu/firmware";
    tree.descriptor(
        system,
        "10-enrolled",
        "pc-q35-*",
        &["secure-boot", "requires-smm", "enrolled-keys"],
    );
    assert!(tree.found().enrolled_keys && tree.found().requires_smm);
    tree.file("usr/share/OVMF/OVMF_CODE_4M.fd", "");
    let incomplete = tree.found();
    assert!(incomplete.enrolled_keys, "a pair without its variables is none");
    tree.file("usr/share/OVMF/OVMF_VARS_4M.fd", "");
    assert_eq!(code_name(&tree.found()), "OVMF_CODE_4M.fd");
    tree.descriptor(system, "20-secure", "pc-q35-*", &["secure-boot", "requires-smm"]);
    assert_eq!(code_name(&tree.found()), "20-secure.code");
    tree.descriptor(system, "30-plain", "pc-q35-*", &[]);
    assert_eq!(code_name(&tree.found()), "30-plain.code");
}

#[test]
fn pairs_are_known_by_name() {
    for (code, vars, format) in [
        (
            "usr/share/OVMF/OVMF_CODE_4M.fd",
            "usr/share/OVMF/OVMF_VARS_4M.fd",
            DiskFormat::Raw,
        ),
        (
            "usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2",
            "usr/share/edk2/ovmf/OVMF_VARS_4M.qcow2",
            DiskFormat::Qcow2,
        ),
        (
            "usr/share/edk2/x64/OVMF_CODE.4m.fd",
            "usr/share/edk2/x64/OVMF_VARS.4m.fd",
            DiskFormat::Raw,
        ),
        (
            "usr/share/qemu/ovmf-x86_64-code.bin",
            "usr/share/qemu/ovmf-x86_64-vars.bin",
            DiskFormat::Raw,
        ),
    ] {
        let tree = Tree::new();
        let (code, vars) = (tree.file(code, ""), tree.file(vars, ""));
        let found = tree.found();
        assert_eq!((&found.code.path, found.code.format), (&code, format));
        assert_eq!((&found.template().path, found.template().format), (&vars, format));
        assert_eq!(found.source, format!("well-known pair {}", code.display()));
    }
}

#[test]
fn an_unpacked_tree_has_its_own() {
    let tree = Tree::new();
    tree.descriptor("usr/share/qemu/firmware", "60-system", "pc-q35-*", &[]);
    let text = descriptor_text(
        Path::new("/usr/share/OVMF/X.fd"),
        Some(Path::new("/usr/share/OVMF/V.fd")),
        "pc-q35-*",
        &[],
    );
    tree.file("unpacked/usr/share/qemu/firmware/99-own.json", &text);
    let code = tree.file("unpacked/usr/share/OVMF/X.fd", "");
    tree.file("unpacked/usr/share/OVMF/V.fd", "");
    let data = [
        tree.path("unpacked/usr/share/seabios"),
        tree.path("unpacked/usr/share/qemu"),
    ];
    let places = Places::below(tree.0.path(), None, &data);
    assert_eq!(find_in(&places, Arch::X86_64, MACHINE).unwrap().code.path, code);
}

#[test]
fn nothing_usable_names_each_reason() {
    let tree = Tree::new();
    let system = "usr/share/qemu/firmware";
    tree.file(&format!("{system}/10-broken.json"), "{");
    tree.descriptor(system, "20-lost", "pc-q35-*", &[]);
    fs::remove_file(tree.path("20-lost.vars")).unwrap();
    tree.file("usr/share/OVMF/OVMF_CODE.fd", "");
    let error = find_in(&tree.places(), Arch::X86_64, MACHINE).unwrap_err();
    let FirmwareError::NotFound { skipped, searched, .. } = &error;
    let reasons: Vec<_> = skipped.iter().map(|skipped| skipped.reason.as_str()).collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons[0].starts_with("it is no firmware descriptor"), "{reasons:?}");
    assert!(reasons[1].ends_with("20-lost.vars is missing"), "{reasons:?}");
    assert!(reasons[2].ends_with("OVMF_VARS.fd are missing"), "{reasons:?}");
    assert!(searched.len() > 10 && error.mend().contains("apt install ovmf"));
}

#[test]
fn each_run_has_its_own_variables() {
    use std::os::unix::fs::PermissionsExt as _;
    let tree = Tree::new();
    tree.descriptor("etc/qemu/firmware", "60-plain", "pc-q35-*", &[]);
    let files = tree.found();
    let vars = tree.path("vars.fd");
    files.copy_vars(&vars).unwrap();
    assert_eq!(fs::read_to_string(&vars).unwrap(), "60-plain");
    assert_eq!(fs::metadata(&vars).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(files.copy_vars(&vars).is_err(), "an existing file is not taken over");
    let FirmwareSpec::Uefi { flash0, flash1, smm } = files.with_vars(&vars) else {
        panic!("not UEFI");
    };
    let flash1 = flash1.unwrap();
    assert!(flash0.read_only && !flash1.read_only && !smm);
    assert_eq!(flash1.path, vars);

    let whole = tree.file("whole.fd", "code and variables");
    tree.file(
        "etc/qemu/firmware/10-combined.json",
        &descriptor_text(&whole, None, "pc-q35-*", &[]),
    );
    let files = tree.found();
    let copy = tree.path("copy.fd");
    files.copy_vars(&copy).unwrap();
    let FirmwareSpec::Uefi { flash0, flash1, .. } = files.with_vars(&copy) else {
        panic!("not UEFI");
    };
    assert_eq!((flash0.path, flash0.read_only, flash1), (copy, false, None));
}

#[tokio::test]
async fn the_firmware_of_this_machine_runs() {
    for qemu in qemu_support::qemus().await {
        let files = find(&qemu, Arch::X86_64).unwrap_or_else(|error| panic!("{error}; {}", error.mend()));
        assert!(!files.enrolled_keys, "{files:?}");
        let dir = tempfile::tempdir().unwrap();
        let vars = dir.path().join("vars.fd");
        files.copy_vars(&vars).unwrap();
        let mut spec = usual(dir.path(), &qemu.features);
        spec.data_dirs.clone_from(&qemu.data_dirs);
        spec.firmware = files.with_vars(&vars);
        spec.boot = BootSpec::TargetDisk;
        fs::File::create(&spec.disks[0].path).unwrap().set_len(MIB).unwrap();
        let mut started = Started::running(&qemu.binary, &build(&spec).unwrap());
        // A blank disk: the firmware says so on the serial console, and goes on to nothing else but its own shell.
        started.serial_says("BdsDxe: failed to load Boot0001");
    }
}
