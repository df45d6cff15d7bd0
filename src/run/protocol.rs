//! How one start happens once: what to ask the service next, as a state machine without I/O.
//!
//! The service answers a repeated request ID with the same run only while that run is the current
//! one under its Workflow ID; continue-as-new, retries, cron and other clients replace it. So no
//! request that may be a repeat is sent with policies that can end a run or begin a second one.
//! Every attempt begins with a probe, which begins a run only where the Workflow ID has none. Over
//! a run of somebody else the manifest's policies decide: it is left alone, or its chain, and no
//! other one, is ended, and a request that can end nothing begins the run.
//!
//! A probe's request ID names the key and the invocation, so that the service's answer tells whose
//! run has the ID without a clock. Requests over somebody else's run name the key alone, so that
//! those of two invocations look equal to the service, and it merges them.
//!
//! `docs/guarantees.md` says what this promises and what it does not.

mod messages;

use crate::expand::start::{IdConflictPolicy, IdReusePolicy};
pub use messages::{
    Answer, Call, Claim, End, Failing, How, Next, Request, RequestName, Rules, Taken,
};

/// Attempts in a row that follow at once on a changed state of the service; further ones pause.
const AT_ONCE: u8 = 3;

/// One start on its way to an outcome.
///
/// [`Protocol::begin`] begins an attempt; the answer to each call goes to [`Protocol::next`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Protocol<R> {
    rules: Rules,
    state: State<R>,
    /// Whether a request was sent that names the key alone, after a probe had seen another chain.
    real_sent: bool,
    /// Whether a start request has had no answer.
    unanswered: bool,
    /// First run of the last chain that a probe has shown to be somebody else's.
    foreign: Option<R>,
    /// First run of the chain that was ended for this start, or may have been.
    ended: Option<R>,
    /// First run of the chain that was ended for certain.
    terminated: Option<R>,
    /// Whether runs may not be terminated, only replaced.
    cannot_terminate: bool,
    /// Attempts in a row that followed at once.
    at_once: u8,
}

/// The call whose answer is awaited, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State<R> {
    Idle,
    /// The probe.
    Probe,
    /// The description of the run itself, as the probe's answer did not say enough.
    Look(Taken<R>),
    /// The description of the first run of its chain.
    Origin(Taken<R>),
    /// The termination of the chain of somebody else.
    Terminate(Taken<R>),
    /// The request that begins the run where a closed one of somebody else is.
    Begin(Taken<R>, IdReusePolicy),
    /// The request that attaches to the running one of somebody else.
    Attach(Taken<R>),
    /// The request that replaces the running one, where terminating is denied.
    Replace(Taken<R>),
}

impl<R: Clone + Eq> Protocol<R> {
    /// A start that nothing has been asked for yet. Its key may be known to others, also one that
    /// this invocation has made: it is told before the first start, so that it may be repeated, and
    /// that may be while this invocation still runs.
    pub fn new(rules: Rules) -> Self {
        Protocol {
            rules,
            state: State::Idle,
            real_sent: false,
            unanswered: false,
            foreign: None,
            ended: None,
            terminated: None,
            cannot_terminate: false,
            at_once: 0,
        }
    }

    /// Begins an attempt.
    pub fn begin(&mut self) -> Call<R> {
        self.state = State::Probe;
        Call::Start(Request::PROBE)
    }

    /// What is known when time is up, or the apply is stopped.
    pub fn failing(&self) -> Failing<R> {
        match &self.ended {
            Some(first) => Failing::Ended(first.clone()),
            None if self.unanswered => Failing::MayHaveBegun,
            None => Failing::NothingBegun,
        }
    }

    /// Takes the answer to the call that was asked for last. One to another kind of call counts as
    /// none.
    pub fn next(&mut self, answer: Answer<R>) -> Next<R> {
        let state = std::mem::replace(&mut self.state, State::Idle);
        let is_start = matches!(
            state,
            State::Probe | State::Begin(..) | State::Attach(_) | State::Replace(_)
        );
        match answer {
            Answer::NotNow => self.after_pause(),
            Answer::Unknown => {
                self.unanswered |= is_start;
                if let State::Terminate(taken) = state {
                    self.ended = taken.first;
                }
                self.after_pause()
            }
            Answer::Refused => self.refused(state),
            answer => self.answered(state, answer),
        }
    }

