//! `tandem new`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::{Failure, Report};

/// Makes a contract project.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// The project's name, and the folder that is made for it
    name: PathBuf,
    /// Takes the kit from this folder: `kit` in a clone of Tandem
    #[arg(long, value_name = "DIR")]
    kit_path: Option<PathBuf>,
    /// Takes the kit from this repository
    #[arg(long, value_name = "URL", conflicts_with = "kit_path")]
    kit_git: Option<String>,
}

const MANIFEST: &str = include_str!("../template/Cargo.toml.txt");
const README: &str = include_str!("../template/README.md.txt");

impl New {
    pub(crate) fn run(&self) -> Result<Report, Failure> {
        let name = self.name.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(letters) {
            return Err(Failure::Name(name));
        }
        if self.name.exists() {
            return Err(Failure::Exists(self.name.clone()));
        }
        let (kit, test) = self.dependencies()?;
        let fill = |text: &str| {
            text.replace("{name}", &name).replace("{kit}", &kit).replace("{test}", &test)
        };
        let files = [
            ("Cargo.toml", fill(MANIFEST)),
            ("README.md", fill(README)),
            (".gitignore", include_str!("../template/gitignore").to_owned()),
            (".cargo/config.toml", include_str!("../template/config.toml").to_owned()),
            ("src/main.rs", include_str!("../template/main.rs").to_owned()),
            ("src/tests.rs", include_str!("../template/tests.rs").to_owned()),
        ];
        for (file, text) in &files {
            write(&self.name.join(file), text.as_bytes())?;
        }
        let place = self.name.display().to_string();
        let text = format!("made {place}: next, `cd {place}` and `tandem build`\n");
        Ok(Report::default().with("project", place).text(text))
    }

    /// The kit and the crate for tests, as dependencies.
    fn dependencies(&self) -> Result<(String, String), Failure> {
        if let Some(given) = &self.kit_git {
            // A repository on this machine may be given by its folder: cargo wants a URL.
            let folder = Path::new(given).is_dir().then(|| fs::canonicalize(given).ok()).flatten();
            let url = folder.map_or(given.clone(), |path| format!("file://{}", path.display()));
            let dependency = format!("{{ git = {url:?} }}");
            return Ok((dependency.clone(), dependency));
        }
        let given = self.kit_path.clone().or_else(clone_of_this_program).ok_or(Failure::NoKit)?;
        let path = fs::canonicalize(&given)
            .map_err(|error| Failure::File { path: given.clone(), error })?;
        if !is_kit(&path) {
            return Err(Failure::NoKit);
        }
        Ok((format!("{{ path = {path:?} }}"), format!("{{ path = {:?} }}", path.join("test"))))
    }
}

fn is_kit(folder: &Path) -> bool {
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    manifest.contains("name = \"tandem-kit\"")
}

/// The kit of the clone in which this program was built, or in which it is run.
fn clone_of_this_program() -> Option<PathBuf> {
    let program = std::env::current_exe().ok();
    let here = std::env::current_dir().ok();
    let starts = program.iter().chain(&here);
    let kits = starts.flat_map(|start| start.ancestors().map(|folder| folder.join("kit")));
    kits.into_iter().find(|kit| is_kit(kit))
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let fail = |error| Failure::File { path: path.to_owned(), error };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(fail)?;
    }
    fs::write(path, bytes).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(name: PathBuf, kit: Option<&str>) -> New {
        New { name, kit_path: kit.map(PathBuf::from), kit_git: None }
    }

    #[test]
    fn a_project_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let kit = concat!(env!("CARGO_MANIFEST_DIR"), "/../kit");
        let made = new(folder.path().join("my-coin"), Some(kit));
        made.run().unwrap();
        let read = |file: &str| fs::read_to_string(made.name.join(file)).unwrap();
        assert!(read("Cargo.toml").contains("name = \"my-coin\""));
        assert!(read("README.md").contains("tandem deploy my-coin 100"));
        assert!(!read("Cargo.toml").contains('{') || read("Cargo.toml").contains("{ path"));
        assert!(matches!(made.run(), Err(Failure::Exists(_))));
    }

    #[test]
    fn names_and_kits_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["1coin", "a b", "a.b", ""] {
            let path = folder.path().join(name);
            assert!(matches!(new(path, None).run(), Err(Failure::Name(_) | Failure::Exists(_))));
        }
        let at = folder.path().join("coin");
        let other = folder.path().to_str().unwrap();
        assert!(matches!(new(at.clone(), Some(other)).run(), Err(Failure::NoKit)));
        assert!(!at.exists());
    }
}
