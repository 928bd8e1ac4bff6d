//! The journal of ext3 and ext4 (jbd2), replayed beside the disk and not on it: blocks that a committed transaction wrote
//! are read from the journal. (Format: the kernel's Documentation/filesystems/ext4/journal.rst and fs/jbd2/recovery.c.)

use std::collections::BTreeMap;
use std::io;

use super::super::source::{Source, be, le};
use super::super::tree::Failure;
use super::blocks::Geometry;

const MAGIC: u64 = 0xc03b_3998;
const DESCRIPTOR: u64 = 1;
const COMMIT: u64 = 2;
const SUPERBLOCKS: [u64; 2] = [3, 4];
const REVOKE: u64 = 5;
const HEADER_BYTES: usize = 12;

/// Features of a journal.
const WIDE: u64 = 0x2;
const CHECKSUMS_V2: u64 = 0x8;
const CHECKSUMS_V3: u64 = 0x10;
const FAST_COMMITS: u64 = 0x20;
const KNOWN_FEATURES: u64 = 0x3f;
/// Revocations that are kept, at most. A journal of 1 GiB with blocks of 4 KiB has no more blocks to revoke.
const REVOCATIONS_MAX: usize = 4 << 20;
/// Blocks for fast commits, if the journal does not say.
const FAST_COMMIT_BLOCKS: u64 = 256;

/// Flags of a tag, which says where a block belongs.
const ESCAPED: u64 = 1;
const SAME_UUID: u64 = 2;
const LAST: u64 = 8;

/// Features of a file system.
const HAS_JOURNAL: u64 = 0x4;
const NEEDS_RECOVERY: u8 = 0x4;
const METADATA_CHECKSUMS: u64 = 0x400;
const SUPERBLOCK_START: u64 = 1024;
const SUPERBLOCK_BYTES: usize = 1024;

/// As ext4 computes it: without the last complement.
const CRC32C: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::Algorithm {
    xorout: 0,
    ..crc::CRC_32_ISCSI
});

/// Where a block's newest content is.
#[derive(Debug, Clone, Copy)]
struct Written {
    in_journal: u64,
    /// The content begins like a journal's block, and has zeros instead.
    escaped: bool,
}

/// A file system as it would be after recovery.
pub(super) struct Replayed {
    source: Source,
    block_bytes: u64,
    written: BTreeMap<u64, Written>,
    superblock: [u8; SUPERBLOCK_BYTES],
}

impl Replayed {
    pub(super) fn open(source: Source, superblock: &[u8; SUPERBLOCK_BYTES]) -> Result<Self, Failure> {
        let geometry = Geometry::of(superblock)?;
        let mut this = Self {
            source,
            block_bytes: geometry.block_bytes,
            written: BTreeMap::new(),
            superblock: *superblock,
        };
        let is_dirty = superblock[0x60] & NEEDS_RECOVERY != 0;
        if is_dirty && le::<4>(superblock, 0x5c) & HAS_JOURNAL != 0 {
            let blocks = geometry.content(&this.source, le::<4>(superblock, 0xe0))?;
            this.written = Log::open(&this.source, geometry.block_bytes, &blocks)?.replay()?;
            // The superblock itself may be in the journal.
            let mut newest = [0; SUPERBLOCK_BYTES];
            this.read_blocks(SUPERBLOCK_START, &mut newest)?;
            this.superblock = recovered(newest);
        }
        Ok(this)
    }

    /// Fills `into` with what would be there.
    pub(super) fn read_at(&self, start: u64, into: &mut [u8]) -> io::Result<()> {
        self.read_blocks(start, into)?;
        for (index, byte) in self.superblock.iter().enumerate() {
            let at = (SUPERBLOCK_START + index as u64)
                .checked_sub(start)
                .and_then(|at| usize::try_from(at).ok());
            if let Some(place) = at.and_then(|at| into.get_mut(at)) {
                *place = *byte;
            }
        }
        Ok(())
    }

