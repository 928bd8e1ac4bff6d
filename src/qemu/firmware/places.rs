//! Where firmware is looked for.

use std::path::{Component, Path, PathBuf};

use crate::qemu::binary::Qemu;

/// Pairs of code and variables below a root directory, where distributions without descriptors have them.
const WELL_KNOWN: [(&str, &str); 11] = [
    // Debian, Ubuntu
    ("usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("usr/share/OVMF/OVMF_CODE.fd", "usr/share/OVMF/OVMF_VARS.fd"),
    // Fedora
    (
        "usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2",
        "usr/share/edk2/ovmf/OVMF_VARS_4M.qcow2",
    ),
    ("usr/share/edk2/ovmf/OVMF_CODE.fd", "usr/share/edk2/ovmf/OVMF_VARS.fd"),
    // Arch
    (
        "usr/share/edk2/x64/OVMF_CODE.4m.fd",
        "usr/share/edk2/x64/OVMF_VARS.4m.fd",
    ),
    (
        "usr/share/edk2-ovmf/x64/OVMF_CODE.fd",
        "usr/share/edk2-ovmf/x64/OVMF_VARS.fd",
    ),
    // Gentoo
    ("usr/share/edk2-ovmf/OVMF_CODE.fd", "usr/share/edk2-ovmf/OVMF_VARS.fd"),
    // openSUSE
    (
        "usr/share/qemu/ovmf-x86_64-4m-code.bin",
        "usr/share/qemu/ovmf-x86_64-4m-vars.bin",
    ),
    (
        "usr/share/qemu/ovmf-x86_64-code.bin",
        "usr/share/qemu/ovmf-x86_64-vars.bin",
    ),
    // QEMU's own, installed by its `make install`
    ("usr/share/qemu/edk2-x86_64-code.fd", "usr/share/qemu/edk2-i386-vars.fd"),
    (
        "usr/local/share/qemu/edk2-x86_64-code.fd",
        "usr/local/share/qemu/edk2-i386-vars.fd",
    ),
];

/// QEMU's own pair in its data directory.
const BUNDLED: (&str, &str) = ("edk2-x86_64-code.fd", "edk2-i386-vars.fd");

/// A directory of descriptors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DescriptorDir {
    pub(super) dir: PathBuf,
    /// The file names in the descriptors are first tried below this directory: a tree that was unpacked somewhere has
    /// descriptors that know nothing of it.
    pub(super) root: Option<PathBuf>,
}

/// Where firmware is looked for, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Descriptors that came with the QEMU itself.
    pub(super) own: Vec<DescriptorDir>,
    /// Descriptors of the user, the host and the system.
    pub(super) host: Vec<DescriptorDir>,
    /// Pairs of code and variables.
    pub(super) pairs: Vec<(PathBuf, PathBuf)>,
}

impl Places {
    /// The places for a QEMU: its own data, then what QEMU's documentation says (the user's, the host's, the system's
    /// descriptors), then the pairs that are known by name.
    pub fn of(qemu: &Qemu) -> Self {
        let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| {
            let home = std::env::var_os("HOME")?;
            Some(Path::new(&home).join(".config"))
        });
        let mut data_dirs = qemu.data_dirs.clone();
        if data_dirs.is_empty() {
            data_dirs.extend(data_of_prefix(&qemu.binary));
        }
        Self::below(Path::new("/"), config.as_deref(), &data_dirs)
    }

    /// The same with another root directory in the place of `/`.
    pub fn below(root: &Path, user_config: Option<&Path>, data_dirs: &[PathBuf]) -> Self {
        let mut own = Vec::new();
        let mut pairs = Vec::new();
        for data in data_dirs {
            let tree = tree_of(data);
            if let Some(tree) = &tree {
                pairs.extend(WELL_KNOWN.map(|(code, vars)| (tree.join(code), tree.join(vars))));
            }
            pairs.push((data.join(BUNDLED.0), data.join(BUNDLED.1)));
            own.push(DescriptorDir {
                dir: data.join("firmware"),
                root: tree,
            });
        }
        let host = user_config
            .map(|config| config.join("qemu/firmware"))
            .into_iter()
            .chain(["etc/qemu/firmware", "usr/share/qemu/firmware"].map(|dir| root.join(dir)));
        let host = host.map(|dir| DescriptorDir { dir, root: None }).collect();
        pairs.extend(WELL_KNOWN.map(|(code, vars)| (root.join(code), root.join(vars))));
        Self { own, host, pairs }
    }

    /// The directories and pairs, for a message.
    pub fn searched(&self) -> Vec<String> {
        let dirs = self
            .own
            .iter()
            .chain(&self.host)
            .map(|place| format!("{}/*.json", place.dir.display()));
        let pairs = self.pairs.iter().map(|(code, _)| code.display().to_string());
        dirs.chain(pairs).collect()
    }
}

/// The data directory beside a binary outside `/usr`: `/opt/qemu/bin/qemu-system-x86_64` has `/opt/qemu/share/qemu`.
fn data_of_prefix(binary: &Path) -> Option<PathBuf> {
    let binary = binary.canonicalize().ok()?;
    let prefix = binary.parent()?.parent()?;
    let data = prefix.join("share/qemu");
    (prefix != Path::new("/usr") && data.is_dir()).then_some(data)
}

/// The root of the tree that a data directory like `/cache/qemu/usr/share/qemu` lies in.
fn tree_of(data: &Path) -> Option<PathBuf> {
    let mut parts = data.components().rev().skip(1);
    let in_usr_share = ["share", "usr"]
        .iter()
        .all(|name| parts.next() == Some(Component::Normal(name.as_ref())));
    let root = data.ancestors().nth(3)?;
    (in_usr_share && root != Path::new("/") && root != Path::new("")).then(|| root.to_path_buf())
}
