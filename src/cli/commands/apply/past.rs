//! What an earlier invocation has left in a journal, and where this one writes.

use std::io;
use std::path::Path;

use temporal_manifest::client::connect::Connection;
use temporal_manifest::expand::selection::Shard;
use temporal_manifest::journal::record::{Header, Line, Resumed, Settings, StartRecord};
use temporal_manifest::journal::resume::{Indices, Unfinished};
use temporal_manifest::journal::{Journal, JournalError};
use temporal_manifest::report::replay;
use temporal_manifest::run::event::{Event, Selected, StartFinished};

use crate::cli::args::{SelectionArgs, ShardChoice};

/// Most finished starts that the service is asked about before they are believed.
const SAMPLE: u64 = 12;

/// Whether a journal is about the same starts in the same place.
pub(super) fn fits(
    header: &Header,
    digest: &str,
    selected: Option<&Selected>,
    connection: &Connection,
) -> Result<(), String> {
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
            "the starts are not those that the journal is about: a manifest has changed, or a file or variable that it uses".to_owned(),
        );
    }
    Ok(())
}

/// Which starts are meant: what is not given is the journal's.
pub(super) fn selection(given: &SelectionArgs, header: Option<&Header>) -> SelectionArgs {
    let theirs = header.and_then(|header| header.apply.selection.as_ref());
    let shard = || theirs?.shard.as_deref()?.parse::<Shard>().ok();
    let select = || theirs.map(|it| it.select.clone()).unwrap_or_default();
    SelectionArgs {
        select: Some(given.select.clone())
            .filter(|given| !given.is_empty())
            .unwrap_or_else(select),
        shard: given.shard.or_else(|| shard().map(ShardChoice::Given)),
    }
}

/// A setting that does not go with those of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// Some starts' outcomes are decided already, otherwise.
    #[error("the journal's apply was made without --fail-existing")]
    FailExisting,
    /// Nothing is waited for.
    #[error("--wait-timeout without --wait, and the journal's apply was made without it too")]
    WaitTimeout,
}

impl Unfit {
    /// What to do about it; `without_journal` is the command that repeats the apply by its key.
    pub(super) fn help(self, without_journal: &str) -> String {
        match self {
            Unfit::FailExisting => format!(
                "leave it out beside --resume, or apply without the journal: `{without_journal}`"
            ),
            Unfit::WaitTimeout => "add --wait, or leave it out".to_owned(),
        }
    }
}

/// What gives outcomes their meaning: what is not given is the journal's. Limits, waiting and the
/// hiding of results may be added or changed; whether a Workflow that exists is a failure may not,
/// as it is decided for some of the starts already.
pub(super) fn settings(given: Settings, header: Option<&Header>) -> Result<Settings, Unfit> {
    let Some(header) = header else {
        return Ok(given);
    };
    let theirs = &header.settings;
    if given.fail_existing && !theirs.fail_existing {
        return Err(Unfit::FailExisting);
    }
    let wait = given.wait || theirs.wait;
    if given.wait_timeout_ms.is_some() && !wait {
        return Err(Unfit::WaitTimeout);
    }
    Ok(Settings {
        fail_existing: theirs.fail_existing,
        max_failures: given.max_failures.or(theirs.max_failures),
        wait,
        wait_timeout_ms: given.wait_timeout_ms.or(theirs.wait_timeout_ms),
        hide_results: given.hide_results || theirs.hide_results,
    })
}

/// What an earlier invocation has left.
#[derive(Default)]
pub(super) struct Past {
    /// The journal to go on with, and what it is about.
    earlier: Option<(Journal, Header)>,
    /// Finished starts that the service should know: the first, the last, and some between.
    sample: Vec<StartFinished>,
    finished: Indices,
    ended: Indices,
}

pub(super) type Records = Box<dyn Iterator<Item = io::Result<StartRecord>> + Send>;

impl Past {
    /// Reads what is finished, and tells `recall` of it.
    pub(super) fn read(
        unfinished: Option<Unfinished>,
        mut recall: impl FnMut(&Event),
    ) -> Result<Self, JournalError> {
        let Some(Unfinished {
            mut journal,
            header,
            finished,
            ended,
        }) = unfinished
        else {
            return Ok(Past::default());
        };
        let failed = cannot_use(&journal);
        let mut sample = Sample::of(finished.count());
        for record in journal.replay().map_err(&failed)? {
            let mut record = record.map_err(&failed)?;
            if !finished.contains(record.start.index) {
                continue;
            }
            sample.take(&record.start);
            if !ended.contains(record.start.index) {
                record.workflow = None;
            }
            replay::events(record).for_each(|event| recall(&event));
        }
        Ok(Past {
            earlier: Some((journal, header)),
            sample: sample.taken,
            finished,
            ended,
        })
    }

