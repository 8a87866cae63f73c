//! The command line: subcommands, flags, and the flags of anvil that Tandem does not have.

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Arg, ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand,
    error::ErrorKind, parser::ValueSource,
};

use crate::{db::DbCommand, rv::RvCommand, settings::Settings};

/// Ethereum devnet node in which EVM and RISC-V contracts run in tandem
#[derive(Debug, Parser)]
#[command(name = "tandem", version, next_display_order = None, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// Reads settings from this TOML file [env: TANDEM_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// The settings among the flags.
    #[command(flatten)]
    pub(crate) settings: Settings,

    /// What to do instead of running the node.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const AFTER_HELP: &str = "\
Every option is also a key of the file that --config names (--block-time is block_time) and an
environment variable (TANDEM_BLOCK_TIME). Flags go before variables, variables before the file.";

const IMPORT_HELP: &str = "\
A new data directory needs --genesis. The first block says whose headers the chain has: Tandem's
own, or those of other clients, with the root of a Merkle Patricia trie. Blocks that the chain has
are left out. A wrong block ends the import; those before it stay.";

/// What to do instead of running the node.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Generate shell completions script
    #[command(visible_alias = "com")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Runs RISC-V programs outside of any chain
    Rv {
        /// What to do.
        #[command(subcommand)]
        command: RvCommand,
    },
    /// Verifies proofs of accounts and slots
    Proof {
        /// What to do with them.
        #[command(subcommand)]
        action: crate::proof::Action,
    },
    /// Looks at, checks, copies and moves the data in --datadir
    Db {
        /// What to do with it.
        #[command(subcommand)]
        command: DbCommand,
    },
    /// Prints the settings as they come out of defaults, file, environment and flags
    Config,
    /// Adds the blocks of a file to the chain of --datadir, each executed and checked
    #[command(after_help = IMPORT_HELP)]
    Import {
        /// RLP blocks one after the other, packed with gzip if the name ends in .gz
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Writes the chain of --datadir to a file of RLP blocks
    Export {
        /// The file, packed with gzip if its name ends in .gz
        file: PathBuf,
        /// The first block; the one after the genesis block if not given
        #[arg(long, value_name = "NUM")]
        first: Option<u64>,
        /// The last block; the newest if not given
        #[arg(long, value_name = "NUM")]
        last: Option<u64>,
    },
    /// Asks a running node whether it answers; for Docker and the like
    Healthcheck {
        /// Seconds to wait for the answer
        #[arg(long, default_value_t = 3)]
        timeout: u64,
    },
}

/// A flag of anvil that has no place here, and why.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Long name.
    pub(crate) flag: &'static str,
    /// Other spellings.
    pub(crate) aliases: &'static [&'static str],
    /// Short name.
    pub(crate) short: Option<char>,
    /// The reason, as a sentence.
    pub(crate) reason: &'static str,
}

const fn refused(flag: &'static str, reason: &'static str) -> Refused {
    Refused { flag, aliases: &[], short: None, reason }
}

const ON_DISK: &str = "The chain is on disk, not in memory: every block and state stays readable.";
const NETWORK: &str = "Tandem runs Ethereum's rules only.";

/// Flags that end in an error with the reason.
pub(crate) const REFUSED: &[Refused] = &[
    refused("md", "Log messages are text or, with --json, JSON."),
    refused("celo", NETWORK),
    Refused { short: Some('n'), ..refused("network", NETWORK) },
];

/// Flags of anvil that ask for what is always so here: taken, and without effect. These may have a
/// value, a number or a truth; what else comes behind one is no value of it.
pub(crate) const ALWAYS: &[Refused] = &[
    Refused {
        aliases: &["tracing"],
        ..refused("steps-tracing", "Traces always have their steps when they are asked for.")
    },
    refused("prune-history", ON_DISK),
];

/// The same with a value.
pub(crate) const ALWAYS_WITH_VALUE: &[Refused] = &[
    refused("max-persisted-states", ON_DISK),
    refused("transaction-block-keeper", ON_DISK),
    refused("cache-path", ON_DISK),
];

