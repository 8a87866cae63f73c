//! The whole gate, the same on a desk and in CI. Every step runs, also after one has failed; the
//! last line sums up what passed and what failed.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use toolchain::Toolchain;

use crate::{contracts, loc, no_std, tidy};

/// Whether nothing may be left out.
pub(crate) fn strict() -> bool {
    env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// Passed and failed tests.
#[derive(Clone, Copy, Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    /// A step that has no tests of its own counts as one.
    fn of(result: Result<()>) -> Result<Self> {
        result.map(|()| Self { passed: 1, failed: 0 })
    }
}

/// One step of the gate: its name and what it does.
type Step = (&'static str, fn() -> Result<Tally>);

const STEPS: [Step; 8] = [
    ("format", || cargo(&["fmt", "--all", "--check"])),
    ("tidy", || Tally::of(tidy::run())),
    ("loc", || Tally::of(loc::run())),
    ("deny", deny),
    ("clippy", || cargo(&["clippy", "--quiet", "--all-targets", "--", "-D", "warnings"])),
    ("no_std", || for_riscv("no_std", no_std::run)),
    // Before the tests: it builds an image that they use and that is not kept.
    ("contracts", || for_riscv("contracts", |toolchain| contracts::run(toolchain, true))),
    ("test", || cargo(&["test", "--no-fail-fast"])),
];

/// Runs every step.
pub(crate) fn run() -> Result<()> {
    let mut sum = Tally::default();
    let mut broken = Vec::new();
    for (name, step) in STEPS {
        println!("=== {name}");
        let start = Instant::now();
        match step() {
            Ok(tally) => {
                sum.passed += tally.passed;
                sum.failed += tally.failed;
                if tally.failed > 0 {
                    broken.push(name);
                }
            }
            Err(error) => {
                println!("{name}: {error:#}");
                sum.failed += 1;
                broken.push(name);
            }
        }
        println!("=== {name}: {} s", start.elapsed().as_secs());
    }
    if !broken.is_empty() {
        println!("failed steps: {}", broken.join(", "));
    }
    println!("{} passed, {} failed", sum.passed, sum.failed);
    if sum.failed > 0 {
        bail!("the gate is closed");
    }
    Ok(())
}

/// Runs cargo with these variables; its default members are named by none of the arguments, so
/// that the features of shared dependencies are always the same and nothing is built twice.
pub(crate) fn cargo_run(arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    let status = cargo_command(arguments).envs(variables.iter().copied()).status()?;
    if !status.success() {
        bail!("cargo {} failed: {status}", arguments.join(" "));
    }
    Ok(())
}

fn cargo_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// Runs cargo, shows what it prints, and adds up its test results.
fn cargo(arguments: &[&str]) -> Result<Tally> {
    let mut child =
        cargo_command(arguments).stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut sum = Tally::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        if let Some(tally) = test_result(&line) {
            sum.passed += tally.passed;
            sum.failed += tally.failed;
        }
    }
    let status = child.wait()?;
    if !status.success() && sum.failed == 0 {
        bail!("cargo {} failed: {status}", arguments.join(" "));
    }
    sum.passed += usize::from(sum.passed == 0 && status.success());
    Ok(sum)
}

/// Reads `test result: ok. 3 passed; 0 failed; ...`.
fn test_result(line: &str) -> Option<Tally> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let mut tally = Tally::default();
    for part in counts.split("; ") {
        match part.split_once(' ') {
            Some((count, "passed")) => tally.passed = count.parse().ok()?,
            Some((count, "failed")) => tally.failed = count.parse().ok()?,
            _ => {}
        }
    }
    Some(tally)
}

/// A step for which a toolchain has to build for RISC-V; without one it is left out.
fn for_riscv(name: &str, step: fn(&Toolchain) -> Result<()>) -> Result<Tally> {
    match crate::toolchain() {
        Ok(toolchain) => Tally::of(step(&toolchain)),
        Err(error) if strict() => Err(error),
        Err(error) => {
            println!("left out: {name} ({error})");
            Ok(Tally::default())
        }
    }
}

/// Licences and sources of dependencies, by `cargo deny` where it is installed.
fn deny() -> Result<Tally> {
    let found = Command::new("cargo-deny").arg("--version").output().is_ok();
    if !found {
        println!("left out: deny (cargo-deny is not installed)");
        return Ok(Tally::default());
    }
    cargo(&["deny", "check", "licenses", "bans", "sources"])
}

#[cfg(test)]
mod tests {
    use super::test_result;

    #[test]
    fn test_results_are_read_from_what_cargo_prints() {
        let line = "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured";
        let tally = test_result(line).expect("a result");
        assert_eq!((tally.passed, tally.failed), (3, 1));
        assert!(test_result("running 4 tests").is_none());
    }
}
