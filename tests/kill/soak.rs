//! Random kills under a random load of all operations: transfers, calls of contracts of both kinds,
//! savepoints, reverts, rollbacks, reorgs, many blocks at once, edits, waiting transactions, dumps,
//! pruning. After each kill the whole database is checked, and what was acknowledged has to be
//! there, savepoints of earlier runs among it.

use std::{collections::BTreeSet, path::Path, process::Command, thread, time::Duration};

use alloy::{
    primitives::{Address, U256},
    sol_types::SolCall,
};
use anyhow::{Context, Result, bail, ensure};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tandem_tests::{Client, GenesisFile, Node, node, rpc::quantity, sign};

use crate::load::{Sealing, Tokens, transferCall};

/// Rounds where nothing else is said: about a minute.
const ROUNDS: u32 = 40;
/// Rounds after which a new chain begins.
const CHAIN_ROUNDS: u32 = 50;
const KILL_MS: std::ops::Range<u64> = 30..700;
const GAS: &str = "0x493e0";

/// What the node has told.
#[derive(Default)]
struct Model {
    /// Hashes of the chain's blocks, by number.
    chain: Vec<String>,
    /// Transactions with their receipts, by block.
    receipts: Vec<(u64, Value)>,
    /// Accounts and what they were given since the newest block.
    balances: Vec<(String, String)>,
    savepoints: Vec<Savepoint>,
    /// How many of them are there whether the operation at hand was done or not.
    savepoints_sure: usize,
    /// The newest savepoint's id.
    newest_id: Option<u64>,
    /// Hashes of what waits.
    waiting: BTreeSet<String>,
    /// Whether the operation at hand changes what waits.
    moves_waiting: bool,
    /// A dump, and the hashes of the chain's blocks then.
    dump: Option<(Value, Vec<String>)>,
    /// How far back the operation at hand may take the chain.
    floor: Option<u64>,
    /// Whether it changes what is pending at the head.
    edits: bool,
    operations: u64,
    rewinds: u64,
}

/// What the node has to bring back.
#[derive(Clone)]
struct Savepoint {
    id: Value,
    head: u64,
    balances: Vec<(String, String)>,
    waiting: BTreeSet<String>,
}

/// Checks a data directory as `tandem db verify` does.
pub(crate) fn verify(data: &Path) -> Result<()> {
    let mut command = Command::new(node::binary()?);
    command.args(["db", "verify", "--datadir"]).arg(data);
    let output = node::clean(command).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "db verify of {}: {errors}", data.display());
    Ok(())
}

pub(crate) fn run() -> Result<()> {
    let rounds = u32::try_from(crate::variable("TANDEM_SOAK_ROUNDS", ROUNDS.into())?)?;
    let seed = crate::variable("TANDEM_KILL_SEED", 1)?;
    let mut random = StdRng::seed_from_u64(seed);
    let (mut operations, mut rewinds) = (0, 0);
    for chain in 0..rounds.div_ceil(CHAIN_ROUNDS) {
        let folder = tempfile::tempdir()?;
        let rounds = CHAIN_ROUNDS.min(rounds - chain * CHAIN_ROUNDS);
        let outcome = run_chain(folder.path(), rounds, &mut random);
        let model = match outcome {
            Ok(model) => model,
            Err(error) => {
                let left = folder.keep();
                return Err(error.context(format!("chain {chain}, left in {}", left.display())));
            }
        };
        (operations, rewinds) = (operations + model.operations, rewinds + model.rewinds);
        eprintln!("chain {chain}: {rounds} kills, {} blocks at the end", model.chain.len());
    }
    eprintln!("{rounds} kills, {operations} operations acknowledged, {rewinds} of them rewinds");
    ensure!(operations > u64::from(rounds), "only {operations} operations");
    Ok(())
}