    fn read_blocks(&self, start: u64, into: &mut [u8]) -> io::Result<()> {
        // In one go, because nearly all reads have nothing in the journal.
        self.source.read(start, into)?;
        let first = start / self.block_bytes;
        let behind = (start + into.len() as u64).div_ceil(self.block_bytes);
        for (block, written) in self.written.range(first..behind) {
            let mut content = vec![0; usize::try_from(self.block_bytes).unwrap_or(0)];
            self.source.read(written.in_journal * self.block_bytes, &mut content)?;
            if written.escaped {
                content[..4].copy_from_slice(&MAGIC.to_be_bytes()[4..]);
            }
            let block_start = block * self.block_bytes;
            let from = start.max(block_start);
            let to = (start + into.len() as u64).min(block_start + self.block_bytes);
            let within = |at: u64, base: u64| usize::try_from(at - base).unwrap_or(0);
            into[within(from, start)..within(to, start)]
                .copy_from_slice(&content[within(from, block_start)..within(to, block_start)]);
        }
        Ok(())
    }
}

/// The superblock of a file system that needs no recovery.
fn recovered(mut superblock: [u8; SUPERBLOCK_BYTES]) -> [u8; SUPERBLOCK_BYTES] {
    const CHECKSUM: usize = SUPERBLOCK_BYTES - 4;
    superblock[0x60] &= !NEEDS_RECOVERY;
    if le::<4>(&superblock, 0x64) & METADATA_CHECKSUMS != 0 {
        let checksum = CRC32C.checksum(&superblock[..CHECKSUM]);
        superblock[CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
    }
    superblock
}

/// One transaction: what it wrote and what it revoked.
#[derive(Default)]
struct Transaction {
    written: Vec<(u64, Written)>,
    revoked: Vec<u64>,
}

/// The journal as a ring of blocks.
struct Log<'a> {
    source: &'a Source,
    block_bytes: u64,
    blocks: &'a [u64],
    features: u64,
    uuid: Vec<u8>,
    first: u64,
    /// The block behind the ring's last.
    end: u64,
    start: u64,
    sequence: u64,
}

impl<'a> Log<'a> {
    fn open(source: &'a Source, block_bytes: u64, blocks: &'a [u64]) -> Result<Self, Failure> {
        let damaged = || Failure::Damaged("its journal has no superblock that can be".to_owned());
        let at = blocks.first().ok_or_else(damaged)?;
        let head = source.exact(at.checked_mul(block_bytes).ok_or_else(damaged)?, 1024)?;
        let has_features = be::<4>(&head, 4) == SUPERBLOCKS[1];
        let features = if has_features { be::<4>(&head, 0x28) } else { 0 };
        let mut end = be::<4>(&head, 0x10);
        if features & FAST_COMMITS != 0 {
            let fast = be::<4>(&head, 0x54);
            end = end.saturating_sub(if fast == 0 { FAST_COMMIT_BLOCKS } else { fast });
        }
        let log = Self {
            source,
            block_bytes,
            blocks,
            features,
            uuid: head[0x30..0x40].to_vec(),
            first: be::<4>(&head, 0x14),
            end,
            start: be::<4>(&head, 0x1c),
            sequence: be::<4>(&head, 0x18),
        };
        if features & !KNOWN_FEATURES != 0 {
            return Err(Failure::Unsupported(format!("its journal has features {features:#x}")));
        }
        let is_sound = be::<4>(&head, 0) == MAGIC
            && SUPERBLOCKS.contains(&be::<4>(&head, 4))
            && be::<4>(&head, 0xc) == block_bytes
            && log.first >= 1
            && log.first < log.end
            && log.end <= blocks.len() as u64
            && (log.start == 0 || (log.first..log.end).contains(&log.start));
        if is_sound { Ok(log) } else { Err(damaged()) }
    }

    /// Where each block that was written is, after all whole transactions.
    fn replay(&self) -> Result<BTreeMap<u64, Written>, Failure> {
        let transactions = self.transactions()?;
        // A block is not replayed from the transaction that revoked it, nor from an older one.
        let mut revoked_in = BTreeMap::new();
        for (index, transaction) in transactions.iter().enumerate() {
            revoked_in.extend(transaction.revoked.iter().map(|block| (*block, index)));
        }
        let mut newest = BTreeMap::new();
        for (index, transaction) in transactions.iter().enumerate() {
            let alive = |block: &u64| revoked_in.get(block).is_none_or(|revoked| index > *revoked);
            newest.extend(transaction.written.iter().filter(|(block, _)| alive(block)).copied());
        }
        Ok(newest)
    }

