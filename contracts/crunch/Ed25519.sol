// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// Ed25519 signatures (RFC 8032) on the EVM, which has neither the curve nor SHA-512: what a crate
/// from the shelf does for the RISC-V twin.
library Ed25519 {
    uint256 private constant P = 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed;
    /// The order of the base point.
    uint256 private constant L = 0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed;
    /// Twice the curve's constant d, and the constant itself.
    uint256 private constant D2 = 0x2406d9dc56dffce7198e80f2eef3d13000e0149a8283b156ebd69b9426b2f159;
    uint256 private constant D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3;
    uint256 private constant SQRT_MINUS_1 = 0x2b8324804fc1df0b2b4d00993dfbd7a72f431806ad2fe478c4ee1b274a0ea0b0;
    uint256 private constant BASE_X = 0x216936d3cd6e53fec0a4e231fdd6dc5c692cc7609525a7b2c9562d608f25d51a;
    uint256 private constant BASE_Y = 0x6666666666666666666666666666666666666666666666666666666666666658;
    /// 2^256 modulo L.
    uint256 private constant CARRY = 0x0ffffffffffffffffffffffffffffffec6ef5bf4737dcf70d6ec31748d98951d;

    /// A point in extended coordinates: x = X / Z, y = Y / Z, x y = T / Z.
    struct Point {
        uint256 x;
        uint256 y;
        uint256 z;
        uint256 t;
    }

    /// Whether `r` and `s` are the signature of `message` by `key`: R = [s]B - [k]A.
    function verify(bytes32 key, bytes32 r, bytes32 s, bytes memory message) internal view returns (bool) {
        uint256 scalar = turned(uint256(s));
        if (scalar >= L) return false;
        (bool isPoint, uint256 x, uint256 y) = decompress(key);
        if (!isPoint) return false;
        (uint256 low, uint256 high) = Sha512.hash(abi.encodePacked(r, key, message));
        uint256 k = addmod(turned(low), mulmod(turned(high), CARRY, L), L);
        return compress(combined(scalar, k, affine(P - x, y))) == r;
    }

    /// [s]B + [k]q, both at once, a bit at a time.
    function combined(uint256 s, uint256 k, Point memory q) private pure returns (Point memory sum) {
        Point memory base = affine(BASE_X, BASE_Y);
        Point memory both = affine(BASE_X, BASE_Y);
        add(both, q);
        sum = Point(0, 1, 1, 0);
        for (uint256 bit = 253; bit > 0;) {
            unchecked {
                bit--;
            }
            double(sum);
            bool inS = s >> bit & 1 == 1;
            bool inK = k >> bit & 1 == 1;
            if (inS && inK) add(sum, both);
            else if (inS) add(sum, base);
            else if (inK) add(sum, q);
        }
    }

    function affine(uint256 x, uint256 y) private pure returns (Point memory) {
        return Point(x, y, 1, mulmod(x, y, P));
    }

    function double(Point memory place) private pure {
        assembly ("memory-safe") {
            let p := P
            let x := mload(place)
            let y := mload(add(place, 32))
            let c := mload(add(place, 64))
            c := mulmod(c, c, p)
            c := add(c, c)
            let e := add(x, y)
            e := mulmod(e, e, p)
            x := mulmod(x, x, p)
            y := mulmod(y, y, p)
            let h := addmod(x, y, p)
            e := addmod(h, sub(p, e), p)
            let g := addmod(x, sub(p, y), p)
            let f := addmod(c, g, p)
            mstore(place, mulmod(e, f, p))
            mstore(add(place, 32), mulmod(g, h, p))
            mstore(add(place, 64), mulmod(f, g, p))
            mstore(add(place, 96), mulmod(e, h, p))
        }
    }

    function add(Point memory place, Point memory other) private pure {
        assembly ("memory-safe") {
            let p := P
            let x := mload(place)
            let y := mload(add(place, 32))
            let u := mload(other)
            let v := mload(add(other, 32))
            let a := mulmod(add(y, sub(p, x)), add(v, sub(p, u)), p)
            let b := mulmod(add(y, x), add(v, u), p)
            let c := mulmod(mulmod(mload(add(place, 96)), D2, p), mload(add(other, 96)), p)
            let d := mulmod(mload(add(place, 64)), mload(add(other, 64)), p)
            d := add(d, d)
            let e := addmod(b, sub(p, a), p)
            let f := addmod(d, sub(p, c), p)
            let g := addmod(d, c, p)
            let h := addmod(b, a, p)
            mstore(place, mulmod(e, f, p))
            mstore(add(place, 32), mulmod(g, h, p))
            mstore(add(place, 64), mulmod(f, g, p))
            mstore(add(place, 96), mulmod(e, h, p))
        }
    }

    function decompress(bytes32 key) private view returns (bool, uint256 x, uint256 y) {
        y = turned(uint256(key));
        uint256 odd = y >> 255;
        y = (y & (2 ** 255 - 1)) % P;
        uint256 square = mulmod(y, y, P);
        uint256 u = addmod(square, P - 1, P);
        uint256 v = addmod(mulmod(D, square, P), 1, P);
        uint256 cube = mulmod(mulmod(v, v, P), v, P);
        uint256 seventh = mulmod(mulmod(cube, cube, P), v, P);
        x = mulmod(mulmod(u, cube, P), power(mulmod(u, seventh, P), (P - 5) / 8), P);
        uint256 check = mulmod(v, mulmod(x, x, P), P);
        if (check != u) {
            if (check != (P - u) % P) return (false, 0, 0);
            x = mulmod(x, SQRT_MINUS_1, P);
        }
        if (x & 1 != odd) x = (P - x) % P;
        return (true, x, y);
    }

    function compress(Point memory point) private view returns (bytes32) {
        uint256 inverse = power(point.z, P - 2);
        uint256 odd = mulmod(point.x, inverse, P) & 1;
        return bytes32(turned(mulmod(point.y, inverse, P) | odd << 255));
    }

    /// By the precompile at address 5.
    function power(uint256 base, uint256 exponent) private view returns (uint256 result) {
        assembly ("memory-safe") {
            let place := mload(0x40)
            mstore(place, 32)
            mstore(add(place, 32), 32)
            mstore(add(place, 64), 32)
            mstore(add(place, 96), base)
            mstore(add(place, 128), exponent)
            mstore(add(place, 160), P)
            if iszero(staticcall(gas(), 5, place, 192, place, 32)) { revert(0, 0) }
            result := mload(place)
        }
    }

    /// The bytes in the other order.
    function turned(uint256 v) private pure returns (uint256) {
        v = (v & 0x00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF) << 8
            | v >> 8 & 0x00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF;
        v = (v & 0x0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF) << 16
            | v >> 16 & 0x0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF;
        v = (v & 0x00000000FFFFFFFF00000000FFFFFFFF00000000FFFFFFFF00000000FFFFFFFF) << 32
            | v >> 32 & 0x00000000FFFFFFFF00000000FFFFFFFF00000000FFFFFFFF00000000FFFFFFFF;
        v = (v & 0x0000000000000000FFFFFFFFFFFFFFFF0000000000000000FFFFFFFFFFFFFFFF) << 64
            | v >> 64 & 0x0000000000000000FFFFFFFFFFFFFFFF0000000000000000FFFFFFFFFFFFFFFF;
        return v << 128 | v >> 128;
    }
}