fn run_chain(folder: &Path, rounds: u32, random: &mut StdRng) -> Result<Model> {
    let genesis = GenesisFile::write(folder)?;
    let data = folder.join("data");
    let first = crate::start_in(&genesis, &data, Sealing::Auto, "process")?;
    let tokens = Tokens::deploy(&first)?;
    let mut model = Model::default();
    model.learn(&mut first.client()?, 0)?;
    first.kill()?;
    for round in 0..rounds {
        let kill_ms = random.random_range(KILL_MS);
        let prune = [None, None, Some("40"), Some("200")][random.random_range(0..4)];
        let label = format!("round {round}, killed after {kill_ms} ms, prune {prune:?}");
        let node = start(&genesis, &data, prune).context(label.clone())?;
        model.check(&mut node.client()?).context(label.clone())?;
        let address = node.address();
        let killer = thread::spawn(move || -> Result<()> {
            thread::sleep(Duration::from_millis(kill_ms));
            node.kill()
        });
        let mut client = Client::connect(address)?;
        let broken = loop {
            if let Err(error) = model.operate(&mut client, &tokens, random) {
                break error;
            }
        };
        // An operation ends in an error of the connection, and only because of the kill.
        let killed = broken.downcast_ref::<std::io::Error>().is_some()
            || broken.to_string().starts_with("answered");
        killer.join().map_err(|_| anyhow::anyhow!("the killer panicked"))??;
        ensure!(killed, "{label}: {broken:#}");
        verify(&data).context(label)?;
    }
    let node = start(&genesis, &data, None)?;
    model.check(&mut node.client()?)?;
    node.kill()?;
    Ok(model)
}

fn start(genesis: &GenesisFile, data: &Path, prune: Option<&str>) -> Result<Node> {
    let mut command = Command::new(node::binary()?);
    command.args(["--port", "0", "--genesis", genesis.path()?, "--datadir"]).arg(data);
    if let Some(blocks) = prune {
        command.args(["--prune", blocks]);
    }
    Node::spawn(node::clean(command))
}

impl Model {
    fn head(&self) -> u64 {
        self.chain.len() as u64 - 1
    }

    /// Learns the chain as it is after block `kept`, up to which it is as it was.
    fn learn(&mut self, client: &mut Client, kept: u64) -> Result<()> {
        self.chain.truncate(kept as usize + usize::from(!self.chain.is_empty()));
        self.receipts.retain(|(number, _)| *number <= kept);
        let head = quantity(&client.call("eth_blockNumber", json!([]))?)?;
        for number in self.chain.len() as u64..=head {
            let block =
                client.call("eth_getBlockByNumber", json!([format!("{number:#x}"), false]))?;
            self.chain.push(block["hash"].as_str().context("no hash")?.to_owned());
        }
        Ok(())
    }

    /// Demands that a node that was killed still knows what it told, and learns how it stands.
    fn check(&mut self, client: &mut Client) -> Result<()> {
        let kept = self.floor.take().unwrap_or(self.head()).min(self.head());
        let from = kept.saturating_sub(60);
        let same = |client: &mut Client, number: u64, hash: &String| -> Result<bool> {
            let block =
                client.call("eth_getBlockByNumber", json!([format!("{number:#x}"), false]))?;
            Ok(block["hash"] == **hash)
        };
        for number in (0..from).step_by(17).chain(from..=kept) {
            let hash = &self.chain[number as usize];
            ensure!(same(client, number, hash)?, "block {number} was {hash}, and is not now");
        }
        for (number, told) in
            self.receipts.iter().filter(|(number, _)| *number <= kept).rev().take(60)
        {
            let found =
                client.call("eth_getTransactionReceipt", json!([told["transactionHash"]]))?;
            ensure!(found == *told, "block {number}: the receipt was {told}, is {found}");
        }
        // What was above the floor is there in full, or was taken back by what was not answered.
        let mut common = kept;
        while common < self.head() && same(client, common + 1, &self.chain[common as usize + 1])? {
            common += 1;
        }
        let head = quantity(&client.call("eth_blockNumber", json!([]))?)?;
        if !self.edits && head == self.head() && common == head {
            for (address, balance) in &self.balances {
                let found = client.call("eth_getBalance", json!([address, "latest"]))?;
                ensure!(found == **balance, "{address} was given {balance}, has {found}");
            }
        }
        self.balances.clear();
        self.savepoints.truncate(self.savepoints_sure);
        let found = waiting(client)?;
        let sure = self.moves_waiting || found == self.waiting;
        ensure!(sure, "{:?} waited, and now {found:?}", self.waiting);
        self.waiting = found;
        self.learn(client, common)
    }

