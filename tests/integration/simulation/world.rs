//! One Workflow ID, some invocations that start it, and all that may happen to them.

use temporal_manifest::expand::start::{IdConflictPolicy, IdReusePolicy};
use temporal_manifest::run::protocol::{
    Answer, Call, Claim, End, Failing, How, Next, Protocol, Request, RequestName, Taken,
};

use super::model::{self, RequestId, Run, Runs, Started, Status, Terminated};
use super::old_protocol::Machine;
use super::scenario::{Action, Beginning, Budget, Harm, Invocation, Scenario, Service, Wrong};

/// Most changes by others that are counted between a client's last look and its request.
const MOST_COUNTED: u8 = 4;

/// Begins the runs of somebody else.
const NOBODY: u8 = u8::MAX;

/// The whole state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World<M> {
    runs: Runs,
    /// Whose request began each run.
    begun_by: Vec<u8>,
    /// For each key, how many chains were begun since somebody else last had the Workflow ID.
    chains: [u8; 2],
    clients: Vec<Client<M>>,
    late: Vec<Late>,
    budget: Budget,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Client<M> {
    machine: M,
    phase: Phase,
    attempts: u8,
    /// Changes by others since its last call was carried out.
    age: u8,
    /// Whether it has sent a request that names the key alone.
    has_sent_key: bool,
    /// Whether it has ended a chain of somebody else, and nothing has followed.
    has_ended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Waiting,
    Calling(Call<Run>),
    Over,
}

/// A call that nobody waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Late {
    client: u8,
    age: u8,
    is_double: bool,
    call: LateCall,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum LateCall {
    Start {
        names_key: bool,
        closed: u8,
        running: u8,
        attaches: bool,
    },
    Terminate(Run),
}

impl<M: Machine> World<M> {
    /// The state at the beginning.
    pub fn new(scenario: &Scenario) -> Self {
        let mut runs = Runs::default();
        if scenario.beginning != Beginning::Free {
            runs.start(somebody_elses(0));
        }
        match scenario.beginning {
            Beginning::Free | Beginning::Running => {}
            Beginning::RunningOn => runs.go_on(),
            Beginning::Completed => runs.end(Status::Completed),
            Beginning::Failed => runs.end(Status::Failed),
        }
        let client = |invocation: &Invocation| Client {
            machine: M::new(scenario.rules, invocation.fresh),
            phase: Phase::Waiting,
            attempts: scenario.budget.attempts,
            age: 0,
            has_sent_key: false,
            has_ended: false,
        };
        let mut world = World {
            begun_by: vec![NOBODY; usize::from(runs.count())],
            runs,
            chains: [0; 2],
            clients: scenario.invocations.iter().map(client).collect(),
            late: Vec::new(),
            budget: scenario.budget,
        };
        for (number, invocation) in scenario.invocations.iter().enumerate() {
            // As a call may take any time, it makes no difference when an invocation begins.
            if !invocation.repeats {
                world.begin(number as u8);
            }
        }
        world
    }

    fn begin(&mut self, number: u8) {
        let call = self.clients[usize::from(number)].machine.begin();
        self.call(number, call);
    }

    /// Nothing is heard of an invocation any more, so that states need not differ in it.
    fn over(&mut self, scenario: &Scenario, number: u8) {
        let fresh = scenario.invocations[usize::from(number)].fresh;
        self.clients[usize::from(number)] = Client {
            machine: M::new(scenario.rules, fresh),
            phase: Phase::Over,
            attempts: 0,
            age: 0,
            has_sent_key: false,
            has_ended: false,
        };
    }

    /// What may happen next.
    pub fn actions(&self, scenario: &Scenario, actions: &mut Vec<Action>) {
        actions.clear();
        for (index, client) in self.clients.iter().enumerate() {
            let number = index as u8;
            match &client.phase {
                Phase::Waiting => {
                    let repeats = scenario.invocations[index].repeats;
                    if !repeats || self.clients[index - 1].phase == Phase::Over {
                        actions.push(Action::Begin(number));
                    }
                }
                Phase::Calling(call) => self.client_actions(number, call, actions),
                Phase::Over => {}
            }
        }
        actions.extend((0..self.late.len()).map(|late| Action::Late(late as u8)));
        self.events(actions);
    }

