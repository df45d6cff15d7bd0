//! One apply from its settings to its ending: [`prepare`] does all that needs no network, and
//! [`Session::run`] the rest.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::connected::{Connected, NotConnected};
use super::feed::{Fed, Feed};
use super::inputs::{Checked, Wanted};
use super::ledger::Ledger;
use super::note::Note;
use super::refusal::{Code, Kind, Refusal};
use super::settings::ApplySettings;
use super::stop::Stop;
use crate::expand::Batch;
use crate::expand::identity::IdempotencyKey;
use crate::expand::selection::Selection;
use crate::journal::record::{JournalHeader, OutcomeSettings, VERSION};
use crate::journal::{Journal, MAX_STARTS};
use crate::report::reporters::{Reporters, Told};
use crate::run::event::{
    ApplyFinished, ApplyStarted, Event, Input, Invocation, Selected, Service, Stopped,
};
use crate::run::service::Starter;
use crate::run::{self, ApplyContext, Limits, WaitLimits, engine};

/// Events that may wait for the reporters before the engine has to.
const EVENTS_AHEAD: usize = 1024;

/// An apply that is ready to begin: everything that can be known without the network makes sense.
#[derive(Debug)]
pub struct Session {
    batch: Batch,
    ledger: Ledger,
    header: JournalHeader,
    context: ApplyContext,
    limits: Limits,
    notes: Vec<Note>,
    /// Number of all starts, also of those that are not selected.
    of: u64,
    /// Starts whose conflicts count as done although they say `Fail`.
    conflicts: u64,
    /// The command that applies the same without a journal.
    without_journal: String,
}

/// What an apply has come to.
#[derive(Debug)]
pub struct Applied {
    /// What it came to, and what of it could not be told.
    pub told: Told,
    /// What is to be told beside.
    pub notes: Vec<Note>,
}

/// Does everything that needs no network: opens the journal, reads and checks the manifests. Writes
/// nothing, and can take as long as reading every row twice.
///
/// # Errors
/// Why nothing can begin.
pub fn prepare(settings: ApplySettings) -> Result<Session, Refusal> {
    let ledger = Ledger::open(&settings.journal)?;
    let key = ledger.key(settings.key.as_ref())?;
    let selection = ledger.selection(&settings.selection)?;
    let mut checked = settings.inputs.check(Wanted {
        key: Some(key.clone()),
        digest: ledger.keeps(),
        selection: selection.clone(),
        invocation: settings.invocation.clone(),
    })?;
    checked.findings.leave_out_advice();
    let batch = checked.take_batch()?;
    let mut notes = std::mem::take(&mut checked.notes);
    match Session::of(settings, ledger, key, &selection, checked, batch) {
        Ok(mut session) => {
            notes.append(&mut session.notes);
            Ok(Session { notes, ..session })
        }
        Err(refusal) => Err(Refusal { notes, ..refusal }),
    }
}

impl Session {
    fn of(
        settings: ApplySettings,
        ledger: Ledger,
        key: IdempotencyKey,
        selection: &Selection,
        mut checked: Checked,
        batch: Batch,
    ) -> Result<Self, Refusal> {
        let of = checked.preflight.of;
        if ledger.keeps() {
            can_keep(of)?;
        }
        let without_journal = settings.without_journal(&key);
        let started = started(&settings, &key, selection, &mut checked);
        let digest = checked.preflight.digest.take().unwrap_or_default();
        ledger.fits(
            &digest,
            started.selection.as_ref(),
            &settings.namespace,
            &without_journal,
        )?;
        let given = meaning(&settings, checked.preflight.total);
        let meaning = ledger.meaning(given, &without_journal)?;
        let limits = limits(&settings, &meaning);
        let notes = notes(&key, selection, &checked);
        let context = ApplyContext {
            key,
            namespace: settings.namespace,
            invocation_id: settings.invocation.id,
            fail_existing: meaning.fail_existing,
            retry_for: settings.retry_for,
        };
        let header = JournalHeader {
            version: VERSION,
            digest,
            namespace_id: None,
            settings: meaning,
            apply: started,
        };
        Ok(Session {
            batch,
            ledger,
            header,
            context,
            limits,
            notes,
            of,
            conflicts: checked.preflight.conflicts,
            without_journal,
        })
    }

