// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// A ledger of deposits behind a proxy that can be replaced by the next one (UUPS, ERC-1822).
/// The twin of src/bin/ledger.rs: the same ABI over the same storage layout.
contract Ledger {
    address public owner;
    mapping(address => uint256) public balanceOf;
    uint256 public total;
    string public name;
    address[] private list;

    uint256 public immutable version;
    address private immutable self = address(this);

    bytes32 private constant IMPLEMENTATION =
        0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc;

    event Deposited(address indexed by, uint256 value, uint256 version);
    event Upgraded(address indexed implementation);

    error AlreadyInitialized();
    error NotOwner(address account);
    error InsufficientBalance(uint256 balance, uint256 needed);
    error UUPSUnauthorizedCallContext();
    error UUPSUnsupportedProxiableUUID(bytes32 slot);
    error ERC1967InvalidImplementation(address implementation);

    constructor(uint256 version_) {
        version = version_;
    }

    function initialize(address owner_, string calldata name_) external {
        if (owner != address(0)) revert AlreadyInitialized();
        owner = owner_;
        name = name_;
    }

    function deposit() external payable {
        if (balanceOf[msg.sender] == 0) list.push(msg.sender);
        balanceOf[msg.sender] += msg.value;
        total += msg.value;
        emit Deposited(msg.sender, msg.value, version);
    }

    function withdraw(uint256 value) external {
        uint256 balance = balanceOf[msg.sender];
        if (balance < value) revert InsufficientBalance(balance, value);
        balanceOf[msg.sender] = balance - value;
        total -= value;
        (bool done, bytes memory why) = msg.sender.call{value: value}("");
        bubble(done, why);
    }

    function payerCount() external view returns (uint64) {
        return uint64(list.length);
    }

    function payers(uint64 index) external view returns (address) {
        return list[index];
    }

    function proxiableUUID() external view returns (bytes32) {
        if (address(this) != self) revert UUPSUnauthorizedCallContext();
        return IMPLEMENTATION;
    }

    function upgradeToAndCall(address implementation, bytes calldata data) external payable {
        if (address(this) == self) revert UUPSUnauthorizedCallContext();
        if (msg.sender != owner) revert NotOwner(msg.sender);
        if (implementation.code.length == 0) revert ERC1967InvalidImplementation(implementation);
        try Ledger(implementation).proxiableUUID() returns (bytes32 slot) {
            if (slot != IMPLEMENTATION) revert UUPSUnsupportedProxiableUUID(slot);
        } catch {
            revert ERC1967InvalidImplementation(implementation);
        }
        assembly ("memory-safe") {
            sstore(IMPLEMENTATION, implementation)
        }
        emit Upgraded(implementation);
        if (data.length > 0) {
            (bool done, bytes memory why) = implementation.delegatecall(data);
            bubble(done, why);
        }
    }

    function bubble(bool done, bytes memory why) private pure {
        if (!done) {
            assembly ("memory-safe") {
                revert(add(why, 32), mload(why))
            }
        }
    }
}
