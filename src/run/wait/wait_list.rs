//! Workflows that are waited for, in the order in which they are asked about.
//!
//! A heap by hand: `tokio_util`'s `DelayQueue` takes 288 bytes for a Workflow instead of 264, and
//! gives those that are due in the same tick last in, first out, so that the first ones starve.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use tokio::time::Instant;

use super::task_queues::TaskQueues;
use super::waiting::Waiting;
use crate::run::service::PollKind;

/// Most long polls at a time. The service's own limit for a namespace is 1200 by default, and
/// Workers need theirs. Source: temporal dynamic config `frontend.namespaceCount`.
pub const MAX_LONG_POLLS: usize = 32;

/// Most quick questions at a time.
pub(super) const MAX_QUESTIONS: usize = 16;

/// The Workflows that are waited for, in the order in which they are asked about.
#[derive(Default)]
pub(super) struct WaitList {
    queue: BinaryHeap<Reverse<WaitEntry>>,
    /// Those that are being asked about.
    asked: BTreeMap<u64, Waiting>,
    long: usize,
    quick: usize,
    sequence: u64,
    pub(super) queues: TaskQueues,
}

impl WaitList {
    /// Takes in one that was not asked about yet.
    pub(super) fn enter(&mut self, waiting: Waiting) {
        self.queues.enter(&waiting.task_queue);
        self.wait(waiting, Duration::ZERO, false);
    }

    /// Takes one in again after an answer. A pause that is `kept` holds for a long poll too.
    pub(super) fn wait(&mut self, waiting: Waiting, after: Duration, kept: bool) {
        self.sequence += 1;
        self.queue.push(Reverse(WaitEntry {
            due: Instant::now() + after,
            sequence: self.sequence,
            kept: kept && !after.is_zero(),
            waiting,
        }));
    }

    /// The next one that may be asked about now, and how.
    pub(super) fn next(&mut self) -> Option<(Waiting, PollKind)> {
        let Reverse(WaitEntry {
            due, kept, waiting, ..
        }) = self.queue.peek()?;
        let is_due = *due <= Instant::now();
        if *kept && !is_due {
            return None;
        }
        // Where something fails, a quick question tells at once that it does no longer.
        let poll = if waiting.trouble.is_none() && self.long < MAX_LONG_POLLS {
            self.long += 1;
            PollKind::Long
        } else if is_due && self.quick < MAX_QUESTIONS {
            self.quick += 1;
            PollKind::Quick
        } else {
            return None;
        };
        let Reverse(WaitEntry { waiting, .. }) = self.queue.pop()?;
        self.asked.insert(waiting.index, waiting.clone());
        Some((waiting, poll))
    }

    /// One that was asked about has its answer.
    pub(super) fn answered(&mut self, waiting: &Waiting, poll: PollKind) {
        match poll {
            PollKind::Long => self.long -= 1,
            PollKind::Quick => self.quick -= 1,
        }
        self.asked.remove(&waiting.index);
    }

    /// When the next one may be asked about, if one may.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let first = self.queue.peek().filter(|_| self.quick < MAX_QUESTIONS);
        first.map(|Reverse(first)| first.due)
    }

    /// Whether none is left that is not being asked about.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Everything that is still waited for.
    pub(super) fn leave(self) -> Vec<Waiting> {
        let queued = self.queue.into_iter().map(|Reverse(queued)| queued.waiting);
        queued.chain(self.asked.into_values()).collect()
    }
}

/// A Workflow that is asked about when it is due.
struct WaitEntry {
    due: Instant,
    sequence: u64,
    /// Whether that holds for a long poll too.
    kept: bool,
    waiting: Waiting,
}

impl PartialEq for WaitEntry {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.sequence) == (other.due, other.sequence)
    }
}

impl Eq for WaitEntry {}

impl PartialOrd for WaitEntry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for WaitEntry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.sequence).cmp(&(other.due, other.sequence))
    }
}
