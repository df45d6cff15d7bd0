//! A journal, new or gone on with: what an earlier invocation has left, and where this one writes.

use std::io;

use super::doubts;
use super::note::Note;
use super::refusal::Refusal;
use super::settings::KeepIn;
use crate::expand::identity::IdempotencyKey;
use crate::expand::selection::{Selection, Shard};
use crate::journal::record::{JournalHeader, OutcomeSettings, Recorded};
use crate::journal::resume::{Indices, Unfinished, resume};
use crate::journal::{Journal, JournalError};
use crate::run::event::{Event, Selected, StartFinished};
use crate::run::service::Lookups;

/// Most finished starts that the service is asked about before they are believed.
const SAMPLE: u64 = 12;

/// Where an apply keeps its outcomes, and what is there already.
#[derive(Debug)]
pub(super) struct Ledger {
    keep_in: KeepIn,
    unfinished: Option<Unfinished>,
    /// Finished starts that the service should know: the first, the last, and some between. Known
    /// after [`Ledger::recall`].
    sample: Vec<StartFinished>,
}

/// Records of starts, in order.
pub(super) type Records = Box<dyn Iterator<Item = io::Result<Recorded>> + Send>;

impl Ledger {
    /// Reads the journal to go on with, or finds out what would keep a new one from being made.
    pub(super) fn open(keep_in: &KeepIn) -> Result<Self, JournalError> {
        let unfinished = match keep_in {
            KeepIn::Nothing => None,
            KeepIn::New(path) => {
                Journal::check(path)?;
                None
            }
            KeepIn::Resumed(path) => Some(resume(path)?),
        };
        Ok(Ledger {
            keep_in: keep_in.clone(),
            unfinished,
            sample: Vec::new(),
        })
    }

    /// Whether there is a journal, or will be one.
    pub(super) fn keeps(&self) -> bool {
        self.keep_in != KeepIn::Nothing
    }

    /// What the journal is about that is gone on with.
    fn header(&self) -> Option<&JournalHeader> {
        self.unfinished.as_ref().map(|it| &it.header)
    }

    /// The key of the apply: the journal's, the given one, or a new one.
    pub(super) fn key(&self, given: Option<&IdempotencyKey>) -> Result<IdempotencyKey, Refusal> {
        let Some(header) = self.header() else {
            return Ok(given.cloned().unwrap_or_else(IdempotencyKey::random));
        };
        let own = &header.apply.invocation.idempotency_key;
        if given.is_some_and(|given| given.as_str() != own) {
            let message = format!("the journal has another idempotency key, `{own}`");
            let help = "leave --idempotency-key out beside --resume";
            return Err(Refusal::usage(message).with_help(help));
        }
        Ok(IdempotencyKey::given(own))
    }

    /// Which starts are meant: what is not given is the journal's.
    pub(super) fn selection(&self, given: &Selection) -> Result<Selection, Refusal> {
        let theirs = self
            .header()
            .and_then(|header| header.apply.selection.as_ref());
        let Some(theirs) = theirs else {
            return Ok(given.clone());
        };
        let shard = || theirs.shard.as_deref()?.parse::<Shard>().ok();
        let patterns = match given.patterns() {
            [] => &theirs.select,
            given => given,
        };
        Selection::new(patterns, given.shard().or_else(shard))
            .map_err(|error| Refusal::usage(format!("--select: {error}")))
    }

    /// Refuses starts that are not the journal's, or not in the same place. `without_journal` is the
    /// command that repeats the apply by its key.
    pub(super) fn fits(
        &self,
        digest: &str,
        selected: Option<&Selected>,
        namespace: &str,
        without_journal: &str,
    ) -> Result<(), Refusal> {
        let Some(header) = self.header() else {
            return Ok(());
        };
        let theirs = &header.apply.service.namespace;
        let of = |part: Option<&Selected>| part.map(|it| (it.select.clone(), it.shard.clone()));
        let message = if theirs != namespace {
            format!(
                "the journal is about the namespace `{theirs}`, and this apply is about `{namespace}`"
            )
        } else if of(header.apply.selection.as_ref()) != of(selected) {
            "the journal is about another part of the starts (--select, --shard)".to_owned()
        } else if header.digest != digest {
            "the starts are not those that the journal is about: a manifest has changed, or a file or variable that it uses".to_owned()
        } else {
            return Ok(());
        };
        let help =
            format!("to start what is new and leave out what was started: `{without_journal}`");
        Err(Refusal::usage(message).with_help(help))
    }

