// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// A bank that pays before it writes down that it has paid: safe only behind its guard.
/// The twin of src/bin/bank.rs: the same ABI over the same storage layout.
contract Bank {
    mapping(address => uint256) public balanceOf;

    bool private transient entered;

    error ReentrantCall();

    modifier guarded() {
        if (entered) revert ReentrantCall();
        entered = true;
        _;
        entered = false;
    }

    function deposit() external payable {
        balanceOf[msg.sender] += msg.value;
    }

    function withdraw() external guarded {
        pay();
    }

    function withdrawUnguarded() external {
        pay();
    }

    function pay() private {
        (bool done, bytes memory why) = msg.sender.call{value: balanceOf[msg.sender]}("");
        if (!done) {
            assembly ("memory-safe") {
                revert(add(why, 32), mload(why))
            }
        }
        balanceOf[msg.sender] = 0;
    }
}
