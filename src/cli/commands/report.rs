//! `report`: the report of a journal, rendered again.

use std::io::{self, BufWriter, Write};
use std::iter::Peekable;
use std::path::Path;

use jiff::Timestamp;
use temporal_manifest::apply::refusal::{Code, Kind, Refusal};
use temporal_manifest::journal::Journal;
use temporal_manifest::journal::record::{Header, StartRecord};
use temporal_manifest::report::files::Identity;
use temporal_manifest::report::summary::Summary;
use temporal_manifest::report::text::Table;
use temporal_manifest::report::{json, jsonl};
use temporal_manifest::run::event::{ApplyFinished, ApplyStarted, Event};

use crate::cli::args::{GlobalArgs, OutputFormat, ReportArgs};
use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::{failure, output, settings};

pub(crate) fn run(
    args: &ReportArgs,
    global: &GlobalArgs,
    environment: &Environment,
) -> Result<Exit, Refusal> {
    if !args.merge && args.journals.len() > 1 && global.output == Some(OutputFormat::Json) {
        let names: Vec<String> = args.journals.iter().map(|path| named(path)).collect();
        let message = format!(
            "`-o json` prints one document, and these journals have a report each: {}",
            names.join(", ")
        );
        let help = "add --merge if they are shards of one apply, or render them one by one";
        return Err(Refusal::usage(message).with_help(help));
    }
    let mut parts = Vec::new();
    for path in &args.journals {
        let (journal, header) = Journal::open(path, false, |_| {})?;
        parts.push(Part { journal, header });
    }
    let batches = if args.merge {
        vec![Batch::merged(parts)?]
    } else {
        parts.into_iter().map(Batch::single).collect()
    };
    let mut exit = Exit::Success;
    for batch in batches {
        let reported = batch.report(args, global, environment);
        // The others' reports are no worse for one that cannot be made.
        exit = exit.first(reported.unwrap_or_else(|refusal| {
            failure::error(&refusal, global.output);
            Exit::from(refusal.kind)
        }));
    }
    Ok(exit)
}

/// Why journals are no parts of one apply.
#[derive(Debug, thiserror::Error)]
enum NotParts {
    /// They are not about the same.
    #[error("the journals {first} and {other} differ in {what}")]
    Differ {
        first: String,
        other: String,
        what: &'static str,
    },
    /// One is named twice.
    #[error("the journals {first} and {other} are the same file")]
    SameFile { first: String, other: String },
    /// Both say what became of a start.
    #[error("the journals {first} and {other} both have start {index}")]
    SameStart {
        first: String,
        other: String,
        index: u64,
    },
    /// There is none.
    #[error("no journal is given")]
    None,
}

impl From<NotParts> for Refusal {
    fn from(error: NotParts) -> Self {
        let help = match error {
            NotParts::SameFile { .. } => "name each journal once",
            NotParts::SameStart { .. } => {
                "of journals that were written one after the other for one shard, merge the last"
            }
            NotParts::Differ { .. } | NotParts::None => {
                "merge the journals that all shards of one apply have written"
            }
        };
        Refusal::new(Code::Journal, Kind::Usage, error.to_string()).with_help(help)
    }
}

/// A journal as messages call it.
fn named(path: &Path) -> String {
    format!("`{}`", path.display())
}

/// A journal and what it is about.
struct Part {
    journal: Journal,
    header: Header,
}

impl Part {
    fn name(&self) -> String {
        self.journal.path().map(named).unwrap_or_default()
    }
}

/// What one report is made of.
struct Batch {
    started: ApplyStarted,
    finished_at: Timestamp,
    journals: Vec<Written>,
}

/// A journal, and whether its apply waited for Workflows when it last went on.
struct Written {
    journal: Journal,
    waits: bool,
}

impl Batch {
    fn single(part: Part) -> Self {
        let started = part.header.apply;
        Batch {
            finished_at: part.journal.last_change().unwrap_or(started.at),
            started,
            journals: vec![Written {
                journal: part.journal,
                waits: part.header.settings.wait,
            }],
        }
    }

