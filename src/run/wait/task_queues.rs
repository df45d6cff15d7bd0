//! Task TaskQueues that Workflows wait in: one that nobody polls is told once.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// How long Workflows of a Task Queue are waited for before anybody asks who polls it.
const ASKED_AFTER: Duration = Duration::from_secs(5);

/// Most Task TaskQueues that are asked about.
const MAX_QUEUES: usize = 100;

/// The Task TaskQueues of Workflows that are waited for.
#[derive(Debug, Default)]
pub(super) struct TaskQueues {
    /// Workflows that have not ended, by Task Queue.
    open: HashMap<Arc<str>, u64>,
    /// Those that were not asked about, with when they are.
    to_ask: VecDeque<(Instant, Arc<str>)>,
}

impl TaskQueues {
    /// A Workflow is waited for from now on.
    pub(super) fn enter(&mut self, queue: &Arc<str>) {
        if let Some(open) = self.open.get_mut(queue) {
            *open += 1;
        } else if self.open.len() < MAX_QUEUES {
            self.open.insert(Arc::clone(queue), 1);
            let due = Instant::now() + ASKED_AFTER;
            self.to_ask.push_back((due, Arc::clone(queue)));
        }
    }

    /// A Workflow is not waited for any longer.
    pub(super) fn leave(&mut self, queue: &Arc<str>) {
        if let Some(open) = self.open.get_mut(queue) {
            *open = open.saturating_sub(1);
        }
    }

    /// When somebody is to ask.
    pub(super) fn due(&self) -> Option<Instant> {
        self.to_ask.front().map(|(due, _)| *due)
    }

    /// The Task Queue that is due, if Workflows still wait in it.
    pub(super) fn take_due(&mut self) -> Option<Arc<str>> {
        let (_, queue) = self.to_ask.pop_front()?;
        (self.waiting(&queue) > 0).then_some(queue)
    }

    /// How many Workflows wait in a Task Queue.
    pub(super) fn waiting(&self, queue: &Arc<str>) -> u64 {
        self.open.get(queue).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_queue_is_asked_about_once_while_somebody_waits() {
        let mut queues = TaskQueues::default();
        let (left, waited): (Arc<str>, Arc<str>) = ("left".into(), "waited".into());
        for queue in [&left, &waited, &waited] {
            queues.enter(queue);
        }
        queues.leave(&left);
        assert_eq!(queues.due(), Some(Instant::now() + ASKED_AFTER));
        assert_eq!(queues.take_due(), None);
        assert_eq!(queues.take_due(), Some(Arc::clone(&waited)));
        assert_eq!(queues.waiting(&waited), 2);
        queues.enter(&waited);
        assert_eq!(queues.due(), None);
    }
}
