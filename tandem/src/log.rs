//! The node's log on standard output.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::settings::{Color, Settings};

/// Starts the log as the settings say; `RUST_LOG` decides what is in it where that is set.
pub(crate) fn start(settings: &Settings) {
    let (libraries, ours) = match (settings.quiet, settings.verbosity) {
        (true, _) => ("off", "off"),
        (false, 0) => ("warn", "info"),
        (false, 1) => ("warn", "debug"),
        (false, 2) => ("warn", "trace"),
        (false, _) => ("debug", "trace"),
    };
    // Requests and what contracts print have targets of their own.
    let levels = format!("{libraries},tandem={ours},rpc={ours},console={ours}");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(levels));
    let color = match settings.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    let format = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(settings.verbosity > 0)
        .with_ansi(color);
    if settings.json { format.json().init() } else { format.init() }
}