    /// All whole transactions, oldest first. A torn one ends the log, as it does for the kernel.
    fn transactions(&self) -> Result<Vec<Transaction>, Failure> {
        let mut done = Vec::new();
        let mut current = Transaction::default();
        let mut sequence = self.sequence;
        let mut at = self.start;
        let mut left = self.end - self.first;
        let mut revoked = 0;
        while at != 0 && left > 0 {
            let block = self.read(at)?;
            if be::<4>(&block, 0) != MAGIC || be::<4>(&block, 8) != sequence {
                break;
            }
            (at, left) = (self.behind(at, 1), left - 1);
            match be::<4>(&block, 4) {
                DESCRIPTOR => {
                    let tags = self.tags(&block);
                    if tags.len() as u64 > left {
                        break;
                    }
                    for (index, (belongs_at, escaped)) in (0..).zip(&tags) {
                        let place = usize::try_from(self.behind(at, index)).unwrap_or(usize::MAX);
                        let in_journal = self.blocks.get(place).copied().unwrap_or(0);
                        let written = Written {
                            in_journal,
                            escaped: *escaped,
                        };
                        current.written.push((*belongs_at, written));
                    }
                    let count = tags.len() as u64;
                    (at, left) = (self.behind(at, count), left - count);
                }
                REVOKE => {
                    let more = self.revocations(&block);
                    revoked += more.len();
                    current.revoked.extend(more);
                    if revoked > REVOCATIONS_MAX {
                        return Err(Failure::Damaged(
                            "its journal revokes more than there can be".to_owned(),
                        ));
                    }
                }
                COMMIT if self.is_whole(&block) => {
                    done.push(std::mem::take(&mut current));
                    sequence = (sequence + 1) & u64::from(u32::MAX);
                }
                _ => break,
            }
        }
        Ok(done)
    }

    /// The ring's block `count` behind `at`.
    fn behind(&self, at: u64, count: u64) -> u64 {
        self.first + (at - self.first + count) % (self.end - self.first)
    }

    fn read(&self, at: u64) -> Result<Vec<u8>, Failure> {
        let block = usize::try_from(at).ok().and_then(|at| self.blocks.get(at)).copied();
        let start = block.and_then(|block| block.checked_mul(self.block_bytes));
        let start = start.ok_or_else(|| Failure::Damaged("its journal lies behind its end".to_owned()))?;
        Ok(self.source.exact(start, self.block_bytes)?)
    }

    fn has_checksums(&self) -> bool {
        self.features & (CHECKSUMS_V2 | CHECKSUMS_V3) != 0
    }

    /// Where the data blocks behind a descriptor belong, and whether they are escaped.
    fn tags(&self, block: &[u8]) -> Vec<(u64, bool)> {
        let is_wide = self.features & WIDE != 0;
        let tag_bytes = match self.features {
            features if features & CHECKSUMS_V3 != 0 => 16,
            features if features & CHECKSUMS_V2 != 0 => 10 + 4 * usize::from(is_wide),
            _ => 8 + 4 * usize::from(is_wide),
        };
        let end = block.len() - 4 * usize::from(self.has_checksums());
        let mut tags = Vec::new();
        let mut at = HEADER_BYTES;
        while at + tag_bytes <= end {
            let is_v3 = self.features & CHECKSUMS_V3 != 0;
            let flags = if is_v3 {
                be::<4>(block, at + 4)
            } else {
                be::<2>(block, at + 6)
            };
            let high = if is_wide { be::<4>(block, at + 8) } else { 0 };
            tags.push((high << 32 | be::<4>(block, at), flags & ESCAPED != 0));
            at += tag_bytes + 16 * usize::from(flags & SAME_UUID == 0);
            if flags & LAST != 0 {
                break;
            }
        }
        tags
    }

    fn revocations(&self, block: &[u8]) -> Vec<u64> {
        const START: usize = 16;
        let end = usize::try_from(be::<4>(block, 12))
            .unwrap_or(0)
            .clamp(START, block.len());
        let entries = &block[START..end];
        if self.features & WIDE != 0 {
            entries.chunks_exact(8).map(|entry| be::<8>(entry, 0)).collect()
        } else {
            entries.chunks_exact(4).map(|entry| be::<4>(entry, 0)).collect()
        }
    }

    /// True if a commit block was written as a whole.
    fn is_whole(&self, block: &[u8]) -> bool {
        const CHECKSUM: std::ops::Range<usize> = 16..20;
        if !self.has_checksums() {
            return true;
        }
        let mut unsigned = block.to_vec();
        unsigned[CHECKSUM].fill(0);
        let mut digest = CRC32C.digest();
        digest.update(&self.uuid);
        digest.update(&unsigned);
        u64::from(digest.finalize()) == be::<4>(block, CHECKSUM.start)
    }
}