    fn answered(&mut self, state: State<R>, answer: Answer<R>) -> Next<R> {
        match (state, answer) {
            (
                State::Probe | State::Begin(..) | State::Attach(_) | State::Replace(_),
                Answer::Accepted {
                    run,
                    first,
                    began: true,
                },
            ) => done(How::Started, run, first),
            (State::Probe, Answer::Taken(taken)) => self.taken(taken),
            (State::Look(taken), Answer::Described { open, first, claim }) => {
                let is_first = first.as_ref().is_none_or(|first| *first == taken.run);
                self.taken(Taken {
                    claim: if is_first { claim } else { taken.claim },
                    first: Some(first.unwrap_or_else(|| taken.run.clone())),
                    closed: Some(!open),
                    run: taken.run,
                })
            }
            // It has just been deleted.
            (State::Look(_), Answer::Absent) => self.changed(),
            (State::Origin(taken), Answer::Described { claim, .. }) => self.known(taken, claim),
            // The first run has left retention, and with it the trace of the request.
            (State::Origin(taken), Answer::Absent) => self.known(taken, Claim::Foreign),
            (State::Terminate(taken), Answer::Terminated) => {
                self.ended.clone_from(&taken.first);
                self.terminated.clone_from(&taken.first);
                self.begin_over(taken, IdReusePolicy::AllowDuplicateFailedOnly)
            }
            (State::Terminate(_), Answer::Absent) => self.changed(),
            (State::Begin(taken, sent), Answer::Taken(now)) => self.still_taken(taken, sent, now),
            // A request under this key was attached to the closed run while it was open.
            (State::Begin(taken, _), Answer::Accepted { run, first, .. }) if run == taken.run => {
                done(How::Existing { closed: Some(true) }, run, first)
            }
            (State::Attach(taken), Answer::Accepted { run, first, .. })
                if run == taken.run || (first.is_some() && first == taken.first) =>
            {
                let closed = Some(false);
                done(How::Existing { closed }, run, first)
            }
            // What has the Workflow ID now is not what the probe saw.
            (
                State::Begin(..) | State::Attach(_) | State::Replace(_),
                Answer::Accepted { .. } | Answer::Taken(_),
            ) => self.changed(),
            // This is no answer to what was asked, such as a probe that was accepted for a run which
            // it did not begin.
            _ => {
                self.unanswered = true;
                self.after_pause()
            }
        }
    }

    /// A run has the Workflow ID: whose is it?
    fn taken(&mut self, taken: Taken<R>) -> Next<R> {
        if taken.claim != Claim::Foreign {
            let claim = taken.claim;
            return self.known(taken, claim);
        }
        let Some(first) = taken.first.clone() else {
            return self.ask(Call::Describe(taken.run.clone()), State::Look(taken));
        };
        // Later runs of a chain have request IDs of the service's own; its first run tells.
        let is_known = first == taken.run || self.foreign.as_ref() == Some(&first);
        if is_known {
            return self.known(taken, Claim::Foreign);
        }
        self.ask(Call::Describe(first), State::Origin(taken))
    }

    /// It is known whose request began the chain.
    fn known(&mut self, taken: Taken<R>, claim: Claim) -> Next<R> {
        let how = match claim {
            Claim::Invocation => How::Started,
            // The probe before our request saw another chain: this one began meanwhile.
            Claim::Key if self.real_sent => How::Started,
            Claim::Key | Claim::OtherInvocation => How::Deduplicated,
            Claim::Foreign => return self.over_foreign(taken),
        };
        done(how, taken.run, taken.first)
    }