/// The command line as given: values, and which of them were given at all.
pub(crate) struct Given {
    /// The values, with clap's defaults.
    pub(crate) cli: Cli,
    /// Keys of the settings that stood on the command line.
    pub(crate) keys: Vec<String>,
}

/// clap's command, with the refused flags as hidden ones.
pub(crate) fn command() -> clap::Command {
    // `tandem import FILE --datadir DIR` reads as well as the other way round.
    let mut command = Cli::command().mut_args(|arg| {
        let is_setting = !["help", "version"].contains(&arg.get_id().as_str());
        arg.global(is_setting)
    });
    // For the help: `main` has taken what starts with one of these.
    command = command.subcommands(project::commands());
    for refused in REFUSED {
        let arg = Arg::new(refused.flag)
            .long(refused.flag)
            .short(refused.short)
            .aliases(refused.aliases)
            .hide(true)
            .num_args(0..)
            .allow_hyphen_values(false)
            .action(ArgAction::Append);
        command = command.arg(arg);
    }
    for (always, has_value) in
        ALWAYS.iter().map(|flag| (flag, false)).chain(ALWAYS_WITH_VALUE.iter().map(|f| (f, true)))
    {
        let arg = Arg::new(always.flag)
            .long(always.flag)
            .aliases(always.aliases)
            .hide(true)
            .num_args(usize::from(has_value)..=1)
            .require_equals(!has_value)
            .action(ArgAction::Append);
        command = command.arg(arg);
    }
    command
}

/// What a shell completes: [`command`], with the commands of contract authors as they are read. They
/// take none of the settings, which are given to all others here.
pub(crate) fn completed() -> clap::Command {
    let mut command = command();
    command.build();
    let mut project = project::Cli::command();
    project.build();
    for whole in project.get_subcommands().filter(|of| project::NAMES.contains(&of.get_name())) {
        command = command.mut_subcommand(whole.get_name(), |_| whole.clone());
    }
    command
}

/// Joins `--steps-tracing true` to `--steps-tracing=true`, so that no subcommand behind such a flag
/// is taken for its value.
fn joined(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let optional = |argument: &OsString| {
        let name = argument.to_str().and_then(|text| text.strip_prefix("--"));
        name.is_some_and(|name| {
            ALWAYS.iter().any(|always| always.flag == name || always.aliases.contains(&name))
        })
    };
    let is_value = |argument: &OsString| {
        let text = argument.to_str().unwrap_or_default();
        text.parse::<bool>().is_ok() || text.parse::<u64>().is_ok()
    };
    let mut joined: Vec<OsString> = Vec::new();
    for argument in arguments {
        match joined.last_mut() {
            Some(last) if optional(last) && is_value(&argument) => {
                last.push("=");
                last.push(argument);
            }
            _ => joined.push(argument),
        }
    }
    joined
}

/// Reads the command line.
pub(crate) fn parse<I, T>(arguments: I) -> Result<Given, clap::Error>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let mut command = command();
    let arguments = joined(arguments.into_iter().map(Into::into));
    let matches = command.try_get_matches_from_mut(arguments)?;
    if let Some(refused) = REFUSED.iter().find(|refused| given(&matches, refused.flag)) {
        let text = format!("--{}: {}", refused.flag, refused.reason);
        return Err(command.error(ErrorKind::UnknownArgument, text));
    }
    if let Some(name) = matches.subcommand_name().filter(|name| project::NAMES.contains(name)) {
        let text = format!("`{name}` is the first word after `tandem`: no setting goes with it");
        return Err(command.error(ErrorKind::ArgumentConflict, text));
    }
    let cli = Cli::from_arg_matches(&matches)?;
    let keys = matches.ids().map(clap::Id::as_str).filter(|id| given(&matches, id));
    let keys = keys.map(str::to_owned).collect();
    Ok(Given { cli, keys })
}

