//! Everyone who hears the events of an apply, in the order they hear them: journal, summary,
//! machine output, people.

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use temporal_manifest::client::Client;
use temporal_manifest::journal::Journal;
use temporal_manifest::journal::record::Settings;
use temporal_manifest::report::progress::{Audience, Progress};
use temporal_manifest::report::summary::Summary;
use temporal_manifest::report::text::{self, Table};
use temporal_manifest::report::{json, jsonl, log};
use temporal_manifest::run::event::{ApplyFinished, ApplyStarted, Event, Stopped};

use crate::cli::args::{ApplyArgs, GlobalArgs, OutputFormat};
use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::report_files::Target;
use crate::cli::{output, settings};

/// Most events that are taken in one go.
const BATCH: usize = 256;

/// Longest time that lines wait to be handed to the system. Handing over each batch took a system
/// call for every ten starts, twice.
const FLUSH_EVERY: Duration = Duration::from_millis(50);

/// Bytes of lines for standard output that may wait.
const BUFFER: usize = 64 * 1024;

pub(super) struct Listeners {
    format: OutputFormat,
    journal: Option<Journal>,
    summary: Summary,
    started: ApplyStarted,
    finished_at: Timestamp,
    /// The last event, once it was heard.
    finished: Option<ApplyFinished>,
    lines: Option<BufWriter<io::Stdout>>,
    table: Option<Table>,
    progress: Progress,
    reports: Vec<Target>,
    hide_results: bool,
    ascii: bool,
    /// Starts whose conflicts count as done although they say `Fail`.
    conflicts: u64,
    color: bool,
    /// Width of the terminal behind standard output, if it is one.
    columns: Option<usize>,
    began: Instant,
    last_start: Instant,
    failure: Option<Failure>,
}

/// A listener that programs depend on could not write.
struct Failure {
    to: String,
    error: io::Error,
}

impl Failure {
    /// Whether it is a closed pipe, which is an interrupt and no reason to complain.
    fn reader_is_gone(&self) -> bool {
        self.error.kind() == io::ErrorKind::BrokenPipe
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.to, self.error)
    }
}

impl Listeners {
    /// `earlier` is what a journal already counts, and `table` what it shows. With a journal of the
    /// user's, [`Listeners::write_to`] follows.
    pub(super) fn new(
        args: &ApplyArgs,
        global: &GlobalArgs,
        environment: &Environment,
        started: ApplyStarted,
        settings: &Settings,
        earlier: Summary,
        table: Option<Table>,
    ) -> io::Result<Self> {
        let format = global.output.unwrap_or(OutputFormat::Text);
        let total = started.total;
        let audience = if environment.stderr_is_terminal {
            Audience::Terminal {
                ascii: environment.ascii,
            }
        } else {
            Audience::Lines(Box::new(output::say))
        };
        let needs_journal = format == OutputFormat::Json || !args.report.is_empty();
        let keeps_journal = args.journal.is_some() || args.resume.is_some();
        let journal = match keeps_journal {
            false if needs_journal => Some(Journal::temporary()?),
            _ => None,
        };
        let now = Instant::now();
        Ok(Listeners {
            format,
            journal,
            summary: earlier,
            finished_at: started.at,
            finished: None,
            started,
            lines: (format == OutputFormat::Jsonl)
                .then(|| BufWriter::with_capacity(BUFFER, io::stdout())),
            table,
            progress: Progress::new(total, settings.wait, audience),
            reports: args.report.clone(),
            hide_results: settings.hide_results,
            ascii: environment.ascii,
            conflicts: 0,
            color: settings::color(global.color, environment, environment.stdout_is_terminal),
            columns: environment.width.filter(|_| environment.stdout_is_terminal),
            began: now,
            last_start: now,
            failure: None,
        })
    }

    /// Leaves it to the client not to decode what no listener shows.
    pub(super) fn fitted(&self, client: Client) -> Client {
        if self.hide_results {
            client.without_results()
        } else {
            client
        }
    }

    /// Keeps the outcomes in this journal.
    pub(super) fn write_to(&mut self, journal: Journal) {
        self.journal = Some(journal);
    }

    /// Lets the end say that `Fail` does not count as failed, if so many starts can meet it.
    pub(super) fn with_conflicts(mut self, conflicts: u64) -> Self {
        self.conflicts = conflicts;
        self
    }

