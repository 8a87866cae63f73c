// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

interface IReceiver {
    function onERC721Received(address operator, address from, uint256 id, bytes calldata data)
        external
        returns (bytes4);
}

/// An ERC-721 collection with metadata, minting by its owner, and ERC-6093's errors.
/// The twin of src/main.rs: the same ABI over the same storage layout.
contract Collection {
    string public name;
    string public symbol;
    string private base;
    address public owner;
    uint256 public totalSupply;
    mapping(uint256 => address) private owners;
    mapping(address => uint256) private balances;
    mapping(uint256 => address) private approvals;
    mapping(address => mapping(address => bool)) public isApprovedForAll;

    event Transfer(address indexed from, address indexed to, uint256 indexed id);
    event Approval(address indexed owner, address indexed approved, uint256 indexed id);
    event ApprovalForAll(address indexed owner, address indexed operator, bool approved);

    error ERC721InvalidOwner(address owner);
    error ERC721NonexistentToken(uint256 id);
    error ERC721IncorrectOwner(address sender, uint256 id, address owner);
    error ERC721InvalidReceiver(address receiver);
    error ERC721InsufficientApproval(address operator, uint256 id);
    error ERC721InvalidApprover(address approver);
    error ERC721InvalidOperator(address operator);
    error OwnableUnauthorizedAccount(address account);

    constructor(string memory name_, string memory symbol_, string memory base_) {
        name = name_;
        symbol = symbol_;
        base = base_;
        owner = msg.sender;
    }

    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == 0x01ffc9a7 || id == 0x80ac58cd || id == 0x5b5e139f;
    }

    function balanceOf(address account) external view returns (uint256) {
        if (account == address(0)) revert ERC721InvalidOwner(account);
        return balances[account];
    }

    function ownerOf(uint256 id) public view returns (address holder) {
        holder = owners[id];
        if (holder == address(0)) revert ERC721NonexistentToken(id);
    }

    /// The base with the token's number in decimal digits after it.
    function tokenURI(uint256 id) external view returns (string memory) {
        ownerOf(id);
        return string.concat(base, digits(id));
    }

    function getApproved(uint256 id) external view returns (address) {
        ownerOf(id);
        return approvals[id];
    }

    function approve(address to, uint256 id) external {
        address holder = ownerOf(id);
        if (msg.sender != holder && !isApprovedForAll[holder][msg.sender]) {
            revert ERC721InvalidApprover(msg.sender);
        }
        approvals[id] = to;
        emit Approval(holder, to, id);
    }

    function setApprovalForAll(address operator, bool approved) external {
        if (operator == address(0)) revert ERC721InvalidOperator(operator);
        isApprovedForAll[msg.sender][operator] = approved;
        emit ApprovalForAll(msg.sender, operator, approved);
    }

    function transferFrom(address from, address to, uint256 id) public {
        if (to == address(0)) revert ERC721InvalidReceiver(to);
        address holder = ownerOf(id);
        if (
            msg.sender != holder && !isApprovedForAll[holder][msg.sender] && approvals[id] != msg.sender
        ) revert ERC721InsufficientApproval(msg.sender, id);
        if (holder != from) revert ERC721IncorrectOwner(from, id, holder);
        delete approvals[id];
        balances[from] -= 1;
        balances[to] += 1;
        owners[id] = to;
        emit Transfer(from, to, id);
    }

    function safeTransferFrom(address from, address to, uint256 id) external {
        transferFrom(from, to, id);
        check(from, to, id, "");
    }

    function safeTransferFrom(address from, address to, uint256 id, bytes calldata data) external {
        transferFrom(from, to, id);
        check(from, to, id, data);
    }

    /// Mints the next token, numbered from 1.
    function mint(address to) external returns (uint256 id) {
        if (msg.sender != owner) revert OwnableUnauthorizedAccount(msg.sender);
        if (to == address(0)) revert ERC721InvalidReceiver(to);
        id = totalSupply + 1;
        totalSupply = id;
        balances[to] += 1;
        owners[id] = to;
        emit Transfer(address(0), to, id);
    }

    /// A contract that gets a token has to say that it knows what to do with it.
    function check(address from, address to, uint256 id, bytes memory data) private {
        if (to.code.length == 0) return;
        try IReceiver(to).onERC721Received(msg.sender, from, id, data) returns (bytes4 answer) {
            if (answer != IReceiver.onERC721Received.selector) revert ERC721InvalidReceiver(to);
        } catch (bytes memory why) {
            if (why.length == 0) revert ERC721InvalidReceiver(to);
            assembly ("memory-safe") {
                revert(add(why, 32), mload(why))
            }
        }
    }

    function digits(uint256 number) private pure returns (string memory) {
        uint256 count = 1;
        for (uint256 rest = number / 10; rest > 0; rest /= 10) count += 1;
        bytes memory text = new bytes(count);
        for (uint256 place = count; place > 0; place -= 1) {
            text[place - 1] = bytes1(uint8(48 + number % 10));
            number /= 10;
        }
        return string(text);
    }
}
