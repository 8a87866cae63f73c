"""web3.py with contracts of both kinds: the same token, and two players that call each other."""

import json
import struct
from pathlib import Path

import pytest
from web3.exceptions import ContractCustomError
from web3.logs import DISCARD

IMAGES = Path(__file__).parents[2] / "contracts" / "images"
SUPPLY = 1_000_000


def artifact(name):
    return json.loads((IMAGES / f"{name}.json").read_text())


def container(image):
    """RISC-V init code: magic and version, the image's length and the image."""
    return b"\xefRV\x01" + struct.pack(">I", len(image)) + image


def deploy(w3, machine, name, arguments=()):
    """Deploys a contract in one of three ways, and returns it."""
    source, sender = artifact(name), w3.eth.accounts[0]
    if machine == "evm":
        code = source["bytecode"]
        factory = w3.eth.contract(abi=source["abi"], bytecode=code)
        hash = factory.constructor(*arguments).transact({"from": sender})
    else:
        elf = {"Token": "erc20", "PingPong": "pingpong"}[name]
        image = (IMAGES / f"{elf}.elf").read_bytes()
        factory = w3.eth.contract(abi=source["abi"], bytecode=container(image))
        if machine == "riscv":
            hash = factory.constructor(*arguments).transact({"from": sender})
        else:
            whole = factory.constructor(*arguments).data_in_transaction
            request = {
                "image": "0x" + image.hex(),
                "args": "0x" + whole[2:].removeprefix(container(image).hex()),
                "from": sender,
            }
            answer = w3.provider.make_request("rv_deploy", [request])["result"]
            hash = answer["transactionHash"]
    receipt = w3.eth.wait_for_transaction_receipt(hash, poll_latency=0.02)
    assert receipt["status"] == 1
    if machine == "rv_deploy":
        assert receipt["contractAddress"].lower() == answer["address"].lower()
    return w3.eth.contract(receipt["contractAddress"], abi=source["abi"])


def sent(w3, function, sender):
    hash = function.transact({"from": sender})
    receipt = w3.eth.wait_for_transaction_receipt(hash, poll_latency=0.02)
    assert receipt["status"] == 1
    return receipt


@pytest.mark.parametrize("machine", ["evm", "riscv", "rv_deploy"])
def test_a_token_moves_and_refuses(w3, machine):
    owner, friend, other = w3.eth.accounts[:3]
    token = deploy(w3, machine, "Token", ["Tandem Token", "TDM", SUPPLY, owner])
    assert token.functions.name().call() == "Tandem Token"
    assert token.functions.totalSupply().call() == SUPPLY
    receipt = sent(w3, token.functions.transfer(friend, 300), owner)
    (event,) = token.events.Transfer().process_receipt(receipt, errors=DISCARD)
    assert event["args"] == {"from": owner, "to": friend, "value": 300}
    sent(w3, token.functions.approve(other, 100), friend)
    sent(w3, token.functions.transferFrom(friend, other, 60), other)
    assert token.functions.balanceOf(friend).call() == 240
    assert token.functions.allowance(friend, other).call() == 40
    with pytest.raises(ContractCustomError) as refusal:
        token.functions.transfer(friend, SUPPLY).call({"from": other})
    # ERC20InsufficientBalance(address,uint256,uint256)
    assert refusal.value.args[0].startswith("0xe450d38c")
    found = token.events.Transfer().get_logs(from_block=0, argument_filters={"to": other})
    assert [event["args"]["value"] for event in found] == [60]


def test_contracts_of_both_kinds_call_each_other(w3):
    evm = deploy(w3, "evm", "PingPong")
    riscv = deploy(w3, "riscv", "PingPong")
    receipt = sent(w3, evm.functions.play(riscv.address, 5), w3.eth.accounts[0])
    hits = evm.events.Hit().process_receipt(receipt, errors=DISCARD)
    assert [hit["args"]["depth"] for hit in hits] == [5, 4, 3, 2, 1, 0]
    assert [hit["address"] for hit in hits] == [evm.address, riscv.address] * 3
    assert evm.functions.hits().call() == riscv.functions.hits().call() == 3
    assert riscv.functions.lastCaller().call() == evm.address
