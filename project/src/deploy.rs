//! `tandem deploy`.

use std::fs;
use std::path::{Path, PathBuf};

use alloy_dyn_abi::JsonAbiExt;
use alloy_json_abi::JsonAbi;
use alloy_primitives::Bytes;
use clap::Args;
use genesis::{Container, container::is_container};

use crate::abi::{self, Known};
use crate::build::OUTPUT;
use crate::sender::Sender;
use crate::{Failure, Report};

/// Deploys a contract.
#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// A contract that `tandem build` has built, by its name, or an image's file
    contract: String,
    /// The constructor's arguments
    #[arg(allow_negative_numbers = true)]
    arguments: Vec<String>,
    /// The contract's ABI, if it is not beside the image
    #[arg(long, value_name = "FILE")]
    abi: Option<PathBuf>,
    #[command(flatten)]
    sender: Sender,
}

impl Deploy {
    pub(crate) fn run(&self) -> Result<Report, Failure> {
        let path = self.image();
        if !path.exists() {
            return Err(self.not_built(path));
        }
        let image = fs::read(&path).map_err(|error| Failure::File { path: path.clone(), error })?;
        let abi = self.abi(&path)?;
        let tail = self.encoded(&abi)?;
        let code = if is_container(&image) {
            [&image[..], &tail].concat()
        } else {
            let container = Container { image: &image, tail: &tail };
            let fail = |reason: String| Failure::Image { name: self.contract.clone(), reason };
            container.encode().map_err(|error| fail(error.to_string()))?
        };
        self.sender.send(None, &Bytes::from(code), &Known::of(abi))
    }

    fn image(&self) -> PathBuf {
        let given = PathBuf::from(&self.contract);
        if given.is_file() {
            return given;
        }
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
        target.join(OUTPUT).join(format!("{}.elf", self.contract))
    }

    /// What there is in its place.
    fn not_built(&self, path: PathBuf) -> Failure {
        let folder = path.parent().and_then(|folder| fs::read_dir(folder).ok());
        let names = folder.into_iter().flatten().flatten().filter_map(|entry| {
            entry.file_name().to_string_lossy().strip_suffix(".elf").map(str::to_owned)
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        let built = match names.is_empty() {
            true => String::new(),
            false => format!(" (built: {})", names.join(", ")),
        };
        Failure::NotBuilt { contract: self.contract.clone(), path, built }
    }

    fn abi(&self, image: &Path) -> Result<JsonAbi, Failure> {
        let beside = image.with_extension("abi.json");
        match &self.abi {
            Some(path) => abi::read(path),
            None if beside.is_file() => abi::read(&beside),
            None if self.arguments.is_empty() => Ok(JsonAbi::new()),
            None => abi::read(&beside),
        }
    }

    fn encoded(&self, abi: &JsonAbi) -> Result<Vec<u8>, Failure> {
        let inputs = abi.constructor.as_ref().map_or(&[][..], |constructor| &constructor.inputs);
        let values = abi::values("the constructor", inputs, &self.arguments)?;
        let Some(constructor) = &abi.constructor else { return Ok(Vec::new()) };
        constructor.abi_encode_input(&values).map_err(|error| Failure::Value {
            text: self.arguments.join(" "),
            kind: "constructor's arguments".to_owned(),
            error: Box::new(error),
        })
    }
}
