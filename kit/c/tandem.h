/* What a RISC-V contract in C may ask of the chain: docs/spec/riscv-abi.md, section 5.
 *
 * Words and addresses are 32 bytes, big endian; an address has twelve zeros in front. The second
 * half gives the calls that only compute the names and signatures of the zkVM accelerator standard
 * (eth-act/zkvm-standards, zkvm_accelerators.h). C11. */
#ifndef TANDEM_H
#define TANDEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- system calls ---- */

static inline uint64_t tandem_call7(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                                    uint64_t e, uint64_t f, uint64_t g) {
    register uint64_t a0 __asm__("a0") = a;
    register uint64_t a1 __asm__("a1") = b;
    register uint64_t a2 __asm__("a2") = c;
    register uint64_t a3 __asm__("a3") = d;
    register uint64_t a4 __asm__("a4") = e;
    register uint64_t a5 __asm__("a5") = f;
    register uint64_t a6 __asm__("a6") = g;
    register uint64_t a7 __asm__("a7") = number;
    __asm__ volatile("ecall"
                     : "+r"(a0)
                     : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a6), "r"(a7)
                     : "memory");
    return a0;
}

static inline uint64_t tandem_call4(uint64_t number, uint64_t a, uint64_t b, uint64_t c,
                                    uint64_t d) {
    register uint64_t a0 __asm__("a0") = a;
    register uint64_t a1 __asm__("a1") = b;
    register uint64_t a2 __asm__("a2") = c;
    register uint64_t a3 __asm__("a3") = d;
    register uint64_t a7 __asm__("a7") = number;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a7) : "memory");
    return a0;
}

#define TANDEM_P(pointer) ((uint64_t)(uintptr_t)(pointer))

/* A 256-bit number or an address, big endian. */
typedef struct {
    _Alignas(8) uint8_t data[32];
} tandem_word;

/* The word that holds a number. */
static inline tandem_word tandem_number(uint64_t number) {
    tandem_word word = {{0}};
    for (int n = 31; n >= 24; n--, number >>= 8) word.data[n] = (uint8_t)number;
    return word;
}

/* The low 64 bits of a word. */
static inline uint64_t tandem_low(const tandem_word *word) {
    uint64_t number = 0;
    for (int n = 24; n < 32; n++) number = number << 8 | word->data[n];
    return number;
}

#define TANDEM_WORD(name, number)                     \
    static inline void name(tandem_word *out) {       \
        tandem_call4(number, TANDEM_P(out), 0, 0, 0); \
    }
TANDEM_WORD(tandem_address, 0x30)
TANDEM_WORD(tandem_origin, 0x32)
TANDEM_WORD(tandem_caller, 0x33)
TANDEM_WORD(tandem_callvalue, 0x34)
TANDEM_WORD(tandem_gasprice, 0x3a)
TANDEM_WORD(tandem_coinbase, 0x41)
TANDEM_WORD(tandem_prevrandao, 0x44)
TANDEM_WORD(tandem_selfbalance, 0x47)
TANDEM_WORD(tandem_basefee, 0x48)
TANDEM_WORD(tandem_blobbasefee, 0x4a)
#undef TANDEM_WORD

#define TANDEM_NUMBER(name, number)                 \
    static inline uint64_t name(void) {             \
        return tandem_call4(number, 0, 0, 0, 0);    \
    }
TANDEM_NUMBER(tandem_calldatasize, 0x36)
TANDEM_NUMBER(tandem_codesize, 0x38)
TANDEM_NUMBER(tandem_returndatasize, 0x3d)
TANDEM_NUMBER(tandem_timestamp, 0x42)
TANDEM_NUMBER(tandem_blocknumber, 0x43)
TANDEM_NUMBER(tandem_gaslimit, 0x45)
TANDEM_NUMBER(tandem_chainid, 0x46)
TANDEM_NUMBER(tandem_gas, 0x5a)
TANDEM_NUMBER(tandem_tail_size, 0x1000)
#undef TANDEM_NUMBER

#define TANDEM_LOOKUP(name, number)                                \
    static inline void name(const tandem_word *key, tandem_word *out) { \
        tandem_call4(number, TANDEM_P(key), TANDEM_P(out), 0, 0);  \
    }
