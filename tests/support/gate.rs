//! Gate files for the tiny guest: the demo's gate, changed key by key.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::tiny::{repository, tiny};

/// What the live system is started by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Boots {
    /// QEMU loads the kernel itself: seconds faster, where firmware and boot loader are not the point.
    Kernel,
    /// The image's own boot loader, started by SeaBIOS.
    Bios,
    /// The image's own boot loader, started by OVMF.
    Uefi,
}

/// A gate file in the making.
#[derive(Debug, Clone)]
pub(crate) struct GateFile {
    keys: Table,
    /// Files that lie beside it: name and content.
    files: Vec<(String, String)>,
}

impl GateFile {
    /// The demo's gate on the tiny guest, for TCG and with the deadlines as they stand.
    pub(crate) fn new(boots: Boots) -> Self {
        let demo = repository().join("fixtures/gates/tiny-install.toml");
        let demo = std::fs::read_to_string(demo).unwrap();
        let mut gate = Self {
            keys: demo.parse().unwrap(),
            files: Vec::new(),
        };
        gate.set("timeout-scale", "1.0");
        // What becomes of the machine is for the tests that say so.
        gate.set("on-failure", "'discard'");
        gate.set("machine.accelerator", "'tcg'");
        gate.set("machine.cpus", "1");
        let tiny = tiny();
        if boots == Boots::Kernel {
            gate.set("image", "{}");
            gate.put("image.kernel", tiny.kernel.to_str().unwrap().into());
            gate.put("image.initrd", tiny.initrd.to_str().unwrap().into());
            gate.put("image.append", tiny.append.as_str().into());
        } else {
            gate.put("image.iso", tiny.iso.to_str().unwrap().into());
        }
        if boots != Boots::Uefi {
            gate.set("machine.firmware", "'bios'");
        }
        gate
    }

    /// A gate of the repository as it stands.
    pub(crate) fn of(name: &str) -> Self {
        let path = repository().join("fixtures/gates").join(name);
        let text = std::fs::read_to_string(path).unwrap();
        Self {
            keys: text.parse().unwrap(),
            files: Vec::new(),
        }
    }

    /// Chooses the guest's faults; see the guest's README.
    pub(crate) fn faults(&mut self, faults: &str) {
        // QEMU wants a comma in a value doubled.
        let serial = format!("type=1,serial={}", faults.replace(',', ",,"));
        self.put("machine.extra-args", vec!["-smbios".into(), Value::from(serial)].into());
    }

    /// Keeps only the first stages.
    pub(crate) fn truncate(&mut self, stages: usize) {
        self.keys["stage"].as_array_mut().unwrap().truncate(stages);
        if stages == 1 {
            self.keys.remove("disk");
        }
    }

    /// Sets a key, `stage.1.timeout`, to a value in TOML's words.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        let parsed: Table = format!("value = {value}").parse().unwrap();
        self.put(key, parsed["value"].clone());
    }

    /// Takes a key away.
    pub(crate) fn remove(&mut self, key: &str) {
        let (table, name) = self.place(key);
        table.remove(name);
    }

    /// Whether a key of a table is set.
    pub(crate) fn has(&self, key: &str) -> bool {
        let (table, name) = key.split_once('.').unwrap_or(("", key));
        self.keys.get(table).is_some_and(|table| table.get(name).is_some())
    }

    /// Sets a key to a value. A number in the key is a place in an array; the place behind the last one adds a table.
    pub(crate) fn put(&mut self, key: &str, value: Value) {
        let (table, name) = self.place(key);
        table.insert(name.to_owned(), value);
    }

    /// The table that a key stands in, and its name there.
    fn place<'a>(&mut self, key: &'a str) -> (&mut Table, &'a str) {
        let (tables, name) = key.rsplit_once('.').unwrap_or(("", key));
        let mut table = &mut self.keys;
        let mut parts = tables.split('.').filter(|part| !part.is_empty()).peekable();
        while let Some(part) = parts.next() {
            let mut below = table.entry(part).or_insert_with(|| Table::new().into());
            if let Some(index) = parts.next_if(|part| part.parse::<usize>().is_ok()) {
                let array = below.as_array_mut().unwrap();
                let index: usize = index.parse().unwrap();
                if index == array.len() {
                    array.push(Table::new().into());
                }
                below = &mut array[index];
            }
            table = below.as_table_mut().unwrap();
        }
        (table, name)
    }

    /// Lays a file beside the gate file.
    pub(crate) fn file(&mut self, name: &str, content: &str) {
        self.files.push((name.to_owned(), content.to_owned()));
    }

    /// Writes it, and what lies beside it, into a folder; gives its path.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        for (name, content) in &self.files {
            std::fs::write(folder.join(name), content).unwrap();
        }
        let path = folder.join("gate.toml");
        std::fs::write(&path, self.keys.to_string()).unwrap();
        path
    }
}
