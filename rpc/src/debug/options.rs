//! Options of geth's traces.

use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use alloy_rpc_types_trace::geth::{GethDebugTracingCallOptions, GethDebugTracingOptions};
use std::time::Duration;

/// Options of a trace, with the time that the caller gives it.
pub(super) type Options = (GethDebugTracingOptions, Option<Duration>);

/// Takes the options of a trace; `reexec` and keys that nobody knows are ignored.
pub(super) fn take(arguments: &mut Arguments) -> Reply<Options> {
    let options: GethDebugTracingOptions = arguments.optional("options")?.unwrap_or_default();
    with_timeout(options)
}

/// Takes the options of the trace of a call.
pub(super) fn take_of_call(
    arguments: &mut Arguments,
) -> Reply<(GethDebugTracingCallOptions, Option<Duration>)> {
    let options: GethDebugTracingCallOptions = arguments.optional("options")?.unwrap_or_default();
    let timeout = timeout(&options.tracing_options)?;
    Ok((options, timeout))
}

fn with_timeout(options: GethDebugTracingOptions) -> Reply<Options> {
    let timeout = timeout(&options)?;
    Ok((options, timeout))
}

fn timeout(options: &GethDebugTracingOptions) -> Reply<Option<Duration>> {
    let Some(text) = &options.timeout else { return Ok(None) };
    let parsed = duration(text);
    let parsed = parsed
        .ok_or_else(|| RpcError::invalid_params(format!("timeout: invalid duration {text:?}")))?;
    Ok(Some(parsed))
}

/// Reads a duration as Go writes it: numbers with units, as in `1m30s` or `250ms`.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut seconds = 0.0;
    while !rest.is_empty() || text.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        seconds += number
            * match &rest[..end] {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3_600.0,
                _ => return None,
            };
        rest = &rest[end..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        let check = |text, want: Option<u64>| {
            assert_eq!(duration(text), want.map(Duration::from_millis), "{text}");
        };
        check("5s", Some(5_000));
        check("250ms", Some(250));
        check("1m30s", Some(90_000));
        check("1.5h", Some(5_400_000));
        check("0", Some(0));
        for bad in ["", "5", "s", "5 s", "5x", "-5s", "1..5s", "1e3s", "9999999999999999999h"] {
            check(bad, None);
        }
    }
}
