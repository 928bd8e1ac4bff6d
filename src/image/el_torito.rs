//! What an ISO image's own first sectors say: its label, and which firmware finds a boot loader in it.

use super::error::ImageError;
use super::iso::{DESCRIPTOR_AT_BYTES, Iso, SECTOR_BYTES};

/// Within the volume's descriptor: the volume's label and its length (ECMA-119, 8.4.7).
const LABEL_AT: usize = 40;
const LABEL_BYTES: usize = 32;
/// Where the boot record lies, what it begins with, and where it names the catalogue (El Torito 1.0, figure 7).
const RECORD_AT_BYTES: u64 = 17 * SECTOR_BYTES;
const RECORD_BEGIN: &[u8] = b"\0CD001\x01EL TORITO SPECIFICATION";
const CATALOGUE_AT: usize = 71;
/// Entries of a catalogue are this long; a catalogue is at least a sector.
const ENTRY_BYTES: usize = 32;
/// Platforms (El Torito 1.0, figure 2; UEFI specification, 13.3.2.1).
const PLATFORM_BIOS: u8 = 0;
const PLATFORM_UEFI: u8 = 0xef;
/// What marks an entry that boots, and the headers of further sections, the last one first.
const BOOTABLE: u8 = 0x88;
const SECTION_HEADERS: [u8; 2] = [0x91, 0x90];

/// What the first sectors say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Volume {
    /// The volume's label. The image's words.
    pub label: String,
    /// True if a BIOS that starts it as a CD finds a boot loader.
    pub bios: bool,
    /// True if a UEFI does.
    pub uefi: bool,
    /// True if it can be written to a stick as well: its first sector holds boot code.
    pub stick: bool,
}

/// Reads the first sectors.
pub(super) fn volume(iso: &Iso) -> Result<Volume, ImageError> {
    let mut descriptor = [0; 2048];
    iso.read_at(&mut descriptor, DESCRIPTOR_AT_BYTES)?;
    let label = String::from_utf8_lossy(&descriptor[LABEL_AT..LABEL_AT + LABEL_BYTES]);
    let platforms = platforms(iso);
    let mut first = [0; 512];
    let stick = iso.read_at(&mut first, 0).is_ok() && first[..440].iter().any(|byte| *byte != 0);
    Ok(Volume {
        label: label.trim_end_matches([' ', '\0']).to_owned(),
        bios: platforms.contains(&PLATFORM_BIOS),
        uefi: platforms.contains(&PLATFORM_UEFI),
        stick,
    })
}

/// The platforms that have an entry that boots. None if there is no catalogue, or none that can be read.
fn platforms(iso: &Iso) -> Vec<u8> {
    let mut record = [0; 2048];
    if iso.read_at(&mut record, RECORD_AT_BYTES).is_err() || !record.starts_with(RECORD_BEGIN) {
        return Vec::new();
    }
    let sector: [u8; 4] = [0, 1, 2, 3].map(|at| record[CATALOGUE_AT + at]);
    let mut catalogue = [0; 2048];
    let at = u64::from(u32::from_le_bytes(sector)) * SECTOR_BYTES;
    if iso.read_at(&mut catalogue, at).is_err() {
        return Vec::new();
    }
    entries(&catalogue)
}

/// Reads a catalogue: the validation entry with the platform of the default entry, that one, and sections with their own.
fn entries(catalogue: &[u8]) -> Vec<u8> {
    let mut found = Vec::new();
    let mut entries = catalogue.chunks_exact(ENTRY_BYTES);
    let Some(validation) = entries.next().filter(|entry| entry[0] == 1) else {
        return found;
    };
    let mut platform = validation[1];
    for entry in entries {
        match entry[0] {
            BOOTABLE => found.push(platform),
            id if SECTION_HEADERS.contains(&id) => platform = entry[1],
            // The end, or what no catalogue holds.
            0 => {}
            _ => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(first: u8, second: u8) -> [u8; ENTRY_BYTES] {
        let mut entry = [0; ENTRY_BYTES];
        (entry[0], entry[1]) = (first, second);
        entry
    }

    #[test]
    fn a_catalogue_says_for_whom_it_boots() {
        let both = [entry(1, 0), entry(BOOTABLE, 0), entry(0x91, 0xef), entry(BOOTABLE, 0)].concat();
        assert_eq!(entries(&both), [PLATFORM_BIOS, PLATFORM_UEFI]);
        let uefi = [entry(1, 0xef), entry(BOOTABLE, 0)].concat();
        assert_eq!(entries(&uefi), [PLATFORM_UEFI]);
        let off = [entry(1, 0), entry(0, 0), entry(0x91, 0xef), entry(BOOTABLE, 0)].concat();
        assert_eq!(entries(&off), [PLATFORM_UEFI], "the default entry does not boot");
        assert!(entries(&[7; 2048]).is_empty());
    }

    proptest! {
        #[test]
        fn no_catalogue_breaks_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
            prop_assert!(entries(&bytes).len() <= 64);
        }
    }
}
