//! After a start, if asked: the Workflow's own end.
//!
//! A run that went on as a new one, by continue-as-new, a retry or a reset, is followed to the run
//! that ends; a cron schedule is followed no further than its first run. Long polls are bounded in
//! number. Workflows beyond that bound are asked now and then, the less often the longer they
//! take, so that the last one to end is noticed in good time however many there are. What nobody
//! can be asked about is given up in the end, and then it is unknown.

mod chain;
mod next_step;
mod task_queues;
mod wait_list;
mod waiting;
mod weight;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::deadline::sleep_until;
use super::event::{Event, QueueUnserved, WorkflowEnd};
use super::limits::WaitLimits;
use super::service::{GrpcCode, Lookups, PollKind, RunClose, ServiceError};
use super::silence::Silence;
use next_step::{NextStep, next_step, open, unknown};
use task_queues::TaskQueues;
pub use wait_list::MAX_LONG_POLLS;
use wait_list::{MAX_QUESTIONS, WaitList};
pub use waiting::Waiting;

/// Longest time for asking once more about everything when the waiting is over.
const LAST_QUESTIONS_FOR: Duration = Duration::from_secs(10);

/// Waits for Workflows.
pub(super) struct Waiter<'a, S> {
    pub(super) service: &'a S,
    pub(super) silence: &'a Silence,
    pub(super) limits: WaitLimits,
    /// How long the service may fail to tell about a Workflow before it is given up.
    pub(super) retry_for: Duration,
    pub(super) stop: &'a CancellationToken,
    pub(super) events: &'a mpsc::Sender<Event>,
}

/// An answer about a Workflow.
struct CloseAnswer {
    waiting: Waiting,
    poll: PollKind,
    took: Duration,
    close: Result<Option<RunClose>, ServiceError>,
}

