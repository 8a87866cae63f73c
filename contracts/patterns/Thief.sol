// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

interface IBank {
    function deposit() external payable;
    function withdraw() external;
    function withdrawUnguarded() external;
}

/// Calls a bank again while it is being paid, as often as it was told to.
/// The twin of src/bin/thief.rs: the same ABI over the same storage layout.
contract Thief {
    address private bank;
    bool private guarded;
    uint256 private rounds;
    bytes32 public refusal;

    function attack(address bank_, bool guarded_, uint256 rounds_) external payable {
        bank = bank_;
        guarded = guarded_;
        rounds = rounds_;
        IBank(bank_).deposit{value: msg.value}();
        if (guarded_) IBank(bank_).withdraw();
        else IBank(bank_).withdrawUnguarded();
    }

    receive() external payable {
        if (rounds == 0) return;
        rounds -= 1;
        IBank target = IBank(bank);
        if (guarded) {
            try target.withdraw() {} catch (bytes memory why) {
                refusal = bytes4(why);
            }
        } else {
            try target.withdrawUnguarded() {} catch (bytes memory why) {
                refusal = bytes4(why);
            }
        }
    }
}
