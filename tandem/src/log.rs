//! The node's log on standard output.
//!
//! Whoever logs a line leaves it in a buffer; a thread writes what has gathered there, so that a
//! busy node neither waits for its terminal nor asks the kernel once for each request.

use std::{
    cell::RefCell,
    fmt,
    io::{self, IsTerminal, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{Format, Full, Writer},
        time::{FormatTime, SystemTime as Utc},
    },
    registry::LookupSpan,
};

use crate::settings::{Color, Settings};

/// How long lines gather before they are written: less than a reader notices.
const GATHER: Duration = Duration::from_millis(5);
/// Bytes that may wait for a terminal that takes none; then whoever logs waits too.
const WAITING_MAX: usize = 4 << 20;

/// Starts the log as the settings say; `RUST_LOG` decides what is in it where that is set.
pub(crate) fn start(settings: &Settings) -> io::Result<Log> {
    let (libraries, ours) = match (settings.quiet, settings.verbosity) {
        (true, _) => ("off", "off"),
        (false, 0) => ("warn", "info"),
        (false, 1) => ("warn", "debug"),
        (false, 2) => ("warn", "trace"),
        (false, _) => ("debug", "trace"),
    };
    // Requests, what contracts print and their calls have targets of their own.
    let levels = format!("{libraries},tandem={ours},rpc={ours},console={ours},calls={ours}");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(levels));
    let color = match settings.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    let log = Log::new()?;
    let target = settings.verbosity > 0;
    let format = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(target)
        .with_ansi(color)
        .with_timer(Clock)
        .with_writer(log.lines.clone());
    if settings.json {
        format.json().init()
    } else {
        format.map_event_format(|full| Text { full, short: !target && !color }).init()
    }
    Ok(log)
}

/// Lines as tracing-subscriber has them. Those of requests, thousands a second, it would look
/// through for what is not in them: where their methods' names are `short` of a target and colours,
/// they are put together here.
struct Text {
    full: Format<Full, Clock>,
    short: bool,
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (about, fields) = (event.metadata(), event.fields().count());
        if !self.short || about.target() != "rpc" || *about.level() != Level::INFO || fields != 1 {
            return self.full.format_event(context, out, event);
        }
        Clock.format_time(&mut out)?;
        out.write_str("  INFO ")?;
        event.record(&mut Name(&mut out));
        out.write_char('\n')
    }
}

/// Writes a method's name.
struct Name<'a, 'w>(&'a mut Writer<'w>);

impl Visit for Name<'_, '_> {
    fn record_str(&mut self, _: &Field, name: &str) {
        // It goes to memory.
        let _ = self.0.write_str(name);
    }

    fn record_debug(&mut self, _: &Field, name: &dyn fmt::Debug) {
        let _ = write!(self.0, "{name:?}");
    }
}

/// The time of day as [`Utc`] writes it. A busy node logs thousands of lines in a second, which have
/// its text in common.
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, out: &mut Writer<'_>) -> fmt::Result {
        thread_local! {
            static SECOND: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
        }
        let since = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        SECOND.with_borrow_mut(|(second, text)| {
            let mut now = since();
            // Again, if the second ends meanwhile.
            while now.as_secs() != *second {
                *second = now.as_secs();
                text.clear();
                Utc.format_time(&mut Writer::new(text))?;
                text.truncate(text.find('.').unwrap_or(text.len()));
                now = since();
            }
            let (mut digits, mut micros) = (*b".000000Z", now.subsec_micros());
            for digit in digits[1..7].iter_mut().rev() {
                *digit += (micros % 10) as u8;
                micros /= 10;
            }
            out.write_str(text)?;
            digits.iter().try_for_each(|digit| out.write_char(char::from(*digit)))
        })
    }
}

/// The running log; what was logged is written to its end when this is dropped.
pub(crate) struct Log {
    lines: Lines,
    thread: Option<JoinHandle<()>>,
}

impl Log {
    fn new() -> io::Result<Self> {
        let lines = Lines::default();
        let writer = lines.clone();
        let thread = thread::Builder::new().name("log".to_owned()).spawn(move || writer.run())?;
        Ok(Self { lines, thread: Some(thread) })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.lines.buffer().ended = true;
        self.lines.0.changed.notify_all();
        // It does not panic, and if it did there is nothing left to write.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Lines on their way.
#[derive(Clone, Default)]
struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    buffer: Mutex<Buffer>,
    changed: Condvar,
}

#[derive(Default)]
struct Buffer {
    text: Vec<u8>,
    ended: bool,
}

impl Lines {
    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        // Nothing that holds it can leave it half done.
        self.0.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&'a self, buffer: MutexGuard<'a, Buffer>) -> MutexGuard<'a, Buffer> {
        self.0.changed.wait(buffer).unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut text = Vec::new();
        loop {
            let mut buffer = self.buffer();
            while buffer.text.is_empty() {
                if buffer.ended {
                    return;
                }
                buffer = self.wait(buffer);
            }
            std::mem::swap(&mut buffer.text, &mut text);
            let (ended, full) = (buffer.ended, text.len() >= WAITING_MAX);
            drop(buffer);
            if full {
                self.0.changed.notify_all();
            }
            // Standard output may be closed; the node goes on.
            let _ = io::stdout().write_all(&text).and_then(|()| io::stdout().flush());
            text.clear();
            if !ended {
                thread::sleep(GATHER);
            }
        }
    }
}

impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut buffer = self.buffer();
        while buffer.text.len() >= WAITING_MAX && !buffer.ended {
            buffer = self.wait(buffer);
        }
        let idle = buffer.text.is_empty();
        buffer.text.extend_from_slice(line);
        drop(buffer);
        if idle {
            self.0.changed.notify_all();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_many_threads_stay_whole() {
        let lines = Lines::default();
        let threads: Vec<_> = (0..4)
            .map(|id| {
                let lines = lines.clone();
                thread::spawn(move || {
                    for count in 0..100 {
                        lines.make_writer().write_all(format!("{id} {count}\n").as_bytes())?;
                    }
                    io::Result::Ok(())
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
        let text = String::from_utf8(lines.buffer().text.clone()).unwrap();
        let mut found: Vec<_> = text.lines().map(str::to_owned).collect();
        let mut want: Vec<_> =
            (0..4).flat_map(|id| (0..100).map(move |count| format!("{id} {count}"))).collect();
        found.sort();
        want.sort();
        assert_eq!(found, want);
    }

    #[test]
    fn a_short_line_is_the_same_as_the_full_one() {
        let lines = |short| {
            let lines = Lines::default();
            let format = tracing_subscriber::fmt()
                .with_ansi(false)
                .with_target(false)
                .with_timer(Clock)
                .with_writer(lines.clone());
            let log = format.map_event_format(|full| Text { full, short }).finish();
            tracing::subscriber::with_default(log, || {
                tracing::info!(target: "rpc", message = "eth_chainId");
                tracing::info!(target: "rpc", method = "eth_nope", "unknown method");
                tracing::warn!(target: "rpc", "{}", "slow");
                tracing::info!(number = 7, "block");
            });
            let text = String::from_utf8(lines.buffer().text.clone()).unwrap();
            let time = "2026-11-30T07:22:37.414505Z".len();
            text.lines().map(|line| line[time..].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(lines(true), lines(false));
        assert_eq!(lines(true)[0], "  INFO eth_chainId");
    }
}
