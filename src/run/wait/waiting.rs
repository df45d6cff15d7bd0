//! A Workflow that is waited for.

use std::sync::Arc;

use tokio::time::Instant;

use super::chain::Chain;
use crate::run::event::StartFinished;
use crate::run::service::ServiceError;

/// A Workflow whose end is waited for.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub(super) index: u64,
    pub(super) workflow_id: Arc<str>,
    pub(super) task_queue: Arc<str>,
    pub(super) chain: Chain,
    pub(super) since: Instant,
    /// Seldom there, and so not carried along.
    pub(super) trouble: Option<Box<Trouble>>,
}

impl Waiting {
    /// What to wait for after a start; `None` if there is no run.
    pub fn for_start(finished: &StartFinished) -> Option<Self> {
        let run_id = finished.run_to_wait_for()?.to_owned();
        // A cron schedule's first run is the chain's first one, whichever is current.
        let first = finished.first_run_id.clone().filter(|_| finished.cron);
        Some(Waiting {
            index: finished.index,
            workflow_id: finished.workflow_id.as_str().into(),
            task_queue: finished.task_queue.as_str().into(),
            chain: Chain::at(first.unwrap_or(run_id)),
            since: Instant::now(),
            trouble: None,
        })
    }
}

/// What keeps the service from telling about a Workflow.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) since: Instant,
    pub(super) error: ServiceError,
}
