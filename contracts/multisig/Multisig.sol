// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// A wallet of several owners: whatever enough of them have signed (EIP-712), anybody may have it
/// do. Owners change the same way: the wallet calls itself. It signs for itself, too (ERC-1271).
/// The twin of src/main.rs: the same ABI over the same storage layout.
contract Multisig {
    address[] private list;
    mapping(address => bool) public isOwner;
    uint256 public threshold;
    uint256 public nonce;

    bytes32 private constant DOMAIN = keccak256("EIP712Domain(uint256 chainId,address verifyingContract)");
    bytes32 private constant TRANSACTION =
        keccak256("Transaction(address to,uint256 value,bytes data,uint256 nonce)");
    uint256 private constant S_MAX = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    event Executed(bytes32 indexed hash, address indexed to, uint256 value, uint256 nonce);
    event OwnersChanged(address[] owners, uint256 threshold);

    error OnlySelf(address caller);
    error BadOwners();
    error BadThreshold(uint256 threshold, uint256 owners);
    error TooFewSignatures(uint256 given, uint256 needed);
    error BadSignature(uint256 index);
    error CallFailed(bytes reason);

    constructor(address[] memory owners_, uint256 threshold_) payable {
        change(owners_, threshold_);
    }

    receive() external payable {}

    function owners() external view returns (address[] memory) {
        return list;
    }

    /// What owners sign: a transaction of this wallet, on this chain, with this nonce.
    function transactionHash(address to, uint256 value, bytes calldata data, uint256 nonce_)
        public
        view
        returns (bytes32)
    {
        bytes32 content = keccak256(abi.encode(TRANSACTION, to, value, keccak256(data), nonce_));
        bytes32 domain = keccak256(abi.encode(DOMAIN, block.chainid, address(this)));
        return keccak256(abi.encodePacked(hex"1901", domain, content));
    }

    /// Calls `to`, if enough owners have signed it: in the order of their addresses, each once.
    function execute(address to, uint256 value, bytes calldata data, bytes[] calldata signatures)
        external
        returns (bytes memory)
    {
        uint256 current = nonce;
        bytes32 hash = transactionHash(to, value, data, current);
        (bool enough, uint256 bad) = count(hash, signatures);
        if (bad != type(uint256).max) revert BadSignature(bad);
        if (!enough) revert TooFewSignatures(signatures.length, threshold);
        nonce = current + 1;
        emit Executed(hash, to, value, current);
        (bool done, bytes memory answer) = to.call{value: value}(data);
        if (!done) revert CallFailed(answer);
        return answer;
    }

    /// ERC-1271: 65 bytes for each signature, one after the other.
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        uint256 given = signature.length / 65;
        bytes[] memory parts = new bytes[](given);
        for (uint256 i = 0; i < given; i++) parts[i] = signature[65 * i:65 * i + 65];
        (bool enough, uint256 bad) = count(hash, parts);
        bool whole = signature.length == 65 * given;
        return whole && enough && bad == type(uint256).max ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }

    function setOwners(address[] calldata owners_, uint256 threshold_) external {
        if (msg.sender != address(this)) revert OnlySelf(msg.sender);
        for (uint256 i = 0; i < list.length; i++) isOwner[list[i]] = false;
        change(owners_, threshold_);
    }

    function change(address[] memory owners_, uint256 threshold_) private {
        if (threshold_ == 0 || threshold_ > owners_.length) {
            revert BadThreshold(threshold_, owners_.length);
        }
        for (uint256 i = 0; i < owners_.length; i++) {
            address one = owners_[i];
            if (one == address(0) || isOwner[one]) revert BadOwners();
            isOwner[one] = true;
        }
        list = owners_;
        threshold = threshold_;
        emit OwnersChanged(owners_, threshold_);
    }

    /// Whether there are enough signatures, and which is the first that is no good, if one is.
    function count(bytes32 hash, bytes[] memory signatures) private view returns (bool, uint256) {
        address last = address(0);
        for (uint256 i = 0; i < signatures.length; i++) {
            address signer = recover(hash, signatures[i]);
            if (signer <= last || !isOwner[signer]) return (false, i);
            last = signer;
        }
        return (signatures.length >= threshold, type(uint256).max);
    }

    function recover(bytes32 hash, bytes memory signature) private pure returns (address) {
        if (signature.length != 65) return address(0);
        bytes32 r;
        bytes32 s;
        uint8 v;
        assembly ("memory-safe") {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
            v := byte(0, mload(add(signature, 96)))
        }
        if (uint256(s) > S_MAX) return address(0);
        return ecrecover(hash, v, r, s);
    }
}