TANDEM_LOOKUP(tandem_balance, 0x31)
TANDEM_LOOKUP(tandem_extcodehash, 0x3f)
TANDEM_LOOKUP(tandem_sload, 0x54)
TANDEM_LOOKUP(tandem_tload, 0x5c)
#undef TANDEM_LOOKUP

/* Copies from a place in the call data, the code, the return data or the tail. */
#define TANDEM_COPY(name, number)                                      \
    static inline void name(void *to, uint64_t offset, size_t len) {   \
        tandem_call4(number, TANDEM_P(to), offset, len, 0);            \
    }
TANDEM_COPY(tandem_calldatacopy, 0x37)
TANDEM_COPY(tandem_codecopy, 0x39)
TANDEM_COPY(tandem_returndatacopy, 0x3e)
TANDEM_COPY(tandem_tail_copy, 0x1001)
#undef TANDEM_COPY

static inline void tandem_calldataload(uint64_t offset, tandem_word *out) {
    tandem_call4(0x35, offset, TANDEM_P(out), 0, 0);
}

static inline void tandem_blockhash(uint64_t number, tandem_word *out) {
    tandem_call4(0x40, number, TANDEM_P(out), 0, 0);
}

static inline void tandem_blobhash(uint64_t index, tandem_word *out) {
    tandem_call4(0x49, index, TANDEM_P(out), 0, 0);
}

static inline uint64_t tandem_extcodesize(const tandem_word *address) {
    return tandem_call4(0x3b, TANDEM_P(address), 0, 0, 0);
}

static inline void tandem_extcodecopy(const tandem_word *address, void *to, uint64_t offset,
                                      size_t len) {
    tandem_call4(0x3c, TANDEM_P(address), TANDEM_P(to), offset, len);
}

static inline void tandem_sstore(const tandem_word *key, const tandem_word *value) {
    tandem_call4(0x55, TANDEM_P(key), TANDEM_P(value), 0, 0);
}

static inline void tandem_tstore(const tandem_word *key, const tandem_word *value) {
    tandem_call4(0x5d, TANDEM_P(key), TANDEM_P(value), 0, 0);
}

/* A log with `count` topics, 0 to 4, one after the other. */
static inline void tandem_log(const void *data, size_t len, const tandem_word *topics,
                              unsigned count) {
    tandem_call4(0xa0 + count, TANDEM_P(data), len, TANDEM_P(topics), 0);
}

#define TANDEM_ALL_GAS UINT64_MAX

/* Calls answer 1, or 0 if the callee reverted, halted or could not be called. */
static inline uint64_t tandem_call(uint64_t gas, const tandem_word *to, const tandem_word *value,
                                   const void *in, size_t in_len, void *out, size_t out_len) {
    return tandem_call7(0xf1, gas, TANDEM_P(to), TANDEM_P(value), TANDEM_P(in), in_len,
                        TANDEM_P(out), out_len);
}

static inline uint64_t tandem_delegatecall(uint64_t gas, const tandem_word *to, const void *in,
                                           size_t in_len, void *out, size_t out_len) {
    return tandem_call7(0xf4, gas, TANDEM_P(to), TANDEM_P(in), in_len, TANDEM_P(out), out_len, 0);
}

static inline uint64_t tandem_staticcall(uint64_t gas, const tandem_word *to, const void *in,
                                         size_t in_len, void *out, size_t out_len) {
    return tandem_call7(0xfa, gas, TANDEM_P(to), TANDEM_P(in), in_len, TANDEM_P(out), out_len, 0);
}

static inline uint64_t tandem_create(const tandem_word *value, const void *code, size_t len,
                                     tandem_word *address) {
    return tandem_call4(0xf0, TANDEM_P(value), TANDEM_P(code), len, TANDEM_P(address));
}

static inline uint64_t tandem_create2(const tandem_word *value, const void *code, size_t len,
                                      const tandem_word *salt, tandem_word *address) {
    return tandem_call7(0xf5, TANDEM_P(value), TANDEM_P(code), len, TANDEM_P(salt),
                        TANDEM_P(address), 0, 0);
}

/* Text for the node's log. */
static inline void tandem_print(const char *text, size_t len) {
    tandem_call4(0x1003, TANDEM_P(text), len, 0, 0);
}

/* What ends the frame. */
static inline _Noreturn void tandem_stop(void) {
    tandem_call4(0x00, 0, 0, 0, 0);
    __builtin_unreachable();
}

