//! `report`: the report of a journal, rendered again.

use std::io::{self, BufWriter, Write};
use std::iter::Peekable;

use jiff::Timestamp;
use temporal_manifest::journal::record::{Header, StartRecord};
use temporal_manifest::journal::{Journal, JournalError};
use temporal_manifest::report::summary::Summary;
use temporal_manifest::report::text::Table;
use temporal_manifest::report::{json, jsonl};
use temporal_manifest::run::event::{ApplyFinished, ApplyStarted, Event};

use crate::cli::args::{GlobalArgs, OutputFormat, ReportArgs};
use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::{output, settings};

pub(crate) fn run(args: &ReportArgs, global: &GlobalArgs, environment: &Environment) -> Exit {
    let mut parts = Vec::new();
    for path in &args.journals {
        match Journal::open(path, false, |_| {}) {
            Ok((journal, header)) => parts.push(Part { journal, header }),
            Err(error) => return cannot_read(global.output, &error),
        }
    }
    let batches = if args.merge {
        match Batch::merged(parts) {
            Ok(batch) => vec![batch],
            Err(message) => {
                let help = "merge the journals that all shards of one apply have written";
                return output::fail(global.output, Exit::Usage, "journal", &message, Some(help));
            }
        }
    } else {
        parts.into_iter().map(Batch::single).collect()
    };
    let exits = batches
        .into_iter()
        .map(|batch| batch.report(args, global, environment));
    exits.fold(Exit::Success, Exit::first)
}

/// A journal and what it is about.
struct Part {
    journal: Journal,
    header: Header,
}

/// What one report is made of.
struct Batch {
    started: ApplyStarted,
    finished_at: Timestamp,
    journals: Vec<Journal>,
}

impl Batch {
    fn single(part: Part) -> Self {
        let started = part.header.apply;
        Batch {
            finished_at: part.journal.last_change().unwrap_or(started.at),
            started,
            journals: vec![part.journal],
        }
    }

    /// All shards as one. `Err` says why they are not parts of the same.
    fn merged(parts: Vec<Part>) -> Result<Self, String> {
        let mut parts = parts.into_iter();
        let Part { journal, header } = parts.next().ok_or("no journal is given")?;
        let name = |journal: &Journal| {
            let path = journal.path().map(|path| path.display().to_string());
            path.unwrap_or_default()
        };
        let first = name(&journal);
        let of = header.apply.indices();
        let mut batch = Batch::single(Part {
            journal,
            header: header.clone(),
        });
        for part in parts {
            let (ours, theirs) = (&header.apply, &part.header.apply);
            let same = [
                (
                    ours.invocation.idempotency_key == theirs.invocation.idempotency_key,
                    "the idempotency key",
                ),
                (
                    ours.service.namespace == theirs.service.namespace,
                    "the namespace",
                ),
                (
                    header.namespace_id.is_none()
                        || part.header.namespace_id.is_none()
                        || header.namespace_id == part.header.namespace_id,
                    "the cluster: their namespaces have the same name and other IDs",
                ),
                (header.digest == part.header.digest, "the starts"),
            ];
            let other = name(&part.journal);
            if let Some((_, what)) = same.iter().find(|(same, _)| !same) {
                return Err(format!(
                    "the journals `{first}` and `{other}` differ in {what}"
                ));
            }
            batch.take(Batch::single(part));
        }
        batch.started.total = Some(of);
        batch.started.selection = None;
        Ok(batch)
    }

    fn take(&mut self, other: Batch) {
        let began = self.started.at.min(other.started.at);
        self.started.at = began;
        self.started.invocation.started_at = began;
        self.finished_at = self.finished_at.max(other.finished_at);
        self.journals.extend(other.journals);
    }

    /// Every start, in order.
    fn replay(&mut self) -> io::Result<impl Iterator<Item = io::Result<StartRecord>> + use<>> {
        let mut merging = Merging::default();
        for journal in &mut self.journals {
            merging.add(Box::new(journal.replay()?));
        }
        Ok(merging)
    }

