"""Fixtures that the tests inside the package web3 ask for.

`pytest tests/python --node URL` runs them against any node that has accounts of its own, knows
`evm_mine` and was told not to seal by itself; a URL is http://, ws:// or the path of a Unix socket.
"""

import threading
import time

import pytest
import pytest_asyncio
from web3 import AsyncHTTPProvider, AsyncIPCProvider, AsyncWeb3, IPCProvider, Web3, WebSocketProvider
from web3._utils.contract_sources.contract_data import (
    emitter_contract,
    math_contract as math_source,
    offchain_lookup,
    panic_errors_contract as panic_source,
    revert_contract as revert_source,
    storage_contract as storage_source,
)
from web3._utils.contract_sources.contract_data._custom_contract_data import EMITTER_ENUM
from web3._utils.module_testing.utils import RequestMocker

# The first account of the mnemonic that every development node has.
KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"

CONTRACTS = {
    "math": math_source.MATH_CONTRACT_DATA,
    "emitter": emitter_contract.EMITTER_CONTRACT_DATA,
    "revert": revert_source.REVERT_CONTRACT_DATA,
    "offchain_lookup": {
        "abi": offchain_lookup.OFFCHAIN_LOOKUP_ABI,
        "bytecode": offchain_lookup.OFFCHAIN_LOOKUP_BYTECODE,
    },
    "panic_errors": panic_source.PANIC_ERRORS_CONTRACT_DATA,
    "storage": storage_source.STORAGE_CONTRACT_DATA,
}


def pytest_addoption(parser):
    parser.addoption("--node", required=True, help="http://, ws:// or the path of a Unix socket")


@pytest.fixture(scope="session")
def node(request):
    return request.config.getoption("--node")


def connect(node):
    if node.startswith("/"):
        return Web3(IPCProvider(node, timeout=60))
    return Web3(Web3.HTTPProvider(node.replace("ws://", "http://"), request_kwargs={"timeout": 60}))


@pytest.fixture(scope="session")
def w3(node):
    return connect(node)


# Over a socket the client notes a request after it has sent it. It takes an error that comes back
# before that for nobody's and gives up the connection, unless it is told to go on.
SOCKET = {"request_timeout": 60, "silence_listener_task_exceptions": True}


@pytest_asyncio.fixture
async def async_w3(node):
    if node.startswith("http"):
        w3 = AsyncWeb3(AsyncHTTPProvider(node))
    elif node.startswith("ws"):
        w3 = await AsyncWeb3(WebSocketProvider(node, **SOCKET))
    else:
        w3 = await AsyncWeb3(AsyncIPCProvider(node, **SOCKET))
    yield w3
    await w3.provider.disconnect()


class Sealer(threading.Thread):
    """Seals a block every so often, but not while a test needs its transactions to wait."""

    SECONDS = 0.3

    def __init__(self, node):
        super().__init__(daemon=True)
        self.provider = connect(node).provider
        self.free = threading.Lock()
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(self.SECONDS):
            with self.free:
                try:
                    self.provider.make_request("evm_mine", [])
                except Exception as error:  # A test's own timeout tells of a node that is gone.
                    print(f"evm_mine: {error}")


@pytest.fixture(scope="session", autouse=True)
def sealer(node):
    sealer = Sealer(node)
    sealer.start()
    yield sealer
    sealer.ended.set()
    sealer.join()


# Tests that replace waiting transactions or want no receipt, and one that takes the first head it
# hears of for one of its own.
UNSEALED = "replace_transaction", "modify_transaction", "unmined", "extradata_poa"


@pytest.fixture(autouse=True)
def unsealed(request, sealer):
    """Keeps blocks from being sealed in the tests of UNSEALED."""
    name = request.node.name
    holds = any(word in name for word in UNSEALED)
    if holds and "already_mined" not in name:
        with sealer.free:
            yield
    else:
        yield


class Prepared:
    """What the tests expect to find on the chain, made once."""

    def __init__(self, w3):
        self.account = w3.eth.accounts[0]
        sent = {
            name: w3.eth.contract(**data).constructor().transact({"from": self.account})
            for name, data in CONTRACTS.items()
        }
        receipts = {
            name: w3.eth.wait_for_transaction_receipt(hash, poll_latency=0.05)
            for name, hash in sent.items()
        }
        self.addresses = {name: receipt["contractAddress"] for name, receipt in receipts.items()}
        self.math_deploy_txn_hash = sent["math"]
        # The log and the transfer have to be the first in their blocks.
        emitter = w3.eth.contract(self.addresses["emitter"], abi=CONTRACTS["emitter"]["abi"])
        double = EMITTER_ENUM["LogDoubleWithIndex"]
        self.txn_hash_with_log = emitter.functions.logDouble(
            which=double, arg0=12345, arg1=54321
        ).transact({"from": self.account})
        self.block_hash_with_log = self.sealed(w3, self.txn_hash_with_log)
        self.mined_txn_hash = w3.eth.send_transaction(
            {"from": self.account, "to": self.account, "value": 1, "gas": 21000}
        )
        self.block_hash_with_txn = self.sealed(w3, self.mined_txn_hash)
        self.empty_block_hash = self.empty_block(w3)

    @staticmethod
    def sealed(w3, hash):
        return w3.eth.wait_for_transaction_receipt(hash, poll_latency=0.05)["blockHash"]

    @staticmethod
    def empty_block(w3):
        while True:
            block = w3.eth.get_block("latest")
            if not block["transactions"]:
                return block["hash"]
            time.sleep(0.05)


