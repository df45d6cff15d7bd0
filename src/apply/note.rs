//! What a person is to be told beside the outcome.

use std::fmt;

use crate::manifest::bystander::{Bystander, Other};

/// Most files that are told one by one to be no manifests.
const BYSTANDERS_TOLD: usize = 5;

/// Something that deserves to be known, and stops nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A file of a folder is no manifest, so that it was not applied.
    LeftOut {
        /// The file.
        name: String,
        /// What it is.
        what: String,
    },
    /// So many more files of folders are no manifests.
    MoreLeftOut(u64),
    /// The key that repeats the apply.
    Key(String),
    /// There are no rows.
    NothingToStart,
    /// Each shard has a key of its own.
    ShardsWithoutKey,
    /// Applied again without a key, it begins new Workflows. Whoever watches has seen the key.
    BeginsNewOnes,
    /// A journal was compared with the service by the name of the namespace alone.
    OnlyNameCompared,
    /// What a journal says is finished was not looked for, and why.
    Believed(String),
    /// Workflows that exist count as done where the manifest says otherwise.
    ConflictsCountAsDone,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::LeftOut { name, what } => write!(f, "`{name}` is left out: it is {what}"),
            Note::MoreLeftOut(count) => {
                write!(f, "{count} more files are left out, which are no manifests")
            }
            Note::Key(key) => write!(f, "idempotency key: {key}"),
            Note::NothingToStart => {
                f.write_str("there is nothing to start, because there are no rows")
            }
            Note::ShardsWithoutKey => f.write_str(
                "each shard without --idempotency-key has a key of its own, so `report --merge` cannot join their journals",
            ),
            Note::BeginsNewOnes => f.write_str(
                "applied again, this begins new Workflows; set --idempotency-key, or workflowId and idReusePolicy: RejectDuplicate, to prevent it",
            ),
            Note::OnlyNameCompared => f.write_str(
                "describing the namespace is denied, so that only its name is compared with the journal's",
            ),
            Note::Believed(error) => write!(
                f,
                "what the journal says is finished is believed without a look: {error}"
            ),
            Note::ConflictsCountAsDone => f.write_str(
                "what is `existing` counts as done, also where `idConflictPolicy: Fail` says so; --fail-existing makes it fail",
            ),
        }
    }
}

/// Says what was left out of folders, so that nobody believes it was checked or applied.
pub(super) fn of_bystanders(bystanders: &[Bystander]) -> Vec<Note> {
    let mut told = bystanders.iter().filter_map(|it| match &it.what {
        Other::Foreign(what) => Some(Note::LeftOut {
            name: it.source.name().to_owned(),
            what: what.clone(),
        }),
        Other::Expected(_) => None,
    });
    let mut notes: Vec<_> = told.by_ref().take(BYSTANDERS_TOLD).collect();
    let more = told.count() as u64;
    notes.extend((more > 0).then_some(Note::MoreLeftOut(more)));
    notes
}
