//! What journals hold, as it was told when it happened.

use std::io;

use itertools::Itertools;

use super::files::Identity;
use crate::journal::record::{JournalHeader, Recorded};
use crate::journal::{Journal, JournalContent};
use crate::run::event::{ApplyFinished, ApplyStarted, Stopped};

/// The starts that journals hold, which can be gone through again and again.
#[derive(Debug, Default)]
pub struct Replay {
    parts: Vec<ReplayPart>,
    hides_results: bool,
}

/// A journal, and whether its apply waited for Workflows when it last went on.
#[derive(Debug)]
struct ReplayPart {
    journal: Journal,
    waits: bool,
}

/// A journal as messages call it.
fn name_of(journal: &Journal) -> String {
    let path = journal.path();
    path.map_or_else(String::new, |path| format!("`{}`", path.display()))
}

/// A journal cannot be read to its end.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the journal {journal}: {source}")]
pub struct UnreadJournal {
    /// How it is called.
    pub journal: String,
    /// What the system says, or what has changed.
    pub source: io::Error,
}

impl From<UnreadJournal> for io::Error {
    fn from(unread: UnreadJournal) -> Self {
        unread.source
    }
}

impl Replay {
    /// What the journal of an apply that just ended holds; nothing can be read if there is none.
    pub fn of(journal: Option<Journal>) -> Self {
        let part = journal.map(|journal| ReplayPart {
            journal,
            // It is known what became of each.
            waits: false,
        });
        Replay {
            parts: part.into_iter().collect(),
            hides_results: false,
        }
    }

    /// The journal that was written to, when nothing more is read from it.
    pub(super) fn into_journal(self) -> Option<Journal> {
        self.parts.into_iter().next().map(|part| part.journal)
    }

    /// Leaves results out, if `hides` says so.
    pub(super) fn hide_results(&mut self, hides: bool) {
        self.hides_results = hides;
    }

    /// Every start, in order.
    ///
    /// # Errors
    /// The outcomes were not kept, or the disk fails.
    pub fn starts(
        &mut self,
    ) -> Result<impl Iterator<Item = Result<Recorded, UnreadJournal>> + use<>, UnreadJournal> {
        if self.parts.is_empty() {
            return Err(UnreadJournal {
                journal: String::new(),
                source: io::Error::other("the outcomes could not be kept"),
            });
        }
        let mut parts = Vec::new();
        for part in &mut self.parts {
            let (name, waits) = (name_of(&part.journal), part.waits);
            let unread = move |source| UnreadJournal {
                journal: name.clone(),
                source,
            };
            let records = part.journal.replay().map_err(&unread)?;
            parts.push(records.map(move |record| {
                let mut record = record.map_err(&unread)?;
                if waits {
                    record.end_unseen();
                }
                Ok(record)
            }));
        }
        // What cannot be read comes first.
        let index =
            |it: &Result<Recorded, UnreadJournal>| it.as_ref().ok().map(|it| it.start.index);
        let hides_results = self.hides_results;
        let merged = parts.into_iter().kmerge_by(move |a, b| index(a) < index(b));
        Ok(merged.map_ok(move |mut record| {
            if let (true, Some(end)) = (hides_results, &mut record.end) {
                end.workflow.result = None;
            }
            record
        }))
    }
}

/// What one or several journals hold of an apply.
#[derive(Debug)]
pub struct Recording {
    pub(super) started: ApplyStarted,
    pub(super) finished: ApplyFinished,
    pub(super) replay: Replay,
}

/// Why journals are no parts of one apply.
#[derive(Debug, thiserror::Error)]
pub enum NotParts {
    /// They are not about the same.
    #[error("the journals {first} and {other} differ in {what}")]
    Differ {
        /// One of them.
        first: String,
        /// Another one.
        other: String,
        /// In what.
        what: &'static str,
    },
    /// One is named twice.
    #[error("the journals {first} and {other} are the same file")]
    SameFile {
        /// One name.
        first: String,
        /// The other one.
        other: String,
    },
    /// Both say what became of a start.
    #[error("the journals {first} and {other} both have start {index}")]
    SameStart {
        /// One of them.
        first: String,
        /// Another one.
        other: String,
        /// The start's index.
        index: u64,
    },
    /// There is none.
    #[error("no journal is given")]
    None,
    /// The disk fails.
    #[error(transparent)]
    Unread(#[from] UnreadJournal),
}

impl Recording {
    /// How many starts it is about, as far as that is known.
    pub fn total(&self) -> Option<u64> {
        self.started.total
    }

