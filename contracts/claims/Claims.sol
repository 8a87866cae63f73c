// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// Pays out wei to those who prove that it is theirs: by a Merkle proof (OpenZeppelin's tree of
/// keccak-256 hashes, each pair sorted), or by a voucher that the issuer has signed (EIP-712).
/// The twin of src/main.rs: the same ABI over the same storage layout.
contract Claims {
    /// A bit for each leaf of the tree, 256 in a slot.
    mapping(uint256 => uint256) private claimed;
    mapping(bytes32 => bool) public isUsed;

    bytes32 public immutable root;
    address public immutable issuer;

    bytes32 private constant DOMAIN = keccak256("EIP712Domain(uint256 chainId,address verifyingContract)");
    bytes32 private constant VOUCHER = keccak256("Voucher(address account,uint256 amount,uint256 number)");
    uint256 private constant S_MAX = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    event Claimed(address indexed account, uint256 amount);

    error AlreadyClaimed();
    error InvalidProof();
    error InvalidSignature();

    constructor(bytes32 root_, address issuer_) payable {
        root = root_;
        issuer = issuer_;
    }

    function isClaimed(uint256 index) public view returns (bool) {
        return claimed[index / 256] >> (index % 256) & 1 == 1;
    }

    /// Whether the tree has the leaf.
    function verify(uint256 index, address account, uint256 amount, bytes32[] calldata proof)
        public
        view
        returns (bool)
    {
        // Hashed twice, so that no inner node passes for a leaf.
        bytes32 hash = keccak256(bytes.concat(keccak256(abi.encode(index, account, amount))));
        for (uint256 i = 0; i < proof.length; i++) {
            bytes32 other = proof[i];
            hash = hash < other
                ? keccak256(abi.encodePacked(hash, other))
                : keccak256(abi.encodePacked(other, hash));
        }
        return hash == root;
    }

    function claim(uint256 index, address payable account, uint256 amount, bytes32[] calldata proof) external {
        if (isClaimed(index)) revert AlreadyClaimed();
        if (!verify(index, account, amount, proof)) revert InvalidProof();
        claimed[index / 256] |= 1 << (index % 256);
        pay(account, amount);
    }

    /// What the issuer signs.
    function voucherHash(address account, uint256 amount, uint256 number) public view returns (bytes32) {
        bytes32 content = keccak256(abi.encode(VOUCHER, account, amount, number));
        bytes32 domain = keccak256(abi.encode(DOMAIN, block.chainid, address(this)));
        return keccak256(abi.encodePacked(hex"1901", domain, content));
    }

    function redeem(address payable account, uint256 amount, uint256 number, uint8 v, bytes32 r, bytes32 s)
        external
    {
        bytes32 hash = voucherHash(account, amount, number);
        if (isUsed[hash]) revert AlreadyClaimed();
        address signer = ecrecover(hash, v, r, s);
        if (uint256(s) > S_MAX || signer == address(0) || signer != issuer) revert InvalidSignature();
        isUsed[hash] = true;
        pay(account, amount);
    }

    function pay(address payable account, uint256 amount) private {
        emit Claimed(account, amount);
        (bool done, bytes memory why) = account.call{value: amount}("");
        if (!done) {
            assembly ("memory-safe") {
                revert(add(why, 32), mload(why))
            }
        }
    }
}
