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
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::LeftOut { name, what } => write!(f, "`{name}` is left out: it is {what}"),
            Note::MoreLeftOut(count) => {
                write!(f, "{count} more files are left out, which are no manifests")
            }
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
