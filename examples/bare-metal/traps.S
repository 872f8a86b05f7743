/* SPDX-License-Identifier: MIT */
/*
 * Transitions between kernel and user mode. Each vector has a stub that builds the same frame
 * (struct trap) and calls trap() with interrupts off. The kernel enables interrupts only in the
 * idle loop, so an interrupt arrives only when the processor holds no lock.
 */
    .text
    .globl trap_stubs
    .balign 16
trap_stubs:
    .set vector, 0
    .rept 48
    .balign 16
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17
    /* the processor has pushed an error code */
    .else
    push $0
    .endif
    push $vector
    jmp trap_common
    .set vector, vector + 1
    .endr

trap_common:
    cld
    push %rax
    push %rbx
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %rbp
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, %rdi
    call trap
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rbp
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rbx
    pop %rax
    add $16, %rsp
    iretq

/*
 * enter_user(trap_stack, program, address, b, c, stack) starts user code and stores the stack
 * pointer of the saved frame in *trap_stack. Traps from user mode use the stack below this
 * frame. leave_user(*trap_stack, value) returns to the frame, and enter_user() returns the
 * value.
 */
    .globl enter_user, leave_user
enter_user:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    sub $8, %rsp
    mov %rsp, (%rdi)
    push $0x1B
    push %r9
    push $0x202 /* flags: interrupts on */
    push $0x23
    push %rsi
    mov %rdx, %rdi
    mov %rcx, %rsi
    mov %r8, %rdx
    iretq

leave_user:
    mov %rdi, %rsp
    mov %rsi, %rax
    add $8, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret

    .section .note.GNU-stack, "", @progbits