    /// Does something; an error is the connection's, or a fault.
    fn operate(&mut self, client: &mut Client, tokens: &Tokens, random: &mut StdRng) -> Result<()> {
        (self.floor, self.edits, self.moves_waiting) = (None, false, false);
        self.savepoints_sure = self.savepoints.len();
        let (head, depth) = (self.head(), random.random_range(1..8));
        match random.random_range(0..24) {
            0..=4 => self.send(client, transfer(random)?)?,
            5..=8 => self.send(client, call(tokens, random)?)?,
            9 | 10 => {
                let id = client.call("evm_snapshot", json!([]))?;
                let number = Some(quantity(&id)?);
                ensure!(number > self.newest_id, "id {id} after {:?}", self.newest_id);
                self.newest_id = number;
                let (balances, waiting) = (self.balances.clone(), self.waiting.clone());
                self.savepoints.push(Savepoint { id, head, balances, waiting });
            }
            11 | 12 if !self.savepoints.is_empty() => self.revert(client, random)?,
            13 => {
                self.rewind(client, ("anvil_rollback", json!([depth])), head.saturating_sub(depth))?
            }
            14 => self.rewind(
                client,
                ("anvil_reorg", json!([depth, []])),
                head.saturating_sub(depth),
            )?,
            15 => {
                let blocks = random.random_range(1..60);
                client.call("anvil_mine", json!([format!("{blocks:#x}")]))?;
                self.balances.clear();
                self.learn(client, head)?;
            }
            16 => {
                let dump = client.call("anvil_dumpState", json!([]))?;
                self.dump = Some((dump, self.chain.clone()));
            }
            17 if self.dump.is_some() => self.load(client)?,
            18..=20 => self.wait(client, random)?,
            _ => self.give(client, random)?,
        }
        self.operations += 1;
        Ok(())
    }

    fn send(&mut self, client: &mut Client, request: Value) -> Result<()> {
        let head = self.head();
        let hash = client.call("eth_sendTransaction", json!([request]))?;
        let receipt = client.call("eth_getTransactionReceipt", json!([hash]))?;
        ensure!(receipt["transactionHash"] == hash, "{hash} was acknowledged, has no receipt");
        self.balances.clear();
        self.learn(client, head)?;
        self.receipts.push((quantity(&receipt["blockNumber"])?, receipt));
        Ok(())
    }

    fn give(&mut self, client: &mut Client, random: &mut StdRng) -> Result<()> {
        let address = format!("{:#042x}", random.random_range(0x1000..0x1010));
        let value = random.random::<u32>();
        self.edits = true;
        client.call("anvil_setBalance", json!([address, format!("{value:#x}")]))?;
        let slot = format!("{:#066x}", value);
        client.call("anvil_setStorageAt", json!([address, "0x1", slot]))?;
        let balance = client.call("eth_getBalance", json!([address, "latest"]))?;
        ensure!(balance == format!("{value:#x}"), "{address} was given {value:#x}, has {balance}");
        self.balances.retain(|(known, _)| *known != address);
        self.balances.push((address, format!("{value:#x}")));
        Ok(())
    }

    /// Lets a transaction wait for a nonce that never comes, or takes some away.
    fn wait(&mut self, client: &mut Client, random: &mut StdRng) -> Result<()> {
        self.moves_waiting = true;
        match random.random_range(0..8) {
            0 => {
                client.call("anvil_dropAllTransactions", json!([]))?;
            }
            1 | 2 => {
                if let Some(hash) = self.waiting.first() {
                    client.call("anvil_dropTransaction", json!([hash]))?;
                }
            }
            _ => {
                let mut request = transfer(random)?;
                request["from"] = json!(sign::account(7)?.address());
                request["nonce"] = json!(format!("{:#x}", random.random_range(1000..1020)));
                // It may offer too little for another one's place.
                if let Err(error) = client.try_call("eth_sendTransaction", json!([request]))? {
                    ensure!(error.message.contains("underpriced"), "{error}");
                }
            }
        }
        self.waiting = waiting(client)?;
        Ok(())
    }

