//! Hashing what an update changes: which nodes, and in which order.
//!
//! A plan holds the branches to hash anew by their depth, each with a copy of its sides' hashes, so
//! that hashing goes through memory in order and a depth at a time: side by side in the lanes of
//! [`Hash::hash_all`], and the two halves of a large plan on two threads. The tree gets the new
//! hashes at the end.

use crate::{
    Hash, Key, Message, Tree, Update,
    tree::{Kind, LEFT, NONE, Node, RIGHT},
};
use alloc::{vec, vec::Vec};
use alloy_primitives::B256;
use core::ops::Range;

/// Messages that are handed to the hash at a time.
const BATCH: usize = 32;
/// Updates from which on a second thread pays.
#[cfg(feature = "std")]
const PARALLEL_MIN: usize = 2_000;
/// Depth at which a large plan is cut in two.
#[cfg(feature = "std")]
const CUT_DEPTH: usize = 6;
/// Marks a number as one of a key in [`Plan::keys`], not of an update.
const OWN_KEY: u32 = 1 << 31;

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
    from: u16,
    side: u8,
    parent: u32,
    /// The updates that lead here.
    updates: Range<u32>,
}

/// A branch or fold to hash, or, at the top of a plan, the place of a hash.
#[derive(Debug)]
struct Job {
    hashes: [B256; 2],
    node: Node,
    /// The job that its hash goes to.
    parent: u32,
    /// Whose bits the prefix has: an update's, or one of the plan's own keys.
    key: u32,
    from: u16,
    split: u16,
    side: u8,
    /// Whether one of its hashes is new.
    is_changed: bool,
}

#[derive(Debug)]
struct LeafJob {
    update: u32,
    leaf: u32,
    parent: u32,
    side: u8,
}

/// What to hash.
#[derive(Debug)]
struct Plan {
    /// By depth; the first ones are places for the hashes that the others lead to.
    jobs: Vec<Job>,
    /// How many jobs there are down to each depth.
    ends: Vec<u32>,
    leaves: Vec<LeafJob>,
    /// Keys below branches that the marks lead to.
    keys: Vec<Key>,
    /// Updates that do more than set the value of a leaf.
    others: Vec<u32>,
}

impl<H: Hash> Tree<H> {
    /// Renews the hashes of everything that the guide leads to. If some updates change the tree's
    /// shape, nothing is hashed, and the ways to all others are marked: those ones are returned.
    pub(crate) fn rehash(&mut self, guide: Guide, updates: &[Update]) -> Vec<u32> {
        let root = self.visit_of(self.root, updates);
        let (plan, halves) = self.plan_all(guide, updates, root);
        if plan.others.is_empty() {
            self.root_hash = plan.jobs[0].hashes[0];
            [&plan].into_iter().chain(&halves).for_each(|plan| self.write_back(plan));
        } else {
            self.mark_ways(&plan, &[]);
            halves.iter().for_each(|half| self.mark_ways(half, &plan.jobs));
        }
        plan.others
    }

    /// Leaves the marks that lead to what a plan goes by; its first places are `above`.
    fn mark_ways(&mut self, plan: &Plan, above: &[Job]) {
        let places = plan.places();
        let mut mark = |parent: u32, side: u8| {
            let job = match &plan.jobs[parent as usize] {
                place if parent < places => above.get(place.parent as usize).zip(Some(place.side)),
                job => Some((job, side)),
            };
            if let Some((job, side)) = job
                && let Kind::Branch(index) = job.node.kind()
            {
                self.branches[index as usize].marks |= LEFT << side;
            }
        };
        plan.jobs[places as usize..].iter().for_each(|job| mark(job.parent, job.side));
        for leaf in &plan.leaves {
            mark(leaf.parent, leaf.side);
            self.leaves[leaf.leaf as usize].pending = leaf.update;
        }
    }

    /// Hashes what is marked in the subtree at a branch that lies nowhere yet.
    pub(crate) fn rehash_below(&mut self, node: Node, updates: &[Update]) {
        let visit = self.visit_of(node, updates);
        let (mut plan, _) = self.plan(Guide::Marks, updates, vec![visit], usize::MAX);
        plan.run(self.hash, updates);
        self.write_back(&plan);
    }

    fn visit_of(&self, node: Node, updates: &[Update]) -> Visit {
        Visit { node, from: 0, side: 0, parent: 0, updates: 0..updates.len() as u32 }
    }

