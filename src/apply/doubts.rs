//! Whether what a journal says is finished is so here: another cluster, or one that has lost its
//! state, knows nothing of it.

use std::time::Duration;

use futures::future::join_all;

use super::known::knows;
use super::note::Note;
use super::refusal::{Code, Kind, Refusal};
use crate::journal::record::JournalHeader;
use crate::run::event::StartFinished;
use crate::run::service::{Lookups, ServiceError};

/// Pauses before the service is asked again.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// Why a journal is not believed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Doubt {
    /// The namespace has the same name and another ID.
    #[error(
        "the journal is about the namespace `{namespace}` of another cluster: its ID is {theirs} there, and {ours} here"
    )]
    OtherCluster {
        namespace: String,
        theirs: String,
        ours: String,
    },
    /// None of the starts that were looked for is known.
    #[error(
        "the service knows none of {asked} finished starts of the journal, such as Workflow `{workflow_id}`, run {run_id}: it has lost its state, or the namespace's retention has passed"
    )]
    Forgotten {
        asked: usize,
        workflow_id: String,
        run_id: String,
    },
    /// The service does not answer.
    #[error("the service does not say whether it knows what the journal says is finished: {0}")]
    Unanswered(ServiceError),
}

impl Doubt {
    /// What is refused for it; `without_journal` is the command that repeats the apply by its key.
    pub(super) fn refuse(&self, without_journal: &str) -> Refusal {
        let (kind, help) = match self {
            Doubt::OtherCluster { .. } => (
                Kind::Usage,
                format!("to start here what is not here: `{without_journal}`"),
            ),
            Doubt::Forgotten { .. } => (
                Kind::Usage,
                format!(
                    "to start everything that the service does not know: `{without_journal}`; after retention that begins finished Workflows again"
                ),
            ),
            Doubt::Unanswered(_) => (
                Kind::NoConnection,
                "nothing was sent; run the same command again".to_owned(),
            ),
        };
        Refusal::new(Code::Journal, kind, self.to_string()).with_help(help)
    }
}

/// Holds a journal against the service, by the namespace's ID and by a sample of finished starts.
///
/// # Errors
/// Why the journal is not believed.
pub(super) async fn check(
    service: &impl Lookups,
    namespace_id: Option<&str>,
    header: &JournalHeader,
    sample: &[StartFinished],
) -> Result<Vec<Note>, Doubt> {
    let mut notes = Vec::new();
    match (&header.namespace_id, namespace_id) {
        (Some(theirs), Some(ours)) if theirs != ours => {
            return Err(Doubt::OtherCluster {
                namespace: header.apply.service.namespace.clone(),
                theirs: theirs.clone(),
                ours: ours.to_owned(),
            });
        }
        (_, None) => notes.push(Note::OnlyNameCompared),
        _ => {}
    }
    let Some(first) = sample.first() else {
        return Ok(notes);
    };
    match any_known(service, sample).await {
        Ok(true) => {}
        Ok(false) => {
            return Err(Doubt::Forgotten {
                asked: sample.len(),
                workflow_id: first.workflow_id.clone(),
                run_id: first.run_id.clone().unwrap_or_default(),
            });
        }
        Err(error) if error.is_retryable() => return Err(Doubt::Unanswered(error)),
        Err(error) => notes.push(Note::Believed(error.to_string())),
    }
    Ok(notes)
}

/// Whether the service knows at least one of these starts. All are asked for at a time, and again
/// while nothing is known and the service may still answer.
async fn any_known(service: &impl Lookups, sample: &[StartFinished]) -> Result<bool, ServiceError> {
    let mut pauses = PAUSES.into_iter();
    loop {
        let answers = join_all(sample.iter().map(|start| {
            let run_id = start.run_id.as_deref().unwrap_or_default();
            knows(service, &start.workflow_id, run_id)
        }));
        let mut refused = None;
        for answer in answers.await {
            match answer {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => refused = Some(error),
            }
        }
        match (refused, pauses.next()) {
            (None, _) => return Ok(false),
            (Some(error), Some(pause)) if error.is_retryable() => {
                tokio::time::sleep(pause).await;
            }
            (Some(error), _) => return Err(error),
        }
    }
}
