//! Protocols that are known to do harm. The explorer must find it, or it would find nothing.

use temporal_manifest::run::protocol::{
    Answer, Call, Claim, End, Failing, How, Next, Protocol, Request, RequestName, Rules, Taken,
};

use super::model::Run;

/// A protocol that the explorer can try.
pub trait Machine: Clone + Eq + std::hash::Hash {
    /// Whether `Started` and `Deduplicated` are told apart by request IDs.
    const TELLS_INVOCATIONS: bool;
    /// A start that nothing has been asked for yet. `fresh`: its key is of the invocation's own
    /// making.
    fn new(rules: Rules, fresh: bool) -> Self;
    /// Begins an attempt.
    fn begin(&mut self) -> Call<Run>;
    /// Takes the answer to the last call.
    fn next(&mut self, answer: Answer<Run>) -> Next<Run>;
    /// What is known when time is up.
    fn failing(&self) -> Failing<Run>;
}

/// The protocol that the program follows.
impl Machine for Protocol<Run> {
    const TELLS_INVOCATIONS: bool = true;

    fn new(rules: Rules, _fresh: bool) -> Self {
        Protocol::new(rules)
    }

    fn begin(&mut self) -> Call<Run> {
        Protocol::begin(self)
    }

    fn next(&mut self, answer: Answer<Run>) -> Next<Run> {
        Protocol::next(self, answer)
    }

    fn failing(&self) -> Failing<Run> {
        Protocol::failing(self)
    }
}

/// The same, but that requests over somebody else's run name the invocation too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tagged(Protocol<Run>);

impl Machine for Tagged {
    const TELLS_INVOCATIONS: bool = true;

    fn new(rules: Rules, _fresh: bool) -> Self {
        Tagged(Protocol::new(rules))
    }

    fn begin(&mut self) -> Call<Run> {
        self.0.begin()
    }

    fn next(&mut self, answer: Answer<Run>) -> Next<Run> {
        match self.0.next(answer) {
            Next::Call(Call::Start(request)) => Next::Call(Call::Start(Request {
                name: RequestName::Invocation,
                ..request
            })),
            next => next,
        }
    }

    fn failing(&self) -> Failing<Run> {
        self.0.failing()
    }
}

/// The first protocol: only what may be a repeat is probed for, and then the request follows with
/// the manifest's own policies, whatever has happened in between.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AsAsked {
    rules: Rules,
    fresh: bool,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    Idle,
    Probe,
    Find(Taken<Run>),
    Real,
    /// The run in the way is asked whether it is closed.
    Close(Taken<Run>),
}

const PROBE: Request = Request {
    name: RequestName::Key,
    ..Request::PROBE
};

impl AsAsked {
    fn real(&mut self) -> Call<Run> {
        self.state = State::Real;
        Call::Start(Request {
            name: RequestName::Key,
            closed: self.rules.closed,
            running: self.rules.running,
            attaches: self.rules.attaches,
        })
    }

    fn existing(&mut self, taken: Taken<Run>) -> Next<Run> {
        if taken.closed.is_none() {
            let call = Call::Describe(taken.run);
            self.state = State::Close(taken);
            return Next::Call(call);
        }
        let Taken {
            run, first, closed, ..
        } = taken;
        done(How::Existing { closed }, run, first)
    }
}

impl Machine for AsAsked {
    // By clocks, which nothing here has.
    const TELLS_INVOCATIONS: bool = false;

    fn new(rules: Rules, fresh: bool) -> Self {
        AsAsked {
            rules,
            fresh,
            state: State::Idle,
        }
    }

    fn begin(&mut self) -> Call<Run> {
        if std::mem::replace(&mut self.fresh, false) {
            return self.real();
        }
        self.state = State::Probe;
        Call::Start(PROBE)
    }

    fn next(&mut self, answer: Answer<Run>) -> Next<Run> {
        match (std::mem::replace(&mut self.state, State::Idle), answer) {
            (_, Answer::NotNow | Answer::Unknown) => Next::Again { at_once: false },
            (State::Close(taken), Answer::Refused) => {
                done(How::Existing { closed: None }, taken.run, taken.first)
            }
            // Only the last answer is looked at.
            (_, Answer::Refused) => Next::GiveUp(Failing::NothingBegun),
            (
                State::Probe | State::Real,
                Answer::Accepted {
                    run,
                    first,
                    began: true,
                },
            ) => done(How::Started, run, first),
            (State::Probe | State::Real, Answer::Accepted { run, first, .. }) => done(
                How::Existing {
                    closed: Some(false),
                },
                run,
                first,
            ),
            (State::Probe, Answer::Taken(taken)) if taken.claim == Claim::Key => {
                done(How::Started, taken.run, taken.first)
            }
            (State::Probe, Answer::Taken(taken)) => {
                let first = taken.first.unwrap_or(taken.run);
                self.state = State::Find(taken);
                Next::Call(Call::Describe(first))
            }
            (
                State::Find(taken),
                Answer::Described {
                    claim: Claim::Key, ..
                },
            ) => done(How::Started, taken.run, taken.first),
            (State::Find(_), _) => Next::Call(self.real()),
            (State::Real, Answer::Taken(taken)) => self.existing(taken),
            (State::Close(taken), answer) => {
                let closed = match answer {
                    Answer::Described { open, .. } => Some(!open),
                    _ => None,
                };
                done(How::Existing { closed }, taken.run, taken.first)
            }
            (state, answer) => unreachable!("{answer:?} is no answer in {state:?}"),
        }
    }

    fn failing(&self) -> Failing<Run> {
        Failing::MayHaveBegun
    }
}

fn done(how: How, run: Run, first: Option<Run>) -> Next<Run> {
    Next::Done(End { how, run, first })
}
