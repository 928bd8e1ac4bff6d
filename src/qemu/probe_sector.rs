//! A boot sector that proves that a virtual CPU runs 64-bit code with paging on.
//!
//! A boot sector that only prints proves nothing: a kvm node was seen on which real-mode code runs and the guest hangs
//! for ever when it enters protected mode. So this one says [`REAL_MODE`] where it starts, goes through protected mode
//! to 64-bit code, and says [`LONG_MODE`] from there.

#![allow(
    unsafe_code,
    reason = "the sector is assembled here, and what assembly defines can be named in no safe way; it runs in a guest only"
)]

/// Bytes of a boot sector.
pub(super) const SECTOR_BYTES: usize = 512;
/// What the sector writes to the first serial port in real mode.
pub(super) const REAL_MODE: &[u8] = b"bootgate-probe real\n";
/// What it writes from 64-bit code.
pub(super) const LONG_MODE: &[u8] = b"bootgate-probe long\n";

// AT&T syntax. The firmware loads the sector at 0x7c00, so an address is its distance from the start plus that.
// Memory used: page tables at 0x1000 (level 4), 0x2000 (level 3) and 0x3000 (level 2), stack below 0x7c00.
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    r#"
    .pushsection .rodata.bootgate_probe_sector, "a", @progbits
    .globl bootgate_probe_sector
    .hidden bootgate_probe_sector
    .code16
bootgate_probe_sector:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    movw $(20f - bootgate_probe_sector + 0x7c00), %si
2:  movw $0x3fd, %dx            # wait until the transmitter is empty
3:  inb %dx, %al
    testb $0x20, %al
    jz 3b
    movw $0x3f8, %dx
    lodsb
    outb %al, %dx
    cmpb $0x0a, %al
    jne 2b

    movw $0x1000, %di           # zero three pages, then map the first 2 MiB to themselves
    movw $0x1800, %cx
    xorw %ax, %ax
    rep stosw
    movw $0x2003, 0x1000
    movw $0x3003, 0x2000
    movw $0x0083, 0x3000

    lgdtw (30f - bootgate_probe_sector + 0x7c00)
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $0x08, $(4f - bootgate_probe_sector + 0x7c00)

    .code32
4:  movw $0x18, %ax             # protected mode
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl %cr4, %eax
    orl $0x20, %eax             # physical address extension
    movl %eax, %cr4
    movl $0x1000, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx      # EFER
    rdmsr
    orl $0x100, %eax            # long mode enable
    wrmsr
    movl %cr0, %eax
    orl $0x80000000, %eax       # paging
    movl %eax, %cr0
    ljmpl $0x10, $(5f - bootgate_probe_sector + 0x7c00)

    .code64
5:  leaq 21f(%rip), %rsi        # 64-bit code
    movabsq $0x100000000, %rax  # a value that no 32-bit register holds
    shrq $32, %rax
    cmpq $1, %rax
    jne 9f
6:  movw $0x3fd, %dx
7:  inb %dx, %al
    testb $0x20, %al
    jz 7b
    movw $0x3f8, %dx
    lodsb
    outb %al, %dx
    cmpb $0x0a, %al
    jne 6b
9:  hlt
    jmp 9b

20: .ascii "bootgate-probe real\n"
21: .ascii "bootgate-probe long\n"
    .balign 8
29: .quad 0                     # global descriptor table: null, 32-bit code, 64-bit code, data
    .quad 0x00cf9a000000ffff
    .quad 0x00af9a000000ffff
    .quad 0x00cf92000000ffff
30: .word 31
    .long 29b - bootgate_probe_sector + 0x7c00
    .org bootgate_probe_sector + 510
    .byte 0x55, 0xaa
    .popsection
    "#,
    options(att_syntax)
);

#[cfg(target_arch = "x86_64")]
unsafe extern "C" {
    // SAFETY: the assembly above defines the symbol as SECTOR_BYTES initialised bytes that nothing writes.
    safe static bootgate_probe_sector: [u8; SECTOR_BYTES];
}

/// The boot sector.
#[cfg(target_arch = "x86_64")]
pub(super) fn sector() -> &'static [u8; SECTOR_BYTES] {
    &bootgate_probe_sector
}

/// The boot sector. An assembler for another machine can't make it, and KVM of another machine could not run it.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn sector() -> &'static [u8; SECTOR_BYTES] {
    &[0; SECTOR_BYTES]
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn the_sector_is_whole() {
        let sector = sector();
        assert_eq!(sector[510..], [0x55, 0xaa]);
        assert_eq!(sector[0], 0xfa, "it starts with cli");
        for message in [REAL_MODE, LONG_MODE] {
            assert!(sector.windows(message.len()).any(|window| window == message));
        }
    }
}