impl<S: Lookups> Waiter<'_, S> {
    /// Waits for everything that comes out of `waits`. Each one comes to exactly one
    /// [`Event::WorkflowEnded`] or [`Event::WorkflowOpen`]. A stop, the timeout and a service that
    /// is silent for too long end the waiting.
    pub(super) async fn run(&self, mut waits: mpsc::Receiver<Waiting>) {
        let mut list = WaitList::default();
        let mut polls = FuturesUnordered::new();
        let mut looks = FuturesUnordered::new();
        let mut closed = false;
        let mut give_up = None;
        loop {
            while let Some((waiting, poll)) = list.next() {
                polls.push(self.ask(waiting, poll));
            }
            if closed && polls.is_empty() && list.is_empty() {
                return;
            }
            if closed && give_up.is_none() {
                give_up = self.limits.timeout.map(|timeout| Instant::now() + timeout);
            }
            tokio::select! {
                biased;
                Some(answered) = polls.next(), if !polls.is_empty() => {
                    let (waiting, next) = self.take_in(&mut list, answered);
                    match next {
                        NextStep::Over(end) => self.tell(waiting, end).await,
                        NextStep::AskAgain { after, kept } => list.wait(waiting, after, kept),
                    }
                }
                next = waits.recv(), if !closed => match next {
                    Some(waiting) => list.enter(waiting),
                    None => closed = true,
                },
                Some(unserved) = looks.next(), if !looks.is_empty() => {
                    self.tell_unserved(&list.queues, unserved).await;
                }
                () = sleep_until(list.queues.due()) => {
                    looks.extend(list.queues.take_due().map(|queue| self.look(queue)));
                }
                () = sleep_until(list.next_due()) => {}
                () = sleep_until(give_up) => break,
                () = self.stop.cancelled() => break,
                // While starts are made, it is for them to decide.
                () = self.silence.gave_up().cancelled(), if closed => break,
            }
        }
        drop(polls);
        let mut left = list.leave();
        // Starts are over or stopped too; what they still hand over is not waited for either.
        while let Some(waiting) = waits.recv().await {
            left.push(waiting);
        }
        self.ask_once_more(left).await;
    }

    async fn ask(&self, waiting: Waiting, poll: PollKind) -> CloseAnswer {
        let began = Instant::now();
        let run_id = waiting.chain.run_id();
        let answer = self.service.close(&waiting.workflow_id, run_id, poll);
        let close = answer.await;
        CloseAnswer {
            waiting,
            poll,
            took: began.elapsed(),
            close,
        }
    }

    fn take_in(&self, list: &mut WaitList, answered: CloseAnswer) -> (Waiting, NextStep) {
        let CloseAnswer {
            mut waiting,
            poll,
            took,
            close,
        } = answered;
        list.answered(&waiting, poll);
        let next = next_step(&mut waiting, close, poll, took, self.retry_for);
        if matches!(next, NextStep::Over(_)) {
            list.queues.leave(&waiting.task_queue);
        }
        (waiting, next)
    }

    /// A Task Queue if nobody polls it, as far as the service tells.
    async fn look(&self, task_queue: Arc<str>) -> Option<Arc<str>> {
        let answer = self.service.has_pollers(&task_queue).await;
        // Whoever may start Workflows need not be allowed to ask this.
        answer.is_ok_and(|polled| !polled).then_some(task_queue)
    }

    async fn tell_unserved(&self, queues: &TaskQueues, task_queue: Option<Arc<str>>) {
        if let Some(task_queue) = task_queue
            && queues.waiting(&task_queue) > 0
        {
            let workflows = queues.waiting(&task_queue);
            self.send(Event::QueueUnserved(QueueUnserved {
                at: Timestamp::now(),
                task_queue: task_queue.to_string(),
                workflows,
            }))
            .await;
        }
    }

    /// Asks about every Workflow a last time, unless the user is impatient or nobody answers.
    async fn ask_once_more(&self, left: Vec<Waiting>) {
        let deadline = Instant::now() + LAST_QUESTIONS_FOR;
        let silent = self.silence.gave_up().is_cancelled();
        let questions = futures::stream::iter(left).map(|waiting| async move {
            if silent {
                let end = self.untold();
                return (waiting, end);
            }
            let asked = waiting.clone();
            tokio::select! {
                biased;
                () = self.stop.cancelled() => self.unasked(waiting),
                () = tokio::time::sleep_until(deadline) => {
                    let end = self.untold();
                    (waiting, end)
                }
                answered = self.ask(asked, PollKind::Quick) => self.last_answer(answered),
            }
        });
        let mut answers = std::pin::pin!(questions.buffer_unordered(MAX_QUESTIONS));
        while let Some((waiting, end)) = answers.next().await {
            self.tell(waiting, end).await;
        }
    }

    /// What is known of a Workflow that nobody has asked about again.
    fn unasked(&self, waiting: Waiting) -> (Waiting, WorkflowEnd) {
        let end = if self.silence.is_told() {
            self.untold()
        } else {
            open(&waiting)
        };
        (waiting, end)
    }

    fn last_answer(&self, answered: CloseAnswer) -> (Waiting, WorkflowEnd) {
        let CloseAnswer {
            mut waiting,
            poll,
            took,
            close,
        } = answered;
        // What fails now is not asked about again.
        match next_step(&mut waiting, close, poll, took, Duration::ZERO) {
            NextStep::Over(end) => (waiting, end),
            NextStep::AskAgain { .. } => {
                let end = open(&waiting);
                (waiting, end)
            }
        }
    }

    /// Nobody answers.
    fn untold(&self) -> WorkflowEnd {
        match self.silence.error() {
            Some(error) => unknown(error.message, Some(error.code.as_str().to_owned())),
            None => {
                let words = "the service did not answer in time";
                unknown(
                    words.to_owned(),
                    Some(GrpcCode::DeadlineExceeded.as_str().to_owned()),
                )
            }
        }
    }

    async fn tell(&self, waiting: Waiting, mut workflow: WorkflowEnd) {
        workflow.at = Some(Timestamp::now());
        let Waiting {
            index,
            workflow_id,
            chain,
            ..
        } = waiting;
        let run_id = chain.into_run_id();
        let is_large = weight::is_large(&workflow);
        let event = Event::of_workflow(index, workflow_id, run_id, workflow);
        if is_large {
            self.send_alone(event).await;
        } else {
            self.send(event).await;
        }
    }

    /// Sends an event and waits until the listeners take it: results of megabytes would wait for
    /// them by the hundred.
    async fn send_alone(&self, event: Event) {
        self.send(event).await;
        // As many can be reserved when none is left. A listener that is gone takes nothing.
        let _ = self.events.reserve_many(self.events.max_capacity()).await;
    }

    async fn send(&self, event: Event) {
        // A listener that is gone has stopped the apply by itself.
        let _ = self.events.send(event).await;
    }
}