static inline _Noreturn void tandem_return(const void *data, size_t len) {
    tandem_call4(0xf3, TANDEM_P(data), len, 0, 0);
    __builtin_unreachable();
}

static inline _Noreturn void tandem_revert(const void *data, size_t len) {
    tandem_call4(0xfd, TANDEM_P(data), len, 0, 0);
    __builtin_unreachable();
}

/* Ends a constructor: the account gets the running image, with these bytes as its tail. */
static inline _Noreturn void tandem_deploy(const void *tail, size_t len) {
    tandem_call4(0x1002, TANDEM_P(tail), len, 0, 0);
    __builtin_unreachable();
}

/* 256-bit arithmetic, as the EVM has it; `out` may be an operand. */
#define TANDEM_ARITHMETIC(name, number)                                                   \
    static inline void name(const tandem_word *a, const tandem_word *b, tandem_word *out) { \
        tandem_call4(number, TANDEM_P(a), TANDEM_P(b), TANDEM_P(out), 0);                 \
    }
TANDEM_ARITHMETIC(tandem_mul, 0x02)
TANDEM_ARITHMETIC(tandem_div, 0x04)
TANDEM_ARITHMETIC(tandem_sdiv, 0x05)
TANDEM_ARITHMETIC(tandem_mod, 0x06)
TANDEM_ARITHMETIC(tandem_smod, 0x07)
TANDEM_ARITHMETIC(tandem_exp, 0x0a)
#undef TANDEM_ARITHMETIC

static inline void tandem_addmod(const tandem_word *a, const tandem_word *b, const tandem_word *n,
                                 tandem_word *out) {
    tandem_call4(0x08, TANDEM_P(a), TANDEM_P(b), TANDEM_P(n), TANDEM_P(out));
}

static inline void tandem_mulmod(const tandem_word *a, const tandem_word *b, const tandem_word *n,
                                 tandem_word *out) {
    tandem_call4(0x09, TANDEM_P(a), TANDEM_P(b), TANDEM_P(n), TANDEM_P(out));
}

static inline void tandem_blake3(const void *data, size_t len, tandem_word *out) {
    tandem_call4(0x1010, TANDEM_P(data), len, TANDEM_P(out), 0);
}

/* A precompile asked to compute: the size of its output, or UINT64_MAX if it fails. */
static inline uint64_t tandem_precompile(uint64_t address, const void *in, size_t in_len, void *out,
                                         size_t out_len) {
    return tandem_call4(0x1100 + address, TANDEM_P(in), in_len, TANDEM_P(out), out_len);
}

/* ---- the zkVM accelerator standard ---- */

typedef enum { ZKVM_EOK = 0, ZKVM_EFAIL = -1 } zkvm_status;

#define TANDEM_BYTES(size)                 \
    typedef struct {                       \
        _Alignas(8) uint8_t data[size];    \
    } zkvm_bytes_##size
TANDEM_BYTES(16);
TANDEM_BYTES(32);
TANDEM_BYTES(48);
TANDEM_BYTES(64);
TANDEM_BYTES(96);
TANDEM_BYTES(128);
TANDEM_BYTES(192);
#undef TANDEM_BYTES