    /// What is to be told before it begins.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The key that repeats it.
    pub fn key(&self) -> &IdempotencyKey {
        &self.context.key
    }

    /// Number of starts.
    pub fn total(&self) -> Option<u64> {
        self.header.apply.total
    }

    /// Whether Workflows are waited for.
    pub fn waits(&self) -> bool {
        self.header.settings.wait
    }

    /// Whether results are left out, so that the service need not be asked for them.
    pub fn hides_results(&self) -> bool {
        self.header.settings.hide_results
    }

    /// Connects, makes the starts, and tells the reporters of each. `stop` ends it early, and `tell`
    /// hears what deserves to be known before the first start.
    ///
    /// A service that cannot be reached is an ending: every start is skipped.
    ///
    /// # Errors
    /// Why not one start was made: the journal is not believed or cannot be written, or the system
    /// gives no thread.
    pub async fn run<S: Starter>(
        mut self,
        connecting: impl Future<Output = Result<Connected<S>, NotConnected>>,
        mut reporters: Reporters,
        stop: &Stop,
        mut tell: impl FnMut(&Note),
    ) -> Result<Applied, Refusal> {
        reporters = reporters.without_results(self.hides_results());
        self.ledger.recall(|event| reporters.recall(event))?;
        let (finished, to_wait_for) = self.ledger.left_out(self.waits())?;
        if reporters.need_outcomes() && !self.ledger.keeps() {
            can_keep(self.of)?;
            reporters.keep_in(temporary_journal()?);
        }
        let feed = Feed {
            batch: self.batch,
            finished,
            to_wait_for,
        };
        // What is expanded meanwhile is thrown away if the journal is refused.
        let fed = feed.begin().map_err(|error| Refusal::no_thread(&error))?;
        let connected = tokio::select! {
            connected = connecting => connected.map(Some),
            () = stop.token().cancelled() => Ok(None),
        };
        let header = &mut self.header;
        if let Ok(Some(connected)) = &connected {
            let id = connected.namespace_id.as_deref();
            let looked = self
                .ledger
                .look(&connected.service, id, &self.without_journal);
            looked.await?.iter().for_each(&mut tell);
            header.namespace_id = id.map(str::to_owned);
            let version = &connected.server_version;
            header.apply.service.server_version.clone_from(version);
        }
        header.apply.at = Timestamp::now();
        if let Some(journal) = self.ledger.begin(header.clone())? {
            reporters.keep_in(journal);
        }
        let starting = Starting {
            context: self.context,
            started: self.header.apply,
            limits: self.limits,
        };
        let (events, receiver) = mpsc::channel(EVENTS_AHEAD);
        let listening = reporters.listen(receiver, stop.token().clone());
        let (heard, ()) = futures::join!(listening, starting.run(connected, fed, stop, events));
        let told = heard.finish();
        let summary = &told.ending.summary;
        let are_left_alone = summary.existing > summary.existing_failed;
        let note = (self.conflicts > 0 && are_left_alone).then_some(Note::ConflictsCountAsDone);
        Ok(Applied {
            told,
            notes: note.into_iter().collect(),
        })
    }
}

/// What gives outcomes their meaning in an apply of `total` starts, as it was asked for.
fn meaning(settings: &ApplySettings, total: u64) -> OutcomeSettings {
    OutcomeSettings {
        fail_existing: settings.fail_existing,
        max_failures: settings.max_failures.map(|most| most.of(total)),
        wait: settings.wait,
        wait_timeout_ms: settings.wait_timeout.map(|it| it.as_millis() as u64),
        hide_results: settings.hide_results,
    }
}

/// How much may happen at a time, and for how long.
fn limits(settings: &ApplySettings, meaning: &OutcomeSettings) -> Limits {
    Limits {
        parallelism: settings.parallelism,
        starts_per_second: settings.starts_per_second,
        max_failures: meaning.max_failures,
        wait: meaning.wait.then_some(WaitLimits {
            timeout: meaning.wait_timeout_ms.map(Duration::from_millis),
        }),
    }
}

