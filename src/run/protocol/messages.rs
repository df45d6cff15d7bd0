//! What the protocol is told, asks and hears.

use crate::expand::start::{IdConflictPolicy, IdReusePolicy, StartOptions};

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
    pub(super) const fn over_closed(closed: IdReusePolicy) -> Self {
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
    /// How it came to be in the wanted state.
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
