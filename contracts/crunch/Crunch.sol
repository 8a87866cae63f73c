// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Blake3} from "./Blake3.sol";
import {Ed25519} from "./Ed25519.sol";

/// Work that the EVM has no instruction and no precompile for: a hash function, a signature scheme,
/// numbers of any size, sorting. The twin of src/main.rs: the same ABI.
contract Crunch {
    function blake3(bytes calldata data) external pure returns (bytes32) {
        return Blake3.hash(data);
    }

    /// Whether a Merkle tree of BLAKE3 hashes has the leaf: the bits of `index` say on which side.
    function verifyBlake3(bytes32 root, bytes32 leaf, uint64 index, bytes32[] calldata proof)
        external
        pure
        returns (bool)
    {
        bytes32 hash = leaf;
        for (uint256 i = 0; i < proof.length; i++) {
            hash = index >> i & 1 == 0 ? Blake3.pair(hash, proof[i]) : Blake3.pair(proof[i], hash);
        }
        return hash == root;
    }

    function verifyEd25519(bytes32 key, bytes32 r, bytes32 s, bytes calldata message)
        external
        view
        returns (bool)
    {
        return Ed25519.verify(key, r, s, message);
    }

    /// The hash of the Fibonacci number `n`, all of it: big-endian, in whole words of 32 bytes.
    function fibonacci(uint64 n) external pure returns (bytes32) {
        // 0.6943 bits a step.
        uint256 size = uint256(n) * 6943 / 2_560_000 + 1;
        uint256[] memory a = new uint256[](size);
        uint256[] memory b = new uint256[](size);
        b[0] = 1;
        for (uint64 i = 0; i < n; i++) {
            addTo(a, b);
            (a, b) = (b, a);
        }
        uint256 used = size;
        while (used > 1 && a[used - 1] == 0) used--;
        bytes memory text = new bytes(32 * used);
        for (uint256 i = 0; i < used; i++) {
            uint256 limb = a[used - 1 - i];
            assembly ("memory-safe") {
                mstore(add(add(text, 32), mul(i, 32)), limb)
            }
        }
        return keccak256(text);
    }

    /// Adds `b` to `a`: limbs of 256 bits, the lowest first.
    function addTo(uint256[] memory a, uint256[] memory b) private pure {
        assembly ("memory-safe") {
            let carry := 0
            let shift := sub(b, a)
            for { let at := add(a, 32) let end := add(at, mul(mload(a), 32)) } lt(at, end) { at := add(at, 32) } {
                let x := mload(at)
                let sum := add(x, mload(add(at, shift)))
                let more := add(sum, carry)
                carry := or(lt(sum, x), lt(more, sum))
                mstore(at, more)
            }
        }
    }

    /// Sorts `count` numbers that follow from the seed; the smallest, the middle and the largest.
    function sortRandom(uint64 seed, uint64 count) external pure returns (uint64, uint64, uint64) {
        uint64[] memory numbers = new uint64[](count);
        for (uint256 i = 0; i < count; i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            numbers[i] = seed;
        }
        sort(numbers);
        return (numbers[0], numbers[count / 2], numbers[count - 1]);
    }

    function sorted(uint64[] memory numbers) external pure returns (uint64[] memory) {
        sort(numbers);
        return numbers;
    }

    function sort(uint64[] memory numbers) private pure {
        if (numbers.length < 2) return;
        uint256 first;
        assembly ("memory-safe") {
            first := add(numbers, 32)
        }
        quicksort(first, first + 32 * (numbers.length - 1));
    }

    /// Sorts the words from address `low` to address `high`, both included.
    function quicksort(uint256 low, uint256 high) private pure {
        while (low < high) {
            uint256 i = low;
            uint256 j = high;
            assembly ("memory-safe") {
                let pivot := mload(and(shr(1, add(low, high)), not(31)))
                for {} iszero(gt(i, j)) {} {
                    for {} lt(mload(i), pivot) {} { i := add(i, 32) }
                    for {} gt(mload(j), pivot) {} { j := sub(j, 32) }
                    if iszero(gt(i, j)) {
                        let x := mload(i)
                        mstore(i, mload(j))
                        mstore(j, x)
                        i := add(i, 32)
                        j := sub(j, 32)
                    }
                }
            }
            // The smaller part first, so that calls nest no deeper than the logarithm.
            if (i + j < low + high) {
                quicksort(low, j);
                low = i;
            } else {
                quicksort(i, high);
                high = j;
            }
        }
    }
}
