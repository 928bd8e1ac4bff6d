//! Partition tables: GPT (UEFI specification, chapter 5) and MBR. A strict reader of our own: the table is a guest's, the
//! format is small, and the crates for it also write.

use std::io;

use super::source::{Source, le};

/// Partitions that are listed, at most.
const PARTITIONS_MAX: usize = 128;
const MBR_SIGNATURE: [u8; 2] = [0x55, 0xaa];
const MBR_ENTRIES: usize = 446;
const MBR_ENTRY_BYTES: usize = 16;
/// MBR types that hold a chain of logical partitions.
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];
const PROTECTIVE: u8 = 0xee;
const GPT_SIGNATURE: &[u8] = b"EFI PART";
const GPT_HEADER_BYTES: usize = 92;
const GPT_ENTRY_BYTES_MIN: usize = 128;
const GPT_ENTRY_BYTES_MAX: usize = 1024;
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// A partition, in bytes from the disk's beginning. It may reach behind the disk's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Partition {
    /// As Linux numbers it, from 1.
    pub(super) number: u32,
    pub(super) start: u64,
    pub(super) size_bytes: u64,
    /// Its name in the table.
    pub(super) name: String,
}

/// The disk's partitions, none if it has no table.
pub(super) fn partitions(disk: &Source) -> io::Result<Vec<Partition>> {
    if disk.size_bytes() < 512 {
        return Ok(Vec::new());
    }
    let mbr: [u8; 512] = disk.bytes(0)?;
    for sector_bytes in [512, 4096] {
        if let Some(found) = gpt(disk, sector_bytes)? {
            return Ok(found);
        }
    }
    if mbr[510..] != MBR_SIGNATURE {
        return Ok(Vec::new());
    }
    primary(disk, &mbr)
}

/// The partitions of the first of the two tables that is whole.
fn gpt(disk: &Source, sector_bytes: u64) -> io::Result<Option<Vec<Partition>>> {
    let sectors = disk.size_bytes() / sector_bytes;
    for sector in [1, sectors.saturating_sub(1)] {
        if sector == 0 || sector >= sectors {
            continue;
        }
        let header: [u8; GPT_HEADER_BYTES] = disk.bytes(sector * sector_bytes)?;
        if let Some(found) = gpt_entries(disk, &header, sector_bytes)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn gpt_entries(disk: &Source, header: &[u8], sector_bytes: u64) -> io::Result<Option<Vec<Partition>>> {
    let mut unsigned = header.to_vec();
    unsigned[16..20].fill(0);
    let entries_bytes = usize::try_from(le::<4>(header, 84)).unwrap_or(usize::MAX);
    let count = usize::try_from(le::<4>(header, 80)).unwrap_or(usize::MAX);
    let is_whole = header.starts_with(GPT_SIGNATURE)
        && le::<4>(header, 12) == GPT_HEADER_BYTES as u64
        && le::<4>(header, 16) == u64::from(CRC.checksum(&unsigned))
        && (GPT_ENTRY_BYTES_MIN..=GPT_ENTRY_BYTES_MAX).contains(&entries_bytes)
        && count <= PARTITIONS_MAX;
    let Some(start) = le::<8>(header, 72).checked_mul(sector_bytes) else {
        return Ok(None);
    };
    if !is_whole {
        return Ok(None);
    }
    let array = disk.head(start, (count * entries_bytes) as u64)?;
    if array.len() != count * entries_bytes || le::<4>(header, 88) != u64::from(CRC.checksum(&array)) {
        return Ok(None);
    }
    let partitions = (1..).zip(array.chunks(entries_bytes)).filter_map(|(number, entry)| {
        let (first, last) = (le::<8>(entry, 32), le::<8>(entry, 40));
        let sectors = last.checked_sub(first)?.checked_add(1)?;
        let is_used = entry[..16].iter().any(|byte| *byte != 0);
        let units: Vec<u16> = entry[56..128]
            .chunks(2)
            .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
            .take_while(|unit| *unit != 0)
            .collect();
        is_used.then_some(Partition {
            number,
            start: first.checked_mul(sector_bytes)?,
            size_bytes: sectors.checked_mul(sector_bytes)?,
            name: String::from_utf16_lossy(&units),
        })
    });
    Ok(Some(partitions.collect()))
}

/// Type, first sector and count of sectors of the four entries.
fn entries(sector: &[u8; 512]) -> impl Iterator<Item = (u8, u64, u64)> + '_ {
    sector[MBR_ENTRIES..510]
        .chunks(MBR_ENTRY_BYTES)
        .map(|entry| (entry[4], le::<4>(entry, 8), le::<4>(entry, 12)))
}

fn mbr_partition(number: u32, first: u64, sectors: u64) -> Partition {
    Partition {
        number,
        start: first * 512,
        size_bytes: sectors * 512,
        name: String::new(),
    }
}

fn primary(disk: &Source, mbr: &[u8; 512]) -> io::Result<Vec<Partition>> {
    // A boot sector without a table has anything here, but not only these two.
    if mbr[MBR_ENTRIES..510]
        .chunks(MBR_ENTRY_BYTES)
        .any(|entry| entry[0] & 0x7f != 0)
    {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let mut extended = None;
    for (number, (kind, first, sectors)) in (1..).zip(entries(mbr)) {
        if EXTENDED.contains(&kind) {
            extended = extended.or(Some(first));
        } else if kind != 0 && kind != PROTECTIVE && sectors > 0 {
            found.push(mbr_partition(number, first, sectors));
        }
    }
    if let Some(base) = extended {
        logical(disk, base, &mut found)?;
    }
    Ok(found)
}

/// Follows the chain of an extended partition. It goes forward only, so it ends.
fn logical(disk: &Source, base: u64, found: &mut Vec<Partition>) -> io::Result<()> {
    let mut at = base;
    let mut number = 5;
    while found.len() < PARTITIONS_MAX && (at + 1) * 512 <= disk.size_bytes() {
        let sector: [u8; 512] = disk.bytes(at * 512)?;
        if sector[510..] != MBR_SIGNATURE {
            break;
        }
        let mut next = None;
        for (kind, first, sectors) in entries(&sector).take(2) {
            if EXTENDED.contains(&kind) {
                next = Some(base + first).filter(|next| *next > at);
            } else if kind != 0 && sectors > 0 {
                found.push(mbr_partition(number, at + first, sectors));
                number += 1;
            }
        }
        let Some(next) = next else { break };
        at = next;
    }
    Ok(())
}
