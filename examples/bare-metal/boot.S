/* SPDX-License-Identifier: MIT */
/*
 * The path from the boot loader to C. A PVH loader starts the first processor in 32-bit mode
 * without paging. The second processor starts in 16-bit mode. Both continue at `enter_long`,
 * enable the page tables below and call start_processor() on separate stacks.
 */
#define STACK_SIZE 16384

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18 /* lengths of name and value, type 18 is the 32-bit entry */
    .asciz "Xen"
    .quad start

    .text
    .code32
    .globl start
start:
    cld
    mov %ebx, start_info
    jmp enter_long

/* The start of the second processor. Copied below 1 MiB to address 0 of the code segment. */
    .code16
    .globl trampoline, trampoline_end
trampoline:
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    lgdtl trampoline_gdt - trampoline
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $0x48, $second
trampoline_gdt:
    .word gdt_end - gdt - 1
    .long gdt
trampoline_end:

    .code32
second:
    mov $0x10, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss

enter_long:
    mov $boot_tables, %eax
    mov %eax, %cr3
    /* CR4 enables PAE. SSE stays off, because no code of this kernel saves vector registers. */
    mov $0x20, %eax
    mov %eax, %cr4
    mov $0xC0000080, %ecx
    rdmsr
    or $0x100, %eax /* EFER.LME enables long mode */
    wrmsr
    /*
     * CR0 enables paging and write protection in ring 0. copy_user() may store to read-only
     * pages.
     */
    mov $0x80010011, %eax
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $0x08, $start64

    .code64
start64:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $1, %edi
    lock xadd %edi, processors
    mov %edi, %eax
    inc %eax
    imul $STACK_SIZE, %eax
    lea stacks(%rax), %rsp
    mov start_info, %esi
    xor %ebp, %ebp
    call start_processor
    ud2

    .data
    .balign 8
    .globl gdt, processors
gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF /* 0x08 kernel code */
    .quad 0x00CF93000000FFFF /* 0x10 kernel data */
    .quad 0x00CFF3000000FFFF /* 0x18 user data */
    .quad 0x00AFFB000000FFFF /* 0x20 user code */
    .quad 0, 0               /* 0x28 task state of the first processor, filled by cpu.c */
    .quad 0, 0               /* 0x38 task state of the second processor, filled by cpu.c */
    .quad 0x00CF9B000000FFFF /* 0x48 32-bit code for the trampoline */
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .quad gdt
    .balign 4
processors:
    .long 0 /* number of started processors */
start_info:
    .long 0

/*
 * The initial page tables, in huge pages. The first GiB is identity-mapped, and the first 8 GiB
 * are mapped from DIRECT_MAP on. The last GiB below 4 GiB has devices and is mapped uncached.
 * User mappings are added below low_table later, so the entry of low_table allows user access.
 */
    .balign 4096
    .globl boot_tables
boot_tables:
    .quad low_table + 7
    .fill 255, 8, 0
    .quad direct_table + 3
    .fill 255, 8, 0
low_table:
    .quad direct_pages + 3
    .fill 511, 8, 0
direct_table:
    .set index, 0
    .rept 8
    .quad direct_pages + index * 4096 + 3
    .set index, index + 1
    .endr
    .fill 504, 8, 0
direct_pages:
    .set index, 0
    .rept 1536
    .quad index * 0x200000 + 0x83
    .set index, index + 1
    .endr
    .rept 512
    .quad index * 0x200000 + 0x9B
    .set index, index + 1
    .endr
    .rept 2048
    .quad index * 0x200000 + 0x83
    .set index, index + 1
    .endr

    .bss
    .balign 16
stacks:
    .skip 2 * STACK_SIZE

    .section .note.GNU-stack, "", @progbits
