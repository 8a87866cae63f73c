// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// Two contracts play: each call of `play` calls the peer with one less to go.
/// The twin of src/main.rs: the same ABI over the same storage layout.
contract PingPong {
    /// How often this contract was hit.
    uint256 public hits;
    /// The sum of the depths that it was hit with.
    uint256 public sum;
    address public lastCaller;

    event Hit(address indexed by, uint256 indexed depth, uint256 hits, uint256 value);
    event Caught(address indexed peer, bytes reason);

    error Bottom(address player, uint256 hits);
    error NoReturn();

    receive() external payable {}

    function play(PingPong peer, uint256 depth) external payable returns (uint256) {
        hit(depth);
        if (depth == 0) return 1;
        return peer.play{value: msg.value}(this, depth - 1) + 1;
    }

    function fail(PingPong peer, uint256 depth) external returns (uint256) {
        uint256 count = hit(depth);
        if (depth == 0) revert Bottom(address(this), count);
        peer.fail(this, depth - 1);
        revert NoReturn();
    }

    function survive(PingPong peer, uint256 depth) external returns (bytes memory) {
        hit(depth);
        try peer.fail(this, depth) {
            revert NoReturn();
        } catch (bytes memory reason) {
            emit Caught(address(peer), reason);
            return reason;
        }
    }

    function score(PingPong peer) external view returns (uint256, uint256) {
        return (hits, peer.hits());
    }

    function call(address target, bytes calldata data) external payable returns (bytes memory) {
        (bool done, bytes memory answer) = target.call{value: msg.value}(data);
        return passedOn(done, answer);
    }

    function staticCall(address target, bytes calldata data) external view returns (bytes memory) {
        (bool done, bytes memory answer) = target.staticcall(data);
        return passedOn(done, answer);
    }

    function delegateCall(address target, bytes calldata data) external payable returns (bytes memory) {
        (bool done, bytes memory answer) = target.delegatecall(data);
        return passedOn(done, answer);
    }

    function hit(uint256 depth) private returns (uint256 count) {
        count = hits + 1;
        hits = count;
        sum += depth;
        lastCaller = msg.sender;
        emit Hit(msg.sender, depth, count, msg.value);
    }

    function passedOn(bool done, bytes memory answer) private pure returns (bytes memory) {
        if (!done) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
        return answer;
    }
}
