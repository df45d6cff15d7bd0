//! Standard output and standard error. Data goes to the one, words for people to the other.

use std::io::{self, Write};

use serde::Serialize;
use temporal_manifest::manifest::diagnostic::Diagnostic;
use temporal_manifest::manifest::drawing::{self, Style};
use temporal_manifest::visible;

use super::args::{GlobalArgs, LogFormat, LogLevel, OutputFormat};
use super::environment::Environment;
use super::exit::Exit;
use super::settings;

/// Width of text where there is no terminal.
const DEFAULT_WIDTH: usize = 100;

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

/// Says one line to the person. A line break in `text` is shown and begins no other line.
pub(crate) fn say(text: &str) {
    // Nobody is left to tell that standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{}", visible::line(text));
}

/// Whether what is found is wanted as data.
pub(crate) fn wants_data(format: Option<OutputFormat>) -> bool {
    matches!(format, Some(OutputFormat::Json | OutputFormat::Jsonl))
}

/// Prints a document: on one line if lines were asked for.
pub(crate) fn document(format: Option<OutputFormat>, document: &impl Serialize) -> Exit {
    if format != Some(OutputFormat::Jsonl) {
        return data(&pretty(document));
    }
    let text = serde_json::to_string(document);
    let text = text.expect("our own documents can be written as JSON");
    data(&format!("{}\n", visible::json(&text)))
}

/// A document on several lines.
pub(crate) fn pretty(document: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(document);
    let text = text.expect("our own documents can be written as JSON");
    format!("{}\n", visible::json(&text))
}

/// How diagnostics are drawn on standard error.
pub(crate) fn style(global: &GlobalArgs, environment: &Environment) -> Style {
    Style {
        color: settings::color(global.color, environment, environment.stderr_is_terminal),
        width: environment.width.unwrap_or(DEFAULT_WIDTH).clamp(40, 120),
        ascii: environment.ascii,
    }
}

/// Shows diagnostics in the form that was asked for. `hidden` more were counted and not kept.
pub(crate) fn diagnostics(
    diagnostics: &[Diagnostic],
    hidden: u64,
    global: &GlobalArgs,
    environment: &Environment,
) {
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