    fn revert(&mut self, client: &mut Client, random: &mut StdRng) -> Result<()> {
        let index = random.random_range(0..self.savepoints.len());
        let Savepoint { id, head, balances, waiting: waited } = self.savepoints[index].clone();
        self.floor = Some(head);
        (self.edits, self.moves_waiting, self.savepoints_sure) = (true, true, index);
        match client.try_call("evm_revert", json!([id]))? {
            Ok(done) => {
                ensure!(done == true, "the savepoint {id} is gone");
                self.savepoints.truncate(index);
                self.went_back(client, head)?;
                ensure!(self.head() == head, "savepoint {id}: not block {head}");
                for (address, balance) in &balances {
                    let found = client.call("eth_getBalance", json!([address, "latest"]))?;
                    ensure!(found == **balance, "{id}: {address} had {balance}, has {found}");
                }
                (self.balances, self.waiting) = (balances, waiting(client)?);
                ensure!(self.waiting == waited, "{id}: {waited:?} waited, not {:?}", self.waiting);
                Ok(())
            }
            // It may be older than the history that is kept.
            Err(error) if error.message.contains("it was pruned") => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts the chain of the dump in the place of this one: savepoints go, what waits stays.
    fn load(&mut self, client: &mut Client) -> Result<()> {
        let Some((dump, blocks)) = self.dump.clone() else { return Ok(()) };
        let pairs = self.chain.iter().zip(&blocks);
        let common = pairs.take_while(|(ours, theirs)| ours == theirs).count() as u64 - 1;
        (self.floor, self.edits, self.savepoints_sure) = (Some(common), true, 0);
        client.call("anvil_loadState", json!([dump]))?;
        self.savepoints.clear();
        self.went_back(client, common)?;
        ensure!(self.chain == blocks, "not the chain of the dump");
        ensure!(waiting(client)? == self.waiting, "what waited waits no longer");
        Ok(())
    }

    fn rewind(
        &mut self,
        client: &mut Client,
        (method, params): (&str, Value),
        to: u64,
    ) -> Result<()> {
        // The tokens stay.
        if to <= 6 {
            return Ok(());
        }
        self.floor = Some(to);
        self.edits = true;
        // A savepoint with changes on top of the block that is the head then is gone, too.
        self.savepoints_sure = self.savepoints.iter().filter(|made| made.head < to).count();
        match client.try_call(method, params)? {
            Ok(_) => {
                self.savepoints.truncate(self.savepoints_sure);
                self.went_back(client, to)
            }
            Err(error) if error.message.contains("it was pruned") => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn went_back(&mut self, client: &mut Client, to: u64) -> Result<()> {
        self.rewinds += 1;
        self.balances.clear();
        self.learn(client, to)?;
        if self.chain.len() as u64 <= to {
            bail!("the chain ends before block {to}, to which it went back");
        }
        Ok(())
    }
}

/// Hashes of what waits.
fn waiting(client: &mut Client) -> Result<BTreeSet<String>> {
    let content = client.call("txpool_content", json!([]))?;
    let senders = ["pending", "queued"].into_iter().filter_map(|kind| content[kind].as_object());
    let all = senders.flat_map(|senders| senders.values().filter_map(Value::as_object));
    let hashes = all.flat_map(|nonces| nonces.values().filter_map(|tx| tx["hash"].as_str()));
    Ok(hashes.map(str::to_owned).collect())
}

fn transfer(random: &mut StdRng) -> Result<Value> {
    let (from, to) = (random.random_range(0..3), random.random_range(3..9));
    let value = format!("{:#x}", random.random_range(1..1_000_000_000_u64));
    let [from, to] = [sign::account(from)?.address(), sign::account(to)?.address()];
    Ok(json!({"from": from, "to": to, "value": value}))
}

fn call(tokens: &Tokens, random: &mut StdRng) -> Result<Value> {
    let index = random.random_range(0..crate::SENDERS);
    let to = Address::repeat_byte(random.random_range(1..9));
    let data = transferCall { to, amount: U256::from(1) }.abi_encode();
    let token = tokens.of(index as usize)?[random.random_range(0..2)];
    let data = alloy::primitives::Bytes::from(data);
    Ok(json!({"from": sign::account(index)?.address(), "to": token, "data": data, "gas": GAS}))
}
