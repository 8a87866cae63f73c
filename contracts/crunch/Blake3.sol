// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// BLAKE3 on the EVM: what a crate from the shelf does for the RISC-V twin.
library Blake3 {
    /// The order of the message's words in each of the seven rounds, a hexadecimal digit for each.
    uint256 private constant ORDER_0_3 = 0x0123456789abcdef263a704d1bc59ef834acd27e6590bf81a7c9e3df40b25816;
    uint256 private constant ORDER_4_6 = 0xcd9bfae8725301649eb58cf1d30a2647bf501986ea2c347d0000000000000000;
    /// SHA-256's first eight words: the key of the plain hash.
    uint256 private constant IV = 0x6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19;

    uint256 private constant CHUNK_START = 1;
    uint256 private constant CHUNK_END = 2;
    uint256 private constant PARENT = 4;
    uint256 private constant ROOT = 8;

    function hash(bytes memory input) internal pure returns (bytes32) {
        uint256 chunks = input.length == 0 ? 1 : (input.length + 1023) / 1024;
        return bytes32(swapped(subtree(input, 0, chunks, ROOT)));
    }

    /// The hash of two hashes.
    function pair(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return hash(abi.encodePacked(left, right));
    }

    /// The chaining value of some chunks: eight words of 32 bits in one of the EVM's.
    function subtree(bytes memory input, uint256 first, uint256 count, uint256 flags)
        private
        pure
        returns (uint256)
    {
        if (count == 1) return chunk(input, first, flags);
        uint256 left = 1;
        while (2 * left < count) left *= 2;
        uint256 a = subtree(input, first, left, 0);
        uint256 b = subtree(input, first + left, count - left, 0);
        return compress(IV, a, b, 0, 64, flags | PARENT);
    }

    function chunk(bytes memory input, uint256 index, uint256 flags) private pure returns (uint256 value) {
        uint256 place = 1024 * index;
        uint256 end = input.length < place + 1024 ? input.length : place + 1024;
        uint256 start = CHUNK_START;
        value = IV;
        while (true) {
            uint256 size = end - place < 64 ? end - place : 64;
            bool isLast = place + size == end;
            (uint256 a, uint256 b) = blockAt(input, place, size);
            value = compress(value, a, b, index, size, start | (isLast ? flags | CHUNK_END : 0));
            if (isLast) return value;
            start = 0;
            place += size;
        }
    }

    /// Up to 64 bytes, zeros after them, as two times eight words.
    function blockAt(bytes memory input, uint256 place, uint256 size) private pure returns (uint256 a, uint256 b) {
        assembly ("memory-safe") {
            let from := add(add(input, 32), place)
            a := mload(from)
            b := mload(add(from, 32))
        }
        if (size < 32) (a, b) = (size == 0 ? 0 : a >> 8 * (32 - size) << 8 * (32 - size), 0);
        else if (size < 64) b = size == 32 ? 0 : b >> 8 * (64 - size) << 8 * (64 - size);
        (a, b) = (swapped(a), swapped(b));
    }

    /// The bytes of each 32-bit word in the other order.
    function swapped(uint256 v) private pure returns (uint256) {
        v = (v & 0x00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF) << 8
            | v >> 8 & 0x00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF;
        return (v & 0x0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF) << 16
            | v >> 16 & 0x0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF;
    }

    /// The first eight words of a compression: seven rounds over sixteen words in memory.
    function compress(uint256 value, uint256 a, uint256 b, uint256 counter, uint256 size, uint256 flags)
        private
        pure
        returns (uint256 result)
    {
        uint256 tail = IV >> 128 << 128 | (counter & 0xFFFFFFFF) << 96 | (counter >> 32) << 64 | size << 32 | flags;
        assembly ("memory-safe") {
            function rotated(x, n) -> y {
                y := and(or(shr(n, x), shl(sub(32, n), x)), 0xFFFFFFFF)
            }
            function mix(wa, wb, wc, wd, x, y) {
                let va := mload(wa)
                let vb := mload(wb)
                let vc := mload(wc)
                let vd := mload(wd)
                va := and(add(add(va, vb), x), 0xFFFFFFFF)
                vd := rotated(xor(vd, va), 16)
                vc := and(add(vc, vd), 0xFFFFFFFF)
                vb := rotated(xor(vb, vc), 12)
                va := and(add(add(va, vb), y), 0xFFFFFFFF)
                vd := rotated(xor(vd, va), 8)
                vc := and(add(vc, vd), 0xFFFFFFFF)
                vb := rotated(xor(vb, vc), 7)
                mstore(wa, va)
                mstore(wb, vb)
                mstore(wc, vc)
                mstore(wd, vd)
            }
            function spread(place, words) {
                for { let i := 0 } lt(i, 8) { i := add(i, 1) } {
                    mstore(add(place, mul(i, 32)), and(shr(sub(224, mul(i, 32)), words), 0xFFFFFFFF))
                }
            }
            // The message's word that stands at place `i` of the round's order.
            function word(m, order, i) -> x {
                x := mload(add(m, shl(5, and(shr(sub(60, mul(i, 4)), order), 15))))
            }
            // Beyond what is allocated, and not kept: 16 words of state, 16 of the message.
            let s := mload(0x40)
            let m := add(s, 512)
            spread(s, value)
            spread(add(s, 256), tail)
            spread(m, a)
            spread(add(m, 256), b)
            for { let round := 0 } lt(round, 7) { round := add(round, 1) } {
                let order := shr(sub(192, mul(64, and(round, 3))), ORDER_0_3)
                if gt(round, 3) { order := shr(sub(192, mul(64, and(round, 3))), ORDER_4_6) }
                for { let i := 0 } lt(i, 4) { i := add(i, 1) } {
                    let place := add(s, shl(5, i))
                    mix(place, add(place, 128), add(place, 256), add(place, 384),
                        word(m, order, mul(i, 2)), word(m, order, add(mul(i, 2), 1)))
                }
                for { let i := 0 } lt(i, 4) { i := add(i, 1) } {
                    mix(add(s, shl(5, i)),
                        add(s, add(128, shl(5, and(add(i, 1), 3)))),
                        add(s, add(256, shl(5, and(add(i, 2), 3)))),
                        add(s, add(384, shl(5, and(add(i, 3), 3)))),
                        word(m, order, add(mul(i, 2), 8)), word(m, order, add(mul(i, 2), 9)))
                }
            }
            for { let i := 0 } lt(i, 256) { i := add(i, 32) } {
                result := or(shl(32, result), xor(mload(add(s, i)), mload(add(s, add(i, 256)))))
            }
        }
    }
}