    /// What gives outcomes their meaning: what is not given is the journal's. Limits, waiting and the
    /// hiding of results may be added or changed; whether a Workflow that exists is a failure may
    /// not, as it is decided for some of the starts already.
    pub(super) fn meaning(
        &self,
        given: OutcomeSettings,
        without_journal: &str,
    ) -> Result<OutcomeSettings, Refusal> {
        let Some(header) = self.header() else {
            return Ok(given);
        };
        let theirs = &header.settings;
        if given.fail_existing && !theirs.fail_existing {
            let message = "the journal's apply was made without --fail-existing";
            return Err(Refusal::usage(message).with_help(format!(
                "leave it out beside --resume, or apply without the journal: `{without_journal}`"
            )));
        }
        let wait = given.wait || theirs.wait;
        if given.wait_timeout_ms.is_some() && !wait {
            let message =
                "--wait-timeout without --wait, and the journal's apply was made without it too";
            return Err(Refusal::usage(message).with_help("add --wait, or leave it out"));
        }
        Ok(OutcomeSettings {
            fail_existing: theirs.fail_existing,
            max_failures: given.max_failures.or(theirs.max_failures),
            wait,
            wait_timeout_ms: given.wait_timeout_ms.or(theirs.wait_timeout_ms),
            hide_results: given.hide_results || theirs.hide_results,
        })
    }

    /// Goes through what is finished, and tells `recall` of it.
    pub(super) fn recall(&mut self, mut recall: impl FnMut(&Event)) -> Result<(), JournalError> {
        let Some(Unfinished {
            journal,
            finished,
            ended,
            ..
        }) = &mut self.unfinished
        else {
            return Ok(());
        };
        let failed = cannot_use(journal);
        let mut sample = Sample::of(finished.count());
        for record in journal.replay().map_err(&failed)? {
            let mut record = record.map_err(&failed)?;
            if !finished.contains(record.start.index) {
                continue;
            }
            sample.take(&record.start);
            if !ended.contains(record.start.index) {
                record.end = None;
            }
            record.into_events().for_each(|event| recall(&event));
        }
        self.sample = sample.taken;
        Ok(())
    }

    /// The starts that are finished and, with `wait`, those of them whose Workflows are to be waited
    /// for.
    pub(super) fn left_out(
        &mut self,
        wait: bool,
    ) -> Result<(Indices, Option<Records>), JournalError> {
        let Some(unfinished) = &mut self.unfinished else {
            return Ok((Indices::default(), None));
        };
        let finished = unfinished.finished.clone();
        if !wait {
            return Ok((finished, None));
        }
        let journal = &mut unfinished.journal;
        let records = journal.replay().map_err(cannot_use(journal))?;
        let is_open = {
            let (finished, ended) = (finished.clone(), unfinished.ended.clone());
            move |index| finished.contains(index) && !ended.contains(index)
        };
        let records = records.filter(move |record| {
            record
                .as_ref()
                .map_or(true, |record| is_open(record.start.index))
        });
        Ok((finished, Some(Box::new(records))))
    }

    /// Holds what the journal says against the service.
    pub(super) async fn look(
        &self,
        service: &impl Lookups,
        namespace_id: Option<&str>,
        without_journal: &str,
    ) -> Result<Vec<Note>, Refusal> {
        let Some(header) = self.header() else {
            return Ok(Vec::new());
        };
        doubts::check(service, namespace_id, header, &self.sample)
            .await
            .map_err(|doubt| doubt.refuse(without_journal))
    }

    /// Writes what this invocation begins with: into a new journal, or into the one that it goes on
    /// with.
    pub(super) fn begin(self, header: JournalHeader) -> Result<Option<Journal>, JournalError> {
        let Some(Unfinished { mut journal, .. }) = self.unfinished else {
            return match self.keep_in {
                KeepIn::New(path) => Journal::create(&path, &header).map(Some),
                KeepIn::Nothing | KeepIn::Resumed(_) => Ok(None),
            };
        };
        journal.go_on(header)?;
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
