//! After a start, if asked: the Workflow's own end.
//!
//! A run that went on as a new one, by continue-as-new or a retry, is followed to the run that
//! ends; a cron schedule is followed no further than its first run. Long polls are bounded in
//! number. Workflows beyond that bound are asked now and then, the less often the longer they
//! take, so that the last one to end is noticed in good time however many there are.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::event::{Event, Outcome, StartFinished, WorkflowEnd, WorkflowStatus};
use super::sleep_until;
use super::starter::{Class, Close, Closed, Failure, Patience, StartError, Starter};

/// Most long polls at a time. The service's own limit for a namespace is 1200 by default, and
/// Workers need theirs. Source: temporal dynamic config `frontend.namespaceCount`.
pub const MAX_LONG_POLLS: usize = 32;

/// Most quick questions at a time.
const MAX_QUESTIONS: usize = 16;

/// Shortest and longest time between two quick questions about the same Workflow.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// How long the service may fail to answer about one Workflow before it is given up.
const PATIENCE_WITH_ERRORS: Duration = Duration::from_secs(300);

/// Longest time for asking once more about everything when the waiting is over.
const LAST_QUESTIONS_FOR: Duration = Duration::from_secs(10);

/// A Workflow whose end is waited for.
#[derive(Clone, Debug)]
pub struct Waiting {
    index: u64,
    workflow_id: Arc<str>,
    run_id: String,
    since: Instant,
    failing_since: Option<Instant>,
}

impl Waiting {
    /// What to wait for after a start; `None` if there is no run.
    pub(super) fn for_start(finished: &StartFinished) -> Option<Self> {
        let has_run = matches!(
            finished.outcome,
            Outcome::Started | Outcome::Deduplicated | Outcome::Existing
        );
        let run_id = finished.run_id.clone().filter(|_| has_run)?;
        // A cron schedule's first run is the chain's first one, whichever is current.
        let first = finished.first_run_id.clone().filter(|_| finished.cron);
        Some(Waiting {
            index: finished.index,
            workflow_id: finished.workflow_id.as_str().into(),
            run_id: first.unwrap_or(run_id),
            since: Instant::now(),
            failing_since: None,
        })
    }
}

/// How long Workflows are waited for.
#[derive(Clone, Copy, Debug)]
pub struct WaitLimits {
    /// Longest time from the end of the starts; `None` is no limit.
    pub timeout: Option<Duration>,
}

/// Waits for everything that comes out of `waits`. Each one comes to exactly one
/// [`Event::WorkflowEnded`] or [`Event::WorkflowOpen`]. `stop` and the timeout end the waiting:
/// what is still open then is [`WorkflowStatus::Running`].
pub async fn run<S: Starter>(
    starter: &S,
    mut waits: mpsc::Receiver<Waiting>,
    limits: WaitLimits,
    stop: &CancellationToken,
    events: &mpsc::Sender<Event>,
) {
    let mut queue = BinaryHeap::new();
    let mut polls = FuturesUnordered::new();
    let mut polling = std::collections::BTreeMap::new();
    let (mut long, mut quick) = (0, 0);
    let mut sequence = 0u64;
    let mut closed = false;
    let mut give_up = None;
    loop {
        // Hand out as many questions as may be asked now.
        while let Some(Reverse(Queued { due, .. })) = queue.peek() {
            let patience = if long < MAX_LONG_POLLS {
                Patience::LongPoll
            } else if quick < MAX_QUESTIONS && *due <= Instant::now() {
                Patience::Now
            } else {
                break;
            };
            let Some(Reverse(Queued { waiting, .. })) = queue.pop() else {
                break;
            };
            match patience {
                Patience::LongPoll => long += 1,
                Patience::Now => quick += 1,
            }
            polling.insert(waiting.index, waiting.clone());
            polls.push(async move {
                let close = starter
                    .close(&waiting.workflow_id, &waiting.run_id, patience)
                    .await;
                (waiting, patience, close)
            });
        }
        if closed && polls.is_empty() && queue.is_empty() {
            return;
        }
        if closed && give_up.is_none() {
            give_up = limits.timeout.map(|timeout| Instant::now() + timeout);
        }
        let next_due = queue
            .peek()
            .filter(|_| quick < MAX_QUESTIONS)
            .map(|Reverse(first)| first.due);
        tokio::select! {
            biased;
            Some((mut waiting, patience, close)) = polls.next(), if !polls.is_empty() => {
                match patience {
                    Patience::LongPoll => long -= 1,
                    Patience::Now => quick -= 1,
                }
                polling.remove(&waiting.index);
                match judge(&mut waiting, close) {
                    Verdict::Ended(end) => tell(events, waiting, end).await,
                    Verdict::AskAgain(pause) => {
                        sequence += 1;
                        queue.push(Reverse(Queued { due: Instant::now() + pause, sequence, waiting }));
                    }
                }
            }
            next = waits.recv(), if !closed => match next {
                Some(waiting) => {
                    sequence += 1;
                    queue.push(Reverse(Queued { due: Instant::now(), sequence, waiting }));
                }
                None => closed = true,
            },
            () = sleep_until(next_due) => {}
            () = sleep_until(give_up) => break,
            () = stop.cancelled() => break,
        }
    }
    drop(polls);
    let queued = queue.into_iter().map(|Reverse(queued)| queued.waiting);
    let mut open: Vec<Waiting> = queued.chain(polling.into_values()).collect();
    // Starts are over or stopped too; what they still hand over is not waited for either.
    while let Some(waiting) = waits.recv().await {
        open.push(waiting);
    }
    ask_once_more(starter, open, stop, events).await;
}