    /// The run is somebody else's: the manifest's policies decide.
    fn over_foreign(&mut self, taken: Taken<R>) -> Next<R> {
        self.foreign.clone_from(&taken.first);
        let Some(closed) = taken.closed else {
            return self.ask(Call::Describe(taken.run.clone()), State::Look(taken));
        };
        match (closed, self.rules.closed, self.rules.running) {
            (false, _, IdConflictPolicy::TerminateExisting) => self.replace(taken),
            (false, _, IdConflictPolicy::UseExisting) if self.rules.attaches => {
                // Should it close before, then what follows needs another look.
                let closed = match self.rules.closed {
                    IdReusePolicy::RejectDuplicate => IdReusePolicy::RejectDuplicate,
                    _ => IdReusePolicy::AllowDuplicateFailedOnly,
                };
                let request = Request {
                    running: IdConflictPolicy::UseExisting,
                    attaches: true,
                    ..Request::over_closed(closed)
                };
                self.send(request, State::Attach(taken))
            }
            (false, ..) | (true, IdReusePolicy::RejectDuplicate, _) => {
                let closed = Some(closed);
                done(How::Existing { closed }, taken.run, taken.first)
            }
            (true, ..) => self.begin_over(taken, IdReusePolicy::AllowDuplicateFailedOnly),
        }
    }

    /// Ends the chain of somebody else: exactly that one, whatever has the Workflow ID by then.
    fn replace(&mut self, taken: Taken<R>) -> Next<R> {
        if self.cannot_terminate {
            let request = Request {
                running: IdConflictPolicy::TerminateExisting,
                ..Request::over_closed(self.rules.closed)
            };
            return self.send(request, State::Replace(taken));
        }
        let first = taken.first.clone().unwrap_or_else(|| taken.run.clone());
        self.ask(Call::Terminate(first), State::Terminate(taken))
    }

    fn begin_over(&mut self, taken: Taken<R>, closed: IdReusePolicy) -> Next<R> {
        let request = Request::over_closed(closed);
        self.send(request, State::Begin(taken, closed))
    }

    /// The request that begins a run over a closed one was answered with a run that is there.
    fn still_taken(&mut self, taken: Taken<R>, sent: IdReusePolicy, now: Taken<R>) -> Next<R> {
        let is_same = now.run == taken.run || (now.first.is_some() && now.first == taken.first);
        let has_completed =
            is_same && now.closed != Some(false) && sent == IdReusePolicy::AllowDuplicateFailedOnly;
        match self.rules.closed {
            IdReusePolicy::AllowDuplicate if has_completed && self.terminated != taken.first => {
                self.begin_over(taken, IdReusePolicy::AllowDuplicate)
            }
            IdReusePolicy::AllowDuplicateFailedOnly if has_completed => {
                let closed = Some(true);
                done(How::Existing { closed }, now.run, now.first)
            }
            _ => self.changed(),
        }
    }

    fn refused(&mut self, state: State<R>) -> Next<R> {
        let leaves_all = self.rules.closed == IdReusePolicy::RejectDuplicate;
        match state {
            // It is left alone, running or closed.
            State::Look(taken)
                if leaves_all && self.foreign.is_some() && self.foreign == taken.first =>
            {
                done(How::Existing { closed: None }, taken.run, taken.first)
            }
            // Whoever may start Workflows need not be allowed to read or to end them.
            State::Look(taken) | State::Origin(taken) => {
                Next::GiveUp(Failing::CannotTell(taken.run))
            }
            // The request that replaces a run must rest on a fresh look.
            State::Terminate(_) => {
                self.cannot_terminate = true;
                self.changed()
            }
            _ => Next::GiveUp(self.failing()),
        }
    }

    fn ask(&mut self, call: Call<R>, state: State<R>) -> Next<R> {
        self.state = state;
        Next::Call(call)
    }

    fn send(&mut self, request: Request, state: State<R>) -> Next<R> {
        self.real_sent = true;
        self.ask(Call::Start(request), state)
    }

    /// What has the Workflow ID has changed since the probe.
    fn changed(&mut self) -> Next<R> {
        self.at_once = (self.at_once + 1) % (AT_ONCE + 1);
        Next::Again {
            at_once: self.at_once != 0,
        }
    }

    fn after_pause(&mut self) -> Next<R> {
        self.at_once = 0;
        Next::Again { at_once: false }
    }
}

fn done<R>(how: How, run: R, first: Option<R>) -> Next<R> {
    Next::Done(End { how, run, first })
}