@pytest.fixture(scope="session")
def prepared(w3):
    return Prepared(w3)


def contract(name, w3, prepared):
    return w3.eth.contract(prepared.addresses[name], abi=CONTRACTS[name]["abi"])


def define(name):
    """The fixtures of one contract, for both kinds of clients."""

    def plain(w3, prepared):
        return contract(name, w3, prepared)

    def awaiting(async_w3, prepared):
        return contract(name, async_w3, prepared)

    for prefix, function in ("", plain), ("async_", awaiting):
        fixture = f"{prefix}{name}_contract"
        globals()[fixture] = pytest.fixture(function, name=fixture)


for contract_name in CONTRACTS:
    define(contract_name)


# An address is given as text and as bytes.
@pytest.fixture(params=["text", "bytes"])
def convert(request):
    return (lambda text: bytes.fromhex(text[2:])) if request.param == "bytes" else lambda text: text


@pytest.fixture
def emitter_contract_address(prepared, convert):
    return convert(prepared.addresses["emitter"])


@pytest.fixture
def math_contract_address(prepared, convert):
    return convert(prepared.addresses["math"])


@pytest.fixture
def async_emitter_contract_address(emitter_contract_address):
    return emitter_contract_address


@pytest.fixture
def async_math_contract_address(math_contract_address):
    return math_contract_address


@pytest.fixture
def math_contract_deploy_txn_hash(prepared):
    return prepared.math_deploy_txn_hash


@pytest.fixture
def keyfile_account_pkey():
    return KEY


@pytest.fixture
def keyfile_account_address(prepared):
    return prepared.account


@pytest.fixture
def keyfile_account_address_dual_type(prepared):
    return prepared.account


@pytest.fixture
def async_keyfile_account_address(prepared):
    return prepared.account


@pytest.fixture
def async_keyfile_account_address_dual_type(prepared):
    return prepared.account


@pytest.fixture
def mined_txn_hash(prepared):
    return prepared.mined_txn_hash


@pytest.fixture
def txn_hash_with_log(prepared):
    return prepared.txn_hash_with_log


@pytest.fixture
def empty_block(w3, prepared):
    return w3.eth.get_block(prepared.empty_block_hash)


@pytest.fixture
def block_with_txn(w3, prepared):
    return w3.eth.get_block(prepared.block_hash_with_txn)


@pytest.fixture
def block_with_txn_with_log(w3, prepared):
    return w3.eth.get_block(prepared.block_hash_with_log)


@pytest.fixture
def async_empty_block(empty_block):
    return empty_block


@pytest.fixture
def async_block_with_txn(block_with_txn):
    return block_with_txn


@pytest.fixture
def async_block_with_txn_with_log(block_with_txn_with_log):
    return block_with_txn_with_log


@pytest.fixture
def request_mocker():
    return RequestMocker


@pytest.fixture
def skip_if_testrpc():
    return lambda w3: None


@pytest.fixture
def async_skip_if_testrpc():
    return lambda w3: None


# What no node can make pass, by test and reason. A test that passes all the same fails the run.
CLIENT = {
    "TestEth::test_invalid_eth_sign_typed_data": "it expects an error of the client's own checks, "
    "but the client leaves them to the node and raises Web3RPCError for the refusal",
    "TestAsyncEth::test_eth_sign_typed_data": "the client's look-up of ENS names cannot walk the "
    "message and fails before it sends anything",
    "TestAsyncEth::test_invalid_eth_sign_typed_data": "the same",
}


def pytest_collection_modifyitems(items):
    for item in items:
        name = "::".join(item.nodeid.split("::")[1:])
        if name in CLIENT:
            item.add_marker(pytest.mark.xfail(reason=CLIENT[name], strict=True))


@pytest.fixture(autouse=True)
def settled(request):
    """What earlier tests have sent is sealed before a test that counts sealed transactions only."""
    if "sign_authorization_send_raw" in request.node.name:
        w3, account = request.getfixturevalue("w3"), request.getfixturevalue("prepared").account
        count = w3.eth.get_transaction_count
        while count(account, "pending") != count(account, "latest"):
            time.sleep(0.05)


@pytest.fixture(autouse=True)
def fresh_caches(request):
    """Answers that one test left behind are nothing to the next one."""
    if "async_w3" in request.fixturenames:
        provider = request.getfixturevalue("async_w3").provider
        if hasattr(provider, "_request_processor"):
            provider._request_processor.clear_caches()
