// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

interface ITrouble {
    function fail(uint8 how, uint256 number, string calldata text) external returns (uint256);
    function fill(uint64 size) external pure returns (bytes memory);
    function end(address heir) external;
}

/// A careful caller: tells the ways apart in which a callee fails, takes large answers, keeps what
/// it copies of them within bounds. The twin of src/bin/catcher.rs: the same ABI.
contract Catcher {
    error Refused(uint256 number, string text);

    function attempt(ITrouble target, uint8 how, uint256 number, string calldata text)
        external
        returns (uint8, uint256, string memory)
    {
        try target.fail{gas: 1_000_000}(how, number, text) returns (uint256 answer) {
            return (0, answer, "");
        } catch Error(string memory why) {
            return (1, 0, why);
        } catch Panic(uint256 code) {
            return (2, code, "");
        } catch (bytes memory why) {
            if (bytes4(why) == Refused.selector) {
                assembly ("memory-safe") {
                    let size := sub(mload(why), 4)
                    why := add(why, 4)
                    mstore(why, size)
                }
                (uint256 refused, string memory because) = abi.decode(why, (uint256, string));
                return (3, refused, because);
            }
            return (why.length == 0 ? 4 : 5, 0, "");
        }
    }

    function fetch(ITrouble target, uint64 size) external pure returns (uint256, bytes32) {
        bytes memory answer = target.fill(size);
        return (answer.length, keccak256(answer));
    }

    /// Solidity's own calls copy whatever comes back: one that does not is assembly.
    function defuse(address target, uint64 size) external view returns (uint256 offered, bytes memory taken) {
        bytes memory input = abi.encodeWithSignature("bomb(uint64)", size);
        taken = new bytes(64);
        assembly ("memory-safe") {
            pop(staticcall(gas(), target, add(input, 32), mload(input), add(taken, 32), 64))
            offered := returndatasize()
            if lt(offered, 64) { mstore(taken, offered) }
        }
    }

    function makeAndEnd(bytes calldata code, address heir) external payable returns (address child) {
        bytes memory init = code;
        assembly ("memory-safe") {
            child := create(callvalue(), add(init, 32), mload(init))
        }
        ITrouble(child).end(heir);
    }
}