    /// What one journal holds.
    pub fn of(content: JournalContent) -> Self {
        let JournalContent {
            journal,
            header,
            finished,
        } = content;
        Recording {
            started: header.apply,
            finished,
            replay: Replay {
                parts: vec![ReplayPart {
                    journal,
                    waits: header.settings.wait,
                }],
                hides_results: false,
            },
        }
    }

    /// What the journals of all shards hold, as one.
    ///
    /// # Errors
    /// They are no parts of one apply.
    pub fn merged(journals: Vec<JournalContent>) -> Result<Self, NotParts> {
        no_file_twice(&journals)?;
        let mut journals = journals.into_iter();
        let first = journals.next().ok_or(NotParts::None)?;
        let (name, header) = (name_of(&first.journal), first.header.clone());
        let mut recording = Recording::of(first);
        for other in journals {
            if let Some(what) = difference(&header, &other.header) {
                return Err(NotParts::Differ {
                    first: name,
                    other: name_of(&other.journal),
                    what,
                });
            }
            recording.take(Recording::of(other));
        }
        recording.started.total = Some(header.apply.indices());
        recording.started.selection = None;
        no_start_twice(&mut recording.replay)?;
        Ok(recording)
    }

    fn take(&mut self, other: Recording) {
        let (ours, theirs) = (&mut self.started, &other.started);
        ours.at = ours.at.min(theirs.at);
        let began = &mut ours.invocation.started_at;
        *began = (*began).min(theirs.invocation.started_at);
        let version = &mut ours.service.server_version;
        *version = version.take().or(other.started.service.server_version);
        self.finished.at = self.finished.at.max(other.finished.at);
        let stopped = [self.finished.stopped.take(), other.finished.stopped];
        self.finished.stopped = stopped.into_iter().flatten().min_by_key(rank);
        self.replay.parts.extend(other.replay.parts);
    }
}

fn no_file_twice(journals: &[JournalContent]) -> Result<(), NotParts> {
    let mut known: Vec<(String, Option<Identity>)> = Vec::new();
    for JournalContent { journal, .. } in journals {
        let (name, identity) = (name_of(journal), journal.path().and_then(Identity::of));
        let same = known.iter().find(|(_, other)| *other == identity);
        if let Some((first, _)) = same.filter(|_| identity.is_some()) {
            return Err(NotParts::SameFile {
                first: first.clone(),
                other: name,
            });
        }
        known.push((name, identity));
    }
    Ok(())
}

/// In what two journals differ that parts of one apply have in common.
fn difference(first: &JournalHeader, other: &JournalHeader) -> Option<&'static str> {
    let (ours, theirs) = (&first.apply, &other.apply);
    let ids = first.namespace_id.as_ref().zip(other.namespace_id.as_ref());
    if ours.invocation.idempotency_key != theirs.invocation.idempotency_key {
        Some("the idempotency key")
    } else if ours.service.namespace != theirs.service.namespace {
        Some("the namespace")
    } else if ids.is_some_and(|(ours, theirs)| ours != theirs) {
        Some("the cluster: their namespaces have the same name and other IDs")
    } else if first.digest != other.digest {
        Some("the starts")
    } else {
        None
    }
}

fn no_start_twice(replay: &mut Replay) -> Result<(), NotParts> {
    let mut all = Vec::new();
    for (position, part) in replay.parts.iter_mut().enumerate() {
        let journal = name_of(&part.journal);
        let unread = |source| UnreadJournal { journal, source };
        let starts = part.journal.starts().map_err(unread)?;
        all.push(starts.map(move |index| (index, position)));
    }
    let number = |(index, _): &(io::Result<u64>, usize)| index.as_ref().ok().copied();
    let mut last = None;
    for (index, position) in all.into_iter().kmerge_by(|a, b| number(a) < number(b)) {
        let name = |position: usize| name_of(&replay.parts[position].journal);
        let index = index.map_err(|source| UnreadJournal {
            journal: name(position),
            source,
        })?;
        match last.replace((index, position)) {
            Some((known, first)) if known == index => {
                let (first, other) = (first.min(position), first.max(position));
                return Err(NotParts::SameStart {
                    first: name(first),
                    other: name(other),
                    index,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Of two reasons why shards have ended early, the lower one is that of all.
fn rank(stopped: &Stopped) -> u8 {
    match stopped {
        Stopped::NotWritten { .. } => 0,
        Stopped::Interrupt { .. } => 1,
        Stopped::NoConnection { .. } | Stopped::Refusal { .. } => 2,
        Stopped::Silence { .. } => 3,
        Stopped::Failures { .. } => 4,
        Stopped::Timeout => 5,
        Stopped::Input { .. } => 6,
        Stopped::Unrecorded => 7,
    }
}
