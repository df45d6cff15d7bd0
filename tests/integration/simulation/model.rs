//! A Temporal Service in memory: what happens to the runs of one Workflow ID, and what the service
//! answers. `differential.rs` holds it to a real server, answer by answer.
//!
//! Small and cheap to copy, as the explorer keeps millions of them.

use temporal_manifest::expand::start::{IdConflictPolicy, IdReusePolicy};

/// A run: its place among all that the Workflow ID has had, from 0.
pub type Run = u8;

/// A request ID, numbered by whoever uses the model. At most 63.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u8);

impl RequestId {
    /// Of the service's own making, for a later run of a chain: no client ever sends it.
    pub const OF_THE_SERVICE: RequestId = RequestId(0);
}

/// What has become of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It is open.
    Running,
    /// It has completed.
    Completed,
    /// It has failed, was canceled or has timed out: what `AllowDuplicateFailedOnly` allows.
    Failed,
    /// It was terminated, which counts as a failure too.
    Terminated,
    /// Another run goes on in its place: continued as new, retried, or the next of a schedule.
    WentOn,
}

/// What the service keeps of a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// The first run of its chain.
    pub first: Run,
    /// The request that began it.
    pub request: RequestId,
    /// The requests that were attached to it: a bit for each.
    attached: u64,
    /// What has become of it.
    pub status: Status,
    /// Whether the service has deleted it.
    pub deleted: bool,
}

/// A start request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StartRequest {
    /// Its request ID.
    pub request: RequestId,
    /// What happens over a closed run.
    pub closed: IdReusePolicy,
    /// What happens over a running one.
    pub running: IdConflictPolicy,
    /// Whether its request ID is attached to a running one, under `UseExisting`.
    pub attaches: bool,
}

/// The answer to a start request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// Accepted.
    Accepted {
        /// The run that has the Workflow ID.
        run: Run,
        /// Whether the request began it, now or when it was sent before.
        began: bool,
    },
    /// Refused, as a run has the Workflow ID: `ALREADY_EXISTS`.
    Taken {
        /// The request that began it.
        request: RequestId,
        /// The run.
        run: Run,
        /// The first run of its chain.
        first: Run,
        /// Whether it is closed.
        closed: bool,
    },
    /// Refused whatever the Workflow ID has: `INVALID_ARGUMENT`.
    Invalid,
}

/// The answer to a termination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminated {
    /// Done.
    Done,
    /// The Workflow ID has no run, or an open one of another chain.
    NotFound,
    /// The run that has the Workflow ID is closed, whichever it is.
    Completed,
}

/// What the service knows of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// Whether it is open.
    pub open: bool,
    /// The first run of its chain.
    pub first: Run,
    /// The request that began it.
    pub request: RequestId,
}

/// All runs that a Workflow ID has had.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Runs {
    records: Vec<Record>,
    current: Option<Run>,
}

impl Runs {
    /// The run that has the Workflow ID.
    pub fn current(&self) -> Option<Run> {
        self.current
    }

    /// What is known of a run, the deleted ones included.
    pub fn record(&self, run: Run) -> &Record {
        &self.records[usize::from(run)]
    }

    /// How many runs there have been.
    pub fn count(&self) -> u8 {
        self.records.len() as u8
    }

    /// A client asks for a run.
    pub fn start(&mut self, asked: StartRequest) -> Started {
        let is_invalid = match asked.closed {
            // A closed run could never be followed, so that an open one must not be ended.
            IdReusePolicy::RejectDuplicate => asked.running == IdConflictPolicy::TerminateExisting,
            // Says what `TerminateExisting` says, and is refused beside any word on that.
            IdReusePolicy::TerminateIfRunning => true,
            _ => false,
        };
        if is_invalid {
            return Started::Invalid;
        }
        let Some(run) = self.current else {
            return self.accept(asked.request);
        };
        let record = self.record(run).clone();
        if record.request == asked.request {
            return Started::Accepted { run, began: true };
        }
        if record.attached & bit(asked.request) != 0 {
            return Started::Accepted { run, began: false };
        }
        let taken = Started::Taken {
            request: record.request,
            run,
            first: record.first,
            closed: record.status != Status::Running,
        };
        match (record.status, asked.running, asked.closed) {
            (Status::Running, IdConflictPolicy::Fail, _) => taken,
            (Status::Running, IdConflictPolicy::UseExisting, _) => {
                if asked.attaches {
                    self.record_mut(run).attached |= bit(asked.request);
                }
                Started::Accepted { run, began: false }
            }
            (Status::Running, IdConflictPolicy::TerminateExisting, _) => {
                self.record_mut(run).status = Status::Terminated;
                self.accept(asked.request)
            }
            (_, _, IdReusePolicy::RejectDuplicate)
            | (Status::Completed, _, IdReusePolicy::AllowDuplicateFailedOnly) => taken,
            _ => self.accept(asked.request),
        }
    }

    /// A client asks about a run; `None` if there is none, or none any more.
    pub fn describe(&self, run: Run) -> Option<Described> {
        let record = self.records.get(usize::from(run))?;
        (!record.deleted).then_some(Described {
            open: record.status == Status::Running,
            first: record.first,
            request: record.request,
        })
    }

    /// A client ends the chain that a run began, if it has the Workflow ID.
    pub fn terminate(&mut self, first: Run) -> Terminated {
        let Some(run) = self.current else {
            return Terminated::NotFound;
        };
        let record = self.record_mut(run);
        // Of a closed run nobody asks whose chain it is.
        if record.status != Status::Running {
            return Terminated::Completed;
        }
        if record.first != first {
            return Terminated::NotFound;
        }
        record.status = Status::Terminated;
        Terminated::Done
    }

    /// The running run, if there is one.
    pub fn running(&self) -> Option<Run> {
        self.current
            .filter(|run| self.record(*run).status == Status::Running)
    }

    /// The running run ends, and another one of its chain goes on: continued as new, retried, or
    /// the next one of a schedule.
    pub fn go_on(&mut self) {
        let run = self.running().expect("only a running run goes on");
        self.record_mut(run).status = Status::WentOn;
        let first = self.record(run).first;
        self.begin(first, RequestId::OF_THE_SERVICE);
    }

    /// The running run ends, and with it its chain.
    pub fn end(&mut self, status: Status) {
        let run = self.running().expect("only a running run ends");
        self.record_mut(run).status = status;
    }

    /// Somebody resets a run to its beginning: it is begun anew, and what runs is terminated.
    pub fn reset(&mut self, run: Run) {
        if let Some(running) = self.running() {
            self.record_mut(running).status = Status::Terminated;
        }
        let Record { first, request, .. } = *self.record(run);
        self.begin(first, request);
    }

    /// The service deletes a run, at somebody's request or after its retention.
    pub fn delete(&mut self, run: Run) {
        self.record_mut(run).deleted = true;
        self.current = self.current.filter(|current| *current != run);
    }

    fn accept(&mut self, request: RequestId) -> Started {
        let run = self.begin(self.count(), request);
        Started::Accepted { run, began: true }
    }

    fn begin(&mut self, first: Run, request: RequestId) -> Run {
        let run = self.count();
        self.records.push(Record {
            first,
            request,
            attached: 0,
            status: Status::Running,
            deleted: false,
        });
        self.current = Some(run);
        run
    }

    fn record_mut(&mut self, run: Run) -> &mut Record {
        &mut self.records[usize::from(run)]
    }
}

fn bit(request: RequestId) -> u64 {
    1 << request.0
}
