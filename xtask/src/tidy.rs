//! What a reader stumbles over and no compiler sees: documents that name files which are not there,
//! long files without a reason, marks of unfinished work, names that say nothing, machine paths.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

const LINES_MAX: usize = 600;
/// A longer file says in its module doc why it is one: the sentence has these words.
const LONG_REASON: &str = "in one file";
const EMPTY_NAMES: [&str; 5] = ["utils.rs", "common.rs", "helpers.rs", "types.rs", "misc.rs"];
/// What a name in backticks ends with if it is a file's.
const ENDINGS: [&str; 12] =
    ["rs", "md", "toml", "json", "sol", "mjs", "py", "yml", "sh", "h", "c", "lock"];
/// Folders that are made, not kept.
const MADE: [&str; 4] = ["target/", "../", "~/", "node_modules/"];

/// Looks at every file of the project.
pub(crate) fn run() -> Result<()> {
    let files = files()?;
    let mut findings = Vec::new();
    for path in &files {
        let Ok(text) = fs::read_to_string(path) else { continue };
        if path != "Cargo.lock" {
            marks(path, &text, &mut findings);
        }
        if path.ends_with(".rs") {
            rust(path, &text, &mut findings);
        }
        if path.ends_with(".md") {
            document(path, &text, &files, &mut findings);
        }
    }
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    println!("tidy: {} files", files.len());
    Ok(())
}

/// Every file that is or could be committed.
pub(crate) fn files() -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .output()
        .context("cannot start git")?;
    let list = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let mut files: Vec<_> = list.lines().map(str::to_owned).collect();
    files.retain(|path| Path::new(path).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

/// Words that stand nowhere. They are put together here so that this file has none of them.
fn forbidden() -> [(String, &'static str); 8] {
    [
        (["/wo", "rk/"].concat(), "a path of one machine"),
        (["/ro", "ot/"].concat(), "a path of one machine"),
        (["/ho", "me/"].concat(), "a path of one machine"),
        (["FIX", "ME"].concat(), "a mark of unfinished work"),
        (["XX", "X"].concat(), "a mark of unfinished work"),
        (["to", "do!("].concat(), "a mark of unfinished work"),
        (["#[ign", "ore"].concat(), "a test that does not run"),
        (["\"reso", "lved\": \"http"].concat(), "a registry's host name"),
    ]
}

fn marks(path: &str, text: &str, findings: &mut Vec<String>) {
    let open = ["TO", "DO"].concat();
    let numbered = [&open, "(#"].concat();
    for (number, line) in (1..).zip(text.lines()) {
        for (word, why) in forbidden() {
            if line.contains(&word) {
                findings.push(format!("{path}:{number}: {word}: {why}"));
            }
        }
        let has_mark = line.split(|c: char| !c.is_alphanumeric()).any(|word| word == open);
        if path.ends_with(".rs") && has_mark && !line.contains(&numbered) {
            findings.push(format!("{path}:{number}: {open} without an issue's number"));
        }
    }
}

fn rust(path: &str, text: &str, findings: &mut Vec<String>) {
    let lines = text.lines().count();
    let mut doc = text.lines().filter_map(|line| line.strip_prefix("//!"));
    if lines > LINES_MAX && !doc.any(|line| line.contains(LONG_REASON)) {
        findings.push(format!(
            "{path}: {lines} lines: split it, or let its module doc say why it is \"{LONG_REASON}\""
        ));
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    if EMPTY_NAMES.contains(&name) {
        findings.push(format!("{path}: a name that says nothing"));
    }
}

/// Every file that a document links to, or names in backticks with its folder, is there.
fn document(path: &str, text: &str, files: &[String], findings: &mut Vec<String>) {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    for (number, line) in (1..).zip(text.lines()) {
        for target in links(line) {
            let target = target.split('#').next().unwrap_or(target);
            if !target.is_empty() && !target.contains("://") && !folder.join(target).exists() {
                findings.push(format!("{path}:{number}: no file {target}"));
            }
        }
        for name in line.split('`').skip(1).step_by(2).filter(|name| is_path(name)) {
            let ending = format!("/{name}");
            let known = Path::new(name).exists()
                || folder.join(name).exists()
                || files.iter().any(|file| {
                    let short = file.replace("/src/", "/");
                    [file, &short].iter().any(|file| *file == name || file.ends_with(&ending))
                });
            if !known {
                findings.push(format!("{path}:{number}: no file {name}"));
            }
        }
    }
}

/// The targets of a line's Markdown links.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

fn is_path(name: &str) -> bool {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let ending = name.rsplit('.').next().unwrap_or("");
    plain
        && name.contains('/')
        && !name.starts_with('/')
        && ENDINGS.contains(&ending)
        && !MADE.iter().any(|folder| name.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::{document, is_path, marks, rust};

    fn check(path: &str, text: &str, expected: usize) {
        let mut findings = Vec::new();
        let files = ["vm/src/engine.rs".to_owned()];
        marks(path, text, &mut findings);
        rust(path, text, &mut findings);
        document(path, text, &files, &mut findings);
        assert_eq!(findings.len(), expected, "{findings:?}");
    }

    #[test]
    fn findings_are_found() {
        let open = ["TO", "DO"].concat();
        check("vm/src/engine.rs", &format!("// {open}: later"), 1);
        check("vm/src/engine.rs", &format!("// {open}(#12): later"), 0);
        check("vm/src/utils.rs", "", 1);
        check("vm/src/engine.rs", &"\n".repeat(601), 1);
        check("vm/src/engine.rs", &format!("//! A table, in one file.{}", "\n".repeat(601)), 0);
        check("README.md", "see `src/engine.rs` and `vm/src/engine.rs`", 0);
        check("README.md", "see `vm/engine.rs`", 0);
        check("README.md", "see `vm/src/no_such.rs`", 1);
        check("README.md", "[here](no-such.md), [there](https://example.org/x)", 1);
    }

    #[test]
    fn paths_are_told_from_other_words() {
        assert!(is_path("docs/testing.md"));
        assert!(!is_path("eth_call"));
        assert!(!is_path("a/b.rs --flag"));
        assert!(!is_path("target/debug/x.json"));
    }
}
