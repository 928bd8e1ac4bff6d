//! Where the journal lies: an inode's block map. (Structures: the kernel's Documentation/filesystems/ext4.)

use super::super::source::{Source, le};
use super::super::tree::Failure;

/// Blocks of a journal, at most; mke2fs makes 1 GiB at most.
const JOURNAL_BLOCKS_MAX: usize = 1 << 20;
/// Blocks that hold a map, at most.
const MAP_BLOCKS_MAX: usize = 4096;
const DEPTH_MAX: u64 = 5;
const EXTENT_MAGIC: u64 = 0xf30a;
const USES_EXTENTS: u64 = 0x8_0000;
const I_BLOCK: usize = 0x28;
const I_BLOCK_BYTES: usize = 60;

/// What of a superblock leads to an inode.
pub(super) struct Geometry {
    pub(super) block_bytes: u64,
    first_block: u64,
    inodes_per_group: u64,
    inode_bytes: u64,
    descriptor_bytes: u64,
    is_64bit: bool,
}

impl Geometry {
    pub(super) fn of(superblock: &[u8]) -> Result<Self, Failure> {
        let damaged = |what: &str| Failure::Damaged(format!("its superblock's {what} can't be"));
        let shift = le::<4>(superblock, 0x18);
        if shift > 6 {
            return Err(damaged("block size"));
        }
        let is_64bit = le::<4>(superblock, 0x60) & 0x80 != 0;
        let geometry = Self {
            block_bytes: 1024 << shift,
            first_block: le::<4>(superblock, 0x14),
            inodes_per_group: le::<4>(superblock, 0x28),
            inode_bytes: le::<2>(superblock, 0x58),
            descriptor_bytes: if is_64bit { le::<2>(superblock, 0xfe) } else { 32 },
            is_64bit,
        };
        if geometry.inodes_per_group == 0 {
            return Err(damaged("number of inodes"));
        }
        if !(128..=geometry.block_bytes).contains(&geometry.inode_bytes) {
            return Err(damaged("inode size"));
        }
        if !(32..=1024).contains(&geometry.descriptor_bytes) {
            return Err(damaged("group descriptor size"));
        }
        Ok(geometry)
    }

    /// The blocks of an inode's content, in order.
    pub(super) fn content(&self, source: &Source, inode: u64) -> Result<Vec<u64>, Failure> {
        let index = inode
            .checked_sub(1)
            .ok_or_else(|| Failure::Damaged("it has a journal without an inode".to_owned()))?;
        let group = index / self.inodes_per_group;
        let descriptors = (self.first_block + 1) * self.block_bytes;
        let descriptor = source.exact(descriptors + group * self.descriptor_bytes, self.descriptor_bytes)?;
        let high = if self.is_64bit { le::<4>(&descriptor, 0x28) } else { 0 };
        let table = high << 32 | le::<4>(&descriptor, 8);
        let at = table
            .checked_mul(self.block_bytes)
            .and_then(|at| at.checked_add(index % self.inodes_per_group * self.inode_bytes))
            .ok_or_else(|| Failure::Damaged("its inodes lie behind its end".to_owned()))?;
        let inode = source.exact(at, self.inode_bytes)?;
        let size_bytes = le::<4>(&inode, 0x6c) << 32 | le::<4>(&inode, 4);
        let count = usize::try_from(size_bytes / self.block_bytes).unwrap_or(usize::MAX);
        if inode.len() < I_BLOCK + I_BLOCK_BYTES || count > JOURNAL_BLOCKS_MAX {
            return Err(Failure::Damaged("its journal's size can't be".to_owned()));
        }
        let mut map = Map {
            source,
            block_bytes: self.block_bytes,
            blocks: vec![0; count],
            reads_left: MAP_BLOCKS_MAX,
        };
        let root = &inode[I_BLOCK..I_BLOCK + I_BLOCK_BYTES];
        if le::<4>(&inode, 0x20) & USES_EXTENTS != 0 {
            map.extents(root, DEPTH_MAX)?;
        } else {
            map.indirect(root)?;
        }
        Ok(map.blocks)
    }
}

struct Map<'a> {
    source: &'a Source,
    block_bytes: u64,
    blocks: Vec<u64>,
    reads_left: usize,
}

impl Map<'_> {
    fn read(&mut self, block: u64) -> Result<Vec<u8>, Failure> {
        let damaged = || Failure::Damaged("its journal's map of blocks can't be".to_owned());
        self.reads_left = self.reads_left.checked_sub(1).ok_or_else(damaged)?;
        let start = block.checked_mul(self.block_bytes).ok_or_else(damaged)?;
        Ok(self.source.exact(start, self.block_bytes)?)
    }

    fn extents(&mut self, node: &[u8], depth_max: u64) -> Result<(), Failure> {
        let depth = le::<2>(node, 6);
        if le::<2>(node, 0) != EXTENT_MAGIC || depth > depth_max {
            return Err(Failure::Damaged("its journal's extents can't be".to_owned()));
        }
        let count = usize::try_from(le::<2>(node, 2)).unwrap_or(0);
        for entry in node[12..].chunks_exact(12).take(count) {
            if depth > 0 {
                let child = self.read(le::<2>(entry, 8) << 32 | le::<4>(entry, 4))?;
                self.extents(&child, depth - 1)?;
                continue;
            }
            let first = usize::try_from(le::<4>(entry, 0)).unwrap_or(usize::MAX);
            let start = le::<2>(entry, 6) << 32 | le::<4>(entry, 8);
            // Above this, an extent is allocated and not written.
            let length = le::<2>(entry, 4);
            if length <= 0x8000 {
                for (block, at) in self.blocks.iter_mut().skip(first).zip(start..start + length) {
                    *block = at;
                }
            }
        }
        Ok(())
    }

    /// The map of ext2 and ext3: twelve blocks, then blocks of blocks, one to three levels deep.
    fn indirect(&mut self, root: &[u8]) -> Result<(), Failure> {
        let mut filled = 0;
        for (slot, pointer) in root.chunks_exact(4).enumerate() {
            let depth = slot.saturating_sub(11);
            self.pointers(le::<4>(pointer, 0), depth, &mut filled)?;
        }
        Ok(())
    }

    fn pointers(&mut self, block: u64, depth: usize, filled: &mut usize) -> Result<(), Failure> {
        if *filled >= self.blocks.len() {
            return Ok(());
        }
        if depth == 0 {
            self.blocks[*filled] = block;
            *filled += 1;
            return Ok(());
        }
        let node = self.read(block)?;
        for pointer in node.chunks_exact(4) {
            self.pointers(le::<4>(pointer, 0), depth - 1, filled)?;
        }
        Ok(())
    }
}