    fn client_actions(&self, number: u8, call: &Call<Run>, actions: &mut Vec<Action>) {
        let Budget {
            late,
            doubled,
            refused,
            throttled,
            ..
        } = self.budget;
        let changes_something = !matches!(call, Call::Describe(_));
        actions.push(Action::Execute(number));
        actions.push(Action::Kill(number));
        let possible = [
            (late > 0, Action::GiveUp(number)),
            (doubled > 0 && changes_something, Action::Double(number)),
            (refused > 0, Action::Refuse(number)),
            (throttled > 0, Action::Throttle(number)),
        ];
        actions.extend(
            possible
                .iter()
                .filter(|(may, _)| *may)
                .map(|(_, action)| action),
        );
    }

    /// What others may do.
    fn events(&self, actions: &mut Vec<Action>) {
        let budget = self.budget;
        if self.runs.running().is_some() {
            if budget.goes_on > 0 {
                actions.push(Action::GoOn);
            }
            if budget.ends > 0 {
                actions.extend([Action::Complete, Action::Fail]);
            }
        }
        if budget.others > 0 {
            actions.push(Action::Other);
        }
        let Some(current) = self.runs.current() else {
            return;
        };
        let first = self.runs.record(current).first;
        if budget.deletions > 0 {
            if self.runs.running().is_none() {
                actions.push(Action::Delete(current));
            }
            if first != current && !self.runs.record(first).deleted {
                actions.push(Action::Delete(first));
            }
        }
        if budget.resets > 0 {
            let runs = 0..self.runs.count();
            actions.extend(
                runs.filter(|run| !self.runs.record(*run).deleted)
                    .map(Action::Reset),
            );
        }
    }

    /// Lets something happen.
    pub fn take(&mut self, scenario: &Scenario, action: Action) -> Result<(), Harm> {
        match action {
            Action::Begin(number) => {
                self.begin(number);
                Ok(())
            }
            Action::Execute(number) => self.execute(scenario, number),
            Action::Double(number) => {
                self.budget.doubled -= 1;
                self.leave(number, true);
                self.execute(scenario, number)
            }
            Action::GiveUp(number) => {
                self.budget.late -= 1;
                self.leave(number, false);
                self.answer(scenario, number, Answer::Unknown)
            }
            Action::Refuse(number) => {
                self.budget.refused -= 1;
                self.answer(scenario, number, Answer::Refused)
            }
            Action::Throttle(number) => {
                self.budget.throttled -= 1;
                self.answer(scenario, number, Answer::NotNow)
            }
            Action::Kill(number) => {
                self.leave(number, false);
                self.over(scenario, number);
                Ok(())
            }
            Action::Late(index) => {
                let late = self.late.remove(usize::from(index));
                let call = late.call.call();
                self.carry_out(scenario, late.client, &call, late.age, NOBODY)
                    .map(|_| ())
            }
            event => {
                self.happen(event);
                Ok(())
            }
        }
    }

    /// Something that no client does.
    fn happen(&mut self, event: Action) {
        match event {
            Action::GoOn => {
                self.budget.goes_on -= 1;
                let by = self.begun_by[usize::from(self.runs.running().expect("one runs"))];
                self.runs.go_on();
                self.begun_by.push(by);
            }
            Action::Complete => {
                self.budget.ends -= 1;
                self.runs.end(Status::Completed);
            }
            Action::Fail => {
                self.budget.ends -= 1;
                self.runs.end(Status::Failed);
            }
            Action::Other => {
                self.budget.others -= 1;
                self.runs.start(somebody_elses(1 + self.budget.others));
                self.begun_by.push(NOBODY);
                self.somebody_has_taken_it(true);
            }
            Action::Delete(run) => {
                self.budget.deletions -= 1;
                self.runs.delete(run);
                // Nobody can know any longer whose chain it was.
                self.somebody_has_taken_it(true);
            }
            Action::Reset(run) => {
                self.budget.resets -= 1;
                let before = self.runs.current().map(|run| self.runs.record(run).first);
                self.runs.reset(run);
                self.begun_by.push(self.begun_by[usize::from(run)]);
                let is_another = before != Some(self.runs.record(run).first);
                self.somebody_has_taken_it(is_another);
            }
            _ => unreachable!("an invocation does that"),
        }
        self.changed_by(NOBODY);
    }

    /// Somebody has changed what has the Workflow ID. If it is another chain now, what was begun
    /// before is out of sight.
    fn somebody_has_taken_it(&mut self, is_another: bool) {
        if is_another {
            self.chains = [0; 2];
        }
        for client in &mut self.clients {
            client.has_ended = false;
        }
    }

