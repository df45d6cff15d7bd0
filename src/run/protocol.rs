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

use crate::expand::start::{IdConflictPolicy, IdReusePolicy, StartOptions};

/// Attempts in a row that follow at once on a changed state of the service; further ones pause.
const AT_ONCE: u8 = 3;

/// What the manifest says about runs that have the Workflow ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    /// What happens when a closed run has the ID; never `TerminateIfRunning`.
    pub closed: IdReusePolicy,
    /// What happens when a running one has it.
    pub running: IdConflictPolicy,
    /// Whether something is to be attached to a running one, under `UseExisting`.
    pub attaches: bool,
}

impl Rules {
    /// The rules of a start: its own, or the service's defaults.
    /// Source: temporal `common/enums/defaults.go`.
    pub fn of(options: &StartOptions) -> Self {
        let closed = options.id_reuse_policy;
        let running = options.id_conflict_policy;
        let (closed, running) = match closed.unwrap_or(IdReusePolicy::AllowDuplicate) {
            IdReusePolicy::TerminateIfRunning => (
                IdReusePolicy::AllowDuplicate,
                IdConflictPolicy::TerminateExisting,
            ),
            closed => (closed, running.unwrap_or(IdConflictPolicy::Fail)),
        };
        Rules {
            closed,
            running,
            attaches: running == IdConflictPolicy::UseExisting && options.on_conflict.is_some(),
        }
    }
}

/// Which request ID a start request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestName {
    /// Of the key and this invocation.
    Invocation,
    /// Of the key alone: the same in every invocation under it.
    Key,
}

/// How a start request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Its request ID.
    pub name: RequestName,
    /// The ID reuse policy it is sent with.
    pub closed: IdReusePolicy,
    /// The ID conflict policy it is sent with.
    pub running: IdConflictPolicy,
    /// Whether it is sent with the manifest's `onConflict`.
    pub attaches: bool,
}

impl Request {
    /// Begins a run only if the Workflow ID has none, and otherwise changes nothing.
    pub const PROBE: Request = Request {
        name: RequestName::Invocation,
        closed: IdReusePolicy::RejectDuplicate,
        running: IdConflictPolicy::Fail,
        attaches: false,
    };

    /// Begins a run over a closed one, and can end none.
    const fn over_closed(closed: IdReusePolicy) -> Self {
        Request {
            name: RequestName::Key,
            closed,
            running: IdConflictPolicy::Fail,
            attaches: false,
        }
    }
}

/// What is asked of the service. `R` is a run ID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call<R> {
    /// A start request.
    Start(Request),
    /// What the service knows of a run.
    Describe(R),
    /// Ends the chain that this first run began, and no other one.
    Terminate(R),
}

/// Whose request began a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Claim {
    /// A probe of this invocation.
    Invocation,
    /// A request under this key, of any invocation.
    Key,
    /// A probe of another invocation under this key.
    OtherInvocation,
    /// A request of somebody else, or one of the service's own for a later run of a chain.
    Foreign,
}

/// What the service answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer<R> {
    /// To a start: accepted.
    Accepted {
        /// The run that has the Workflow ID.
        run: R,
        /// The first run of its chain, if the service says.
        first: Option<R>,
        /// Whether a request of this ID began the run, now or when it was sent before.
        began: bool,
    },
    /// To a start: a run has the Workflow ID, and the request's policies leave it.
    Taken(Taken<R>),
    /// To a description.
    Described {
        /// Whether the run is open.
        open: bool,
        /// The first run of its chain, if the service says.
        first: Option<R>,
        /// Whose request began the run itself.
        claim: Claim,
    },
    /// To a termination: done.
    Terminated,
    /// To a description or a termination: there is no such run, or it is closed.
    Absent,
    /// To any call: nothing was done, and it may be asked for again.
    NotNow,
    /// To any call: nobody knows whether it was done.
    Unknown,
    /// To any call: it will not be done.
    Refused,
}

/// The run that has a Workflow ID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Taken<R> {
    /// Whose request began it.
    pub claim: Claim,
    /// Its run ID.
    pub run: R,
    /// The first run of its chain; old services do not say.
    pub first: Option<R>,
    /// Whether it is closed, if the service's words tell.
    pub closed: Option<bool>,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Next<R> {
    /// Ask this at once: an answer that it rests on must not grow old.
    Call(Call<R>),
    /// Begin another attempt.
    Again {
        /// Whether at once, as the state of the Workflow ID has changed, or after a pause.
        at_once: bool,
    },
    /// There is an outcome.
    Done(End<R>),
    /// The last answer was a refusal, and ends the start.
    GiveUp(Failing<R>),
}

/// What a start came to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct End<R> {
    /// How.
    pub how: How,
    /// The run that has the Workflow ID.
    pub run: R,
    /// The first run of its chain, if the service says.
    pub first: Option<R>,
}

/// How a start came to an end in the wanted state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// A start request of this invocation was accepted as the beginning of the run.
    Started,
    /// One of another invocation under the same key was.
    Deduplicated,
    /// A run of somebody else was there and is left alone: whether it is closed, if that is known.
    Existing {
        /// Whether it is closed.
        closed: Option<bool>,
    },
}

/// What is known of a start that is given up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Failing<R> {
    /// No request of this invocation has begun anything.
    NothingBegun,
    /// A request of this invocation has had no answer, and may have begun the run.
    MayHaveBegun,
    /// The chain of somebody else was ended, and the run in its place was not begun as far as is
    /// known: its first run.
    Ended(R),
    /// A run that is there may be ours; the service does not let us see.
    CannotTell(R),
}

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
                State::Probe | State::Begin(..) | State::Replace(_),
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
            (
                State::Attach(_),
                Answer::Accepted {
                    run,
                    first,
                    began: true,
                },
            ) => done(How::Started, run, first),
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