    fn report(mut self, args: &ReportArgs, global: &GlobalArgs, environment: &Environment) -> Exit {
        let hide = |mut record: StartRecord| {
            if let (true, Some(workflow)) = (args.hide_results, &mut record.workflow) {
                workflow.result = None;
            }
            record
        };
        let (started, finished_at) = (self.started.clone(), self.finished_at);
        let mut summary = Summary::default();
        let mut table = Table::new(started.total);
        let counted = self.replay().and_then(|mut records| {
            records.try_for_each(|record| {
                for event in events(hide(record?)) {
                    summary.count(&event);
                    table.take(&event);
                }
                Ok(())
            })
        });
        // What has no line was not reached: the program was killed before.
        let unreached = started.total.unwrap_or(0).saturating_sub(summary.total);
        summary.total += unreached;
        summary.skipped += unreached;
        let exit = Exit::of(&summary);
        let written = counted.and_then(|()| match global.output {
            Some(OutputFormat::None) => Ok(()),
            Some(OutputFormat::Jsonl) => {
                let mut out = BufWriter::new(io::stdout().lock());
                jsonl::write(&mut out, &Event::ApplyStarted(started))?;
                for record in self.replay()? {
                    for event in events(hide(record?)) {
                        jsonl::write(&mut out, &event)?;
                    }
                }
                let finished = ApplyFinished {
                    at: finished_at,
                    stopped: None,
                };
                jsonl::finish(&mut out, &finished, &summary, exit.code())?;
                out.flush()
            }
            Some(OutputFormat::Json) => {
                let head = json::Head::new(started, summary, finished_at);
                let records = self.replay()?.map(|record| record.map(hide));
                json::write(BufWriter::new(io::stdout().lock()), &head, records)
            }
            Some(OutputFormat::Text | OutputFormat::Github) | None => {
                let terminal = environment.stdout_is_terminal;
                let color = settings::color(global.color, environment, terminal);
                let took = finished_at.duration_since(started.at).unsigned_abs();
                let columns = environment.width.filter(|_| terminal);
                output::page(&table.render(&summary, took, color, columns))
            }
        });
        output::written(written, exit)
    }
}

type Records = Box<dyn Iterator<Item = io::Result<StartRecord>>>;

/// The starts of several journals, each in order, as one.
#[derive(Default)]
struct Merging(Vec<Peekable<Records>>);

impl Merging {
    fn add(&mut self, records: Records) {
        self.0.push(records.peekable());
    }
}

impl Iterator for Merging {
    type Item = io::Result<StartRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut first: Option<(u64, usize)> = None;
        for (position, records) in self.0.iter_mut().enumerate() {
            match records.peek() {
                None => {}
                Some(Err(_)) => return records.next(),
                Some(Ok(record)) => {
                    let index = record.start.index;
                    if first.is_some_and(|(other, _)| other == index) {
                        let message = format!("start {index} is in two of the journals");
                        return Some(Err(io::Error::other(message)));
                    }
                    if first.is_none_or(|(other, _)| index < other) {
                        first = Some((index, position));
                    }
                }
            }
        }
        let (_, position) = first?;
        self.0[position].next()
    }
}

/// The events that a record was made of.
pub(super) fn events(record: StartRecord) -> impl Iterator<Item = Event> {
    let StartRecord { start, workflow } = record;
    let ended = workflow.map(|workflow| {
        let workflow_id = start.workflow_id.as_str().into();
        let run_id = start.run_id.clone().unwrap_or_default();
        Event::of_workflow(start.index, workflow_id, run_id, workflow)
    });
    std::iter::once(Event::StartFinished(start)).chain(ended)
}

/// Tells why a journal cannot be used.
pub(super) fn cannot_read(format: Option<OutputFormat>, error: &JournalError) -> Exit {
    let (exit, help) = match error {
        JournalError::Exists { path } => {
            let path = path.display();
            let help = format!("go on with it with `--resume {path}`, or name another file");
            (Exit::Usage, Some(help))
        }
        JournalError::Locked { .. } => (
            Exit::Usage,
            Some("wait for the other apply to end".to_owned()),
        ),
        JournalError::NotAFile { .. } => (
            Exit::NotWritten,
            Some("name a file that `--journal` has written".to_owned()),
        ),
        JournalError::Damaged { .. } => (
            Exit::NotWritten,
            Some(
                "repeat the apply with its idempotency key instead: it needs no journal".to_owned(),
            ),
        ),
        JournalError::Io { .. } | JournalError::Temporary { .. } => (Exit::NotWritten, None),
    };
    output::fail(format, exit, "journal", &error.to_string(), help.as_deref())
}