    #[cfg(not(feature = "std"))]
    fn plan_all(&self, guide: Guide, updates: &[Update], root: Visit) -> (Plan, Vec<Plan>) {
        let (mut plan, _) = self.plan(guide, updates, vec![root], usize::MAX);
        plan.jobs[0].hashes[0] = self.root_hash;
        plan.run(self.hash, updates);
        (plan, Vec::new())
    }

    /// Makes the plan and hashes it, on two threads if it is large.
    #[cfg(feature = "std")]
    fn plan_all(&self, guide: Guide, updates: &[Update], root: Visit) -> (Plan, Vec<Plan>) {
        let is_large = updates.len() >= PARALLEL_MIN;
        let depth = if is_large { CUT_DEPTH } else { usize::MAX };
        let (mut top, mut left) = self.plan(guide, updates, vec![root], depth);
        top.jobs[0].hashes[0] = self.root_hash;
        let mut halves = Vec::new();
        if !left.is_empty() {
            let weight = |visit: &Visit| u64::from(visit.updates.end - visit.updates.start);
            let half = left.iter().map(weight).sum::<u64>() / 2;
            let mut sum = 0;
            let middle = left.iter().position(|visit| {
                sum += weight(visit);
                sum > half
            });
            let right = left.split_off(middle.unwrap_or_default());
            let work = |visits| {
                let (mut plan, _) = self.plan(guide, updates, visits, usize::MAX);
                plan.run(self.hash, updates);
                plan
            };
            halves = std::thread::scope(|scope| {
                let other = scope.spawn(|| work(right));
                let own = work(left);
                vec![own, other.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause))]
            });
        }
        halves.iter().for_each(|half| top.adopt(half));
        top.run(self.hash, updates);
        (top, halves)
    }

    /// Follows the guide from some nodes on, a depth at a time: what lies in memory far apart is
    /// then waited for side by side. Returns the nodes at `depth_max`, too.
    fn plan(
        &self,
        guide: Guide,
        updates: &[Update],
        mut visits: Vec<Visit>,
        depth_max: usize,
    ) -> (Plan, Vec<Visit>) {
        let entry = |visit: &Visit| Job {
            hashes: [B256::ZERO; 2],
            node: visit.node,
            parent: visit.parent,
            key: NONE,
            from: 0,
            split: 0,
            side: visit.side,
            is_changed: false,
        };
        let mut plan = Plan {
            jobs: Vec::with_capacity(32 + 8 * visits.len()),
            ends: Vec::with_capacity(32),
            leaves: Vec::new(),
            keys: Vec::new(),
            others: Vec::new(),
        };
        plan.jobs.extend(visits.iter().map(entry));
        for (visit, index) in visits.iter_mut().zip(0..) {
            (visit.parent, visit.side) = (index, 0);
        }
        let mut below = Vec::new();
        while !visits.is_empty() && plan.ends.len() < depth_max {
            plan.ends.push(plan.jobs.len() as u32);
            for visit in visits.drain(..) {
                self.visit(visit, (guide, updates), &mut plan, &mut below);
            }
            core::mem::swap(&mut visits, &mut below);
        }
        plan.ends.push(plan.jobs.len() as u32);
        (plan, visits)
    }

    fn visit(
        &self,
        visit: Visit,
        (guide, updates): (Guide, &[Update]),
        plan: &mut Plan,
        below: &mut Vec<Visit>,
    ) {
        let Visit { node, from, side, parent, updates: Range { start, end } } = visit;
        match node.kind() {
            Kind::Branch(index) => {
                let branch = &self.branches[index as usize];
                let split = branch.split;
                let (ranges, mut key) = match guide {
                    Guide::Keys => {
                        let own = &updates[start as usize..end as usize];
                        let middle =
                            start + own.partition_point(|update| !update.key.bit(split)) as u32;
                        ([start..middle, middle..end], start)
                    }
                    Guide::Marks => {
                        let range = |mark| if branch.marks & mark == 0 { 0..0 } else { 0..1 };
                        ([range(LEFT), range(RIGHT)], NONE)
                    }
                };
                if guide == Guide::Marks && split > from {
                    key = plan.key_below(self.any_key(node));
                }
                let own = plan.jobs.len() as u32;
                let place = (parent, side);
                plan.jobs.push(Job::new(branch.hashes, node, place, (key, from, split)));
                for ((node, updates), side) in branch.sides.into_iter().zip(ranges).zip(0..) {
                    if !updates.is_empty() {
                        below.push(Visit { node, from: split + 1, side, parent: own, updates });
                    }
                }
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
                    plan.leaves.push(LeafJob { update, leaf: index, parent, side });
                } else if guide == Guide::Keys {
                    plan.others.extend(start..end);
                }
            }
            Kind::Folded(index) if guide == Guide::Marks => {
                let fold = &self.folded[index as usize].fold;
                let key = plan.key_below(Some(fold.key));
                plan.jobs.push(Job::new(fold.hashes, node, (parent, side), (key, from, fold.bits)));
            }
            _ if guide == Guide::Keys => plan.others.extend(start..end),
            Kind::Folded(_) | Kind::Empty => {}
        }
    }

    fn write_back(&mut self, plan: &Plan) {
        for job in &plan.jobs[plan.places() as usize..] {
            match job.node.kind() {
                Kind::Branch(index) => {
                    let branch = &mut self.branches[index as usize];
                    branch.hashes = job.hashes;
                    branch.epoch = self.epoch;
                    branch.marks &= !(LEFT | RIGHT);
                }
                Kind::Folded(index) => self.folded[index as usize].epoch = self.epoch,
                Kind::Leaf(_) | Kind::Empty => {}
            }
        }
        for job in &plan.leaves {
            self.leaves[job.leaf as usize].pending = NONE;
        }
    }
}

