// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

interface IToken {
    function balanceOf(address account) external view returns (uint256);
    function transfer(address to, uint256 value) external returns (bool);
}

/// A pair of tokens that trades one for the other along x * y = k, for 0.3 % that stay with those
/// who have lent it the tokens. Who gives what is seen from the balances: send first, then call.
/// The twin of src/bin/pair.rs: the same ABI over the same storage layout.
contract Pair {
    uint256 public totalSupply;
    mapping(address => uint256) public balanceOf;
    uint256 private reserve0;
    uint256 private reserve1;

    bool private transient entered;

    address public immutable token0;
    address public immutable token1;

    uint256 private constant LOCKED = 1000;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Mint(address indexed to, uint256 amount0, uint256 amount1);
    event Burn(address indexed to, uint256 amount0, uint256 amount1);
    event Swap(
        address indexed sender, address indexed to, uint256 in0, uint256 in1, uint256 out0, uint256 out1
    );

    error Locked();
    error InsufficientLiquidity();
    error InsufficientShares(address account, uint256 balance, uint256 needed);
    error InsufficientInput();
    error InvalidReceiver(address receiver);
    error InvariantBroken();

    constructor(address token0_, address token1_) {
        token0 = token0_;
        token1 = token1_;
    }

    modifier lock() {
        if (entered) revert Locked();
        entered = true;
        _;
        entered = false;
    }

    function getReserves() external view returns (uint256, uint256) {
        return (reserve0, reserve1);
    }

    function transfer(address to, uint256 value) external returns (bool) {
        move(msg.sender, to, value);
        return true;
    }

    /// Shares for the tokens that have come since the last call.
    function mint(address to) external lock returns (uint256 shares) {
        (uint256 balance0, uint256 balance1) = balances();
        (uint256 amount0, uint256 amount1) = (balance0 - reserve0, balance1 - reserve1);
        uint256 supply = totalSupply;
        if (supply == 0) {
            uint256 root = sqrt(amount0 * amount1);
            if (root <= LOCKED) revert InsufficientLiquidity();
            shares = root - LOCKED;
            // Nobody's for ever: a share can't be made so dear that others can't buy one.
            create(address(0), LOCKED);
        } else {
            uint256 share0 = amount0 * supply / reserve0;
            uint256 share1 = amount1 * supply / reserve1;
            shares = share0 < share1 ? share0 : share1;
            if (shares == 0) revert InsufficientLiquidity();
        }
        create(to, shares);
        (reserve0, reserve1) = (balance0, balance1);
        emit Mint(to, amount0, amount1);
    }

    /// The caller's `shares` go, and `to` gets their part of both tokens.
    function burn(uint256 shares, address to) external lock returns (uint256 amount0, uint256 amount1) {
        (uint256 balance0, uint256 balance1) = balances();
        uint256 supply = totalSupply;
        if (supply == 0) revert InsufficientLiquidity();
        (amount0, amount1) = (shares * balance0 / supply, shares * balance1 / supply);
        if (amount0 == 0 || amount1 == 0) revert InsufficientLiquidity();
        move(msg.sender, address(0), shares);
        balanceOf[address(0)] -= shares;
        totalSupply = supply - shares;
        IToken(token0).transfer(to, amount0);
        IToken(token1).transfer(to, amount1);
        (reserve0, reserve1) = balances();
        emit Burn(to, amount0, amount1);
    }

    /// Pays out what is asked for if what has come, less 0.3 %, keeps the product of the reserves.
    function swap(uint256 out0, uint256 out1, address to) external lock {
        if (out0 == 0 && out1 == 0) revert InsufficientInput();
        if (out0 >= reserve0 || out1 >= reserve1) revert InsufficientLiquidity();
        if (to == token0 || to == token1) revert InvalidReceiver(to);
        if (out0 > 0) IToken(token0).transfer(to, out0);
        if (out1 > 0) IToken(token1).transfer(to, out1);
        (uint256 balance0, uint256 balance1) = balances();
        uint256 in0 = balance0 > reserve0 - out0 ? balance0 - (reserve0 - out0) : 0;
        uint256 in1 = balance1 > reserve1 - out1 ? balance1 - (reserve1 - out1) : 0;
        if (in0 == 0 && in1 == 0) revert InsufficientInput();
        uint256 kept0 = balance0 * 1000 - in0 * 3;
        uint256 kept1 = balance1 * 1000 - in1 * 3;
        if (kept0 * kept1 < reserve0 * reserve1 * 1_000_000) revert InvariantBroken();
        (reserve0, reserve1) = (balance0, balance1);
        emit Swap(msg.sender, to, in0, in1, out0, out1);
    }

    function balances() private view returns (uint256, uint256) {
        return (IToken(token0).balanceOf(address(this)), IToken(token1).balanceOf(address(this)));
    }

    function create(address to, uint256 shares) private {
        totalSupply += shares;
        balanceOf[to] += shares;
        emit Transfer(address(0), to, shares);
    }

    function move(address from, address to, uint256 value) private {
        uint256 balance = balanceOf[from];
        if (balance < value) revert InsufficientShares(from, balance, value);
        balanceOf[from] = balance - value;
        balanceOf[to] += value;
        emit Transfer(from, to, value);
    }

    /// The largest number whose square is not above `number`, by Newton's method.
    function sqrt(uint256 number) private pure returns (uint256 root) {
        if (number == 0) return 0;
        root = number;
        uint256 next = number / 2 + 1;
        while (next < root) {
            root = next;
            next = (number / root + root) / 2;
        }
    }
}

/// Creates a pair for any two tokens, once, at an address that the tokens decide.
/// The twin of src/bin/exchange.rs, but for the constructor: this one has the pair's code in its own.
contract Exchange {
    mapping(address => mapping(address => address)) public getPair;
    address[] public allPairs;

    event PairCreated(address indexed token0, address indexed token1, address pair, uint256 count);

    error IdenticalTokens();
    error ZeroToken();
    error PairExists(address pair);

    function allPairsLength() external view returns (uint256) {
        return allPairs.length;
    }

    function createPair(address tokenA, address tokenB) external returns (address pair) {
        if (tokenA == tokenB) revert IdenticalTokens();
        (address token0, address token1) = tokenA < tokenB ? (tokenA, tokenB) : (tokenB, tokenA);
        if (token0 == address(0)) revert ZeroToken();
        pair = getPair[token0][token1];
        if (pair != address(0)) revert PairExists(pair);
        pair = address(new Pair{salt: keccak256(abi.encode(token0, token1))}(token0, token1));
        getPair[token0][token1] = pair;
        getPair[token1][token0] = pair;
        allPairs.push(pair);
        emit PairCreated(token0, token1, pair, allPairs.length);
    }
}
