//! The model behind the trait that the engine asks, on a network that loses, holds back and doubles,
//! with a ledger of who began and ended what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use temporal_manifest::expand::start::{IdConflictPolicy, IdReusePolicy, Start};
use temporal_manifest::run::event::{Outcome, StartFinished};
use temporal_manifest::run::service::{
    Description, ErrorClass, ExistingRun, GrpcCode, Lookups, PollKind, Reason, RunClose,
    ServiceError, StartAnswer, StartRequest, Starter,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::model::{self, RequestId, Run, Runs, Started, Status, Terminated};

/// Begins the runs of somebody else.
const NOBODY: usize = usize::MAX;

/// A service that is shared by some invocations.
pub struct Service {
    state: Mutex<State>,
    began: Instant,
}

struct State {
    dice: fastrand::Rng,
    slots: BTreeMap<String, Slot>,
    /// What happened.
    log: Vec<String>,
    /// What must not be.
    wrong: Vec<String>,
    ids: RunIds,
    /// How many runs there have been.
    runs: u64,
}

/// What run IDs look like.
#[derive(Clone, Copy, Debug)]
pub enum RunIds {
    /// Random.
    V4,
    /// Of the time.
    V7,
    /// Of a clock that jumps by hours.
    Jumping,
}

/// One Workflow ID.
#[derive(Default)]
struct Slot {
    runs: Runs,
    run_ids: Vec<String>,
    begun_by: Vec<usize>,
    /// Request IDs, by number; the first one stands for those of the service's own.
    requests: Vec<String>,
    /// For each key, how many chains were begun since somebody else last had the Workflow ID.
    chains: BTreeMap<u8, u32>,
    /// Whether a run was ever deleted.
    has_lost: bool,
    /// How often something has changed.
    changes: u32,
    accounts: BTreeMap<usize, Account>,
}

/// What an invocation has done to a Workflow ID.
#[derive(Clone, Debug, Default)]
struct Account {
    key: u8,
    /// The changes that it had seen at its last look.
    seen: u32,
    sent: BTreeSet<String>,
    /// Start requests without an answer.
    unanswered: u32,
    calls: u32,
    has_ended: bool,
}

/// Most runs of a Workflow ID; then nothing more happens to it by itself.
const MOST_RUNS: u8 = 40;

/// One invocation's line to the service.
pub struct Line {
    service: Arc<Service>,
    invocation: usize,
    key: u8,
    may_describe: bool,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    AnswerLost,
    Lost,
    Late,
    Doubled,
    Throttled,
    Refused,
}

impl Service {
    pub fn new(seed: u64, ids: RunIds) -> Arc<Self> {
        Arc::new(Service {
            state: Mutex::new(State {
                dice: fastrand::Rng::with_seed(seed),
                slots: BTreeMap::new(),
                log: Vec::new(),
                wrong: Vec::new(),
                ids,
                runs: 0,
            }),
            began: Instant::now(),
        })
    }

    pub fn line(self: &Arc<Self>, invocation: usize, key: u8, may_describe: bool) -> Line {
        Line {
            service: Arc::clone(self),
            invocation,
            key,
            may_describe,
        }
    }

    /// What happened, and what of it must not be.
    pub fn verdict(&self) -> (Vec<String>, Vec<String>) {
        let state = self.state();
        (state.log.clone(), state.wrong.clone())
    }

    /// How many runs were begun by invocations.
    pub fn begun(&self) -> usize {
        let state = self.state();
        let begun = |slot: &Slot| slot.begun_by.iter().filter(|by| **by != NOBODY).count();
        state.slots.values().map(begun).sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds this lock")
    }

    fn note(&self, text: String) {
        let at = self.began.elapsed().as_millis();
        self.state().log.push(format!("{at:>6} ms  {text}"));
    }

    /// Something that must not be has happened.
    pub fn accuse(&self, text: String) {
        self.note(format!("WRONG: {text}"));
        self.state().wrong.push(text);
    }

    /// What others do to one of the Workflow IDs at a random moment.
    pub fn happen(&self, workflow_ids: &[String]) {
        let mut guard = self.state();
        let state = &mut *guard;
        let id = &workflow_ids[state.dice.usize(0..workflow_ids.len())];
        let slot = state.slots.entry(id.clone()).or_default();
        if slot.runs.count() >= MOST_RUNS {
            return;
        }
        let die = state.dice.u8(0..100);
        let text = match (slot.runs.running(), die) {
            (Some(run), 0..35) => {
                slot.runs.go_on();
                let by = slot.begun_by[usize::from(run)];
                slot.begun_by.push(by);
                "goes on".to_owned()
            }
            (Some(_), 35..50) => {
                slot.runs.end(Status::Completed);
                "completes".to_owned()
            }
            (Some(_), 50..65) => {
                slot.runs.end(Status::Failed);
                "fails".to_owned()
            }
            (_, 95..97) if slot.runs.count() > 0 => {
                let run = state.dice.u8(0..slot.runs.count());
                if slot.runs.record(run).deleted {
                    return;
                }
                slot.runs.reset(run);
                let by = slot.begun_by[usize::from(run)];
                slot.begun_by.push(by);
                slot.somebody_has_taken_it();
                format!("{run} is reset")
            }
            (_, 97..99) if slot.runs.current().is_some() => {
                let current = slot.runs.current().unwrap_or_default();
                let first = slot.runs.record(current).first;
                let run = if slot.runs.running().is_none() {
                    current
                } else {
                    first
                };
                if run == current && slot.runs.running().is_some() {
                    return;
                }
                slot.runs.delete(run);
                slot.has_lost = true;
                slot.somebody_has_taken_it();
                format!("{run} is deleted")
            }
            (running, 85..95) if running.is_none() || die < 88 => {
                let number = slot.request_number(&format!("other-{}", slot.changes));
                let other = model::StartRequest {
                    request: number,
                    closed: IdReusePolicy::AllowDuplicate,
                    running: IdConflictPolicy::TerminateExisting,
                    attaches: false,
                };
                if slot.runs.start(other) == Started::Invalid {
                    return;
                }
                slot.begun_by.push(NOBODY);
                slot.somebody_has_taken_it();
                "is begun by somebody else".to_owned()
            }
            _ => return,
        };
        slot.changes += 1;
        let slot_runs = slot.runs.count() as usize;
        while state.slots[id].run_ids.len() < slot_runs {
            let run_id = next_run_id(&mut state.dice, state.ids, &mut state.runs, self.began);
            if let Some(slot) = state.slots.get_mut(id) {
                slot.run_ids.push(run_id);
            }
        }
        drop(guard);
        self.note(format!("{id} {text}"));
    }

    /// Holds an outcome against the ledger.
    pub fn check(&self, line: &Line, finished: &StartFinished) {
        let id = &finished.workflow_id;
        let (invocation, key) = (line.invocation, line.key);
        let guard = self.state();
        let blank = Slot::default();
        let slot = guard.slots.get(id).unwrap_or(&blank);
        let account = slot.accounts.get(&invocation).cloned().unwrap_or_default();
        let has_begun = slot.begun_by.contains(&invocation);
        let run = finished.run_id.as_ref();
        let run = run.and_then(|run| slot.run_ids.iter().position(|id| id == run));
        let first = run.map(|run| slot.runs.record(run as Run).first);
        let is_deleted = first.is_some_and(|first| slot.runs.record(first).deleted);
        let is_ours = first.is_some_and(|first| slot.key_of(first) == Some(key));
        let sent_it = first.is_some_and(|first| account.sent.contains(slot.request_of(first)));
        let by_me = first.is_some_and(|first| slot.begun_by[usize::from(first)] == invocation);
        let is_true = match finished.outcome {
            Outcome::Started => is_deleted || sent_it,
            Outcome::Deduplicated => is_deleted || (is_ours && !by_me),
            Outcome::Existing => run.is_some() && (is_deleted || !is_ours),
            Outcome::Failed => !has_begun && account.unanswered == 0,
            Outcome::Skipped => account.calls == 0,
            Outcome::Unknown => true,
        };
        let is_silent =
            account.has_ended && matches!(finished.outcome, Outcome::Existing | Outcome::Failed);
        // At most a probe, a look, the origin, a termination, and two requests.
        let is_cheap = account.calls <= 6 * finished.attempts;
        drop(guard);
        self.note(format!("{invocation}: {id} {:?} {run:?}", finished.outcome));
        if !is_true {
            self.accuse(format!("{invocation}: {finished:?}"));
        }
        if is_silent {
            self.accuse(format!(
                "{invocation}: ended another run silently: {finished:?}"
            ));
        }
        if !is_cheap {
            self.accuse(format!(
                "{invocation}: {} calls: {finished:?}",
                account.calls
            ));
        }
    }
}

impl Slot {
    /// Somebody has changed which chain has the Workflow ID.
    fn somebody_has_taken_it(&mut self) {
        self.chains.clear();
        for account in self.accounts.values_mut() {
            account.has_ended = false;
        }
    }

    fn request_number(&mut self, request_id: &str) -> RequestId {
        if self.requests.is_empty() {
            self.requests.push("of the service's own".to_owned());
        }
        let known = self.requests.iter().position(|known| known == request_id);
        let number = known.unwrap_or_else(|| {
            self.requests.push(request_id.to_owned());
            self.requests.len() - 1
        });
        RequestId(u8::try_from(number).expect("few requests are made"))
    }

    fn request_of(&self, run: Run) -> &str {
        &self.requests[usize::from(self.runs.record(run).request.0)]
    }

    /// The key of the invocation that has begun a chain.
    fn key_of(&self, first: Run) -> Option<u8> {
        let by = self.begun_by[usize::from(first)];
        self.accounts.get(&by).map(|account| account.key)
    }

    /// Whether a chain has passed as is documented; see `World::is_documented`.
    fn is_documented(&self, last: Run) -> bool {
        let record = self.runs.record(last);
        let before = record.first.checked_sub(1);
        let completed = |run: Run| self.runs.record(run).status == Status::Completed;
        let has_failed = matches!(record.status, Status::Failed | Status::Terminated);
        record.first != last && (has_failed || before.is_some_and(completed))
    }
}

fn next_run_id(dice: &mut fastrand::Rng, ids: RunIds, runs: &mut u64, began: Instant) -> String {
    *runs += 1;
    let millis = began.elapsed().as_millis();
    let random = dice.u128(..) & ((1 << 74) - 1);
    let millis = match ids {
        RunIds::V4 => return Uuid::from_u128(dice.u128(..)).to_string(),
        RunIds::V7 => millis,
        RunIds::Jumping => millis + u128::from(dice.u64(0..4)) * 3_600_000,
    };
    Uuid::from_u128((millis << 80) | (7 << 76) | random).to_string()
}

impl Line {
    /// The account of this invocation at a Workflow ID.
    fn account<T>(&self, id: &str, change: impl FnOnce(&mut Account, u32) -> T) -> T {
        let mut state = self.service.state();
        let slot = state.slots.entry(id.to_owned()).or_default();
        let changes = slot.changes;
        let account = slot.accounts.entry(self.invocation).or_default();
        account.key = self.key;
        change(account, changes)
    }

    fn fate(&self) -> Fate {
        match self.service.state().dice.u8(0..100) {
            0..76 => Fate::Answered,
            76..81 => Fate::AnswerLost,
            81..85 => Fate::Lost,
            85..91 => Fate::Late,
            91..94 => Fate::Doubled,
            94..98 => Fate::Throttled,
            _ => Fate::Refused,
        }
    }

    /// A while on the network.
    async fn travel(&self) {
        let millis = self.service.state().dice.u64(1..60);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    /// Carries a call out at some later moment, which nobody waits for.
    fn later(&self, carry_out: impl FnOnce(&Line) + Send + 'static) {
        let line = Line {
            service: Arc::clone(&self.service),
            ..*self
        };
        let millis = self.service.state().dice.u64(1..8_000);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            carry_out(&line);
        });
    }

    /// The way of a call through the network. `carry_out` is told whether somebody waits for it.
    async fn call<T: Send>(
        &self,
        id: &str,
        name: &str,
        carry_out: impl Fn(&Line, bool) -> Result<T, ServiceError> + Clone + Send + Sync + 'static,
    ) -> Result<T, ServiceError> {
        self.account(id, |account, _| account.calls += 1);
        let fate = match self.fate() {
            // Where terminating is refused, the program does what the explorer looks at by itself.
            Fate::Refused if name == "terminate" => Fate::Throttled,
            fate => fate,
        };
        self.travel().await;
        let result = match fate {
            Fate::Answered => carry_out(self, true),
            Fate::AnswerLost => carry_out(self, true).and(Err(lost())),
            Fate::Lost => Err(lost()),
            Fate::Late => {
                self.later(move |line| drop(carry_out(line, false)));
                Err(lost())
            }
            Fate::Doubled => {
                let again = carry_out.clone();
                self.later(move |line| drop(again(line, false)));
                carry_out(self, true)
            }
            Fate::Throttled => Err(error(
                ErrorClass::Throttled,
                GrpcCode::ResourceExhausted,
                Reason::Throttled,
            )),
            Fate::Refused => Err(error(
                ErrorClass::Refused,
                GrpcCode::InvalidArgument,
                Reason::InvalidArgument,
            )),
        };
        self.service
            .note(format!("{}: {id} {name} {fate:?}", self.invocation));
        self.travel().await;
        result
    }

    /// Carries out a start request that was sent when `seen` changes had been seen.
    fn start_now(
        &self,
        id: &str,
        request: &StartRequest,
        seen: u32,
        waits: bool,
    ) -> Result<StartAnswer, ServiceError> {
        let mut guard = self.service.state();
        let state = &mut *guard;
        let slot = state.slots.entry(id.to_owned()).or_default();
        let window = slot.changes - seen;
        let before = slot.runs.clone();
        let asked = model::StartRequest {
            request: slot.request_number(&request.request_id),
            closed: request.id_reuse_policy,
            running: request.id_conflict_policy,
            attaches: request.attaches,
        };
        let answer = slot.runs.start(asked);
        let mut wrong = Vec::new();
        if slot.runs != before {
            slot.changes += 1;
        }
        if slot.runs.count() > before.count() {
            slot.begun_by.push(self.invocation);
            wrong.extend(self.has_ended(slot, &before, window));
            wrong.extend(self.has_begun(slot, &before, window));
            let run_id = next_run_id(
                &mut state.dice,
                state.ids,
                &mut state.runs,
                self.service.began,
            );
            slot.run_ids.push(run_id);
        }
        let changes = slot.changes;
        let account = slot.accounts.entry(self.invocation).or_default();
        if waits {
            account.seen = changes;
        }
        let id_of = |run: Run| slot.run_ids[usize::from(run)].clone();
        let result = match answer {
            Started::Accepted { run, began } => Ok(StartAnswer {
                run_id: id_of(run),
                first_run_id: id_of(slot.runs.record(run).first),
                began,
            }),
            Started::Taken {
                run, first, closed, ..
            } => {
                let existing = ExistingRun {
                    request_id: slot.request_of(run).to_owned(),
                    run_id: id_of(run),
                    first_run_id: id_of(first),
                    closed: Some(closed),
                };
                let class = ErrorClass::Existing(Box::new(existing));
                Err(error(
                    class,
                    GrpcCode::AlreadyExists,
                    Reason::WorkflowExists,
                ))
            }
            Started::Invalid => Err(error(
                ErrorClass::Refused,
                GrpcCode::InvalidArgument,
                Reason::InvalidArgument,
            )),
        };
        drop(guard);
        let policies = (request.id_reuse_policy, request.id_conflict_policy);
        let waits = if waits { "" } else { "late " };
        self.service.note(format!(
            "{}: {id} {waits}{} {policies:?}: {answer:?}",
            self.invocation, request.request_id
        ));
        for text in wrong {
            self.service.accuse(text);
        }
        result
    }

    /// A running run was ended, if one was.
    fn has_ended(&self, slot: &mut Slot, before: &Runs, window: u32) -> Option<String> {
        let run = before.running()?;
        let first = before.record(run).first;
        if slot.key_of(first) != Some(self.key) {
            let account = slot.accounts.entry(self.invocation).or_default();
            account.has_ended = true;
            return None;
        }
        let is_excused = before.record(first).deleted;
        (!is_excused).then(|| {
            format!(
                "{} ended the chain of its key, window {window}",
                self.invocation
            )
        })
    }

    /// A run was begun.
    fn has_begun(&self, slot: &mut Slot, before: &Runs, window: u32) -> Option<String> {
        let is_second = slot.chains.contains_key(&self.key);
        // Where a closed run was deleted after the look at it, the chain need not have gone on.
        let has_passed = |last| slot.has_lost || slot.is_documented(last);
        let is_documented = before.current().is_some_and(has_passed);
        slot.somebody_has_taken_it();
        slot.chains.insert(self.key, 1);
        let is_known = window >= if is_documented { 3 } else { 4 };
        (is_second && !is_known)
            .then(|| format!("{} began a second chain, window {window}", self.invocation))
    }

    fn terminate_now(
        &self,
        id: &str,
        first_run_id: &str,
        seen: u32,
        waits: bool,
    ) -> Result<(), ServiceError> {
        let mut guard = self.service.state();
        let slot = guard.slots.entry(id.to_owned()).or_default();
        let window = slot.changes - seen;
        let before = slot.runs.clone();
        let first = slot.run_ids.iter().position(|run| run == first_run_id);
        let answer = match first {
            Some(first) => slot.runs.terminate(first as Run),
            None => Terminated::NotFound,
        };
        let mut wrong = None;
        if answer == Terminated::Done {
            slot.changes += 1;
            wrong = self.has_ended(slot, &before, window);
        }
        let changes = slot.changes;
        if waits {
            slot.accounts.entry(self.invocation).or_default().seen = changes;
        }
        drop(guard);
        self.service.note(format!(
            "{}: {id} terminate {first:?}: {answer:?}",
            self.invocation
        ));
        if let Some(text) = wrong {
            self.service.accuse(text);
        }
        match answer {
            Terminated::Done => Ok(()),
            _ => Err(error(
                ErrorClass::Refused,
                GrpcCode::NotFound,
                Reason::NotFound,
            )),
        }
    }

    fn describe_now(&self, id: &str, run_id: &str) -> Result<Description, ServiceError> {
        let state = self.service.state();
        let slot = &state.slots[id];
        let run = slot.run_ids.iter().position(|run| run == run_id);
        let described = run.and_then(|run| slot.runs.describe(run as Run));
        match described {
            _ if !self.may_describe => Err(error(
                ErrorClass::Fatal,
                GrpcCode::PermissionDenied,
                Reason::PermissionDenied,
            )),
            None => Err(error(
                ErrorClass::Refused,
                GrpcCode::NotFound,
                Reason::NotFound,
            )),
            Some(model::Described {
                open,
                first,
                request,
            }) => Ok(Description {
                open,
                first_run_id: Some(slot.run_ids[usize::from(first)].clone()),
                request_id: Some(slot.requests[usize::from(request.0)].clone()),
            }),
        }
    }
}

