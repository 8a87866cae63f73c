// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// Creates contracts of both kinds: out of init code, or as further instances of a contract that
/// is there already. The twin of src/main.rs: the same ABI over the same storage layout.
contract Factory {
    uint256 public count;
    mapping(uint256 => address) public children;

    event Created(address indexed child, address indexed by, bytes32 code_hash);

    error CreationFailed();
    error NotRiscv(address template);

    /// Init code as it comes: EVM's, or a container with the constructor's arguments as its tail.
    function create(bytes calldata code) external payable returns (address) {
        return make(code);
    }

    /// The same, at an address that code and salt decide.
    function create2(bytes calldata code, bytes32 salt) external payable returns (address child) {
        bytes memory init = code;
        assembly ("memory-safe") {
            child := create2(callvalue(), add(init, 32), mload(init), salt)
        }
        return keep(child);
    }

    /// Another instance of a RISC-V contract: the template's image, with these arguments.
    function createLike(address template, bytes calldata arguments) external payable returns (address) {
        bytes memory code = template.code;
        if (code.length < 8 || bytes4(code) != 0xef525601) revert NotRiscv(template);
        uint256 size = 8 + (uint256(bytes32(code)) >> 192 & 0xffffffff);
        assembly ("memory-safe") {
            mstore(code, size)
        }
        return make(bytes.concat(code, arguments));
    }

    function make(bytes memory init) private returns (address child) {
        assembly ("memory-safe") {
            child := create(callvalue(), add(init, 32), mload(init))
        }
        return keep(child);
    }

    function keep(address child) private returns (address) {
        if (child == address(0)) {
            assembly ("memory-safe") {
                if returndatasize() {
                    let at := mload(0x40)
                    returndatacopy(at, 0, returndatasize())
                    revert(at, returndatasize())
                }
            }
            revert CreationFailed();
        }
        children[count] = child;
        count += 1;
        emit Created(child, msg.sender, child.codehash);
        return child;
    }
}