impl Plan {
    fn key_below(&mut self, key: Option<Key>) -> u32 {
        self.keys.extend(key);
        (self.keys.len() as u32).wrapping_sub(1) | OWN_KEY
    }

    /// Takes over the hashes at the top of a plan that goes on where this one ends.
    #[cfg(feature = "std")]
    fn adopt(&mut self, below: &Self) {
        self.others.extend(&below.others);
        let places = below.jobs[..below.places() as usize].iter();
        for place in places.filter(|place| place.is_changed) {
            set(&mut self.jobs, (place.parent, place.side), place.hashes[0]);
        }
    }

    fn places(&self) -> u32 {
        self.ends.first().copied().unwrap_or_default()
    }

    /// Hashes the leaves, then the branches from below.
    fn run<H: Hash>(&mut self, hash: H, updates: &[Update]) {
        if !self.others.is_empty() {
            return;
        }
        let (mut messages, mut hashes) = ([Message::new(); BATCH], [B256::ZERO; BATCH]);
        for jobs in self.leaves.chunks(BATCH) {
            for (message, job) in messages.iter_mut().zip(jobs) {
                let Update { key, value } = &updates[job.update as usize];
                message.set(&[&[0], key.as_slice(), value.unwrap_or_default().as_slice()]);
            }
            hash.hash_all(&messages[..jobs.len()], &mut hashes[..jobs.len()]);
            for (job, hash) in jobs.iter().zip(hashes) {
                set(&mut self.jobs, (job.parent, job.side), hash);
            }
        }
        for depth in self.ends.windows(2).rev() {
            let (above, level) = self.jobs[..depth[1] as usize].split_at_mut(depth[0] as usize);
            for jobs in level.chunks(BATCH) {
                for (message, job) in messages.iter_mut().zip(jobs) {
                    job.write(job.key_in(&self.keys, updates), message);
                }
                hash.hash_all(&messages[..jobs.len()], &mut hashes[..jobs.len()]);
                for (job, hash) in jobs.iter().zip(hashes) {
                    set(above, (job.parent, job.side), hash);
                }
            }
        }
    }
}

fn set(jobs: &mut [Job], (parent, side): (u32, u8), hash: B256) {
    let job = &mut jobs[parent as usize];
    (job.hashes[usize::from(side)], job.is_changed) = (hash, true);
}

impl Job {
    const fn new(
        hashes: [B256; 2],
        node: Node,
        (parent, side): (u32, u8),
        (key, from, split): (u32, u16, u16),
    ) -> Self {
        Self { hashes, node, parent, key, from, split, side, is_changed: false }
    }

    fn key_in<'a>(&self, own: &'a [Key], updates: &'a [Update]) -> Option<&'a Key> {
        match self.key & OWN_KEY {
            0 => updates.get(self.key as usize).map(|update| &update.key),
            _ => own.get((self.key & !OWN_KEY) as usize),
        }
    }

    fn write(&self, key: Option<&Key>, message: &mut Message) {
        let bits = self.split - self.from;
        let prefix_end = 3 + usize::from(bits.div_ceil(8));
        let bytes = message.write(prefix_end + 64);
        bytes[0] = 1;
        bytes[1..3].copy_from_slice(&bits.to_be_bytes());
        if let Some(key) = key {
            key.pack_bits(self.from, self.split, &mut bytes[3..prefix_end]);
        }
        bytes[prefix_end..prefix_end + 32].copy_from_slice(self.hashes[0].as_slice());
        bytes[prefix_end + 32..].copy_from_slice(self.hashes[1].as_slice());
    }
}
