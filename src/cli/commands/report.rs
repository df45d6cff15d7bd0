//! `report`: the report of a journal, rendered again.

use std::io::{self, BufWriter, Write};

use temporal_manifest::journal::record::StartRecord;
use temporal_manifest::journal::{Journal, JournalError};
use temporal_manifest::report::summary::Summary;
use temporal_manifest::report::text::Table;
use temporal_manifest::report::{json, jsonl};
use temporal_manifest::run::event::{ApplyFinished, Event, WorkflowEnded};

use crate::cli::args::{GlobalArgs, OutputFormat, ReportArgs};
use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::{output, settings};

pub(crate) fn run(args: &ReportArgs, global: &GlobalArgs, environment: &Environment) -> Exit {
    let (mut journal, header) = match Journal::open(&args.journal, false, |_| {}) {
        Ok(opened) => opened,
        Err(error) => return cannot_read(global, &error),
    };
    let hide = |mut record: StartRecord| {
        if let (true, Some(workflow)) = (args.hide_results, &mut record.workflow) {
            workflow.result = None;
        }
        record
    };
    let started = header.apply;
    let mut summary = Summary::default();
    let mut table = Table::new(started.total);
    let finished_at = journal.last_change().unwrap_or(started.at);
    let counted = journal.replay().and_then(|mut records| {
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
            for record in journal.replay()? {
                for event in events(hide(record?)) {
                    jsonl::write(&mut out, &event)?;
                }
            }
            let finished = ApplyFinished {
                at: finished_at,
                stopped: None,
            };
            jsonl::write(&mut out, &Event::ApplyFinished(finished))?;
            out.flush()
        }
        Some(OutputFormat::Json) => {
            let head = json::Head::new(started, summary, finished_at);
            let records = journal.replay()?.map(|record| record.map(hide));
            json::write(BufWriter::new(io::stdout().lock()), &head, records)
        }
        Some(OutputFormat::Text | OutputFormat::Github) | None => {
            let color = settings::color(global.color, environment, environment.stdout_is_terminal);
            let took = finished_at.duration_since(started.at).unsigned_abs();
            let columns = environment.width.filter(|_| environment.stdout_is_terminal);
            let text = table.render(&summary, took, color, columns);
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()
        }
    });
    output::written(written, exit)
}

/// The events that a record was made of.
pub(super) fn events(record: StartRecord) -> impl Iterator<Item = Event> {
    let StartRecord { start, workflow } = record;
    let ended = workflow.map(|workflow| {
        Event::WorkflowEnded(WorkflowEnded {
            index: start.index,
            workflow_id: start.workflow_id.as_str().into(),
            run_id: start.run_id.clone().unwrap_or_default(),
            workflow,
        })
    });
    std::iter::once(Event::StartFinished(start)).chain(ended)
}

/// Tells why a journal cannot be used.
pub(super) fn cannot_read(global: &GlobalArgs, error: &JournalError) -> Exit {
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
        JournalError::Damaged { .. } => (
            Exit::NotWritten,
            Some(
                "repeat the apply with its idempotency key instead: it needs no journal".to_owned(),
            ),
        ),
        JournalError::Io { .. } | JournalError::Temporary { .. } => (Exit::NotWritten, None),
    };
    output::fail(
        global.output,
        exit,
        "journal",
        &error.to_string(),
        help.as_deref(),
    )
}