    /// All that is under way rests on an older look now, but for the client that looks just now.
    fn changed_by(&mut self, client: u8) {
        for (index, other) in self.clients.iter_mut().enumerate() {
            if index != usize::from(client) && matches!(other.phase, Phase::Calling(_)) {
                other.age = (other.age + 1).min(MOST_COUNTED);
            }
        }
        for late in &mut self.late {
            late.age = (late.age + 1).min(MOST_COUNTED);
        }
        self.late.sort_unstable();
    }

    /// A call is on its way.
    fn call(&mut self, number: u8, call: Call<Run>) {
        let client = &mut self.clients[usize::from(number)];
        if let Call::Start(Request {
            name: RequestName::Key,
            ..
        }) = call
        {
            client.has_sent_key = true;
        }
        client.phase = Phase::Calling(call);
    }

    /// Leaves the call of a client on its way, without anybody who waits for it.
    fn leave(&mut self, number: u8, is_double: bool) {
        let client = &self.clients[usize::from(number)];
        let Phase::Calling(call) = &client.phase else {
            unreachable!("only a client that calls can stop waiting");
        };
        // Nobody hears what a late description says.
        if let Some(call) = LateCall::new(call) {
            self.late.push(Late {
                client: number,
                age: client.age,
                is_double,
                call,
            });
            self.late.sort_unstable();
        }
    }

    /// The service carries out what a client waits for, and answers.
    fn execute(&mut self, scenario: &Scenario, number: u8) -> Result<(), Harm> {
        let client = &self.clients[usize::from(number)];
        let Phase::Calling(call) = client.phase.clone() else {
            unreachable!("only a call can be carried out");
        };
        let age = client.age;
        let answer = self.carry_out(scenario, number, &call, age, number)?;
        self.answer(scenario, number, answer)?;
        // A description tells of a run, and not which one has the Workflow ID.
        if !matches!(call, Call::Describe(_)) {
            self.clients[usize::from(number)].age = 0;
        }
        Ok(())
    }

    fn carry_out(
        &mut self,
        scenario: &Scenario,
        number: u8,
        call: &Call<Run>,
        window: u8,
        looks: u8,
    ) -> Result<Answer<Run>, Harm> {
        let invocation = scenario.invocations[usize::from(number)];
        match call {
            Call::Start(request) => self.start(scenario, number, *request, window, looks),
            Call::Describe(_) if !invocation.may_describe => Ok(Answer::Refused),
            Call::Terminate(_) if !invocation.may_terminate => Ok(Answer::Refused),
            Call::Describe(run) => Ok(match self.runs.describe(*run) {
                None => Answer::Absent,
                Some(model::Described {
                    open,
                    first,
                    request,
                }) => Answer::Described {
                    open,
                    first: Some(first),
                    claim: claim(request, number, invocation.key),
                },
            }),
            Call::Terminate(first) => {
                let ends = self.runs.running();
                if self.runs.terminate(*first) != Terminated::Done {
                    return Ok(Answer::Absent);
                }
                self.changed_by(looks);
                self.ended(invocation, number, ends, window)?;
                Ok(Answer::Terminated)
            }
        }
    }

    fn start(
        &mut self,
        scenario: &Scenario,
        number: u8,
        request: Request,
        window: u8,
        looks: u8,
    ) -> Result<Answer<Run>, Harm> {
        let invocation = scenario.invocations[usize::from(number)];
        let before = self.runs.clone();
        let request = model::StartRequest {
            request: request_id(request.name, number, invocation.key),
            closed: request.closed,
            running: request.running,
            attaches: request.attaches,
        };
        let answer = self.runs.start(request);
        if self.runs != before {
            self.changed_by(looks);
        }
        if self.runs.count() > before.count() {
            self.begun_by.push(number);
            if before.running().is_some() {
                self.ended(invocation, number, before.running(), window)?;
            }
            self.begun(invocation, before.current(), window)?;
        }
        let key = invocation.key;
        Ok(match answer {
            Started::Accepted { run, began } => Answer::Accepted {
                run,
                first: Some(self.runs.record(run).first),
                began,
            },
            Started::Taken {
                request,
                run,
                first,
                closed,
            } => Answer::Taken(Taken {
                claim: claim(request, number, key),
                run,
                first: (scenario.service != Service::WithoutFirst).then_some(first),
                closed: (scenario.service != Service::WithoutClosed).then_some(closed),
            }),
            Started::Invalid => unreachable!("no manifest has such policies"),
        })
    }