typedef zkvm_bytes_32 zkvm_keccak256_hash;
typedef zkvm_bytes_32 zkvm_sha256_hash;
typedef zkvm_bytes_32 zkvm_ripemd160_hash; /* twelve zeros in front */
typedef zkvm_bytes_32 zkvm_secp256k1_hash;
typedef zkvm_bytes_64 zkvm_secp256k1_signature;
typedef zkvm_bytes_64 zkvm_secp256k1_pubkey;
typedef zkvm_bytes_32 zkvm_secp256r1_hash;
typedef zkvm_bytes_64 zkvm_secp256r1_signature;
typedef zkvm_bytes_64 zkvm_secp256r1_pubkey;
typedef zkvm_bytes_64 zkvm_bn254_g1_point;
typedef zkvm_bytes_128 zkvm_bn254_g2_point;
typedef zkvm_bytes_32 zkvm_bn254_scalar;
typedef struct {
    zkvm_bn254_g1_point g1;
    zkvm_bn254_g2_point g2;
} zkvm_bn254_pairing_pair;
typedef zkvm_bytes_96 zkvm_bls12_381_g1_point;
typedef zkvm_bytes_192 zkvm_bls12_381_g2_point;
typedef zkvm_bytes_32 zkvm_bls12_381_scalar;
typedef zkvm_bytes_48 zkvm_bls12_381_fp;
typedef zkvm_bytes_96 zkvm_bls12_381_fp2;
typedef struct {
    zkvm_bls12_381_g1_point point;
    zkvm_bls12_381_scalar scalar;
} zkvm_bls12_381_g1_msm_pair;
typedef struct {
    zkvm_bls12_381_g2_point point;
    zkvm_bls12_381_scalar scalar;
} zkvm_bls12_381_g2_msm_pair;
typedef struct {
    zkvm_bls12_381_g1_point g1;
    zkvm_bls12_381_g2_point g2;
} zkvm_bls12_381_pairing_pair;
typedef zkvm_bytes_64 zkvm_blake2f_state;
typedef zkvm_bytes_128 zkvm_blake2f_message;
typedef zkvm_bytes_16 zkvm_blake2f_offset;
typedef zkvm_bytes_48 zkvm_kzg_commitment;
typedef zkvm_bytes_48 zkvm_kzg_proof;
typedef zkvm_bytes_32 zkvm_kzg_field_element;

/* memcpy and memset, which a contract without a C library has to bring. */
static inline void tandem_copy(void *to, const void *from, size_t len) {
    for (size_t n = 0; n < len; n++) ((volatile uint8_t *)to)[n] = ((const uint8_t *)from)[n];
}

static inline zkvm_status zkvm_keccak256(const uint8_t *data, size_t len,
                                         zkvm_keccak256_hash *output) {
    tandem_call4(0x20, TANDEM_P(data), len, TANDEM_P(output), 0);
    return ZKVM_EOK;
}

static inline zkvm_status tandem_status(uint64_t size, uint64_t expected) {
    return size == expected ? ZKVM_EOK : ZKVM_EFAIL;
}

/* The last byte of a 32-byte answer, 1 for true; an empty answer is false. */
static inline zkvm_status tandem_verdict(uint64_t size, const tandem_word *answer, bool *verified) {
    *verified = size == 32 && answer->data[31] == 1;
    return size == UINT64_MAX ? ZKVM_EFAIL : ZKVM_EOK;
}

static inline zkvm_status zkvm_secp256k1_verify(const zkvm_secp256k1_hash *msg,
                                                const zkvm_secp256k1_signature *sig,
                                                const zkvm_secp256k1_pubkey *pubkey,
                                                bool *verified) {
    *verified = tandem_call4(0x1012, TANDEM_P(msg), TANDEM_P(sig), TANDEM_P(pubkey), 0);
    return ZKVM_EOK;
}

static inline zkvm_status zkvm_secp256k1_ecrecover(const zkvm_secp256k1_hash *msg,
                                                   const zkvm_secp256k1_signature *sig,
                                                   uint8_t recid, zkvm_secp256k1_pubkey *output) {
    uint64_t there = tandem_call4(0x1011, TANDEM_P(msg), TANDEM_P(sig), recid, TANDEM_P(output));
    return tandem_status(there, 1);
}

static inline zkvm_status zkvm_sha256(const uint8_t *data, size_t len, zkvm_sha256_hash *output) {
    return tandem_status(tandem_precompile(0x02, data, len, output, 32), 32);
}

static inline zkvm_status zkvm_ripemd160(const uint8_t *data, size_t len,
                                         zkvm_ripemd160_hash *output) {
    return tandem_status(tandem_precompile(0x03, data, len, output, 32), 32);
}

/* `output` has `mod_len` bytes. The numbers together have at most 3,072 bytes. */
static inline zkvm_status zkvm_modexp(const uint8_t *base, size_t base_len, const uint8_t *exp,
                                      size_t exp_len, const uint8_t *modulus, size_t mod_len,
                                      uint8_t *output) {
    uint8_t in[96 + 3072];
    if (base_len > 1024 || exp_len > 1024 || mod_len > 1024) return ZKVM_EFAIL;
    tandem_word lens[3] = {tandem_number(base_len), tandem_number(exp_len),
                           tandem_number(mod_len)};
    tandem_copy(in, lens, 96);
    tandem_copy(in + 96, base, base_len);
    tandem_copy(in + 96 + base_len, exp, exp_len);
    tandem_copy(in + 96 + base_len + exp_len, modulus, mod_len);
    size_t len = 96 + base_len + exp_len + mod_len;
    return tandem_status(tandem_precompile(0x05, in, len, output, mod_len), mod_len);
}