/// Why the flag of a setting does not take a value, if it does not.
pub(crate) fn refusal(key: &str, value: &str) -> Option<String> {
    let mut command = Cli::command();
    let arg = command.get_arguments().find(|arg| arg.get_id() == key)?;
    match arg.get_action() {
        ArgAction::SetTrue => {
            value.parse::<bool>().err().map(|_| format!("`{value}` is not true or false"))
        }
        ArgAction::Count => {
            value.parse::<u8>().err().map(|_| format!("`{value}` is not a number up to 255"))
        }
        _ => {
            let flag = format!("--{}={value}", arg.get_long()?);
            let error = command.try_get_matches_from_mut(["tandem", &flag]).err()?;
            // That another flag is missing is not this value's fault.
            let blames_value = [ErrorKind::InvalidValue, ErrorKind::ValueValidation];
            blames_value.contains(&error.kind()).then(|| sentence(&error))
        }
    }
}

/// What clap says, without its advice on how to call the program.
fn sentence(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}

/// The settings as they are without any source.
pub(crate) fn defaults() -> Settings {
    Cli::parse_from(["tandem"]).settings
}

fn given(matches: &ArgMatches, id: &str) -> bool {
    matches.value_source(id) == Some(ValueSource::CommandLine)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const DOC: &str = include_str!("../../docs/config.md");

    /// The cells of every table row that starts with a flag in the section of this title.
    fn rows(title: &str) -> Vec<Vec<String>> {
        let section = DOC.split("\n## ").find(|part| part.starts_with(title)).unwrap();
        let lines = section.lines().filter(|line| line.starts_with("| `-"));
        lines
            .map(|line| {
                line.split(" | ").map(|cell| cell.trim_matches(['|', ' ']).to_owned()).collect()
            })
            .collect()
    }

    fn code(text: &str) -> String {
        format!("`{text}`")
    }

    fn spellings(arg: &Arg) -> String {
        let mut names: Vec<_> =
            arg.get_short().map(|short| format!("`-{short}`")).into_iter().collect();
        names.extend(arg.get_long().map(|long| format!("`--{long}`")));
        names.extend(
            arg.get_all_aliases().unwrap_or_default().iter().map(|alias| format!("`--{alias}`")),
        );
        names.join(", ")
    }

    #[test]
    fn the_doc_lists_every_setting_with_its_default() {
        let mut undocumented: BTreeSet<String> = BTreeSet::new();
        let documented = rows("Flags");
        let defaults = serde_json::to_value(defaults()).unwrap();
        let command = command();
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            let key = arg.get_id().as_str();
            if ["config", "help", "version"].contains(&key) {
                continue;
            }
            let variable = code(&format!("TANDEM_{}", key.to_uppercase()));
            let start = [spellings(arg), code(key), variable];
            let Some(row) = documented.iter().find(|row| row[..3] == start) else {
                undocumented.insert(format!("{start:?}"));
                continue;
            };
            match &defaults[key] {
                serde_json::Value::Null => assert!(!row[3].starts_with('`'), "{row:?}"),
                serde_json::Value::String(text) => assert_eq!(row[3], code(text), "{row:?}"),
                other => assert_eq!(row[3], code(&other.to_string()), "{row:?}"),
            }
        }
        assert_eq!(undocumented, BTreeSet::new());
        let keys = defaults.as_object().unwrap().len();
        assert_eq!(documented.len(), keys + 1, "the doc has flags that do not exist");
    }

    #[test]
    fn the_doc_gives_the_reason_of_every_refused_flag() {
        let always = ALWAYS.iter().chain(ALWAYS_WITH_VALUE).collect();
        let refused: Vec<_> = REFUSED.iter().collect();
        for (title, flags) in [("What anvil has", refused), ("What is always so", always)] {
            let documented = rows(title);
            let command = command();
            assert_eq!(documented.len(), flags.len(), "{title}");
            for (row, refused) in documented.iter().zip(flags) {
                let arg = command.get_arguments().find(|arg| arg.get_id() == refused.flag).unwrap();
                assert_eq!(row[..], [spellings(arg), refused.reason.to_owned()], "{title}");
            }
        }
    }

    fn fails(arguments: &[&str], expected: &str) {
        let arguments = ["tandem"].iter().chain(arguments);
        let error = parse(arguments).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn the_command_line_names_what_is_wrong() {
        fails(&["--celo"], "--celo: Tandem runs Ethereum's rules only.");
        fails(&["--portt", "1"], "unexpected argument '--portt' found");
        fails(&["--port", "x"], "invalid value 'x' for '--port <NUM>'");
        fails(&["--hardfork", "x"], "no hardfork is called `x`");
        fails(&["--order", "x"], "[possible values: fees, fifo]");
        fails(&["--port", "1", "build"], "`build` is the first word after `tandem`");
        fails(&["--state", "a", "--load-state", "b"], "cannot be used with");
    }

    /// The options that bash completes behind `tandem COMMAND`.
    fn completed_options(command: &str) -> Vec<String> {
        let mut script = Vec::new();
        clap_complete::generate(
            clap_complete::Shell::Bash,
            &mut completed(),
            "tandem",
            &mut script,
        );
        let script = String::from_utf8(script).unwrap();
        let start = format!("\n        tandem__subcmd__{command})\n            opts=\"");
        let rest = script.split_once(&start).expect("a section of the command").1;
        rest.split_once('"').unwrap().0.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn shells_complete_the_flags_of_every_command() {
        for (command, flags) in [
            ("new", &["--kit-path", "--kit-git", "--json"][..]),
            ("build", &["--json"]),
            ("deploy", &["--abi", "--rpc-url", "--from", "--private-key", "--value", "--gas"]),
            ("call", &["--abi", "--rpc-url", "--from", "--value", "--block"]),
            ("send", &["--abi", "--rpc-url", "--from", "--private-key", "--value", "--gas"]),
        ] {
            let options = completed_options(command);
            for flag in flags {
                assert!(options.iter().any(|option| option == flag), "{command} {flag}");
            }
            assert!(!options.iter().any(|option| option == "--port"), "{command}: {options:?}");
        }
        assert!(completed_options("import").contains(&"--datadir".to_owned()));
    }

    #[test]
    fn anvils_spellings_are_understood() {
        let given = parse([
            "tandem",
            "-a",
            "3",
            "--blockTime",
            "2.5",
            "--mixed-mining",
            "--init",
            "g.json",
            "--ipc",
            "--base-fee",
            "7",
            "--no-priority-fee",
            "--tx-gas-limit",
            "--auto-unlock",
            "--no-create2",
            "--silent",
            "-vv",
            "-j",
            "2",
            "-p",
            "0",
            "-s",
            "9",
            "--steps-tracing",
            "--mnemonic-random",
            "--host",
            "::1",
            "--allow-origin",
            "http://a",
        ])
        .unwrap();
        let settings = given.cli.settings;
        assert_eq!((settings.accounts, settings.block_time), (3, Some(2.5)));
        assert_eq!(settings.genesis, Some(PathBuf::from("g.json")));
        assert_eq!(settings.ipc, Some(PathBuf::from(crate::settings::IPC_PATH)));
        assert_eq!(settings.block_base_fee_per_gas, Some(7));
        assert_eq!((settings.mnemonic_random, settings.verbosity), (Some(12), 2));
        assert!(settings.disable_min_priority_fee && settings.enable_tx_gas_limit);
        assert!(settings.auto_impersonate && settings.disable_default_create2_deployer);
        assert!(settings.quiet && settings.mixed_mining && !settings.no_mining);
        for key in ["accounts", "block_time", "genesis", "quiet", "verbosity", "port"] {
            assert!(given.keys.iter().any(|given| given == key), "{key}");
        }
        assert!(!given.keys.iter().any(|key| key == "balance" || key == "no_mining"));
    }

    #[test]
    fn flags_without_effect_leave_a_subcommand_alone() {
        for flags in [
            &["--steps-tracing"][..],
            &["--steps-tracing", "true"],
            &["--tracing=false"],
            &["--prune-history"],
            &["--prune-history", "5"],
            &["--preserve-historical-states", "--cache-path", "/x"],
            &["--max-persisted-states", "3", "--transaction-block-keeper", "3"],
        ] {
            let line = ["tandem"].into_iter().chain(flags.iter().copied()).chain(["config"]);
            let given = parse(line).unwrap();
            assert!(matches!(given.cli.command, Some(Command::Config)), "{flags:?}");
        }
        assert!(parse(["tandem", "--cache-path"]).is_err());
    }
}
