/* Big numbers: 2^4096 by doubling and its decimal digits, a modular power by Montgomery. */
#include "start.h"
#include <stdint.h>
#include <string.h>

typedef unsigned __int128 wide;

static uint32_t limbs[140];

static char digits[1300];

static int to_decimal(void) {
    int count = 0, top = 139;
    while (top >= 0) {
        uint64_t rest = 0;
        for (int n = top; n >= 0; n--) {
            uint64_t value = rest << 32 | limbs[n];
            limbs[n] = value / 10;
            rest = value % 10;
        }
        digits[count++] = '0' + rest;
        while (top >= 0 && !limbs[top]) top--;
    }
    return count;
}

static uint64_t reduce(wide value, uint64_t modulus, uint64_t inverse) {
    uint64_t q = (uint64_t)value * inverse;
    wide product = (wide)q * modulus;
    uint64_t high = value >> 64, other = product >> 64;
    return high < other ? high - other + modulus : high - other;
}

int main(void) {
    limbs[0] = 1;
    for (int n = 0; n < 4096; n++) {
        uint32_t carry = 0;
        for (int at = 0; at < 140; at++) {
            uint64_t value = (uint64_t)limbs[at] * 2 + carry;
            limbs[at] = value;
            carry = value >> 32;
        }
    }
    put(digits, to_decimal());
    uint64_t modulus = 0xffffffff00000001ul, inverse = 1;
    for (int n = 0; n < 6; n++) inverse *= 2 - modulus * inverse;
    uint64_t one = (uint64_t)(((wide)1 << 64) % modulus), power = one;
    uint64_t base = (uint64_t)(((wide)7 << 64) % modulus), exponent = modulus - 3;
    for (int round = 0; round < 200; round++) {
        for (int bit = 63; bit >= 0; bit--) {
            power = reduce((wide)power * power, modulus, inverse);
            if (exponent >> bit & 1) power = reduce((wide)power * base, modulus, inverse);
        }
    }
    put(&power, sizeof power);
    return 0;
}