/// SHA-512 (FIPS 180-4).
library Sha512 {
    bytes private constant K =
        hex"428a2f98d728ae227137449123ef65cdb5c0fbcfec4d3b2fe9b5dba58189dbbc"
        hex"3956c25bf348b53859f111f1b605d019923f82a4af194f9bab1c5ed5da6d8118"
        hex"d807aa98a303024212835b0145706fbe243185be4ee4b28c550c7dc3d5ffb4e2"
        hex"72be5d74f27b896f80deb1fe3b1696b19bdc06a725c71235c19bf174cf692694"
        hex"e49b69c19ef14ad2efbe4786384f25e30fc19dc68b8cd5b5240ca1cc77ac9c65"
        hex"2de92c6f592b02754a7484aa6ea6e4835cb0a9dcbd41fbd476f988da831153b5"
        hex"983e5152ee66dfaba831c66d2db43210b00327c898fb213fbf597fc7beef0ee4"
        hex"c6e00bf33da88fc2d5a79147930aa72506ca6351e003826f142929670a0e6e70"
        hex"27b70a8546d22ffc2e1b21385c26c9264d2c6dfc5ac42aed53380d139d95b3df"
        hex"650a73548baf63de766a0abb3c77b2a881c2c92e47edaee692722c851482353b"
        hex"a2bfe8a14cf10364a81a664bbc423001c24b8b70d0f89791c76c51a30654be30"
        hex"d192e819d6ef5218d69906245565a910f40e35855771202a106aa07032bbd1b8"
        hex"19a4c116b8d2d0c81e376c085141ab532748774cdf8eeb9934b0bcb5e19b48a8"
        hex"391c0cb3c5c95a634ed8aa4ae3418acb5b9cca4f7763e373682e6ff3d6b2b8a3"
        hex"748f82ee5defb2fc78a5636f43172f6084c87814a1f0ab728cc702081a6439ec"
        hex"90befffa23631e28a4506cebde82bde9bef9a3f7b2c67915c67178f2e372532b"
        hex"ca273eceea26619cd186b8c721c0c207eada7dd6cde0eb1ef57d4f7fee6ed178"
        hex"06f067aa72176fba0a637dc5a2c898a6113f9804bef90dae1b710b35131c471b"
        hex"28db77f523047d8432caab7b40c724933c9ebe0a15c9bebc431d67c49c100d4c"
        hex"4cc5d4becb3e42b6597f299cfc657e2a5fcb6fab3ad6faec6c44198c4a475817";
    uint256 private constant START_ABCD = 0x6a09e667f3bcc908bb67ae8584caa73b3c6ef372fe94f82ba54ff53a5f1d36f1;
    uint256 private constant START_EFGH = 0x510e527fade682d19b05688c2b3e6c1f1f83d9abfb41bd6b5be0cd19137e2179;

    /// The hash in two halves.
    function hash(bytes memory message) internal pure returns (uint256 abcd, uint256 efgh) {
        uint256 size = message.length;
        uint256 blocks = (size + 17 + 127) / 128;
        bytes memory padded = new bytes(128 * blocks);
        bytes memory constants = K;
        uint256 w;
        assembly ("memory-safe") {
            mcopy(add(padded, 32), add(message, 32), size)
            mstore8(add(add(padded, 32), size), 0x80)
            // The length in bits is the last 16 bytes' number; what is before them stays.
            let last := add(padded, mload(padded))
            mstore(last, or(mload(last), mul(size, 8)))
            w := mload(0x40)
            mstore(0x40, add(w, 2560))
        }
        (abcd, efgh) = (START_ABCD, START_EFGH);
        for (uint256 i = 0; i < blocks; i++) {
            uint256 place;
            assembly ("memory-safe") {
                place := add(add(padded, 32), mul(i, 128))
            }
            schedule(place, w);
            (abcd, efgh) = compress(abcd, efgh, w, constants);
        }
    }

    /// A block's 80 words, each in 32 bytes at `w`.
    function schedule(uint256 place, uint256 w) private pure {
        assembly ("memory-safe") {
            function rotated(x, n) -> y {
                y := or(shr(n, x), shl(sub(64, n), x))
            }
            for { let i := 0 } lt(i, 16) { i := add(i, 1) } {
                mstore(add(w, mul(i, 32)), shr(192, mload(add(place, mul(i, 8)))))
            }
            for { let end := add(w, 2560) w := add(w, 512) } lt(w, end) { w := add(w, 32) } {
                let x := mload(sub(w, 480))
                let s := xor(xor(rotated(x, 1), rotated(x, 8)), shr(7, x))
                x := mload(sub(w, 64))
                let t := xor(xor(rotated(x, 19), rotated(x, 61)), shr(6, x))
                s := add(and(s, 0xFFFFFFFFFFFFFFFF), and(t, 0xFFFFFFFFFFFFFFFF))
                s := add(s, add(mload(sub(w, 512)), mload(sub(w, 224))))
                mstore(w, and(s, 0xFFFFFFFFFFFFFFFF))
            }
        }
    }

    /// 80 rounds; the eight words of the state lie in two of the EVM's.
    function compress(uint256 abcd, uint256 efgh, uint256 w, bytes memory constants)
        private
        pure
        returns (uint256 high, uint256 low)
    {
        (high, low) = (abcd, efgh);
        assembly ("memory-safe") {
            function rotated(x, n) -> y {
                y := or(shr(n, x), shl(sub(64, n), x))
            }
            let mask := 0xFFFFFFFFFFFFFFFF
            for { let i := 0 } lt(i, 80) { i := add(i, 1) } {
                let e := shr(192, low)
                let t := and(xor(xor(rotated(e, 14), rotated(e, 18)), rotated(e, 41)), mask)
                t := add(t, xor(and(e, shr(128, low)), and(not(e), and(shr(64, low), mask))))
                t := add(t, and(low, mask))
                t := add(t, add(shr(192, mload(add(add(constants, 32), mul(i, 8)))), mload(add(w, mul(i, 32)))))
                let a := shr(192, high)
                let b := and(shr(128, high), mask)
                let c := and(shr(64, high), mask)
                low := or(shl(192, and(add(t, high), mask)), shr(64, low))
                t := add(t, and(xor(xor(rotated(a, 28), rotated(a, 34)), rotated(a, 39)), mask))
                t := add(t, xor(xor(and(a, b), and(a, c)), and(b, c)))
                high := or(shl(192, and(t, mask)), shr(64, high))
            }
        }
        (high, low) = (sums(abcd, high), sums(efgh, low));
    }

    /// Four sums modulo 2^64.
    function sums(uint256 a, uint256 b) private pure returns (uint256 sum) {
        for (uint256 i = 0; i < 256; i += 64) {
            sum |= ((a >> i & 0xFFFFFFFFFFFFFFFF) + (b >> i & 0xFFFFFFFFFFFFFFFF) & 0xFFFFFFFFFFFFFFFF) << i;
        }
    }
}
