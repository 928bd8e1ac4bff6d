//! What a BIOS would start from a disk.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The boot code of a disk's first sector, in bytes. Behind it come the disk's signature, the partition table and the
/// boot signature, which a protective MBR has as well (UEFI specification, 5.2).
const BOOT_CODE_BYTES: usize = 440;

/// True if the first sector of a raw disk holds boot code. Without any, a BIOS that finds the boot signature runs zeros
/// for ever and says nothing.
pub fn has_boot_code(path: &Path) -> io::Result<bool> {
    let mut code = [0; BOOT_CODE_BYTES];
    File::open(path)?.read_exact(&mut code)?;
    Ok(code.iter().any(|byte| *byte != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_table_is_no_boot_code() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk.raw");
        let mut sector = vec![0; 1024];
        sector[446..462].fill(0xee);
        sector[510..512].copy_from_slice(&[0x55, 0xaa]);
        std::fs::write(&disk, &sector).unwrap();
        assert!(!has_boot_code(&disk).unwrap());
        sector[439] = 0x90;
        std::fs::write(&disk, &sector).unwrap();
        assert!(has_boot_code(&disk).unwrap());
        std::fs::write(&disk, [1; 100]).unwrap();
        assert!(has_boot_code(&disk).is_err(), "not a disk");
    }
}