    /// A client has ended a chain.
    fn ended(
        &mut self,
        invocation: Invocation,
        number: u8,
        run: Option<Run>,
        window: u8,
    ) -> Result<(), Harm> {
        let run = run.expect("only a running run can be ended");
        let first = self.runs.record(run).first;
        if self.key_of(first) != Some(invocation.key) {
            self.clients[usize::from(number)].has_ended = true;
            return Ok(());
        }
        if self.runs.record(first).deleted {
            return Ok(());
        }
        Err(Harm {
            wrong: Wrong::OwnChainEnded,
            window,
            is_documented: false,
            about: format!("run {run} of the chain that run {first} began was ended"),
        })
    }

    /// A client has begun a chain.
    fn begun(&mut self, invocation: Invocation, over: Option<Run>, window: u8) -> Result<(), Harm> {
        let key = usize::from(invocation.key);
        let has_chain = self.chains[key] > 0;
        // For other keys, somebody else has the Workflow ID now.
        self.somebody_has_taken_it(true);
        self.chains[key] = 1;
        if !has_chain {
            return Ok(());
        }
        let over = over.filter(|over| self.is_documented(*over));
        Err(Harm {
            wrong: Wrong::SecondChain,
            window,
            is_documented: over.is_some(),
            about: "a second chain was begun".to_owned(),
        })
    }

    /// Whether a chain has gone on as another run, and then failed, or was begun over a run that
    /// had completed: `last` is its last run.
    fn is_documented(&self, last: Run) -> bool {
        let first = self.runs.record(last).first;
        let before = first.checked_sub(1);
        let completed = |run: Run| self.runs.record(run).status == Status::Completed;
        let status = self.runs.record(last).status;
        let has_failed = matches!(status, Status::Failed | Status::Terminated);
        first != last && (has_failed || before.is_some_and(completed))
    }

    /// A client hears an answer.
    fn answer(&mut self, scenario: &Scenario, number: u8, answer: Answer<Run>) -> Result<(), Harm> {
        let client = &mut self.clients[usize::from(number)];
        let mut next = client.machine.next(answer);
        if let Next::Again { at_once } = next {
            // What follows at once is bounded by what others do.
            client.attempts -= u8::from(!at_once);
            next = if client.attempts == 0 {
                Next::GiveUp(client.machine.failing())
            } else {
                Next::Call(client.machine.begin())
            };
        }
        match next {
            Next::Call(call) => self.call(number, call),
            Next::Again { .. } => unreachable!("another attempt has begun"),
            Next::Done(end) => {
                self.check_end::<M>(scenario, number, &end)?;
                self.over(scenario, number);
            }
            Next::GiveUp(failing) => {
                self.check_failing(number, &failing)?;
                self.over(scenario, number);
            }
        }
        Ok(())
    }

    fn check_end<T: Machine>(
        &self,
        scenario: &Scenario,
        number: u8,
        end: &End<Run>,
    ) -> Result<(), Harm> {
        let key = scenario.invocations[usize::from(number)].key;
        let client = &self.clients[usize::from(number)];
        let first = self.runs.record(end.run).first;
        let request = self.runs.record(first).request;
        let is_ours = self.key_of(first) == Some(key);
        let own = request_id(RequestName::Invocation, number, key);
        let by_key = request_id(RequestName::Key, number, key);
        let is_true = match end.how {
            _ if self.runs.record(first).deleted => true,
            How::Started | How::Deduplicated if !T::TELLS_INVOCATIONS => is_ours,
            How::Started => request == own || (request == by_key && client.has_sent_key),
            How::Deduplicated => is_ours && self.begun_by[usize::from(first)] != number,
            How::Existing { .. } => !is_ours,
        };
        let names_first = end.first.is_none_or(|named| named == first);
        if !is_true || !names_first {
            return Err(self.false_outcome(number, format!("{end:?}")));
        }
        if client.has_ended && matches!(end.how, How::Existing { .. }) {
            return Err(Harm {
                wrong: Wrong::SilentEnd,
                ..self.false_outcome(number, format!("{end:?}"))
            });
        }
        Ok(())
    }

    fn check_failing(&self, number: u8, failing: &Failing<Run>) -> Result<(), Harm> {
        if *failing != Failing::NothingBegun {
            return Ok(());
        }
        let client = &self.clients[usize::from(number)];
        let begun = self.begun_by.contains(&number);
        let may_begin = self.late.iter().any(|late| {
            let is_start = matches!(late.call, LateCall::Start { .. });
            late.client == number && !late.is_double && is_start
        });
        if begun || may_begin {
            return Err(self.false_outcome(number, format!("{failing:?}")));
        }
        if client.has_ended {
            return Err(Harm {
                wrong: Wrong::SilentEnd,
                ..self.false_outcome(number, format!("{failing:?}"))
            });
        }
        Ok(())
    }

