//! RISC-V contracts: deployed, called across both machines, traced, shown.

use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use node::NodeConfig;
use node::riscv::DeployRequest;
use trace::geth::{
    CallFrame, GethDebugBuiltInTracerType, GethDebugTracerType, GethDebugTracingOptions, GethTrace,
};

use super::{Devnet, STRANGER};

fn image(name: &str) -> Bytes {
    let path = format!("{}/../contracts/images/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("the image is in the repository").into()
}

/// Init code of the Solidity twin.
fn twin(name: &str) -> Bytes {
    let json: serde_json::Value = serde_json::from_slice(&image(name)).expect("it is JSON");
    let code = json["bytecode"].as_str().expect("it holds init code");
    code.parse().expect("it is hexadecimal")
}

pub(crate) fn play(peer: Address, depth: u64) -> Bytes {
    let mut data = keccak256("play(address,uint256)")[..4].to_vec();
    data.extend(peer.into_word());
    data.extend(U256::from(depth).to_be_bytes::<32>());
    data.into()
}

/// Deploys the RISC-V and the Solidity player.
pub(crate) async fn players(net: &Devnet) -> (Address, Address) {
    let request = DeployRequest { image: image("pingpong.elf"), ..DeployRequest::default() };
    let deployment = net.chain.deployment(request).await.unwrap();
    let mut free = net.transfer(0, 0);
    free.value = 0;
    net.send_to(free, TxKind::Create, deployment.input.clone()).await.unwrap();
    free.nonce = 1;
    let hash = net.send_to(free, TxKind::Create, twin("PingPong.json")).await.unwrap();
    let evm = net.chain.receipt(hash).unwrap().unwrap();
    assert!(evm.receipt.succeeded());
    (deployment.address_for(net.account(0), 0), evm.contract.unwrap())
}

#[tokio::test]
async fn contracts_of_both_kinds_call_each_other_and_are_traced() {
    let net = Devnet::start(NodeConfig::default());
    let (riscv, evm) = players(&net).await;
    let mut free = net.transfer(0, 2);
    free.value = 0;
    let hash = net.send_to(free, TxKind::Call(riscv), play(evm, 3)).await.unwrap();
    let receipt = net.chain.receipt(hash).unwrap().unwrap();
    assert!(receipt.receipt.succeeded());
    assert_eq!(receipt.receipt.receipt.logs.len(), 4);
    net.check_root().await;

    let tracer = GethDebugTracerType::BuiltInTracer(GethDebugBuiltInTracerType::CallTracer);
    let options = GethDebugTracingOptions { tracer: Some(tracer), ..Default::default() };
    let trace = net.chain.trace_transaction(hash, (options.clone(), None)).await.unwrap();
    let GethTrace::CallTracer(mut frame) = trace else { panic!("it is the call tracer's") };
    assert_eq!(frame.gas_used, U256::from(receipt.gas_used));
    for callee in [riscv, evm, riscv, evm] {
        assert_eq!(frame.to, Some(callee));
        frame = frame.calls.pop().unwrap_or_else(CallFrame::default);
    }
    let head = net.head();
    let traces = net.chain.trace_block(BlockId::number(head), (options, None)).await.unwrap();
    assert_eq!((traces.len(), traces[0].0), (1, hash));
    let log = net
        .chain
        .trace_transaction(hash, (GethDebugTracingOptions::default(), None))
        .await
        .unwrap();
    let GethTrace::Default(log) = log else { panic!("it is the struct log") };
    assert_eq!(log.gas, receipt.gas_used);
    assert!(log.struct_logs.iter().any(|step| step.op == "SSTORE" && step.depth == 1));
}

#[tokio::test]
async fn traces_start_from_edits_made_before_their_block() {
    let net = Devnet::start(NodeConfig::default());
    // Returns what the account itself holds.
    let code = Bytes::from_static(&alloy_primitives::hex!("475f5260205ff3"));
    net.chain.set_code(STRANGER, code, false).await.unwrap();
    net.chain.set_balance(STRANGER, U256::from(41)).await.unwrap();
    let hash = net.send_to(net.transfer(0, 0), TxKind::Call(STRANGER), Bytes::from_static(&[1]));
    let hash = hash.await.unwrap();
    net.chain.set_balance(STRANGER, U256::from(1_000)).await.unwrap();
    net.send(net.transfer(0, 1)).await.unwrap();
    let trace = net.chain.trace_transaction(hash, (GethDebugTracingOptions::default(), None)).await;
    let GethTrace::Default(log) = trace.unwrap() else { panic!("it is the struct log") };
    assert_eq!(U256::from_be_slice(&log.return_value), U256::from(42));
}

#[tokio::test]
async fn a_salt_fixes_the_address_and_the_code_can_be_shown() {
    let net = Devnet::start(NodeConfig::default());
    let salt = Some(B256::repeat_byte(3));
    let args = Bytes::from_static(b"tail");
    let request = DeployRequest { image: image("pingpong.elf"), args, salt };
    let deployment = net.chain.deployment(request).await.unwrap();
    let address = deployment.address.expect("a salt fixes the address");
    let mut free = net.transfer(1, 0);
    free.value = 0;
    let to = TxKind::Call(deployment.to.expect("it goes to the deployer"));
    net.send_to(free, to, deployment.input).await.unwrap();
    let info = net.chain.code_info(address, BlockId::latest()).await.unwrap();
    let info = info.expect("it runs on RISC-V");
    assert_eq!(info.image_hash, keccak256(image("pingpong.elf")));
    assert!(info.segments.iter().any(|segment| segment.executable));
    let listing = net.chain.disassemble(image("pingpong.elf")).await.unwrap();
    assert!(listing.iter().any(|line| line.text == "ecall"));
    assert_eq!(net.chain.code_info(STRANGER, BlockId::latest()).await.unwrap(), None);
}

#[tokio::test]
async fn bad_images_are_refused_before_they_cost_anything() {
    let net = Devnet::start(NodeConfig::default());
    let request = |image: Vec<u8>| DeployRequest { image: image.into(), ..Default::default() };
    let refusal = async |image| net.chain.deployment(request(image)).await.unwrap_err().to_string();
    assert!(refusal(vec![1; 100]).await.starts_with("RISC-V image: "));
    let large = refusal(vec![0; 600_000]).await;
    assert_eq!(large, "RISC-V image of 600000 bytes exceeds the limit of 524288 bytes");
    let truncated = refusal(vec![0xef, 0x52, 0x56, 1, 0, 0, 1, 0]).await;
    assert!(truncated.starts_with("RISC-V container: "), "{truncated}");
    net.chain.set_code(STRANGER, image("erc20.elf"), true).await.unwrap();
    let info = net.chain.code_info(STRANGER, BlockId::latest()).await.unwrap().unwrap();
    assert_eq!(info.image_size, image("erc20.elf").len());
}