/// What the first event says, as far as it is known without the network.
fn started(
    settings: &ApplySettings,
    key: &IdempotencyKey,
    selection: &Selection,
    checked: &mut Checked,
) -> ApplyStarted {
    let inputs = checked.sources.iter().map(|source| Input {
        path: source.name().to_owned(),
        sha256: source.sha256().to_owned(),
    });
    let rows = std::mem::take(&mut checked.preflight.inputs).into_iter();
    let inputs = inputs.chain(rows.map(|(path, sha256)| Input { path, sha256 }));
    let started_at = settings.invocation.started_at;
    ApplyStarted {
        at: started_at,
        invocation: Invocation {
            id: settings.invocation.id.clone(),
            idempotency_key: key.as_str().to_owned(),
            command: "apply".to_owned(),
            started_at,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        service: Service {
            address: settings.address.clone(),
            namespace: settings.namespace.clone(),
            server_version: None,
        },
        inputs: inputs.collect(),
        total: Some(checked.preflight.total),
        selection: (!selection.is_all()).then(|| Selected {
            select: selection.patterns().to_vec(),
            shard: selection.shard().map(|shard| shard.to_string()),
            of: checked.preflight.of,
        }),
    }
}

/// What is to be told of an apply before it begins.
fn notes(key: &IdempotencyKey, selection: &Selection, checked: &Checked) -> Vec<Note> {
    let mut notes = vec![Note::Key(key.as_str().to_owned())];
    if checked.preflight.of == 0 {
        notes.push(Note::NothingToStart);
    }
    if selection.shard().is_some() && !key.is_given() {
        notes.push(Note::ShardsWithoutKey);
    }
    if !key.is_given() && checked.preflight.repeatable > 0 {
        notes.push(Note::BeginsNewOnes);
    }
    notes
}

/// Refuses more starts than a journal can be about.
fn can_keep(of: u64) -> Result<(), Refusal> {
    if of <= MAX_STARTS {
        return Ok(());
    }
    let message =
        format!("there are {of} starts, and a journal or report is about {MAX_STARTS} at most");
    Err(Refusal::usage(message).with_help("split the manifests"))
}

/// Where outcomes are kept that only reports need.
fn temporary_journal() -> Result<Journal, Refusal> {
    Journal::temporary().map_err(|error| {
        let message = format!("cannot write a temporary file: {error}");
        Refusal::new(Code::Journal, Kind::NotWritten, message)
    })
}

/// The side of an apply that makes the starts.
struct Starting {
    context: ApplyContext,
    started: ApplyStarted,
    limits: Limits,
}

impl Starting {
    /// Makes the starts. Sends every event, the first and the last one included.
    async fn run<S: Starter>(
        self,
        connected: Result<Option<Connected<S>>, NotConnected>,
        fed: Fed,
        stop: &Stop,
        events: mpsc::Sender<Event>,
    ) {
        let (work, feeder) = fed;
        send(&events, Event::ApplyStarted(self.started)).await;
        let mut stopped = match connected {
            Ok(Some(Connected { service, .. })) => {
                run::run(
                    &service,
                    work,
                    &self.context,
                    self.limits,
                    stop.token(),
                    events.clone(),
                )
                .await
            }
            Ok(None) => {
                engine::skip(work, &self.context, &events).await;
                None
            }
            Err(NotConnected { message, help }) => {
                engine::skip(work, &self.context, &events).await;
                Some(Stopped::NoConnection { message, help })
            }
        };
        if let Some(message) = feeder
            .join()
            .expect("the thread that feeds starts does not panic")
        {
            stopped.get_or_insert(Stopped::Input { message });
        }
        let finished = ApplyFinished {
            at: Timestamp::now(),
            stopped: stop.by().or(stopped),
        };
        send(&events, Event::ApplyFinished(finished)).await;
    }
}

/// A listener that is gone has stopped the apply by itself.
async fn send(events: &mpsc::Sender<Event>, event: Event) {
    let _ = events.send(event).await;
}
