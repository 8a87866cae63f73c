// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// Everything that a careful caller has to expect of a contract that it does not know.
/// The twin of src/bin/trouble.rs: the same ABI over the same storage layout.
contract Trouble {
    uint256 public mark;

    error Refused(uint256 number, string text);

    constructor() payable {}

    receive() external payable {}

    function fail(uint8 how, uint256 number, string calldata text) external returns (uint256) {
        mark = number;
        if (how == 0) revert(text);
        if (how == 1) return type(uint256).max + number;
        if (how == 2) return number / (number - number);
        if (how == 3) return new uint256[](0)[number];
        if (how == 4) revert Refused(number, text);
        if (how == 5) revert();
        if (how == 6) {
            assembly {
                invalid()
            }
        }
        while (how == 7) {}
        return number;
    }

    function fill(uint64 size) external pure returns (bytes memory) {
        return counted(size);
    }

    function bomb(uint64 size) external pure {
        bytes memory data = counted(size);
        assembly ("memory-safe") {
            revert(add(data, 32), mload(data))
        }
    }

    function setMark(uint256 number) external {
        mark = number;
    }

    function end(address heir) external {
        selfdestruct(payable(heir));
    }

    /// Words that count up.
    function counted(uint64 size) private pure returns (bytes memory data) {
        data = new bytes(size);
        assembly ("memory-safe") {
            let count := div(add(size, 31), 32)
            for { let n := 0 } lt(n, count) { n := add(n, 1) } {
                mstore(add(add(data, 32), mul(n, 32)), n)
            }
        }
    }
}
