// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// A smart account with one key: operations through an entry point (ERC-4337), signatures for
/// others (ERC-1271), and code for an ordinary account that delegates to it (EIP-7702).
/// The twin of src/bin/account.rs: the same ABI over the same storage layout.
contract Account {
    address private stored;

    address public immutable entryPoint;

    uint256 private constant S_MAX = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    struct PackedUserOperation {
        address sender;
        uint256 nonce;
        bytes initCode;
        bytes callData;
        bytes32 accountGasLimits;
        uint256 preVerificationGas;
        bytes32 gasFees;
        bytes paymasterAndData;
        bytes signature;
    }

    struct Step {
        address target;
        uint256 value;
        bytes data;
    }

    error OnlyEntryPoint(address caller);
    error OnlyOwner(address caller);

    constructor(address entryPoint_, address owner_) payable {
        entryPoint = entryPoint_;
        stored = owner_;
    }

    receive() external payable {}

    /// Where the account delegates by EIP-7702 nothing is stored: its own key's signatures count.
    function owner() public view returns (address) {
        return stored == address(0) ? address(this) : stored;
    }

    function validateUserOp(
        PackedUserOperation calldata userOp,
        bytes32 userOpHash,
        uint256 missingAccountFunds
    ) external returns (uint256) {
        if (msg.sender != entryPoint) revert OnlyEntryPoint(msg.sender);
        bool isSigned = hasSigned(userOpHash, userOp.signature);
        if (missingAccountFunds != 0) {
            // Whether that went well is the entry point's to see.
            (bool done,) = msg.sender.call{value: missingAccountFunds}("");
            (done);
        }
        return isSigned ? 0 : 1;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        return hasSigned(hash, signature) ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }

    function execute(address target, uint256 value, bytes calldata data) external {
        authorize();
        run(target, value, data);
    }

    function executeBatch(Step[] calldata steps) external {
        authorize();
        for (uint256 i = 0; i < steps.length; i++) run(steps[i].target, steps[i].value, steps[i].data);
    }

    function onERC721Received(address, address, uint256, bytes calldata) external pure returns (bytes4) {
        return 0x150b7a02;
    }

    function authorize() private view {
        if (msg.sender != owner() && msg.sender != address(this) && msg.sender != entryPoint) {
            revert OnlyOwner(msg.sender);
        }
    }

    function run(address target, uint256 value, bytes calldata data) private {
        (bool done, bytes memory why) = target.call{value: value}(data);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(why, 32), mload(why))
            }
        }
    }

    function hasSigned(bytes32 hash, bytes calldata signature) private view returns (bool) {
        if (signature.length != 65) return false;
        (bytes32 r, bytes32 s) = (bytes32(signature[:32]), bytes32(signature[32:64]));
        if (uint256(s) > S_MAX) return false;
        address signer = ecrecover(hash, uint8(signature[64]), r, s);
        return signer != address(0) && signer == owner();
    }
}
