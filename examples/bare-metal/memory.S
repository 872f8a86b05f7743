/* SPDX-License-Identifier: MIT */
/* The four functions the core wants of whatever it is linked into, and copy_user(), which page_fault.c may break off. */
    .text
    .globl memcpy, memmove, memset, memcmp, copy_user, copy_user_access, copy_user_failed

memmove:
    mov %rdi, %rax
    sub %rsi, %rax
    cmp %rdx, %rax /* to - from, as unsigned, below the length: from the end */
    jae memcpy
    mov %rdi, %rax
    mov %rdx, %rcx
    lea -1(%rdi, %rdx), %rdi
    lea -1(%rsi, %rdx), %rsi
    std
    rep movsb
    cld
    ret

memcpy:
    mov %rdi, %rax
    mov %rdx, %rcx
    shr $3, %rcx
    rep movsq
    mov %edx, %ecx
    and $7, %ecx
    rep movsb
    ret

memset:
    mov %rdi, %r8
    movzbl %sil, %eax
    mov $0x0101010101010101, %rcx
    imul %rcx, %rax /* the byte, eight times */
    mov %rdx, %rcx
    shr $3, %rcx
    rep stosq
    mov %edx, %ecx
    and $7, %ecx
    rep stosb
    mov %r8, %rax
    ret

memcmp:
    mov %rdx, %rcx
    xchg %rdi, %rsi /* cmpsb subtracts what rdi points at from what rsi does */
    xor %eax, %eax
    cmp %rdx, %rdx /* equal, should the length be 0 */
    repe cmpsb
    je 1f
    sbb %eax, %eax
    or $1, %eax
1:  ret

copy_user:
    mov %rdx, %rax
    mov %rdx, %rcx
copy_user_access:
    rep movsb
copy_user_failed: /* rcx: what is left */
    sub %rcx, %rax
    ret

    .section .note.GNU-stack, "", @progbits
