/* The entry: the stack pointer is set. In a constructor a0 is 1. picolibc finds errno by tp. */
    .section .text.start, "ax"
    .globl _start
_start:
    .option push
    .option norelax
    la tp, __tls_base
    .option pop
    bnez a0, 1f
    call contract_call
    j 2f
1:  call contract_create
2:  li a7, 0            /* STOP */
    ecall
