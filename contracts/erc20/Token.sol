// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// An ERC-20 token with permit (EIP-2612), minting by its owner, and ERC-6093's errors.
/// The twin of src/main.rs: the same ABI over the same storage layout.
contract Token {
    mapping(address => uint256) private balances;
    mapping(address => mapping(address => uint256)) private allowances;
    uint256 public totalSupply;
    string public name;
    string public symbol;
    mapping(address => uint256) public nonces;
    address public owner;

    bytes32 private immutable nameHash;

    bytes32 private constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    bytes32 private constant VERSION = keccak256("1");
    uint256 private constant S_MAX = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed);
    error ERC20InvalidSender(address sender);
    error ERC20InvalidReceiver(address receiver);
    error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed);
    error ERC20InvalidApprover(address approver);
    error ERC20InvalidSpender(address spender);
    error OwnableUnauthorizedAccount(address account);
    error OwnableInvalidOwner(address owner);
    error ERC2612ExpiredSignature(uint256 deadline);
    error ERC2612InvalidSigner(address signer, address owner);
    error ECDSAInvalidSignature();
    error ECDSAInvalidSignatureS(bytes32 s);

    constructor(string memory name_, string memory symbol_, uint256 supply, address owner_) {
        if (owner_ == address(0)) revert OwnableInvalidOwner(owner_);
        name = name_;
        symbol = symbol_;
        owner = owner_;
        createTokens(owner_, supply);
        nameHash = keccak256(bytes(name_));
    }

    function decimals() external pure returns (uint8) {
        return 18;
    }

    function balanceOf(address account) external view returns (uint256) {
        return balances[account];
    }

    function allowance(address owner_, address spender) public view returns (uint256) {
        return allowances[owner_][spender];
    }

    function transfer(address to, uint256 value) external returns (bool) {
        moveTokens(msg.sender, to, value);
        return true;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allow(msg.sender, spender, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        spend(from, msg.sender, value);
        moveTokens(from, to, value);
        return true;
    }

    function mint(address to, uint256 value) external {
        if (msg.sender != owner) revert OwnableUnauthorizedAccount(msg.sender);
        createTokens(to, value);
    }

    function burn(uint256 value) external {
        take(msg.sender, value);
        unchecked {
            totalSupply -= value;
        }
        emit Transfer(msg.sender, address(0), value);
    }

    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN, nameHash, VERSION, block.chainid, address(this)));
    }

    function permit(
        address owner_,
        address spender,
        uint256 value,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        if (block.timestamp > deadline) revert ERC2612ExpiredSignature(deadline);
        uint256 nonce;
        unchecked {
            nonce = nonces[owner_]++;
        }
        bytes32 content = keccak256(abi.encode(PERMIT, owner_, spender, value, nonce, deadline));
        bytes32 hash = keccak256(abi.encodePacked(hex"1901", DOMAIN_SEPARATOR(), content));
        if (uint256(s) > S_MAX) revert ECDSAInvalidSignatureS(s);
        address signer = ecrecover(hash, v, r, s);
        if (signer == address(0)) revert ECDSAInvalidSignature();
        if (signer != owner_) revert ERC2612InvalidSigner(signer, owner_);
        allow(owner_, spender, value);
    }

    function moveTokens(address from, address to, uint256 value) private {
        if (from == address(0)) revert ERC20InvalidSender(from);
        if (to == address(0)) revert ERC20InvalidReceiver(to);
        take(from, value);
        give(to, value);
        emit Transfer(from, to, value);
    }

    function createTokens(address to, uint256 value) private {
        if (to == address(0)) revert ERC20InvalidReceiver(to);
        totalSupply += value;
        give(to, value);
        emit Transfer(address(0), to, value);
    }

    function take(address from, uint256 value) private {
        uint256 balance = balances[from];
        if (balance < value) revert ERC20InsufficientBalance(from, balance, value);
        unchecked {
            balances[from] = balance - value;
        }
    }

    function give(address to, uint256 value) private {
        // The sum of all balances is the supply, which has been checked.
        unchecked {
            balances[to] += value;
        }
    }

    function allow(address owner_, address spender, uint256 value) private {
        setAllowance(owner_, spender, value);
        emit Approval(owner_, spender, value);
    }

    function setAllowance(address owner_, address spender, uint256 value) private {
        if (owner_ == address(0)) revert ERC20InvalidApprover(owner_);
        if (spender == address(0)) revert ERC20InvalidSpender(spender);
        allowances[owner_][spender] = value;
    }

    /// Takes `value` off the allowance; the largest one is without end.
    function spend(address owner_, address spender, uint256 value) private {
        uint256 allowed = allowance(owner_, spender);
        if (allowed == type(uint256).max) return;
        if (allowed < value) revert ERC20InsufficientAllowance(spender, allowed, value);
        unchecked {
            setAllowance(owner_, spender, allowed - value);
        }
    }
}
