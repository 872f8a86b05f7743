/* SPDX-License-Identifier: MIT */
/*
 * The four functions required by the core, and copy_user(), which page_fault.c aborts if a page
 * fault cannot be resolved.
 */
    .text
    .globl memcpy, memmove, memset, memcmp, copy_user, copy_user_access, copy_user_failed

memmove:
    mov %rdi, %rax
    sub %rsi, %rax
    cmp %rdx, %rax /* copy from the end if to - from, unsigned, is below the length */
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
    imul %rcx, %rax /* repeats the byte eight times */
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
    xchg %rdi, %rsi /* cmpsb computes (rsi) - (rdi) */
    xor %eax, %eax
    cmp %rdx, %rdx /* sets the equal flag for a length of 0 */
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
copy_user_failed: /* rcx is the number of bytes left */
    sub %rcx, %rax
    ret

    .section .note.GNU-stack, "", @progbits
