//! The heap: trees, queues, maps and strings that come and go.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    string::String,
    vec::Vec,
};
use programs::Random;

programs::program!(run);

enum Tree {
    Leaf,
    Node(Box<Tree>, u64, Box<Tree>),
}

impl Tree {
    fn insert(self, value: u64) -> Self {
        match self {
            Self::Leaf => Self::Node(Box::new(Self::Leaf), value, Box::new(Self::Leaf)),
            Self::Node(left, here, right) if value < here => {
                Self::Node(Box::new(left.insert(value)), here, right)
            }
            Self::Node(left, here, right) => Self::Node(left, here, Box::new(right.insert(value))),
        }
    }

    fn sum(&self, depth: u64) -> u64 {
        match self {
            Self::Leaf => depth,
            Self::Node(left, value, right) => {
                (left.sum(depth + 1) ^ value).wrapping_mul(3).wrapping_add(right.sum(depth + 1))
            }
        }
    }
}

fn run() {
    let mut random = Random(23);
    for round in 0..3 {
        programs::reset_heap();
        let mut tree = Tree::Leaf;
        for _ in 0..400 {
            tree = tree.insert(random.number());
        }
        programs::write_number(tree.sum(0));
        let mut map: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        let mut queue = VecDeque::new();
        let mut heap = BinaryHeap::new();
        for n in 0..1_500 {
            let number = random.number() % 211;
            map.entry(number).or_default().push(n);
            queue.push_back(number);
            heap.push(number);
            if n % 3 == 0 {
                map.remove(&(number / 2));
                queue.pop_front();
                heap.pop();
            }
        }
        let sum: u64 = map.values().flatten().sum();
        let text: String = map.keys().map(|key| char::from(b'a' + (key % 26) as u8)).collect();
        programs::write(text.as_bytes());
        programs::write_number(sum + queue.iter().sum::<u64>() + heap.len() as u64 + round);
    }
}
