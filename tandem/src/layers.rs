//! From the sources to one [`Settings`]: defaults, then the file, the environment, the flags.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use config::{Config, ConfigError, Environment, File, FileFormat, Map, Source, Value};
use serde_json::Value as Json;

use crate::{
    cli::{self, Given},
    settings::{Settings, SettingsError},
};

/// The variable that names the settings file.
const FILE_VARIABLE: &str = "TANDEM_CONFIG";

/// Variables of our prefix that are no settings but what the project's tests look at.
const TEST_PREFIXES: [&str; 7] = [
    "TANDEM_BIN",
    "TANDEM_KILL_",
    "TANDEM_REQUIRE_",
    "TANDEM_STORE_",
    "TANDEM_SUITES",
    "TANDEM_TEST",
    "TANDEM_VECTORS",
];

/// anvil's variable for the host.
const HOST_VARIABLE: &str = "ANVIL_IP_ADDR";

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayerError {
    /// A file that can't be read.
    #[error("{}", one_line(.0))]
    File(#[from] ConfigError),
    /// A value that the setting can't have.
    #[error("{place}: {reason}")]
    Value {
        /// The file and key, or the variable.
        place: String,
        /// What the command line would say.
        reason: String,
    },
    /// A key that does not exist.
    #[error("unknown key `{key}` in {file}")]
    UnknownKey {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
    },
    /// A variable with our prefix that does not exist.
    #[error("unknown environment variable {name}")]
    UnknownVariable {
        /// The variable.
        name: String,
    },
    /// Settings that don't go together.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// The environment as a map.
pub(crate) fn environment() -> Map<String, String> {
    // What is not Unicode is no setting of ours.
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Puts the sources together.
pub(crate) fn merge(given: &Given, env: Map<String, String>) -> Result<Settings, LayerError> {
    let defaults = entries(&cli::defaults());
    let mut layers = Vec::new();
    let file = given.cli.config.clone().or_else(|| env.get(FILE_VARIABLE).map(PathBuf::from));
    if let Some(path) = file {
        layers.push(Layer(read_file(&path, &defaults)?));
    }
    if let Some(host) = env.get(HOST_VARIABLE).filter(|host| !host.is_empty()) {
        check("host", host, || HOST_VARIABLE.to_owned())?;
        let host = Value::new(None, host.as_str());
        layers.push(Layer(Map::from_iter([("host".to_owned(), host)])));
    }
    layers.push(Layer(read_environment(env, &defaults)?));
    let mut flags = entries(&given.cli.settings);
    flags.retain(|key, _| given.keys.contains(key));
    let mut builder = Config::builder().add_source(Config::try_from(&defaults)?);
    for layer in layers {
        builder = builder.add_source(layer);
    }
    let merged = builder.add_source(Config::try_from(&flags)?).build()?;
    let mut settings: Settings = merged.clone().try_deserialize()?;
    // By itself: `flatten` would lose that a variable's text may be a number.
    settings.fork = merged.clone().try_deserialize()?;
    settings.pool = merged.try_deserialize()?;
    settings.check()?;
    Ok(settings)
}

/// The error without the lines that draw where it is.
fn one_line(error: &ConfigError) -> String {
    let text = error.to_string();
    let mut lines = text.lines().filter(|line| !line.contains('|')).map(str::trim);
    let first = lines.next().unwrap_or_default();
    let rest = lines.collect::<Vec<_>>().join(" ");
    if rest.is_empty() { first.to_owned() } else { format!("{first}: {rest}") }
}

/// The settings by key; those without a value are null.
fn entries(settings: &Settings) -> BTreeMap<String, Json> {
    match serde_json::to_value(settings) {
        Ok(Json::Object(map)) => map.into_iter().collect(),
        _ => unreachable!("a struct of numbers, strings and paths that came in as text"),
    }
}

fn read_file(
    path: &Path,
    known: &BTreeMap<String, Json>,
) -> Result<Map<String, Value>, LayerError> {
    let values = File::from(path).format(FileFormat::Toml).collect()?;
    for (key, value) in &values {
        if !known.contains_key(key) {
            return Err(LayerError::UnknownKey { file: path.to_owned(), key: key.clone() });
        }
        check(key, &value.to_string(), || format!("{key} in {}", path.display()))?;
    }
    Ok(values)
}

fn read_environment(
    mut env: Map<String, String>,
    known: &BTreeMap<String, Json>,
) -> Result<Map<String, Value>, LayerError> {
    env.retain(|name, _| {
        name.starts_with("TANDEM_")
            && name != FILE_VARIABLE
            && !TEST_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    });
    let source = Environment::with_prefix("TANDEM").ignore_empty(true).source(Some(env));
    let values = source.collect()?;
    for (key, value) in &values {
        let name = || format!("TANDEM_{}", key.to_uppercase());
        if !known.contains_key(key) {
            return Err(LayerError::UnknownVariable { name: name() });
        }
        check(key, &value.to_string(), name)?;
    }
    Ok(values)
}

/// A value has to be one that the flag would take: `config` alone would round and guess.
fn check(key: &str, value: &str, place: impl Fn() -> String) -> Result<(), LayerError> {
    match cli::refusal(key, value) {
        Some(reason) => Err(LayerError::Value { place: place(), reason }),
        None => Ok(()),
    }
}

/// Values that were read and checked.
#[derive(Clone, Debug)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use node::config::{Order, Profile};

    use super::*;

    struct Sources<'a> {
        file: &'a str,
        env: &'a [(&'a str, &'a str)],
        flags: &'a [&'a str],
    }

    fn read(sources: &Sources<'_>) -> Result<Settings, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tandem.toml");
        std::fs::write(&path, sources.file).unwrap();
        let path = path.to_str().unwrap();
        let flags = ["tandem", "--config", path].into_iter().chain(sources.flags.iter().copied());
        let env = sources.env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        merge(&cli::parse(flags).unwrap(), env.collect())
            .map_err(|error| error.to_string().replace(path, "FILE"))
    }

    fn check(file: &str, env: &[(&str, &str)], flags: &[&str], expected: u16) {
        assert_eq!(read(&Sources { file, env, flags }).unwrap().port, expected);
    }

    #[test]
    fn later_layers_win() {
        check("", &[], &[], 8545);
        check("port = 1", &[], &[], 1);
        check("port = 1", &[("TANDEM_PORT", "2")], &[], 2);
        check("port = 1", &[("TANDEM_PORT", "")], &[], 1);
        check("port = 1", &[("TANDEM_PORT", "2")], &["--port", "3"], 3);
        check("port = 1", &[("TANDEM_PORT", "2")], &["-p", "8545"], 8545);
    }

    #[test]
    fn origins_are_what_browsers_send() {
        let origins = |list: &str| {
            let settings = read(&Sources { file: "", env: &[], flags: &["--allow-origin", list] });
            settings.unwrap().server().map_err(|error| error.to_string())
        };
        for list in ["*", "null", "http://a", "https://a.b:80, chrome-extension://x"] {
            assert!(origins(list).is_ok(), "{list}");
        }
        let bad = ["", "a.b", "http://", "://a", "http://a/", "http://a/b", "https://*.a"];
        for one in bad.into_iter().chain(["http://u@a"]) {
            let error = origins(&format!("http://a,{one}")).unwrap_err();
            assert!(error.starts_with(&format!("allow_origin: `{one}` is no origin: ")), "{error}");
        }
    }

    #[test]
    fn every_kind_of_value_comes_from_every_layer() {
        let file = "block_time = 0.5\nmixed_mining = true\norder = \"fifo\"\nhost = \"::1\"\n\
            hardfork = \"cancun\"\nmnemonic = \"a b\"\nchain_id = 5\nprofile = \"testnet\"\n";
        let env = [
            ("TANDEM_BLOCK_TIME", "0.5"),
            ("TANDEM_MIXED_MINING", "true"),
            ("TANDEM_ORDER", "fifo"),
            ("TANDEM_HOST", "::1"),
            ("TANDEM_HARDFORK", "cancun"),
            ("TANDEM_MNEMONIC", "a b"),
            ("TANDEM_CHAIN_ID", "5"),
            ("TANDEM_PROFILE", "testnet"),
        ];
        let flags = [
            "-b",
            "0.5",
            "--mixed-mining",
            "--order",
            "fifo",
            "--host",
            "::1",
            "--hardfork",
            "cancun",
            "-m",
            "a b",
            "--chain-id",
            "5",
            "--profile",
            "testnet",
        ];
        for sources in [
            Sources { file, env: &[], flags: &[] },
            Sources { file: "", env: &env, flags: &[] },
            Sources { file: "", env: &[], flags: &flags },
        ] {
            let settings = read(&sources).unwrap();
            assert_eq!((settings.block_time, settings.mixed_mining), (Some(0.5), true));
            assert_eq!((settings.order, settings.profile), (Order::Fifo, Profile::Testnet));
            assert_eq!(
                (settings.host[0].to_string().as_str(), settings.chain_id),
                ("::1", Some(5))
            );
            assert_eq!(settings.hardfork.unwrap().fork, genesis::SpecId::CANCUN);
            assert_eq!(settings.mnemonic.as_deref(), Some("a b"));
        }
    }

    fn fails(file: &str, env: &[(&str, &str)], expected: &str) {
        let error = read(&Sources { file, env, flags: &[] }).unwrap_err();
        assert_eq!(error, expected, "{file} {env:?}");
    }

    #[test]
    fn errors_name_key_and_place() {
        let digit = "for '--port <NUM>': invalid digit found in string";
        let address = "invalid value 'x' for '--host <IP_ADDR>': invalid IP address syntax";
        fails("prot = 1", &[], "unknown key `prot` in FILE");
        fails("[node]\nport = 1", &[], "unknown key `node` in FILE");
        fails("", &[("TANDEM_PROT", "1")], "unknown environment variable TANDEM_PROT");
        fails(
            "port = 99999",
            &[],
            "port in FILE: invalid value '99999' for '--port <NUM>': 99999 is not in 0..=65535",
        );
        fails("port = \"x\"", &[], &format!("port in FILE: invalid value 'x' {digit}"));
        fails("port = 1.5", &[], &format!("port in FILE: invalid value '1.5' {digit}"));
        fails("port = true", &[], &format!("port in FILE: invalid value 'true' {digit}"));
        fails("", &[("TANDEM_PORT", "x")], &format!("TANDEM_PORT: invalid value 'x' {digit}"));
        fails(
            "",
            &[("TANDEM_NO_MINING", "maybe")],
            "TANDEM_NO_MINING: `maybe` is not true or false",
        );
        fails("verbosity = 300", &[], "verbosity in FILE: `300` is not a number up to 255");
        fails(
            "order = \"x\"",
            &[],
            "order in FILE: invalid value 'x' for '--order <ORDER>' [possible values: fees, fifo]",
        );
        fails(
            "",
            &[("TANDEM_HARDFORK", "x")],
            "TANDEM_HARDFORK: invalid value 'x' for '--hardfork <HARDFORK>': \
             no hardfork is called `x`",
        );
        fails("host = \"x\"", &[], &format!("host in FILE: {address}"));
        fails("", &[("ANVIL_IP_ADDR", "x")], &format!("ANVIL_IP_ADDR: {address}"));
        fails(
            "no_cors = true\nallow_origin = \"http://a\"",
            &[],
            "no_cors and allow_origin can't be given together",
        );
        for key in ["connections_max", "request_size_max", "response_size_max"] {
            fails(&format!("{key} = 0"), &[], &format!("{key}: must not be 0"));
        }
        for time in ["inf", "1e400", "NaN"] {
            fails(
                "",
                &[("TANDEM_BLOCK_TIME", time)],
                &format!(
                    "TANDEM_BLOCK_TIME: invalid value '{time}' for '--block-time <SECONDS>': \
                     not a number of seconds"
                ),
            );
        }
        let error = read(&Sources { file: "port = ", env: &[], flags: &[] }).unwrap_err();
        assert!(
            error.starts_with("TOML parse error at line 1, column 8: string values"),
            "{error}"
        );
        assert!(error.ends_with("FILE"), "{error}");
        let missing = cli::parse(["tandem", "--config", "/nonexistent.toml"]).unwrap();
        let error = merge(&missing, Map::new()).unwrap_err().to_string();
        assert_eq!(error, "configuration file \"/nonexistent.toml\" not found");
    }

    #[test]
    fn other_variables_are_left_alone() {
        let env = [("TANDEM_SUITES", "/x"), ("TANDEM_TEST_X", "1"), ("ANVIL_IP_ADDR", "::1")];
        let settings = read(&Sources { file: "", env: &env, flags: &[] }).unwrap();
        assert_eq!(settings.host[0].to_string(), "::1");
        let env = [("ANVIL_IP_ADDR", "::1"), ("TANDEM_HOST", "127.0.0.9")];
        let settings = read(&Sources { file: "", env: &env, flags: &[] }).unwrap();
        assert_eq!(settings.host[0].to_string(), "127.0.0.9");
        let file = "host = \"127.0.0.1,::1\"";
        let settings = read(&Sources { file, env: &[], flags: &[] }).unwrap();
        assert_eq!(settings.host.len(), 2);
        let flags = ["--host", "127.0.0.1,::1", "--host", "127.0.0.9"];
        let settings = read(&Sources { file, env: &[], flags: &flags }).unwrap();
        assert_eq!(settings.host.len(), 3);
    }

    #[test]
    fn the_printed_settings_read_back_the_same() {
        let flags = ["--block-time", "3", "--datadir", "/d", "--hardfork", "Prague", "-v"];
        let settings = read(&Sources { file: "", env: &[], flags: &flags }).unwrap();
        let printed = toml::to_string(&settings).unwrap();
        assert_eq!(read(&Sources { file: &printed, env: &[], flags: &[] }).unwrap(), settings);
    }
}