impl Starter for Line {
    async fn start(
        &self,
        start: &Start,
        request: &StartRequest,
    ) -> Result<StartAnswer, ServiceError> {
        let id = start.workflow_id.clone();
        let seen = self.account(&id, |account, _| {
            account.sent.insert(request.request_id.clone());
            account.unanswered += 1;
            account.seen
        });
        let asked = request.clone();
        let result = self
            .call(&id.clone(), "start", move |line, waits| {
                line.start_now(&id, &asked, seen, waits)
            })
            .await;
        // What was refused, for now or for good, was not carried out.
        let is_answered = !matches!(&result, Err(error) if error.class == ErrorClass::Unanswered);
        if is_answered {
            self.account(&start.workflow_id, |account, _| account.unanswered -= 1);
        }
        result
    }

    async fn terminate(&self, workflow_id: &str, first_run_id: &str) -> Result<(), ServiceError> {
        let seen = self.account(workflow_id, |account, _| account.seen);
        let (id, first) = (workflow_id.to_owned(), first_run_id.to_owned());
        self.call(workflow_id, "terminate", move |line, waits| {
            line.terminate_now(&id, &first, seen, waits)
        })
        .await
    }
}

impl Lookups for Line {
    async fn describe(&self, workflow_id: &str, run_id: &str) -> Result<Description, ServiceError> {
        let (id, run_id) = (workflow_id.to_owned(), run_id.to_owned());
        self.call(workflow_id, "describe", move |line, _| {
            line.describe_now(&id, &run_id)
        })
        .await
    }

    async fn close(&self, _: &str, _: &str, _: PollKind) -> Result<Option<RunClose>, ServiceError> {
        Ok(None)
    }
}

fn lost() -> ServiceError {
    error(
        ErrorClass::Unanswered,
        GrpcCode::DeadlineExceeded,
        Reason::DeadlineExceeded,
    )
}

fn error(class: ErrorClass, code: GrpcCode, reason: Reason) -> ServiceError {
    ServiceError {
        class,
        code,
        reason,
        message: "as the dice say".to_owned(),
        cause: None,
        scope: None,
    }
}