    /// Hears everything until the last event. Cancels `stop` when a listener that programs depend
    /// on fails.
    pub(super) async fn listen(
        mut self,
        mut events: mpsc::Receiver<Event>,
        stop: CancellationToken,
    ) -> Self {
        let mut batch = Vec::new();
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        // What comes after a quiet time is due at once.
        let mut due = tokio::time::interval(FLUSH_EVERY);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unflushed = false;
        loop {
            tokio::select! {
                biased;
                _ = due.tick(), if unflushed => {
                    self.flush();
                    unflushed = false;
                }
                count = events.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        break;
                    }
                    for event in batch.drain(..) {
                        self.hear(event);
                    }
                    unflushed = true;
                }
                _ = tick.tick() => {}
            }
            if self.failure.is_some() {
                stop.cancel();
            }
            self.progress.show(&self.summary);
        }
        self.flush();
        self
    }

    fn hear(&mut self, mut event: Event) {
        // What is still open has no result.
        if self.hide_results
            && let Event::WorkflowEnded(ended) = &mut event
        {
            ended.workflow.result = None;
        }
        match &event {
            Event::ApplyStarted(started) => self.started.clone_from(started),
            Event::StartFinished(_) => self.last_start = Instant::now(),
            Event::ApplyFinished(finished) => {
                self.finished_at = finished.at;
                // The last event says whether everything before it could be written.
                self.flush();
            }
            _ => {}
        }
        if let (Event::ApplyFinished(finished), Some(failure)) = (&mut event, &self.failure)
            && !failure.reader_is_gone()
        {
            // Nobody interrupted it; this is why the starts were stopped.
            finished.stopped = Some(Stopped::NotWritten {
                message: failure.to_string(),
            });
        }
        log::log(&event);
        if let Some(journal) = &mut self.journal {
            let written = journal.write(&event);
            self.check_journal(written);
        }
        self.summary.count(&event);
        self.progress.hear(&event);
        if let Some(lines) = &mut self.lines {
            let written = jsonl::write(lines, &event);
            self.check_lines(written);
        }
        if let Some(table) = &mut self.table {
            table.take(&event);
        }
        if let Event::ApplyFinished(finished) = event {
            self.finished = Some(finished);
        }
    }

    fn flush(&mut self) {
        if let Some(journal) = &mut self.journal {
            let written = journal.flush();
            self.check_journal(written);
        }
        if let Some(lines) = &mut self.lines {
            let written = lines.flush();
            self.check_lines(written);
        }
    }

    fn check_journal(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            let journal = self.journal.take();
            let path = journal.as_ref().and_then(|journal| journal.path());
            let to = match path {
                Some(path) => format!("the journal `{}`", path.display()),
                None => "a temporary file".to_owned(),
            };
            self.failure.get_or_insert(Failure { to, error });
        }
    }

    fn check_lines(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            self.lines = None;
            let to = "standard output".to_owned();
            self.failure.get_or_insert(Failure { to, error });
        }
    }

    /// Shows the result.
    pub(super) fn finish(mut self) -> Exit {
        self.progress.finish();
        let starting = self.last_start.duration_since(self.began).as_secs_f64();
        let tried = self.summary.total - self.summary.skipped;
        if starting > 0.0 {
            let rate = tried as f64 / starting;
            self.summary.starts_per_second = (rate * 10.0).round() / 10.0;
        }
        let reports = self.write_reports();
        let failed = self.failure.as_ref().filter(|it| !it.reader_is_gone());
        let exit = match (failed, reports) {
            (Some(_), _) => Exit::NotWritten,
            (None, Exit::Success) => Exit::of(&self.summary),
            (None, other) => other,
        };
        let shown = self.show(exit);
        let failure = self.failure.take().filter(|it| !it.reader_is_gone());
        if let Some(failure) = failure {
            output::say(&format!("error: cannot write to {failure}"));
            output::say("  help: starts may have been made; repeat with the same idempotency key");
            return exit;
        }
        output::written(shown, exit)
    }

    /// Shows the result on standard output and, for people, why it is not all there. `exit` is
    /// what the program ends with if that can be written.
    fn show(&mut self, exit: Exit) -> io::Result<()> {
        let shown = match (self.table.take(), self.format) {
            (Some(table), _) => {
                let took = self.finished_at.duration_since(self.started.at);
                let took = took.unsigned_abs();
                let page = table.render(&self.summary, took, self.color, self.columns);
                output::page(&page, self.ascii)
            }
            (None, OutputFormat::Json) => {
                self.write_report(&mut BufWriter::new(io::stdout().lock()))
            }
            (None, OutputFormat::Jsonl) => self.write_last_line(exit),
            (None, _) => Ok(()),
        };
        let left_alone = self.summary.existing > self.summary.existing_failed;
        if self.conflicts > 0 && left_alone {
            output::say(
                "note: what is `existing` counts as done, also where `idConflictPolicy: Fail` says so; --fail-existing makes it fail",
            );
        }
        // A failure is told at the end, and a reader that has gone is none.
        if let Some(stopped) = &self.summary.stopped
            && self.failure.is_none()
        {
            output::say(&format!("error: {}", text::reason(stopped, &self.summary)));
            if let Some(help) = text::help(stopped) {
                output::say(&format!("  help: {help}"));
            }
        }
        shown
    }

    /// Writes the line that says what it all came to, unless lines cannot be written any more.
    fn write_last_line(&mut self, exit: Exit) -> io::Result<()> {
        let (Some(lines), Some(finished)) = (&mut self.lines, &self.finished) else {
            return Ok(());
        };
        jsonl::finish(&mut *lines, finished, &self.summary, exit.code())?;
        lines.flush()
    }

    /// Writes the report files; each one that cannot be written is told.
    fn write_reports(&mut self) -> Exit {
        let mut exit = Exit::Success;
        for target in std::mem::take(&mut self.reports) {
            let written = target.write(|out| self.write_report(out));
            if let Err(error) = written {
                output::say(&format!(
                    "error: cannot write the report `{}`: {error}",
                    target.name()
                ));
                exit = Exit::NotWritten;
            }
        }
        exit
    }

    /// Writes the JSON report. Without a journal nothing is left to be said: its failure is told.
    fn write_report(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let Some(journal) = &mut self.journal else {
            return Err(io::Error::other("the outcomes could not be kept"));
        };
        let head = json::Head::new(self.started.clone(), self.summary.clone(), self.finished_at);
        json::write(out, &head, journal.replay()?)
    }
}