static inline zkvm_status zkvm_bn254_g1_add(const zkvm_bn254_g1_point *p1,
                                            const zkvm_bn254_g1_point *p2,
                                            zkvm_bn254_g1_point *result) {
    zkvm_bn254_g1_point in[2] = {*p1, *p2};
    return tandem_status(tandem_precompile(0x06, in, sizeof in, result, 64), 64);
}

static inline zkvm_status zkvm_bn254_g1_mul(const zkvm_bn254_g1_point *point,
                                            const zkvm_bn254_scalar *scalar,
                                            zkvm_bn254_g1_point *result) {
    struct {
        zkvm_bn254_g1_point point;
        zkvm_bn254_scalar scalar;
    } in = {*point, *scalar};
    return tandem_status(tandem_precompile(0x07, &in, sizeof in, result, 64), 64);
}

static inline zkvm_status zkvm_bn254_pairing(const zkvm_bn254_pairing_pair *pairs, size_t num_pairs,
                                             bool *verified) {
    tandem_word answer = {{0}};
    uint64_t size = tandem_precompile(0x08, pairs, num_pairs * sizeof *pairs, &answer, 32);
    return tandem_verdict(size, &answer, verified);
}

static inline zkvm_status zkvm_blake2f(uint32_t rounds, zkvm_blake2f_state *h,
                                       const zkvm_blake2f_message *m, const zkvm_blake2f_offset *t,
                                       uint8_t f) {
    uint8_t in[213];
    for (int n = 0; n < 4; n++) in[n] = (uint8_t)(rounds >> (24 - 8 * n));
    tandem_copy(in + 4, h, 64);
    tandem_copy(in + 68, m, 128);
    tandem_copy(in + 196, t, 16);
    in[212] = f;
    return tandem_status(tandem_precompile(0x09, in, sizeof in, h, 64), 64);
}

static inline zkvm_status zkvm_kzg_point_eval(const zkvm_kzg_commitment *commitment,
                                              const zkvm_kzg_field_element *z,
                                              const zkvm_kzg_field_element *y,
                                              const zkvm_kzg_proof *proof, bool *verified) {
    uint8_t in[192];
    zkvm_sha256_hash hash;
    zkvm_sha256(commitment->data, 48, &hash);
    hash.data[0] = 1;
    tandem_copy(in, &hash, 32);
    tandem_copy(in + 32, z, 32);
    tandem_copy(in + 64, y, 32);
    tandem_copy(in + 96, commitment, 48);
    tandem_copy(in + 144, proof, 48);
    *verified = tandem_precompile(0x0a, in, sizeof in, 0, 0) == 64;
    return ZKVM_EOK;
}

/* The EVM's form of a field element of 48 bytes has 16 zeros in front. */
static inline void tandem_widen(uint8_t *to, const uint8_t *from, size_t elements) {
    for (size_t n = 0; n < elements; n++) {
        for (size_t zero = 0; zero < 16; zero++) ((volatile uint8_t *)to)[64 * n + zero] = 0;
        tandem_copy(to + 64 * n + 16, from + 48 * n, 48);
    }
}

static inline void tandem_narrow(uint8_t *to, const uint8_t *from, size_t elements) {
    for (size_t n = 0; n < elements; n++) tandem_copy(to + 48 * n, from + 64 * n + 16, 48);
}

static inline zkvm_status tandem_bls12(uint64_t address, const uint8_t *in, size_t in_len,
                                       uint8_t *result, size_t elements) {
    uint8_t out[256];
    if (tandem_precompile(address, in, in_len, out, sizeof out) != 64 * elements) return ZKVM_EFAIL;
    tandem_narrow(result, out, elements);
    return ZKVM_EOK;
}

static inline zkvm_status zkvm_bls12_g1_add(const zkvm_bls12_381_g1_point *p1,
                                            const zkvm_bls12_381_g1_point *p2,
                                            zkvm_bls12_381_g1_point *result) {
    uint8_t in[256];
    tandem_widen(in, p1->data, 2);
    tandem_widen(in + 128, p2->data, 2);
    return tandem_bls12(0x0b, in, sizeof in, result->data, 2);
}

