//! After a start, if asked: the Workflow's own end.
//!
//! A run that went on as a new one, by continue-as-new, a retry or a reset, is followed to the run
//! that ends; a cron schedule is followed no further than its first run. Long polls are bounded in
//! number. Workflows beyond that bound are asked now and then, the less often the longer they
//! take, so that the last one to end is noticed in good time however many there are. What nobody
//! can be asked about is given up in the end, and then it is unknown.

mod chain;
mod judge;
mod line;
mod queues;
mod weight;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::event::{Event, QueueUnserved, StartFinished, WorkflowEnd};
use super::service::{GrpcCode, Lookups, PollKind, RunClose, ServiceError};
use super::silence::Silence;
use super::sleep_until;
use chain::Chain;
use judge::{Trouble, Verdict, judge, open, unknown};
use line::Line;
use queues::Queues;

/// Most long polls at a time. The service's own limit for a namespace is 1200 by default, and
/// Workers need theirs. Source: temporal dynamic config `frontend.namespaceCount`.
pub const MAX_LONG_POLLS: usize = 32;

/// Most quick questions at a time.
const MAX_QUESTIONS: usize = 16;

/// Shortest and longest time between two quick questions about the same Workflow.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Longest time for asking once more about everything when the waiting is over.
const LAST_QUESTIONS_FOR: Duration = Duration::from_secs(10);

/// A Workflow whose end is waited for.
#[derive(Clone, Debug)]
pub struct Waiting {
    index: u64,
    workflow_id: Arc<str>,
    task_queue: Arc<str>,
    chain: Chain,
    since: Instant,
    /// Seldom there, and so not carried along.
    trouble: Option<Box<Trouble>>,
}

impl Waiting {
    /// What to wait for after a start; `None` if there is no run.
    pub(super) fn for_start(finished: &StartFinished) -> Option<Self> {
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

/// How long Workflows are waited for.
#[derive(Clone, Copy, Debug)]
pub struct WaitLimits {
    /// Longest time from the end of the starts; `None` is no limit.
    pub timeout: Option<Duration>,
}

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
struct Answered {
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
        let mut line = Line::default();
        let mut polls = FuturesUnordered::new();
        let mut looks = FuturesUnordered::new();
        let mut closed = false;
        let mut give_up = None;
        loop {
            while let Some((waiting, poll)) = line.next() {
                polls.push(self.ask(waiting, poll));
            }
            if closed && polls.is_empty() && line.is_empty() {
                return;
            }
            if closed && give_up.is_none() {
                give_up = self.limits.timeout.map(|timeout| Instant::now() + timeout);
            }
            tokio::select! {
                biased;
                Some(answered) = polls.next(), if !polls.is_empty() => {
                    let (waiting, verdict) = self.judge(&mut line, answered);
                    match verdict {
                        Verdict::Over(end) => self.tell(waiting, end).await,
                        Verdict::AskAgain { after, kept } => line.wait(waiting, after, kept),
                    }
                }
                next = waits.recv(), if !closed => match next {
                    Some(waiting) => line.enter(waiting),
                    None => closed = true,
                },
                Some(unserved) = looks.next(), if !looks.is_empty() => {
                    self.tell_unserved(&line.queues, unserved).await;
                }
                () = sleep_until(line.queues.due()) => {
                    looks.extend(line.queues.take_due().map(|queue| self.look(queue)));
                }
                () = sleep_until(line.next_due()) => {}
                () = sleep_until(give_up) => break,
                () = self.stop.cancelled() => break,
                // While starts are made, it is for them to decide.
                () = self.silence.gave_up().cancelled(), if closed => break,
            }
        }
        drop(polls);
        let mut left = line.leave();
        // Starts are over or stopped too; what they still hand over is not waited for either.
        while let Some(waiting) = waits.recv().await {
            left.push(waiting);
        }
        self.ask_once_more(left).await;
    }

    async fn ask(&self, waiting: Waiting, poll: PollKind) -> Answered {
        let began = Instant::now();
        let run_id = waiting.chain.run_id();
        let answer = self.service.close(&waiting.workflow_id, run_id, poll);
        let close = answer.await;
        Answered {
            waiting,
            poll,
            took: began.elapsed(),
            close,
        }
    }

    fn judge(&self, line: &mut Line, answered: Answered) -> (Waiting, Verdict) {
        let Answered {
            mut waiting,
            poll,
            took,
            close,
        } = answered;
        line.answered(&waiting, poll);
        let verdict = judge(&mut waiting, close, poll, took, self.retry_for);
        if matches!(verdict, Verdict::Over(_)) {
            line.queues.leave(&waiting.task_queue);
        }
        (waiting, verdict)
    }

    /// A Task Queue if nobody polls it, as far as the service tells.
    async fn look(&self, task_queue: Arc<str>) -> Option<Arc<str>> {
        let answer = self.service.has_pollers(&task_queue).await;
        // Whoever may start Workflows need not be allowed to ask this.
        answer.is_ok_and(|polled| !polled).then_some(task_queue)
    }

    async fn tell_unserved(&self, queues: &Queues, task_queue: Option<Arc<str>>) {
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

    fn last_answer(&self, answered: Answered) -> (Waiting, WorkflowEnd) {
        let Answered {
            mut waiting,
            poll,
            took,
            close,
        } = answered;
        // What fails now is not asked about again.
        match judge(&mut waiting, close, poll, took, Duration::ZERO) {
            Verdict::Over(end) => (waiting, end),
            Verdict::AskAgain { .. } => {
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
