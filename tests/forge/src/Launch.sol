// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// What `forge create` deploys to bring a RISC-V contract along: it makes transactions of what it
/// compiles only, so a container goes in as an argument.
contract Launch {
    address public immutable child;

    constructor(bytes memory init) {
        address made;
        assembly ("memory-safe") {
            made := create(0, add(init, 32), mload(init))
        }
        require(made != address(0), "not created");
        child = made;
    }
}