static inline zkvm_status zkvm_bls12_g2_add(const zkvm_bls12_381_g2_point *p1,
                                            const zkvm_bls12_381_g2_point *p2,
                                            zkvm_bls12_381_g2_point *result) {
    uint8_t in[512];
    tandem_widen(in, p1->data, 4);
    tandem_widen(in + 256, p2->data, 4);
    return tandem_bls12(0x0d, in, sizeof in, result->data, 4);
}

/* Sums of products and pairings take at most this many pairs here: they are widened on the stack. */
#define TANDEM_BLS12_PAIRS_MAX 128

static inline zkvm_status zkvm_bls12_g1_msm(const zkvm_bls12_381_g1_msm_pair *pairs,
                                            size_t num_pairs, zkvm_bls12_381_g1_point *result) {
    if (num_pairs == 0 || num_pairs > TANDEM_BLS12_PAIRS_MAX) return ZKVM_EFAIL;
    uint8_t in[160 * num_pairs];
    for (size_t n = 0; n < num_pairs; n++) {
        tandem_widen(in + 160 * n, pairs[n].point.data, 2);
        tandem_copy(in + 160 * n + 128, pairs[n].scalar.data, 32);
    }
    return tandem_bls12(0x0c, in, 160 * num_pairs, result->data, 2);
}

static inline zkvm_status zkvm_bls12_g2_msm(const zkvm_bls12_381_g2_msm_pair *pairs,
                                            size_t num_pairs, zkvm_bls12_381_g2_point *result) {
    if (num_pairs == 0 || num_pairs > TANDEM_BLS12_PAIRS_MAX) return ZKVM_EFAIL;
    uint8_t in[288 * num_pairs];
    for (size_t n = 0; n < num_pairs; n++) {
        tandem_widen(in + 288 * n, pairs[n].point.data, 4);
        tandem_copy(in + 288 * n + 256, pairs[n].scalar.data, 32);
    }
    return tandem_bls12(0x0e, in, 288 * num_pairs, result->data, 4);
}

static inline zkvm_status zkvm_bls12_pairing(const zkvm_bls12_381_pairing_pair *pairs,
                                             size_t num_pairs, bool *verified) {
    if (num_pairs == 0 || num_pairs > TANDEM_BLS12_PAIRS_MAX) return ZKVM_EFAIL;
    uint8_t in[384 * num_pairs];
    tandem_word answer = {{0}};
    for (size_t n = 0; n < num_pairs; n++) {
        tandem_widen(in + 384 * n, pairs[n].g1.data, 2);
        tandem_widen(in + 384 * n + 128, pairs[n].g2.data, 4);
    }
    uint64_t size = tandem_precompile(0x0f, in, 384 * num_pairs, &answer, 32);
    return tandem_verdict(size, &answer, verified);
}

static inline zkvm_status zkvm_bls12_map_fp_to_g1(const zkvm_bls12_381_fp *field_element,
                                                  zkvm_bls12_381_g1_point *result) {
    uint8_t in[64];
    tandem_widen(in, field_element->data, 1);
    return tandem_bls12(0x10, in, sizeof in, result->data, 2);
}

static inline zkvm_status zkvm_bls12_map_fp2_to_g2(const zkvm_bls12_381_fp2 *field_element,
                                                   zkvm_bls12_381_g2_point *result) {
    uint8_t in[128];
    tandem_widen(in, field_element->data, 2);
    return tandem_bls12(0x11, in, sizeof in, result->data, 4);
}

static inline zkvm_status zkvm_secp256r1_verify(const zkvm_secp256r1_hash *msg,
                                                const zkvm_secp256r1_signature *sig,
                                                const zkvm_secp256r1_pubkey *pubkey,
                                                bool *verified) {
    uint8_t in[160];
    tandem_word answer = {{0}};
    tandem_copy(in, msg, 32);
    tandem_copy(in + 32, sig, 64);
    tandem_copy(in + 96, pubkey, 64);
    uint64_t size = tandem_precompile(0x100, in, sizeof in, &answer, 32);
    return tandem_verdict(size, &answer, verified);
}

#endif
