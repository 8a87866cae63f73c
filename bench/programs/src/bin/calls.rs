//! Calls: Fibonacci and Ackermann by recursion, and a search for the eight queens.
#![no_std]
#![no_main]

extern crate alloc;

use core::hint::black_box;

programs::program!(run);

fn run() {
    programs::write_number(fibonacci(black_box(23)));
    programs::write_number(ackermann(black_box(2), black_box(90)));
    let mut rows = [0; 8];
    programs::write_number(queens(&mut rows, 0));
}

#[inline(never)]
fn fibonacci(n: u64) -> u64 {
    if n < 2 { n } else { fibonacci(n - 1) + fibonacci(n - 2) }
}

#[inline(never)]
fn ackermann(m: u64, n: u64) -> u64 {
    match (m, n) {
        (0, n) => n + 1,
        (m, 0) => ackermann(m - 1, 1),
        (m, n) => ackermann(m - 1, ackermann(m, n - 1)),
    }
}

#[inline(never)]
fn safe(rows: &[usize; 8], column: usize, row: usize) -> bool {
    (0..column).all(|c| rows[c] != row && rows[c].abs_diff(row) != column - c)
}

#[inline(never)]
fn queens(rows: &mut [usize; 8], column: usize) -> u64 {
    if column == 8 {
        return 1;
    }
    let mut count = 0;
    for row in 0..8 {
        if safe(rows, column, row) {
            rows[column] = row;
            count += queens(rows, column + 1);
        }
    }
    count
}
