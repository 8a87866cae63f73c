/* An example of a contract in C: a counter, and some of what the chain computes for it. To build it:
 *
 *   riscv64-unknown-elf-gcc -std=c11 -Os -march=rv64imac -mabi=lp64 -mcmodel=medany \
 *       --specs=picolibc.specs -nostartfiles -static -s -T contract.ld -o counter.elf start.S counter.c
 *
 * (Debian: gcc-riscv64-unknown-elf, picolibc-riscv64-unknown-elf.) rv_deploy takes the file as it is.
 *
 * Call data is one function selector and its arguments, as Solidity encodes them:
 *   add(uint256)        adds to the counter, reverts when it would overflow, logs the caller
 *   value()             the counter
 *   digest(bytes32)     SHA-256, keccak-256 and BLAKE3 of a word
 *   product(uint256,uint256,uint256)   a * b modulo n
 *   signer(bytes32,bytes32,bytes32,uint8)   the x of the key that signed, or zero
 * A constructor takes the counter's first value. */
#include "tandem.h"

/* First four bytes of keccak-256 of the signatures above. */
enum {
    ADD = 0x1003e2d2,
    VALUE = 0x3fa4f245,
    DIGEST = 0x3cb352b3,
    PRODUCT = 0xf2b72237,
    SIGNER = 0x6ec44aec,
};

static const tandem_word SLOT = {{0}};

void contract_create(void) {
    /* The container and the tail: the constructor's argument stands at the tail's start. */
    tandem_word first = {{0}};
    if (tandem_tail_size() >= 32) tandem_tail_copy(&first, 0, 32);
    tandem_sstore(&SLOT, &first);
    tandem_deploy(0, 0);
}

static void argument(unsigned n, tandem_word *out) { tandem_calldataload(4 + 32 * n, out); }

static void add(void) {
    tandem_word amount, now, topics[2];
    argument(0, &amount);
    tandem_sload(&SLOT, &now);
    unsigned carry = 0;
    for (int n = 31; n >= 0; n--) {
        carry += now.data[n] + amount.data[n];
        now.data[n] = (uint8_t)carry;
        carry >>= 8;
    }
    if (carry) tandem_revert(0, 0);
    tandem_sstore(&SLOT, &now);
    /* Added(address indexed who, uint256 value) */
    static const char signature[] = "Added(address,uint256)";
    zkvm_keccak256((const uint8_t *)signature, sizeof signature - 1, (zkvm_keccak256_hash *)&topics[0]);
    tandem_caller(&topics[1]);
    tandem_log(&now, 32, topics, 2);
    tandem_stop();
}

void contract_call(void) {
    uint8_t selector[4];
    tandem_word a, b, c, out[3] = {{{0}}};
    tandem_calldatacopy(selector, 0, 4);
    switch ((uint32_t)selector[0] << 24 | selector[1] << 16 | selector[2] << 8 | selector[3]) {
    case ADD:
        add();
        break;
    case VALUE:
        tandem_sload(&SLOT, out);
        tandem_return(out, 32);
    case DIGEST:
        argument(0, &a);
        zkvm_sha256(a.data, 32, (zkvm_sha256_hash *)&out[0]);
        zkvm_keccak256(a.data, 32, (zkvm_keccak256_hash *)&out[1]);
        tandem_blake3(&a, 32, &out[2]);
        tandem_return(out, 96);
    case PRODUCT:
        argument(0, &a);
        argument(1, &b);
        argument(2, &c);
        tandem_mulmod(&a, &b, &c, out);
        tandem_return(out, 32);
    case SIGNER: {
        zkvm_secp256k1_hash hash;
        zkvm_secp256k1_signature signature;
        zkvm_secp256k1_pubkey key = {{0}};
        argument(0, (tandem_word *)&hash);
        argument(1, (tandem_word *)&signature.data[0]);
        argument(2, (tandem_word *)&signature.data[32]);
        argument(3, &a);
        zkvm_secp256k1_ecrecover(&hash, &signature, (uint8_t)tandem_low(&a), &key);
        tandem_return(key.data, 32);
    }
    default:
        tandem_revert(0, 0);
    }
}