    fn false_outcome(&self, number: u8, about: String) -> Harm {
        Harm {
            wrong: Wrong::FalseOutcome,
            window: self.clients[usize::from(number)].age,
            is_documented: false,
            about,
        }
    }

    /// The key of the chain that a run began.
    fn key_of(&self, first: Run) -> Option<u8> {
        let RequestId(number) = self.runs.record(first).request;
        (FIRST_KEY..OTHERS)
            .contains(&number)
            .then(|| (number - FIRST_KEY) / PER_KEY)
    }

    /// What something is about, for people.
    pub fn about(&self, action: Action) -> String {
        match action {
            Action::Execute(number)
            | Action::Double(number)
            | Action::GiveUp(number)
            | Action::Refuse(number)
            | Action::Throttle(number)
            | Action::Kill(number) => format!("{:?}", self.clients[usize::from(number)].phase),
            Action::Late(index) => format!("{:?}", self.late[usize::from(index)]),
            _ => format!("{:?}", self.runs.current()),
        }
    }
}

/// Request IDs under the first key: the key's own, and one for each invocation.
const FIRST_KEY: u8 = 1;
const PER_KEY: u8 = 8;
/// Request IDs of somebody else.
const OTHERS: u8 = 32;

fn request_id(name: RequestName, number: u8, key: u8) -> RequestId {
    let tag = match name {
        RequestName::Key => 0,
        RequestName::Invocation => 1 + number,
    };
    RequestId(FIRST_KEY + key * PER_KEY + tag)
}

fn claim(request: RequestId, number: u8, key: u8) -> Claim {
    let of_key = FIRST_KEY + key * PER_KEY;
    if request == request_id(RequestName::Invocation, number, key) {
        Claim::Invocation
    } else if request == request_id(RequestName::Key, number, key) {
        Claim::Key
    } else if (of_key..of_key + PER_KEY).contains(&request.0) {
        Claim::OtherInvocation
    } else {
        Claim::Foreign
    }
}

/// What begins a run whatever has the Workflow ID.
fn somebody_elses(number: u8) -> model::StartRequest {
    model::StartRequest {
        request: RequestId(OTHERS + number),
        closed: IdReusePolicy::AllowDuplicate,
        running: IdConflictPolicy::TerminateExisting,
        attaches: false,
    }
}

const CLOSED: [IdReusePolicy; 3] = [
    IdReusePolicy::AllowDuplicate,
    IdReusePolicy::AllowDuplicateFailedOnly,
    IdReusePolicy::RejectDuplicate,
];
const RUNNING: [IdConflictPolicy; 3] = [
    IdConflictPolicy::Fail,
    IdConflictPolicy::UseExisting,
    IdConflictPolicy::TerminateExisting,
];

impl LateCall {
    fn new(call: &Call<Run>) -> Option<Self> {
        let place = "every policy is in the list";
        match call {
            Call::Describe(_) => None,
            Call::Terminate(first) => Some(LateCall::Terminate(*first)),
            Call::Start(request) => Some(LateCall::Start {
                names_key: request.name == RequestName::Key,
                closed: CLOSED
                    .iter()
                    .position(|one| *one == request.closed)
                    .expect(place) as u8,
                running: RUNNING
                    .iter()
                    .position(|one| *one == request.running)
                    .expect(place) as u8,
                attaches: request.attaches,
            }),
        }
    }

    fn call(self) -> Call<Run> {
        match self {
            LateCall::Terminate(first) => Call::Terminate(first),
            LateCall::Start {
                names_key,
                closed,
                running,
                attaches,
            } => Call::Start(Request {
                name: if names_key {
                    RequestName::Key
                } else {
                    RequestName::Invocation
                },
                closed: CLOSED[usize::from(closed)],
                running: RUNNING[usize::from(running)],
                attaches,
            }),
        }
    }
}

/// How many calls each invocation makes if one follows the other and nothing else happens.
pub fn calls_alone(scenario: &Scenario) -> Vec<usize> {
    let mut world = World::<Protocol<Run>>::new(scenario);
    let mut calls = vec![0; scenario.invocations.len()];
    for (index, calls) in calls.iter_mut().enumerate() {
        let number = index as u8;
        if world.clients[index].phase == Phase::Waiting {
            world.begin(number);
        }
        while matches!(world.clients[index].phase, Phase::Calling(_)) {
            *calls += 1;
            let harm = world.take(scenario, Action::Execute(number));
            harm.expect("nothing happens that could do harm");
        }
    }
    calls
}
