//! Hashing what an update changes: which nodes, and in which order.
//!
//! A plan holds the nodes to hash anew by their depth, so that hashing goes a depth at a time,
//! side by side in the lanes of [`Hash::hash_all`], and each new hash goes to its branch at once.
//! Of a large one the subtrees below some depth are planned and hashed by themselves, which keeps
//! what they take in the processor's caches, and by two threads.

use crate::{
    Hash, Message, Tree, Update,
    branches::{LEFT, Place, RIGHT},
    tree::{Kind, NONE, Node},
};
use alloc::{vec, vec::Vec};
use alloy_primitives::B256;
#[cfg(feature = "std")]
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use core::{hint, mem, ops::Range};

/// Messages that are handed to the hash at a time.
const BATCH: usize = 32;
/// Updates from which on subtrees are hashed by themselves, and a second thread pays.
const LARGE_MIN: usize = 800;
/// Updates of a group of subtrees, about: what they lead to fits the caches.
const GROUP_SIZE: usize = 512;
/// Depth of those subtrees.
const CUT_DEPTH: usize = 6;

/// What leads to the nodes to hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guide {
    /// The updates' keys: all of them are in the tree and get values.
    Keys,
    /// The marks that a change of the tree's shape has left.
    Marks,
}

/// A node on the way.
#[derive(Debug, Clone)]
struct Visit {
    node: Node,
    place: Place,
    from: u16,
    /// The updates that lead here.
    updates: Range<u32>,
}

/// A node to hash.
#[derive(Debug)]
struct Job {
    node: Node,
    place: Place,
    /// The update of a leaf, or one that leads here; the marks know of none.
    update: u32,
    from: u16,
    split: u16,
}

/// What to hash.
#[derive(Debug)]
struct Plan {
    /// By depth.
    jobs: Vec<Job>,
    /// How many jobs there are down to each depth.
    ends: Vec<u32>,
    /// Updates that do more than set the value of a leaf.
    others: Vec<u32>,
}

impl<H: Hash> Tree<H> {
    /// Renews the hashes of everything that the guide leads to. If some updates change the tree's
    /// shape, the ways to all others are marked instead: those ones are returned.
    pub(crate) fn rehash(&mut self, guide: Guide, updates: &[Update]) -> Vec<u32> {
        let root = Self::visits_of(self.root, updates);
        let is_large = cfg!(feature = "std") && updates.len() >= LARGE_MIN;
        let depth = if is_large { CUT_DEPTH } else { usize::MAX };
        let (mut top, left) = self.plan(guide, updates, root, depth);
        let below = self.rehash_each(guide, updates, &left);
        top.others.extend(below.iter().flat_map(|plan| &plan.others));
        self.root_hash = self.run(&top, updates).unwrap_or(self.root_hash);
        for plan in [&top].into_iter().chain(&below) {
            if top.others.is_empty() { self.settle(plan) } else { self.mark_ways(plan) }
        }
        top.others
    }

    /// Hashes what is marked in the subtree at a branch that lies nowhere yet.
    pub(crate) fn rehash_below(&mut self, node: Node, updates: &[Update]) {
        let root = Self::visits_of(node, updates);
        let (plan, _) = self.plan(Guide::Marks, updates, root, usize::MAX);
        self.run(&plan, updates);
        self.settle(&plan);
    }

    fn visits_of(node: Node, updates: &[Update]) -> Vec<Visit> {
        vec![Visit { node, place: Place::ROOT, from: 0, updates: 0..updates.len() as u32 }]
    }

