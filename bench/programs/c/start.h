/* The entry of a C program, and Linux's write and exit. picolibc keeps errno in thread-local
   storage: the linker script puts it behind __tls_base. */
#include <stddef.h>

static char stack[65536] __attribute__((aligned(16), used));

__asm__(".section .text.start,\"ax\"\n.globl _start\n_start:\n"
        ".option push\n.option norelax\nla sp, stack + 65536\nla tp, __tls_base\n.option pop\n"
        "call main\nli a7, 93\necall\n.text\n");

static long put(const void *bytes, size_t len) {
    register long a0 __asm__("a0") = 1;
    register const void *a1 __asm__("a1") = bytes;
    register size_t a2 __asm__("a2") = len;
    register long a7 __asm__("a7") = 64;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
    return a0;
}

void *sbrk(ptrdiff_t increment) {
    static char heap[262144] __attribute__((aligned(16)));
    static size_t used;
    if (increment > (ptrdiff_t)(sizeof heap - used)) return (void *)-1;
    void *start = heap + used;
    used += increment;
    return start;
}
