//! What is explored: who takes part, what may happen, and what must not be.

use temporal_manifest::run::protocol::Rules;

use super::model::Run;

/// What is explored: who takes part, and how much may happen.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What the Workflow ID has at the beginning.
    pub beginning: Beginning,
    /// What the manifest says, in every invocation.
    pub rules: Rules,
    /// The invocations.
    pub invocations: Vec<Invocation>,
    /// What may happen.
    pub budget: Budget,
    /// How much the service says.
    pub service: Service,
}

/// What the Workflow ID has at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// Nothing.
    Free,
    /// A run of somebody else, open.
    Running,
    /// A later run of somebody else's chain, open.
    RunningOn,
    /// One that has completed.
    Completed,
    /// One that has failed.
    Failed,
}

/// One run of the program.
#[derive(Clone, Copy, Debug)]
pub struct Invocation {
    /// Its key: 0 or 1.
    pub key: u8,
    /// Whether it made the key itself, so that nobody can have used it before it began.
    pub fresh: bool,
    /// Whether it begins only after the one before it has ended: a repeat.
    pub repeats: bool,
    /// Whether it may read runs.
    pub may_describe: bool,
    /// Whether it may end them.
    pub may_terminate: bool,
}

/// How often what may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Attempts of each invocation.
    pub attempts: u8,
    /// Calls that get no answer. They are carried out at any later moment, at once, or never.
    pub late: u8,
    /// Calls that are carried out a second time at any later moment.
    pub doubled: u8,
    /// Calls that are refused for good.
    pub refused: u8,
    /// Calls that are refused for now.
    pub throttled: u8,
    /// Times that a run goes on as another one.
    pub goes_on: u8,
    /// Chains that end.
    pub ends: u8,
    /// Runs that another client begins.
    pub others: u8,
    /// Runs that are deleted.
    pub deletions: u8,
    /// Runs that are reset.
    pub resets: u8,
}

/// How much the service says in `ALREADY_EXISTS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The first run, and whether the run is closed.
    Full,
    /// Not the first run, as older ones do.
    WithoutFirst,
    /// Not whether it is closed, as the words are others.
    WithoutClosed,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A repeat begins.
    Begin(u8),
    /// The service carries out its call, and the answer arrives.
    Execute(u8),
    /// The same, and the call is carried out once more at a later moment.
    Double(u8),
    /// No answer arrives. The call is still under way.
    GiveUp(u8),
    /// The call is refused for good, and not carried out.
    Refuse(u8),
    /// The call is refused for now, and not carried out.
    Throttle(u8),
    /// The invocation is killed. Its call is still under way.
    Kill(u8),
    /// A call that nobody waits for any more is carried out.
    Late(u8),
    /// The run goes on as another one.
    GoOn,
    /// The chain ends well.
    Complete,
    /// The chain ends badly.
    Fail,
    /// Another client begins a run, over a closed or a running one.
    Other,
    /// A run is deleted.
    Delete(Run),
    /// A run is reset.
    Reset(Run),
}

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wrong {
    /// I1: a second chain was begun under a key.
    SecondChain,
    /// I2: a client ended a chain of its own key.
    OwnChainEnded,
    /// I3: an outcome says what is not so.
    FalseOutcome,
    /// I4: a chain of somebody else was ended and none begun, and the outcome does not say so.
    SilentEnd,
}

/// Something that must not be, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Harm {
    /// What.
    pub wrong: Wrong,
    /// How many changes by others lie between the client's last look and its request.
    pub window: u8,
    /// Whether the chain that was followed had gone on as another run and then ended, badly or
    /// over a run that had completed: what is documented.
    pub is_documented: bool,
    /// What it is about.
    pub about: String,
}
