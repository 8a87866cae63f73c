//! Code lines by crate against their budgets, and beside the execution layer's the lines of the
//! crates that it stands on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::tidy;

const BUDGETS: &str = "xtask/budgets.toml";
/// What the execution layer is made of: folders.
const EXECUTION_LAYER: [&str; 5] =
    ["genesis/src/", "vm/src/", "storage/tree/src/", "storage/state/src/", "executor/src/"];
/// The packages whose dependencies the execution layer stands on.
const PACKAGES: [&str; 5] =
    ["tandem-genesis", "tandem-vm", "tandem-tree", "tandem-state", "tandem-executor"];

/// Where they run one day: crates that only other platforms need don't count.
const PLATFORM: &str = "riscv64imac-unknown-none-elf";

#[derive(Deserialize)]
struct Budgets {
    execution_layer: usize,
    crates: BTreeMap<String, usize>,
}

/// Prints the table; fails when a number is over its budget.
pub(crate) fn run() -> Result<()> {
    let text = fs::read_to_string(BUDGETS).with_context(|| format!("cannot read {BUDGETS}"))?;
    let budgets: Budgets = toml::from_str(&text).with_context(|| format!("{BUDGETS} is broken"))?;
    let lines = code_lines_by_file()?;
    let mut over = Vec::new();
    println!("{:<18}{:>8}{:>8}", "crate", "lines", "budget");
    for (name, &budget) in &budgets.crates {
        row(name, sum(&lines, &[&format!("{name}/src/")]), budget, &mut over);
    }
    let layer = sum(&lines, &EXECUTION_LAYER);
    row("execution layer", layer, budgets.execution_layer, &mut over);
    let below = lines_below()?;
    let total: usize = below.values().sum();
    println!("it stands on {total} lines in {} crates, most of them in:", below.len());
    let mut largest: Vec<_> = below.iter().collect();
    largest.sort_by_key(|(_, lines)| std::cmp::Reverse(**lines));
    for (name, lines) in largest.into_iter().take(8) {
        println!("  {name:<28}{lines:>8}");
    }
    if !over.is_empty() {
        bail!("over budget: {}", over.join(", "));
    }
    Ok(())
}

fn row(name: &str, lines: usize, budget: usize, over: &mut Vec<String>) {
    println!("{name:<18}{lines:>8}{budget:>8}");
    if lines > budget {
        over.push(format!("{name} ({lines} of {budget})"));
    }
}

fn sum(lines: &BTreeMap<String, usize>, prefixes: &[&str]) -> usize {
    let counted =
        lines.iter().filter(|(path, _)| prefixes.iter().any(|prefix| path.starts_with(prefix)));
    counted.map(|(_, lines)| lines).sum()
}

fn code_lines_by_file() -> Result<BTreeMap<String, usize>> {
    let mut lines = BTreeMap::new();
    for path in tidy::files()? {
        let name = path.rsplit('/').next().unwrap_or(&path);
        let is_test = name == "tests.rs" || path.contains("/tests/");
        if path.ends_with(".rs") && !is_test {
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
            lines.insert(path, code_lines(&text));
        }
    }
    Ok(lines)
}

/// Lines of rustfmt's output that are neither blank, nor comment, nor below `#[cfg(test)]`.
fn code_lines(text: &str) -> usize {
    let mut count = 0;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let code = line.trim();
        if code == "#[cfg(test)]" {
            let indent = line.len() - line.trim_start().len();
            skip_item(&mut lines, indent);
        } else if !code.is_empty() && !code.starts_with("//") {
            count += 1;
        }
    }
    count
}

/// Goes past one item: to its `;`, or to the closing brace at its own indentation.
fn skip_item<'a>(lines: &mut impl Iterator<Item = &'a str>, indent: usize) {
    for line in lines {
        let at_indent = line.len() - line.trim_start().len() == indent;
        let code = line.trim_end();
        if at_indent && !code.trim_start().starts_with("#[") && code.ends_with([';', '}']) {
            return;
        }
    }
}

/// Lines of source by crate, for all crates below the execution layer.
fn lines_below() -> Result<BTreeMap<String, usize>> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", PLATFORM])
        .output()
        .context("cannot start cargo metadata")?;
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let nodes = index(&metadata["resolve"]["nodes"]);
    let packages = index(&metadata["packages"]);
    let is_ours = |package: &Value| package["source"].is_null();
    let named = |package: &Value| PACKAGES.iter().any(|name| package["name"] == **name);
    let mut open: Vec<&str> =
        packages.iter().filter(|(_, package)| named(package)).map(|(id, _)| *id).collect();
    let mut seen = BTreeSet::new();
    let mut lines = BTreeMap::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let (Some(node), Some(package)) = (nodes.get(id), packages.get(id)) else { continue };
        if is_macro(package) {
            continue;
        }
        open.extend(normal_dependencies(node));
        if !is_ours(package) {
            let name = format!("{} {}", text(&package["name"]), text(&package["version"]));
            let manifest = PathBuf::from(text(&package["manifest_path"]));
            let folder = manifest.parent().unwrap_or(Path::new(".")).join("src");
            lines.insert(name, source_lines(&folder)?);
        }
    }
    Ok(lines)
}

fn index(list: &Value) -> BTreeMap<&str, &Value> {
    list.as_array().into_iter().flatten().map(|item| (text(&item["id"]), item)).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// A procedural macro runs in the compiler; what it is made of is no part of the layer.
fn is_macro(package: &Value) -> bool {
    let targets = package["targets"].as_array().into_iter().flatten();
    targets.flat_map(|target| target["kind"].as_array()).flatten().any(|kind| kind == "proc-macro")
}

fn normal_dependencies(node: &Value) -> impl Iterator<Item = &str> {
    let dependencies = node["deps"].as_array().into_iter().flatten();
    dependencies.filter_map(|dependency| {
        let kinds = dependency["dep_kinds"].as_array()?;
        kinds.iter().any(|kind| kind["kind"].is_null()).then(|| text(&dependency["pkg"]))
    })
}

fn source_lines(folder: &Path) -> Result<usize> {
    let mut lines = 0;
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        let Ok(entries) = next.read_dir() else { continue };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                lines += code_lines(&fs::read_to_string(&path)?);
            }
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::code_lines;

    fn check(text: &str, expected: usize) {
        assert_eq!(code_lines(text), expected, "{text}");
    }

    #[test]
    fn code_is_what_is_neither_blank_nor_comment_nor_test() {
        check("//! doc\n\nuse a;\n/// doc\nfn f() {\n    // why\n    g();\n}\n", 4);
        check("fn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\nfn h() {}\n", 2);
        check("#[cfg(test)]\nmod tests;\nfn h() {}\n", 1);
        check("impl A {\n    #[cfg(test)]\n    fn g() {\n        h();\n    }\n}\n", 2);
    }
}