    /// What the journal is about that is gone on with, and finished starts of it.
    pub(super) fn claims(&self) -> Option<(&Header, &[StartFinished])> {
        let (_, header) = self.earlier.as_ref()?;
        Some((header, &self.sample))
    }

    /// The starts that are finished and, with `wait`, those of them whose Workflows are to be waited
    /// for.
    pub(super) fn left_out(
        &mut self,
        wait: bool,
    ) -> Result<(Indices, Option<Records>), JournalError> {
        let (finished, ended) = (self.finished.clone(), std::mem::take(&mut self.ended));
        let Some((journal, _)) = self.earlier.as_mut().filter(|_| wait) else {
            return Ok((finished, None));
        };
        let records = journal.replay().map_err(cannot_use(journal))?;
        let is_open = {
            let finished = finished.clone();
            move |index| finished.contains(index) && !ended.contains(index)
        };
        let records = records.filter(move |record| {
            record
                .as_ref()
                .map_or(true, |record| is_open(record.start.index))
        });
        Ok((finished, Some(Box::new(records))))
    }

    /// Writes what this invocation begins with: into the new journal at `path`, or into the one that
    /// it goes on with.
    pub(super) fn begin(
        self,
        path: Option<&Path>,
        header: Header,
    ) -> Result<Option<Journal>, JournalError> {
        let Some((mut journal, _)) = self.earlier else {
            let journal = path.map(|path| Journal::create(path, header));
            return journal.transpose();
        };
        let line = Line::Resumed(Resumed {
            at: header.apply.at,
            invocation_id: header.apply.invocation.id,
            namespace_id: header.namespace_id,
            settings: header.settings,
        });
        journal
            .write_line(&line)
            .and_then(|()| journal.sync())
            .map_err(cannot_use(&journal))?;
        Ok(Some(journal))
    }
}

fn cannot_use(journal: &Journal) -> impl Fn(io::Error) -> JournalError + use<> {
    let path = journal.path().map(ToOwned::to_owned).unwrap_or_default();
    move |source| JournalError::Io {
        path: path.clone(),
        source,
    }
}

/// Takes the first and the last of so many starts, and others at equal distances between.
struct Sample {
    of: u64,
    seen: u64,
    taken: Vec<StartFinished>,
}

impl Sample {
    fn of(of: u64) -> Self {
        Sample {
            of,
            seen: 0,
            taken: Vec::new(),
        }
    }

    fn take(&mut self, start: &StartFinished) {
        let most = SAMPLE.min(self.of);
        let position = self.taken.len() as u64;
        let due = position * (self.of.saturating_sub(1)) / most.saturating_sub(1).max(1);
        // One without a run ID cannot be asked for: the next one is as good.
        if position < most && self.seen >= due && start.run_id.is_some() {
            self.taken.push(start.clone());
        }
        self.seen += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sampled(of: u64) -> Vec<u64> {
        let mut sample = Sample::of(of);
        for index in 0..of {
            let start = json!({
                "index": index, "at": "1970-01-01T00:00:00Z", "source": {"file": "a.yaml", "line": 3}, "workflowId": "one",
                "type": "T", "taskQueue": "q", "requestId": "r", "outcome": "started",
                "attempts": 1, "latencyMs": 0.25, "runId": "run"
            });
            sample.take(&serde_json::from_value(start).expect("it is a start's outcome"));
        }
        sample.taken.iter().map(|start| start.index).collect()
    }

    #[test]
    fn a_sample_has_the_first_the_last_and_ten_between() {
        assert_eq!(sampled(0), [0; 0]);
        assert_eq!(sampled(1), [0]);
        assert_eq!(sampled(2), [0, 1]);
        assert_eq!(sampled(12), (0..12).collect::<Vec<_>>());
        let many = sampled(1_000);
        assert_eq!((many.len(), many[0], many[11]), (12, 0, 999));
        assert!(
            many.windows(2)
                .all(|pair| (80..100).contains(&(pair[1] - pair[0])))
        );
    }
}