    /// All shards as one. `Err` says why they are not parts of the same.
    fn merged(parts: Vec<Part>) -> Result<Self, NotParts> {
        let mut names = Vec::new();
        for part in &parts {
            let (name, identity) = (part.name(), part.journal.path().and_then(Identity::of));
            let same = names.iter().find(|(_, known)| *known == identity);
            if let Some((first, _)) = same.filter(|_| identity.is_some()) {
                return Err(NotParts::SameFile {
                    first: String::clone(first),
                    other: name,
                });
            }
            names.push((name, identity));
        }
        let mut parts = parts.into_iter();
        let first = parts.next().ok_or(NotParts::None)?;
        let first_name = first.name();
        let Part { journal, header } = first;
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
            if let Some((_, what)) = same.iter().find(|(same, _)| !same) {
                return Err(NotParts::Differ {
                    first: first_name,
                    other: part.name(),
                    what,
                });
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

    /// Every start, in order, and whether nobody saw its Workflow end.
    fn replay(&mut self) -> Result<impl Iterator<Item = Result<Read, Unread>> + use<>, Unread> {
        let mut merging = Merging::default();
        for Written { journal, waits } in &mut self.journals {
            let waits = *waits;
            let name = journal.path().map(named).unwrap_or_default();
            let records = journal.replay();
            let records = records.map_err(|error| Unread::Io(name.clone(), error))?;
            let records = records.map(move |record| {
                record.map(|mut record| {
                    let is_unseen = waits && record.end_unseen();
                    Read { record, is_unseen }
                })
            });
            merging.add(name, Box::new(records));
        }
        Ok(merging)
    }

    fn report(
        mut self,
        args: &ReportArgs,
        global: &GlobalArgs,
        environment: &Environment,
    ) -> Result<Exit, Refusal> {
        let hide = |Read { mut record, .. }: Read| {
            if let (true, Some(workflow)) = (args.hide_results, &mut record.workflow) {
                workflow.result = None;
            }
            record
        };
        let (started, finished_at) = (self.started.clone(), self.finished_at);
        let mut summary = Summary::default();
        let mut table = Table::new(started.total, false);
        let counted = self.replay().and_then(|mut records| {
            records.try_for_each(|record| {
                let record = record?;
                if record.is_unseen {
                    summary.workflows.get_or_insert_default().unseen += 1;
                }
                for event in events(hide(record)) {
                    summary.count(&event);
                    table.take(&event);
                }
                Ok(())
            })
        });
        match counted {
            Ok(()) => {}
            Err(Unread::NotParts(error)) => return Err(error.into()),
            Err(Unread::Io(name, error)) => {
                let message = format!("cannot read the journal {name}: {error}");
                return Err(Refusal::new(Code::Journal, Kind::NotWritten, message));
            }
        }
        // What has no line was not reached: the program was killed before.
        let unreached = started.total.unwrap_or(0).saturating_sub(summary.total);
        summary.total += unreached;
        summary.skipped += unreached;
        let exit = Exit::of(&summary);
        let write = || match global.output {
            Some(OutputFormat::None) => Ok(()),
            Some(OutputFormat::Jsonl) => {
                let mut out = BufWriter::new(io::stdout().lock());
                jsonl::write(&mut out, &Event::ApplyStarted(started))?;
                for record in self.replay().map_err(Unread::into_io)? {
                    for event in events(hide(record.map_err(Unread::into_io)?)) {
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
                let records = self.replay().map_err(Unread::into_io)?;
                let records = records.map(|record| record.map(hide).map_err(Unread::into_io));
                json::write(BufWriter::new(io::stdout().lock()), &head, records)
            }
            Some(OutputFormat::Text | OutputFormat::Github) | None => {
                let terminal = environment.stdout_is_terminal;
                let color = settings::color(global.color, environment, terminal);
                let took = finished_at.duration_since(started.at).unsigned_abs();
                let columns = environment.width.filter(|_| terminal);
                output::page(
                    &table.render(&summary, took, color, columns),
                    environment.ascii,
                )
            }
        };
        Ok(output::written(write(), exit))
    }
}

type Records = Box<dyn Iterator<Item = io::Result<Read>>>;

/// What a journal says of a start.
struct Read {
    record: StartRecord,
    /// Whether its Workflow was waited for, and the apply killed before that came to anything.
    is_unseen: bool,
}

/// Why journals cannot be read to their end.
enum Unread {
    /// The disk fails, or a journal has changed.
    Io(String, io::Error),
    /// They are no parts of one apply.
    NotParts(NotParts),
}

impl Unread {
    /// For what is written while it is read a second time.
    fn into_io(self) -> io::Error {
        match self {
            Unread::Io(_, error) => error,
            Unread::NotParts(error) => io::Error::other(error),
        }
    }
}

/// The starts of several journals, each in order, as one.
#[derive(Default)]
struct Merging(Vec<(String, Peekable<Records>)>);

impl Merging {
    fn add(&mut self, name: String, records: Records) {
        self.0.push((name, records.peekable()));
    }
}

impl Iterator for Merging {
    type Item = Result<Read, Unread>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut first: Option<(u64, usize)> = None;
        for position in 0..self.0.len() {
            let (name, records) = &mut self.0[position];
            match records.peek() {
                None => {}
                Some(Err(_)) => {
                    let name = name.clone();
                    return records
                        .next()?
                        .err()
                        .map(|error| Err(Unread::Io(name, error)));
                }
                Some(Ok(record)) => {
                    let index = record.record.start.index;
                    match first {
                        Some((other, known)) if other == index => {
                            return Some(Err(Unread::NotParts(NotParts::SameStart {
                                first: self.0[known].0.clone(),
                                other: self.0[position].0.clone(),
                                index,
                            })));
                        }
                        Some((other, _)) if other < index => {}
                        _ => first = Some((index, position)),
                    }
                }
            }
        }
        let (_, position) = first?;
        let (name, records) = &mut self.0[position];
        let record = records.next()?;
        Some(record.map_err(|error| Unread::Io(name.clone(), error)))
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
