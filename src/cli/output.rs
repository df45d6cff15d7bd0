//! Standard output and standard error. Data goes to the one, words for people to the other.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use temporal_manifest::manifest::diagnostic::{self, Diagnostic, Severity};
use temporal_manifest::manifest::drawing::{self, Style};
use temporal_manifest::report::problem::{ErrorFacts, Problem};
use temporal_manifest::visible::{self, Page};

use super::args::{GlobalArgs, LogFormat, LogLevel, OutputFormat};
use super::environment::Environment;
use super::exit::Exit;
use super::settings;

/// Width of text where there is no terminal.
const DEFAULT_WIDTH: usize = 100;

/// The document that last said what was wrong. Report files get it too, and are written where only
/// the exit code is known.
static LAST: Mutex<Option<String>> = Mutex::new(None);

/// The document that last said what was wrong, if something was.
pub(crate) fn last_document() -> Option<String> {
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    last.clone()
}

/// Says what is wrong as a document, if data is wanted, and keeps it for report files.
pub(crate) fn refusal(format: Option<OutputFormat>, refusal: &impl Serialize) {
    let text = serde_json::to_string_pretty(refusal);
    let text = text.expect("our own documents can be written as JSON");
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    *last = Some(format!("{}\n", visible::json(&text)));
    drop(last);
    if wants_data(format) {
        // What is wrong matters more than that nobody could be told.
        document(format, refusal);
    }
}

/// Writes data to standard output. A reader that has gone is no error: nobody is left to tell.
pub(crate) fn data(text: &str) -> Exit {
    let mut out = io::stdout().lock();
    written(
        out.write_all(text.as_bytes()).and_then(|()| out.flush()),
        Exit::Success,
    )
}

/// The exit code after a write to standard output: `otherwise` if it went well.
pub(crate) fn written(result: io::Result<()>, otherwise: Exit) -> Exit {
    match result {
        Ok(()) => otherwise,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => otherwise,
        Err(error) => {
            say(&format!("error: cannot write to standard output: {error}"));
            Exit::NotWritten
        }
    }
}

/// Writes a page for people to standard output.
pub(crate) fn page(page: &Page, ascii: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if ascii {
        // The one sign of our own that is drawn on pages.
        out.write_all(page.as_str().replace('…', "...").as_bytes())?;
    } else {
        out.write_all(page.as_str().as_bytes())?;
    }
    out.flush()
}

/// Says one line to the person. A line break in `text` is shown and begins no other line.
pub(crate) fn say(text: &str) {
    // Nobody is left to tell that standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{}", visible::line(text));
}

/// Tells an error that ends the command, in the form that was asked for.
pub(crate) fn fail(
    format: Option<OutputFormat>,
    exit: Exit,
    code: &str,
    message: &str,
    help: Option<&str>,
) -> Exit {
    say(&format!("error: {message}"));
    if let Some(help) = help {
        say(&format!("  help: {help}"));
    }
    // An error is one line in either form.
    let format = format.map(|format| match format {
        OutputFormat::Json => OutputFormat::Jsonl,
        other => other,
    });
    refusal(format, &problem(exit, code, message, help));
    exit
}

/// Keeps an error that is told elsewhere for report files.
pub(crate) fn keep_for_reports(exit: Exit, code: &str, message: &str, help: Option<&str>) {
    refusal(None, &problem(exit, code, message, help));
}

fn problem(exit: Exit, code: &str, message: &str, help: Option<&str>) -> Problem {
    Problem {
        error: ErrorFacts {
            code: code.to_owned(),
            message: message.to_owned(),
            help: help.map(str::to_owned),
            exit_code: exit.code(),
        },
    }
}

/// Whether what is found is wanted as data.
pub(crate) fn wants_data(format: Option<OutputFormat>) -> bool {
    matches!(format, Some(OutputFormat::Json | OutputFormat::Jsonl))
}

/// Prints a document: on one line if lines were asked for.
pub(crate) fn document(format: Option<OutputFormat>, document: &impl Serialize) -> Exit {
    let text = match format {
        Some(OutputFormat::Jsonl) => serde_json::to_string(document),
        _ => serde_json::to_string_pretty(document),
    };
    let text = text.expect("our own documents can be written as JSON");
    data(&format!("{}\n", visible::json(&text)))
}

/// How diagnostics are drawn on standard error.
pub(crate) fn style(global: &GlobalArgs, environment: &Environment) -> Style {
    Style {
        color: settings::color(global.color, environment, environment.stderr_is_terminal),
        width: environment.width.unwrap_or(DEFAULT_WIDTH).clamp(40, 120),
        ascii: environment.ascii,
    }
}

/// Shows diagnostics in the form that was asked for, and whether one of them is an error. `hidden`
/// more were counted and not kept.
pub(crate) fn diagnostics(
    diagnostics: &mut [Diagnostic],
    hidden: u64,
    global: &GlobalArgs,
    environment: &Environment,
) -> bool {
    diagnostic::sort(diagnostics);
    match global.output {
        Some(OutputFormat::Json | OutputFormat::Jsonl | OutputFormat::None) => {}
        Some(OutputFormat::Github) => {
            for diagnostic in diagnostics.iter() {
                data(&format!("{}\n", diagnostic.to_github_annotation()));
            }
        }
        Some(OutputFormat::Text) | None => {
            let drawn = drawing::render(diagnostics, hidden, style(global, environment));
            let _ = io::stderr().lock().write_all(drawn.as_str().as_bytes());
        }
    }
    diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// Starts the log on standard error.
pub(crate) fn start_log(level: Option<LogLevel>, format: Option<LogFormat>) {
    use tracing_subscriber::filter::LevelFilter;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;
    let level = match level.unwrap_or(LogLevel::Never) {
        LogLevel::Never => return,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    // Only our own words: what libraries log at debug level may hold metadata of calls.
    let ours = tracing_subscriber::filter::Targets::new().with_target("temporal_manifest", level);
    let format = format.unwrap_or(LogFormat::Text);
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(move || LogWriter { format })
        .with_ansi(false);
    let registry = tracing_subscriber::registry().with(ours);
    match format {
        LogFormat::Text => registry.with(layer).init(),
        LogFormat::Json => registry.with(layer.json()).init(),
    }
}

/// Writes entries of the log to standard error, each as one line whatever it holds.
struct LogWriter {
    format: LogFormat,
}

impl Write for LogWriter {
    /// Takes a whole entry, as the subscriber hands it over.
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(entry);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        match self.format {
            LogFormat::Text => say(text),
            LogFormat::Json => {
                writeln!(io::stderr().lock(), "{}", visible::json(text))?;
            }
        }
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
