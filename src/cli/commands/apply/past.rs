//! What an earlier invocation has left in a journal, and where this one writes.

use temporal_manifest::client::connect::Connection;
use temporal_manifest::journal::record::{Header, Line, Resumed, StartRecord};
use temporal_manifest::journal::resume::{Indices, Unfinished};
use temporal_manifest::journal::{Journal, JournalError};
use temporal_manifest::report::summary::Summary;
use temporal_manifest::run::event::Selected;

use crate::cli::args::ApplyArgs;
use crate::cli::commands::report;

/// Whether a journal is about the same starts in the same place.
pub(super) fn fits(
    unfinished: &Unfinished,
    digest: &str,
    selected: Option<&Selected>,
    connection: &Connection,
) -> Result<(), String> {
    let header = &unfinished.header;
    let namespace = &header.apply.service.namespace;
    if *namespace != connection.namespace {
        return Err(format!(
            "the journal is about the namespace `{namespace}`, and this apply is about `{}`",
            connection.namespace
        ));
    }
    let theirs = header.apply.selection.as_ref();
    let of = |part: Option<&Selected>| part.map(|it| (it.select.clone(), it.shard.clone()));
    if of(theirs) != of(selected) {
        return Err(
            "the journal is about another part of the starts (--select, --shard)".to_owned(),
        );
    }
    if header.digest != digest {
        return Err(
            "the starts are not those that the journal is about: a manifest has changed".to_owned(),
        );
    }
    Ok(())
}

/// What an earlier invocation has left, and where this one writes.
pub(super) struct Past {
    pub(super) journal: Option<Journal>,
    pub(super) earlier: Summary,
    pub(super) finished: Indices,
    pub(super) to_wait_for: Option<Records>,
}

pub(super) type Records = Box<dyn Iterator<Item = std::io::Result<StartRecord>> + Send>;

impl Past {
    pub(super) fn open(
        args: &ApplyArgs,
        unfinished: Option<Unfinished>,
        header: Header,
        invocation_id: &str,
    ) -> Result<Self, JournalError> {
        let mut past = Past {
            journal: None,
            earlier: Summary::default(),
            finished: Indices::default(),
            to_wait_for: None,
        };
        let Some(Unfinished {
            mut journal,
            finished,
            ended,
            ..
        }) = unfinished
        else {
            past.journal = args
                .journal
                .as_ref()
                .map(|path| Journal::create(path, header))
                .transpose()?;
            return Ok(past);
        };
        let path = journal.path().map(ToOwned::to_owned).unwrap_or_default();
        let failed = |source| JournalError::Io {
            path: path.clone(),
            source,
        };
        for record in journal.replay().map_err(failed)? {
            let mut record = record.map_err(failed)?;
            if finished.contains(record.start.index) {
                if !ended.contains(record.start.index) {
                    record.workflow = None;
                }
                report::events(record).for_each(|event| past.earlier.count(&event));
            }
        }
        let line = Line::Resumed(Resumed {
            at: header.apply.at,
            invocation_id: invocation_id.to_owned(),
            namespace_id: header.namespace_id,
            settings: header.settings,
        });
        journal
            .write_line(&line)
            .and_then(|()| journal.sync())
            .map_err(failed)?;
        if args.wait {
            let is_open = {
                let finished = finished.clone();
                move |index| finished.contains(index) && !ended.contains(index)
            };
            let records = journal.replay().map_err(failed)?;
            past.to_wait_for = Some(Box::new(records.filter(move |record| {
                record
                    .as_ref()
                    .map_or(true, |record| is_open(record.start.index))
            })));
        }
        past.journal = Some(journal);
        past.finished = finished;
        Ok(past)
    }
}
