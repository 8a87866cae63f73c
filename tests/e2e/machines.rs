//! EVM and RISC-V contracts call and create each other on one chain.

use alloy::{
    primitives::{Address, B256, Bytes, U256, address as literal, keccak256},
    providers::{DynProvider, Provider},
    sol_types::{SolCall, SolValue},
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{
    Node,
    contracts::{self, MACHINES, Machine},
    rpc::quantity,
};

use crate::support::{Factory, PingPong, Token, address, connect, deploy};

const DEPTH: u64 = 9;

/// The other kind.
const fn other(machine: Machine) -> Machine {
    match machine {
        Machine::Evm => Machine::Riscv,
        Machine::Riscv => Machine::Evm,
    }
}

async fn pair(provider: &DynProvider, first: Machine) -> Result<(Address, Address)> {
    let caller = deploy(provider, first, "PingPong", &[]).await?;
    let peer = deploy(provider, other(first), "PingPong", &[]).await?;
    Ok((caller, peer))
}

#[tokio::test]
async fn calls_go_back_and_forth_with_value_state_and_logs() -> Result<()> {
    let node = Node::start(&[])?;
    let provider = connect(&node)?;
    for first in MACHINES {
        let (caller, peer) = pair(&provider, first).await?;
        let contract = PingPong::new(caller, &provider);
        let call = contract.play(peer, U256::from(DEPTH)).value(U256::from(5));
        let receipt = call.send().await?.get_receipt().await?;
        ensure!(receipt.status(), "{first:?}: {receipt:?}");
        ensure!(receipt.logs().len() == 10, "{first:?}: {} logs", receipt.logs().len());
        for (depth, log) in (0..=DEPTH).rev().zip(receipt.logs()) {
            let hit = log.log_decode::<PingPong::Hit>()?.inner;
            let expected = if (DEPTH - depth).is_multiple_of(2) { caller } else { peer };
            ensure!(hit.address == expected, "{first:?}: depth {depth} at {}", hit.address);
            ensure!(hit.depth == U256::from(depth) && hit.value == U256::from(5), "{hit:?}");
        }
        ensure!(contract.hits().call().await? == U256::from(5), "{first:?}: hits");
        // The caller was hit with 9, 7, 5, 3 and 1, the peer with the rest.
        ensure!(contract.sum().call().await? == U256::from(25), "{first:?}: sum");
        ensure!(contract.lastCaller().call().await? == peer, "{first:?}: last caller");
        let peer_sum = PingPong::new(peer, &provider).sum().call().await?;
        ensure!(peer_sum == U256::from(20), "{first:?}: the peer's sum {peer_sum}");
        ensure!(provider.get_balance(peer).await? == U256::from(5), "{first:?}: the value stays");
        let score = contract.score(peer).call().await?;
        ensure!((score._0, score._1) == (U256::from(5), U256::from(5)), "{first:?}: score");
    }
    Ok(())
}

#[tokio::test]
async fn a_revert_at_the_bottom_undoes_everything_and_keeps_its_data() -> Result<()> {
    let node = Node::start(&[])?;
    let provider = connect(&node)?;
    for first in MACHINES {
        let (caller, peer) = pair(&provider, first).await?;
        let contract = PingPong::new(caller, &provider);
        let error = contract.fail(peer, U256::from(3)).call().await.unwrap_err();
        let bottom = error.as_decoded_error::<PingPong::Bottom>().context("no Bottom")?;
        ensure!(bottom == PingPong::Bottom { player: peer, hits: U256::from(2) }, "{bottom:?}");
        let receipt = contract.survive(peer, U256::from(2)).send().await?.get_receipt().await?;
        ensure!(receipt.status(), "{first:?}: {receipt:?}");
        // Of the hits only the first frame's is left: the others were undone with their logs.
        ensure!(receipt.logs().len() == 2, "{first:?}: {:?}", receipt.logs());
        let caught = receipt.logs()[1].log_decode::<PingPong::Caught>()?.inner;
        ensure!(caught.reason.starts_with(&keccak256("Bottom(address,uint256)")[..4]), "reason");
        ensure!(contract.hits().call().await? == U256::from(1), "{first:?}: hits");
        let peer_hits = PingPong::new(peer, &provider).hits().call().await?;
        ensure!(peer_hits.is_zero(), "{first:?}: the peer's hits {peer_hits}");
    }
    Ok(())
}

#[tokio::test]
async fn delegate_and_static_calls_cross_the_machines() -> Result<()> {
    let node = Node::start(&[])?;
    let provider = connect(&node)?;
    for first in MACHINES {
        let (caller, peer) = pair(&provider, first).await?;
        let contract = PingPong::new(caller, &provider);
        let play = PingPong::playCall { peer, depth: U256::ZERO }.abi_encode();
        let sent = contract.delegateCall(peer, play.clone().into()).send().await?;
        ensure!(sent.get_receipt().await?.status(), "{first:?}: delegate call");
        // The peer's code ran over the caller's storage.
        ensure!(contract.hits().call().await? == U256::from(1), "{first:?}: hits");
        ensure!(contract.lastCaller().call().await? == address(0)?, "{first:?}: last caller");
        ensure!(PingPong::new(peer, &provider).hits().call().await?.is_zero(), "{first:?}: peer");
        let read = PingPong::hitsCall {}.abi_encode();
        let answer = contract.staticCall(caller, read.into()).call().await?;
        ensure!(U256::abi_decode(&answer)? == U256::from(1), "{first:?}: {answer}");
        let write = contract.staticCall(peer, play.into()).call().await;
        ensure!(write.is_err(), "{first:?}: a static call changed the state");
        let precompile = literal!("0000000000000000000000000000000000000002");
        let hash = contract.staticCall(precompile, Bytes::from_static(b"abc")).call().await?;
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        ensure!(alloy::primitives::hex::encode(&hash) == expected, "{first:?}: {hash}");
    }
    Ok(())
}

#[tokio::test]
async fn factories_of_both_kinds_create_both_kinds() -> Result<()> {
    let node = Node::start(&[])?;
    let provider = connect(&node)?;
    let arguments = ("T", "T", U256::from(7), address(1)?).abi_encode_params();
    for maker in MACHINES {
        let factory = Factory::new(deploy(&provider, maker, "Factory", &[]).await?, &provider);
        for (index, made) in MACHINES.into_iter().enumerate() {
            let code = made.init_code("Token", &arguments)?;
            let sent = factory.create(code.clone()).send().await?;
            ensure!(sent.get_receipt().await?.status(), "{maker:?} creates {made:?}");
            let child = factory.children(U256::from(2 * index)).call().await?;
            let token = Token::new(child, &provider);
            ensure!(token.totalSupply().call().await? == U256::from(7), "{maker:?} {made:?}");
            let salt = B256::with_last_byte(9);
            let sent = factory.create2(code.clone(), salt).send().await?;
            ensure!(sent.get_receipt().await?.status(), "{maker:?} creates {made:?} by CREATE2");
            let child = factory.children(U256::from(2 * index + 1)).call().await?;
            ensure!(
                child == factory.address().create2(salt, keccak256(&code)),
                "{maker:?} {made:?}"
            );
            let again = factory.create2(code, salt).call().await.unwrap_err();
            ensure!(again.as_decoded_error::<Factory::CreationFailed>().is_some(), "{again}");
        }
        ensure!(factory.count().call().await? == U256::from(4), "{maker:?}: count");
    }
    Ok(())
}

#[tokio::test]
async fn evm_init_code_cannot_deploy_a_container() -> Result<()> {
    let node = Node::start(&[])?;
    let provider = connect(&node)?;
    let factory = Factory::new(deploy(&provider, Machine::Evm, "Factory", &[]).await?, &provider);
    // PUSH32 0xef5256..., MSTORE at 0, RETURN 32 bytes: EIP-3541 refuses it.
    let mut code = vec![0x7f, 0xef, 0x52, 0x56, 0x01];
    code.resize(33, 0);
    code.extend([0x60, 0x00, 0x52, 0x60, 0x20, 0x60, 0x00, 0xf3]);
    let refused = factory.create(code.into()).call().await.unwrap_err();
    ensure!(refused.as_decoded_error::<Factory::CreationFailed>().is_some(), "{refused}");
    // A container around something that is no ELF file fails the creation too.
    let broken = contracts::container(b"no image")?;
    let refused = factory.create(broken.into()).call().await.unwrap_err();
    ensure!(refused.as_decoded_error::<Factory::CreationFailed>().is_some(), "{refused}");
    Ok(())
}

/// The deepest frame has depth 1024, the first one 0: EVM and RISC-V in turn, without a gas cap.
#[tokio::test]
async fn frames_nest_to_depth_1024_in_turn() -> Result<()> {
    let node = Node::start(&["--gas-limit", "1000000000000000"])?;
    let provider = connect(&node)?;
    for first in MACHINES {
        let (caller, peer) = pair(&provider, first).await?;
        for (depth, fits) in [(1024_u64, true), (1025, false)] {
            let data = PingPong::playCall { peer, depth: U256::from(depth) }.abi_encode();
            let call = json!([{
                "from": address(0)?, "to": caller, "data": Bytes::from(data),
                "gas": "0x2386f26fc10000", "gasPrice": "0x0",
            }, "latest"]);
            let answer = node.client()?.try_call("eth_call", call)?;
            match (fits, answer) {
                (true, Ok(hits)) => {
                    let hits: Bytes = serde_json::from_value(hits)?;
                    ensure!(U256::abi_decode(&hits)? == U256::from(1025), "{first:?}: {hits}");
                }
                (false, Err(_)) => {}
                (_, answer) => anyhow::bail!("{first:?} at depth {depth}: {answer:?}"),
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn rv_methods_describe_deployed_code() -> Result<()> {
    let node = Node::start(&[])?;
    let provider = connect(&node)?;
    let contract = deploy(&provider, Machine::Riscv, "PingPong", &[]).await?;
    let mut client = node.client()?;
    let image = contracts::image("PingPong")?;
    let listing = client.call("rv_disassemble", json!([contract]))?;
    let text = listing.to_string();
    ensure!(text.contains("ecall") && text.contains("sd"), "no listing: {text:.200}");
    let same = client.call("rv_disassemble", json!([Bytes::from(image)]))?;
    ensure!(same == listing, "the image lists as the account that holds it");
    let evm = deploy(&provider, Machine::Evm, "PingPong", &[]).await?;
    client.refused("rv_disassemble", json!([evm]))?;
    Ok(())
}

/// Of a transaction and of the same call, over both machines: what it says adds up to the gas used.
#[tokio::test]
async fn gas_reports_add_up_to_the_receipt() -> Result<()> {
    for first in MACHINES {
        let node = Node::start(&[])?;
        let provider = connect(&node)?;
        let mut client = node.client()?;
        let (caller, peer) = pair(&provider, first).await?;
        let data = Bytes::from(PingPong::playCall { peer, depth: U256::from(4) }.abi_encode());
        let call = json!({"from": address(0)?, "to": caller, "data": data, "gas": "0xf4240"});
        let called = client.call("rv_gasReport", json!([call, "latest"]))?;
        let hash = client.call("eth_sendTransaction", json!([call]))?;
        let receipt = client.call("eth_getTransactionReceipt", json!([hash]))?;
        let report = client.call("rv_gasReport", json!([hash]))?;
        ensure!(called == report, "{first:?}: {called} of the call, {report} when sealed");
        let used = quantity(&receipt["gasUsed"])? as i64;
        ensure!(report["success"] == true && report["gasUsed"] == used, "{first:?}: {report}");
        let parts = report["parts"].as_object().context("no parts")?;
        let sum: i64 = parts.values().filter_map(Value::as_i64).sum();
        ensure!(sum == used, "{first:?}: {sum} of {used}: {report}");
        for part in ["intrinsic", "evm", "machine", "syscalls"] {
            ensure!(parts[part].as_i64() > Some(0), "{first:?}: {part} of {report}");
        }
        let calls = report["syscalls"].as_array().context("no system calls")?;
        let count = |name: &str| calls.iter().find(|call| call["name"] == name)?["count"].as_u64();
        // Five hits, each of which calls the next one but for the last: three or two in RISC-V.
        let hits = if first == Machine::Riscv { 3 } else { 2 };
        ensure!(count("LOG3") == Some(hits), "{first:?}: {report}");
        ensure!(count("CALL") == Some(2), "{first:?}: {report}");
    }
    Ok(())
}