/// Asks about every Workflow a last time, unless the user is impatient.
async fn ask_once_more<S: Starter>(
    starter: &S,
    open: Vec<Waiting>,
    stop: &CancellationToken,
    events: &mpsc::Sender<Event>,
) {
    let deadline = Instant::now() + LAST_QUESTIONS_FOR;
    let questions = futures::stream::iter(open).map(|mut waiting| async move {
        let close = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            () = tokio::time::sleep_until(deadline) => None,
            close = starter.close(&waiting.workflow_id, &waiting.run_id, Patience::Now) => Some(close),
        };
        let end = match close.map(|close| judge(&mut waiting, close)) {
            Some(Verdict::Ended(end)) => end,
            _ => end(WorkflowStatus::Running),
        };
        (waiting, end)
    });
    let mut answers = std::pin::pin!(questions.buffer_unordered(MAX_QUESTIONS));
    while let Some((waiting, end)) = answers.next().await {
        tell(events, waiting, end).await;
    }
}

/// A Workflow that is asked about when it is due.
struct Queued {
    due: Instant,
    sequence: u64,
    waiting: Waiting,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.sequence) == (other.due, other.sequence)
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.sequence).cmp(&(other.due, other.sequence))
    }
}

enum Verdict {
    Ended(WorkflowEnd),
    AskAgain(Duration),
}

/// Reads an answer, and follows a chain of runs by one step.
fn judge(waiting: &mut Waiting, close: Result<Option<Close>, StartError>) -> Verdict {
    let close = match close {
        Ok(close) => close,
        Err(error) => return judge_error(waiting, &error),
    };
    waiting.failing_since = None;
    let Some(close) = close else {
        let pause = (waiting.since.elapsed() / 4).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        return Verdict::AskAgain(pause);
    };
    if let Some(next) = close.next_run_id {
        waiting.run_id = next;
        return Verdict::AskAgain(Duration::ZERO);
    }
    let mut ended = end(WorkflowStatus::Completed);
    ended.close_time = Some(close.at);
    match close.how {
        Closed::Completed(result) => ended.result = result,
        Closed::Failed(failure) => {
            ended.status = WorkflowStatus::Failed;
            ended.failure = Some(failure);
        }
        Closed::Canceled => ended.status = WorkflowStatus::Canceled,
        Closed::Terminated(reason) => {
            ended.status = WorkflowStatus::Terminated;
            ended.failure = Some(Failure {
                message: reason,
                kind: None,
                cause: None,
            })
            .filter(|failure| !failure.message.is_empty());
        }
        Closed::TimedOut => ended.status = WorkflowStatus::TimedOut,
        // A run of a cron schedule ends like this on old servers.
        Closed::ContinuedAsNew => {}
    }
    Verdict::Ended(ended)
}

fn judge_error(waiting: &mut Waiting, error: &StartError) -> Verdict {
    let since = *waiting.failing_since.get_or_insert_with(Instant::now);
    let hopeless = matches!(
        error.class,
        Class::Refused | Class::Fatal | Class::Existing(_)
    );
    if hopeless || since.elapsed() > PATIENCE_WITH_ERRORS {
        let mut ended = end(WorkflowStatus::Unknown);
        ended.failure = Some(Failure {
            message: error.message.clone(),
            kind: Some(error.code.to_owned()),
            cause: None,
        });
        return Verdict::Ended(ended);
    }
    Verdict::AskAgain((since.elapsed() / 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
}

fn end(status: WorkflowStatus) -> WorkflowEnd {
    WorkflowEnd {
        status,
        result: None,
        failure: None,
        close_time: None,
    }
}

async fn tell(events: &mpsc::Sender<Event>, waiting: Waiting, workflow: WorkflowEnd) {
    let Waiting {
        index,
        workflow_id,
        run_id,
        ..
    } = waiting;
    let event = Event::of_workflow(index, workflow_id, run_id, workflow);
    // A listener that is gone has stopped the apply by itself.
    let _ = events.send(event).await;
}
