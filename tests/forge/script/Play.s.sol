// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {PingPong} from "../src/PingPong.sol";
import {Token} from "../src/Token.sol";

/// What of forge's cheat codes the script needs.
interface Vm {
    function startBroadcast() external;
    function stopBroadcast() external;
    function readFileBinary(string calldata path) external view returns (bytes memory);
    function rpc(string calldata method, string calldata params) external returns (bytes memory);
    function toString(bytes calldata value) external pure returns (string memory);
    function toString(address value) external pure returns (string memory);
    function getNonce(address account) external view returns (uint64);
    function computeCreateAddress(address deployer, uint256 nonce) external pure returns (address);
}

/// Deploys a token and a player for both machines, and uses all four.
///
/// forge first runs the script on an EVM of its own, which knows no RISC-V: what is for RISC-V is
/// deployed by the node on the spot, and calls of it are broadcast although they fail at forge.
contract Play {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    /// The second account of the dev chain, which deploys for RISC-V.
    address private constant DEPLOYER = 0x70997970C51812dc3A010C7d01b50e0d17dc79C8;
    address private constant FRIEND = address(0xbeef);

    function run() external {
        bytes memory arguments = abi.encode("Tandem Token", "TDM", 1_000_000, msg.sender);
        address riscvToken = deploy("../images/erc20.elf", arguments);
        address riscvPlayer = deploy("../images/pingpong.elf", "");

        vm.startBroadcast();
        Token token = new Token("Tandem Token", "TDM", 1_000_000, msg.sender);
        token.transfer(FRIEND, 300);
        require(token.balanceOf(FRIEND) == 300, "balance");
        send(riscvToken, abi.encodeCall(Token.transfer, (FRIEND, 400)));
        PingPong player = new PingPong();
        send(address(player), abi.encodeCall(PingPong.play, (PingPong(payable(riscvPlayer)), 5)));
        vm.stopBroadcast();
    }

    /// Has the node deploy an image, and returns where it went.
    function deploy(string memory path, bytes memory arguments) private returns (address) {
        string memory image = vm.toString(vm.readFileBinary(path));
        string memory start = string.concat('[{"image":"', image, '","args":"');
        string memory end = string.concat('","from":"', vm.toString(DEPLOYER), '"}]');
        address target = vm.computeCreateAddress(DEPLOYER, count());
        vm.rpc("rv_deploy", string.concat(start, vm.toString(arguments), end));
        return target;
    }

    /// The deployer's nonce on the chain itself; forge keeps what it has read once.
    function count() private returns (uint256) {
        bytes memory nonce = vm.rpc(
            "eth_getTransactionCount", string.concat('["', vm.toString(DEPLOYER), '","latest"]')
        );
        uint256 value;
        for (uint256 i = 0; i < nonce.length; i++) value = (value << 8) | uint8(nonce[i]);
        return value;
    }

    /// A call whose result forge can't know.
    function send(address target, bytes memory data) private {
        (bool success, ) = target.call{gas: 1_000_000}(data);
        success;
    }
}