    /// Hashes subtrees that have no part in common, a group after the other.
    fn rehash_each(&self, guide: Guide, updates: &[Update], subtrees: &[Visit]) -> Vec<Plan> {
        let rehash = |group: &[Visit]| {
            let (plan, _) = self.plan(guide, updates, group.to_vec(), usize::MAX);
            self.run(&plan, updates);
            plan
        };
        let count = updates.len().div_ceil(GROUP_SIZE).max(2);
        let groups: Vec<_> = subtrees.chunks(subtrees.len().div_ceil(count).max(1)).collect();
        #[cfg(not(feature = "std"))]
        return groups.into_iter().map(rehash).collect();
        #[cfg(feature = "std")]
        {
            if groups.is_empty() {
                return Vec::new();
            }
            let next = AtomicUsize::new(0);
            let take = || groups.get(next.fetch_add(1, Relaxed)).map(|group| rehash(group));
            let work = || core::iter::from_fn(take).collect::<Vec<_>>();
            std::thread::scope(|scope| {
                let other = scope.spawn(work);
                let mut plans = work();
                plans.extend(other.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)));
                plans
            })
        }
    }

    /// Leaves the marks that lead to what a plan goes by.
    fn mark_ways(&mut self, plan: &Plan) {
        for job in &plan.jobs {
            if let Some((index, side)) = job.place.branch() {
                self.branches[index].marks |= LEFT << side;
            }
            if let Kind::Leaf(index) = job.node.kind() {
                self.leaves[index as usize].pending = job.update;
            }
        }
    }

    /// Notes that what a plan led to is hashed.
    fn settle(&mut self, plan: &Plan) {
        for job in &plan.jobs {
            match job.node.kind() {
                Kind::Branch(index) => {
                    let branch = &mut self.branches[index];
                    branch.epoch = self.epoch;
                    branch.marks &= !(LEFT | RIGHT);
                }
                Kind::Folded(index) => self.folded[index as usize].epoch = self.epoch,
                Kind::Leaf(index) => self.leaves[index as usize].pending = NONE,
                Kind::Empty => {}
            }
        }
    }

    /// Follows the guide from some nodes on, a depth at a time. Returns those at `depth_max`, too.
    fn plan(
        &self,
        guide: Guide,
        updates: &[Update],
        mut visits: Vec<Visit>,
        depth_max: usize,
    ) -> (Plan, Vec<Visit>) {
        let (jobs, ends) = (Vec::with_capacity(8 * visits.len() + 32), Vec::with_capacity(32));
        let mut plan = Plan { jobs, ends, others: Vec::new() };
        let mut below = Vec::with_capacity(2 * visits.len());
        while !visits.is_empty() && plan.ends.len() < depth_max {
            plan.ends.push(plan.jobs.len() as u32);
            hint::black_box(self.touch(&visits));
            for visit in visits.drain(..) {
                self.visit(visit, (guide, updates), &mut plan, &mut below);
            }
            mem::swap(&mut visits, &mut below);
        }
        plan.ends.push(plan.jobs.len() as u32);
        (plan, visits)
    }

    /// Reads a little of each node, and nothing that waits for it: what lies in memory far apart is
    /// then on its way side by side.
    fn touch(&self, visits: &[Visit]) -> u64 {
        let nodes = visits.iter().map(|visit| match visit.node.kind() {
            Kind::Branch(index) => self.branches.touch(index),
            Kind::Leaf(index) => {
                let leaf = &self.leaves[index as usize];
                u64::from(leaf.pending) ^ u64::from(leaf.key.sub())
            }
            Kind::Folded(_) | Kind::Empty => 0,
        });
        nodes.fold(0, |all, word| all ^ word)
    }

    fn visit(
        &self,
        Visit { node, place, from, updates: Range { start, end } }: Visit,
        (guide, updates): (Guide, &[Update]),
        plan: &mut Plan,
        below: &mut Vec<Visit>,
    ) {
        match node.kind() {
            Kind::Branch(index) => {
                let branch = &self.branches[index];
                let split = branch.split;
                let mut go_on = |side: u32, updates: Range<u32>| {
                    let (node, place) = (branch.sides[side as usize], Place::new(index, side));
                    below.push(Visit { node, place, from: split + 1, updates });
                };
                let mut update = start;
                match (guide, &updates[start as usize..end as usize]) {
                    // Of one key nothing has to be guessed by the processor.
                    (Guide::Keys, [only]) => go_on(only.key.bit(split).into(), start..end),
                    (Guide::Keys, own) => {
                        let middle = start + own.partition_point(|one| !one.key.bit(split)) as u32;
                        for (side, updates) in [(0, start..middle), (1, middle..end)] {
                            if !updates.is_empty() {
                                go_on(side, updates);
                            }
                        }
                    }
                    (Guide::Marks, _) => {
                        for (side, mark) in [(0, LEFT), (1, RIGHT)] {
                            if branch.marks & mark != 0 {
                                go_on(side, 0..0);
                            }
                        }
                        update = NONE;
                    }
                }
                plan.jobs.push(Job { node, place, update, from, split });
            }
            Kind::Leaf(index) => {
                let leaf = &self.leaves[index as usize];
                let own = updates.get(start as usize..end as usize).unwrap_or_default();
                let update = match (guide, own) {
                    (Guide::Keys, [only]) if only.value.is_some() && only.key == leaf.key => start,
                    (Guide::Keys, _) => NONE,
                    (Guide::Marks, _) => leaf.pending,
                };
                if update != NONE {
                    plan.jobs.push(Job { node, place, update, from, split: from });
                } else if guide == Guide::Keys {
                    plan.others.extend(start..end);
                }
            }
            Kind::Folded(index) if guide == Guide::Marks => {
                let fold = &self.folded[index as usize].fold;
                plan.jobs.push(Job { node, place, update: NONE, from, split: fold.bits });
            }
            _ if guide == Guide::Keys => plan.others.extend(start..end),
            Kind::Folded(_) | Kind::Empty => {}
        }
    }

    /// Hashes all of a plan from below, unless there are others. Returns the root's hash if the plan
    /// begins there.
    fn run(&self, plan: &Plan, updates: &[Update]) -> Option<B256> {
        if !plan.others.is_empty() {
            return None;
        }
        let mut root = None;
        // As many as are needed at a time: clearing them all would take as long as ten hashes.
        let (mut messages, mut hashes) = (Vec::new(), Vec::new());
        for depth in plan.ends.windows(2).rev() {
            for jobs in plan.jobs[depth[0] as usize..depth[1] as usize].chunks(BATCH) {
                messages.resize(messages.len().max(jobs.len()), Message::new());
                hashes.resize(messages.len(), B256::ZERO);
                for (message, job) in messages.iter_mut().zip(jobs) {
                    self.write(job, updates, message);
                }
                self.hash.hash_all(&messages[..jobs.len()], &mut hashes[..jobs.len()]);
                for (job, hash) in jobs.iter().zip(&hashes) {
                    match job.place.branch() {
                        Some((index, side)) => self.branches.set_hash(index, side, hash),
                        None => root = Some(*hash),
                    }
                }
            }
        }
        root
    }

    fn write(&self, job: &Job, updates: &[Update], message: &mut Message) {
        let hashes = match job.node.kind() {
            Kind::Branch(index) => self.branches.hashes(index),
            Kind::Folded(index) => self.folded[index as usize].fold.hashes,
            Kind::Leaf(_) | Kind::Empty => {
                let Update { key, value } = &updates[job.update as usize];
                return message.set(&[&[0], key.as_slice(), &value.unwrap_or_default().0]);
            }
        };
        let bits = job.split - job.from;
        let prefix_end = 3 + usize::from(bits.div_ceil(8));
        let bytes = message.write(prefix_end + 64);
        bytes[0] = 1;
        bytes[1..3].copy_from_slice(&bits.to_be_bytes());
        let given = || updates.get(job.update as usize).map(|update| update.key);
        if bits > 0
            && let Some(key) = given().or_else(|| self.any_key(job.node))
        {
            key.pack_bits(job.from, job.split, &mut bytes[3..prefix_end]);
        }
        let (left, right) = bytes[prefix_end..].split_at_mut(32);
        left.copy_from_slice(hashes[0].as_slice());
        right.copy_from_slice(hashes[1].as_slice());
    }
}
