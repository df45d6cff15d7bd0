//! `apply`: validate, connect, start, report.

mod doubts;
mod feed;
mod past;
mod threads;

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use temporal_manifest::apply::inputs::Wanted;
use temporal_manifest::apply::refusal::{Code, Kind, Refusal};
use temporal_manifest::client::Client;
use temporal_manifest::client::connect::{
    ConnectError, Prepared, connect, prepare as prepare_connection,
};
use temporal_manifest::expand::identity::IdempotencyKey;
use temporal_manifest::journal::record::{Header, Settings, VERSION};
use temporal_manifest::journal::resume::resume;
use temporal_manifest::journal::{Journal, MAX_STARTS};
use temporal_manifest::report::log::Log;
use temporal_manifest::report::reporters::Reporters;
use temporal_manifest::run::ApplyContext;
use temporal_manifest::run::WaitLimits;
use temporal_manifest::run::event::{
    ApplyFinished, ApplyStarted, Event, Input, Invocation, Selected, Service, Stopped,
};
use temporal_manifest::run::{self, Limits, engine};

use crate::cli::args::{ApplyArgs, GlobalArgs, OutputFormat};
use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::signals::Signals;
use crate::cli::{command_line, failure, output, report_files, reporters, settings};
use doubts::Doubt;
use feed::{Fed, Feed};
use past::Past;

/// Events that may wait for the listeners before the engine has to.
const EVENTS_AHEAD: usize = 1024;

/// How long one start is tried.
const RETRY_FOR: Duration = Duration::from_secs(300);

/// Most starts in flight.
const PARALLELISM: usize = 32;

/// What is said of starts that met a Workflow.
const LEFT_ALONE: &str = "note: what is `existing` counts as done, also where `idConflictPolicy: Fail` says so; --fail-existing makes it fail";

pub(crate) fn run(
    args: &ApplyArgs,
    global: &GlobalArgs,
    environment: &Environment,
    signals: &Signals,
) -> Result<Exit, Refusal> {
    let runtime = threads::runtime().map_err(|error| threads::none_left(&error))?;
    let apply = prepare(args, global, environment)?;
    runtime.block_on(apply.run(signals))
}

/// Everything before the network is used: settings, manifests, journal.
fn prepare(
    args: &ApplyArgs,
    global: &GlobalArgs,
    environment: &Environment,
) -> Result<Apply, Refusal> {
    report_files::check(args, global)?;
    let invocation = settings::invocation(environment);
    let given = settings::given_key(args.idempotency_key.as_deref(), environment)?;
    let connection = settings::connection(&args.connection, global, environment)?;
    let prepared =
        prepare_connection(connection).map_err(|error| Refusal::usage(error.to_string()))?;
    let connection = prepared.connection();
    let unfinished = args.resume.as_deref().map(resume).transpose()?;
    if let Some(path) = &args.journal {
        Journal::check(path)?;
    }
    let theirs = unfinished.as_ref().map(|it| &it.header);
    let key = match (&unfinished, given) {
        (None, given) => given.unwrap_or_else(IdempotencyKey::random),
        (Some(unfinished), given) => {
            let own = &unfinished.header.apply.invocation.idempotency_key;
            if given.is_some_and(|given| given.as_str() != own) {
                let message = format!("the journal has another idempotency key, `{own}`");
                let help = "leave --idempotency-key out beside --resume";
                return Err(Refusal::usage(message).with_help(help));
            }
            IdempotencyKey::given(own)
        }
    };
    let selection = settings::selection(&past::selection(&args.selection, theirs), environment)?;
    let wanted = Wanted {
        key: Some(key.clone()),
        digest: args.journal.is_some() || unfinished.is_some(),
        selection: selection.clone(),
        invocation: invocation.clone(),
    };
    let mut checked = settings::inputs(&args.paths, environment).check(wanted)?;
    checked.findings.leave_out_advice();
    let batch = checked.take_batch()?;
    failure::notes(&checked.notes);
    // Now it is known what else is read.
    report_files::check(args, global)?;
    for report in &args.report {
        let target = &report.target;
        target.check().map_err(|error| {
            let message = format!("cannot write the report `{}`: {error}", target.name());
            Refusal::new(Code::Report, Kind::NotWritten, message)
        })?;
    }
    let total = checked.preflight.total;
    let selected = (!selection.is_all()).then(|| Selected {
        select: selection.patterns().to_vec(),
        shard: selection.shard().map(|shard| shard.to_string()),
        of: checked.preflight.of,
    });
    let keeps_outcomes = args.journal.is_some()
        || unfinished.is_some()
        || !args.report.is_empty()
        || global.output == Some(OutputFormat::Json);
    if keeps_outcomes && checked.preflight.of > MAX_STARTS {
        let message = format!(
            "there are {} starts, and a journal or report is about {MAX_STARTS} at most",
            checked.preflight.of
        );
        return Err(Refusal::usage(message).with_help("split the manifests"));
    }
    let digest = checked.preflight.digest.take().unwrap_or_default();
    let without_journal = command_line::without_journal(std::env::args_os(), key.as_str());
    if let Some(theirs) = theirs {
        past::fits(theirs, &digest, selected.as_ref(), connection).map_err(|message| {
            let help =
                format!("to start what is new and leave out what was started: `{without_journal}`");
            Refusal::usage(message).with_help(help)
        })?;
    }
    let given = Settings {
        fail_existing: args.fail_existing,
        max_failures: args.max_failures.map(|most| most.of(total)),
        wait: args.wait,
        wait_timeout_ms: args.wait_timeout.map(|it| it.as_millis() as u64),
        hide_results: args.hide_results,
    };
    let settings = past::settings(given, theirs).map_err(|unfit| {
        let help = unfit.help(&without_journal);
        Refusal::usage(unfit.to_string()).with_help(help)
    })?;
    let started_at = invocation.started_at;
    let context = ApplyContext {
        key,
        namespace: connection.namespace.clone(),
        invocation_id: invocation.id,
        fail_existing: settings.fail_existing,
        retry_for: args.retry_for.unwrap_or(RETRY_FOR),
    };
    let inputs = checked.sources.iter().map(|source| Input {
        path: source.name().to_owned(),
        sha256: source.sha256().to_owned(),
    });
    let rows = std::mem::take(&mut checked.preflight.inputs).into_iter();
    let inputs = inputs.chain(rows.map(|(path, sha256)| Input { path, sha256 }));
    let started = ApplyStarted {
        at: started_at,
        invocation: Invocation {
            id: context.invocation_id.clone(),
            idempotency_key: context.key.as_str().to_owned(),
            command: "apply".to_owned(),
            started_at,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        service: Service {
            address: connection.address.clone(),
            namespace: connection.namespace.clone(),
            server_version: None,
        },
        inputs: inputs.collect(),
        total: Some(total),
        selection: selected,
    };
    let limits = Limits {
        parallelism: args.parallelism.map_or(PARALLELISM, usize::from),
        starts_per_second: args.rate,
        max_failures: settings.max_failures,
        wait: settings.wait.then_some(WaitLimits {
            timeout: settings.wait_timeout_ms.map(Duration::from_millis),
        }),
    };
    let key = context.key.as_str();
    output::say(&format!("idempotency key: {key}"));
    if checked.preflight.of == 0 {
        output::say("note: there is nothing to start, because there are no rows");
    }
    if selection.shard().is_some() && !context.key.is_given() {
        output::say(
            "note: each shard without --idempotency-key has a key of its own, so `report --merge` cannot join their journals",
        );
    }
    let repeats = !context.key.is_given() && checked.preflight.repeatable > 0;
    if repeats && !environment.stderr_is_terminal {
        output::say(
            "note: applied again, this begins new Workflows; set --idempotency-key, or workflowId and idReusePolicy: RejectDuplicate, to prevent it",
        );
    }
    let header = Header {
        version: VERSION,
        digest,
        namespace_id: None,
        settings,
        apply: started.clone(),
    };
    let waits = limits.wait.is_some();
    let output = reporters::output(global, environment, started.total, waits);
    let mut reporters = Reporters::default()
        .with_display(Log)
        .with_display(reporters::progress(environment, started.total, waits))
        .with_output(output)
        .without_results(header.settings.hide_results);
    for report in &args.report {
        reporters = reporters.with_report(reporters::file(report));
    }
    let mut past = Past::read(unfinished, |event| reporters.recall(event))?;
    let (finished, to_wait_for) = past.left_out(header.settings.wait)?;
    if reporters.need_outcomes() && args.journal.is_none() && args.resume.is_none() {
        let journal = Journal::temporary().map_err(|error| {
            let message = format!("cannot write a temporary file: {error}");
            Refusal::new(Code::Journal, Kind::NotWritten, message)
        })?;
        reporters.keep_in(journal);
    }
    Ok(Apply {
        beginning: Beginning {
            journal: args.journal.clone(),
            header,
            past,
            without_journal,
        },
        feed: Feed {
            batch,
            finished,
            to_wait_for,
        },
        connection: prepared,
        making: Making {
            context,
            started,
            limits,
        },
        reporters,
        conflicts: checked.preflight.conflicts,
    })
}

/// An apply that is ready to begin.
struct Apply {
    connection: Prepared,
    feed: Feed,
    beginning: Beginning,
    making: Making,
    reporters: Reporters,
    /// Starts whose conflicts count as done although they say `Fail`.
    conflicts: u64,
}

/// What connecting comes to; `None` if it was stopped.
type Connected = Result<Option<Client>, ConnectError>;

impl Apply {
    /// Runs it. An error says why not one start is made.
    async fn run(mut self, signals: &Signals) -> Result<Exit, Refusal> {
        let stop = CancellationToken::new();
        signals.stop_with(stop.clone());
        // What is expanded meanwhile is thrown away if the journal is refused.
        let fed = self
            .feed
            .begin()
            .map_err(|error| threads::none_left(&error))?;
        let connected: Connected = tokio::select! {
            connected = connect(self.connection) => connected.map(Some),
            () = stop.cancelled() => Ok(None),
        };
        // What no reporter shows need not be decoded.
        let hides_results = self.beginning.header.settings.hide_results;
        let fitted = |client: Client| match hides_results {
            true => client.without_results(),
            false => client,
        };
        let connected = connected.map(|client| client.map(fitted));
        let client = connected.as_ref().ok().and_then(Option::as_ref);
        let journal = self.beginning.begin(client).await?;
        if let Some(journal) = journal {
            self.reporters.keep_in(journal);
        }
        let (events, receiver) = mpsc::channel(EVENTS_AHEAD);
        let listening = self.reporters.listen(receiver, stop.clone());
        let making = self.making.run(connected, fed, stop, signals, events);
        let (heard, ()) = futures::join!(listening, making);
        let told = heard.finish();
        let summary = &told.ending.summary;
        let left_alone = summary.existing > summary.existing_failed;
        let note = (self.conflicts > 0 && left_alone).then_some(LEFT_ALONE);
        Ok(reporters::ended(&told, note))
    }
}

/// What comes between the connection and the first start.
struct Beginning {
    /// The new journal.
    journal: Option<PathBuf>,
    header: Header,
    past: Past,
    /// The command that applies the same without a journal.
    without_journal: String,
}

impl Beginning {
    /// Holds what a journal says against the service, and begins to write.
    async fn begin(mut self, client: Option<&Client>) -> Result<Option<Journal>, Refusal> {
        if let (Some(client), Some((header, sample))) = (client, self.past.claims()) {
            let notes = doubts::check(client, header, sample)
                .await
                .map_err(|doubt| self.refuse(&doubt))?;
            for note in notes {
                output::say(&format!("note: {note}"));
            }
        }
        let id = client.and_then(Client::namespace_id);
        self.header.namespace_id = id.map(str::to_owned);
        Ok(self.past.begin(self.journal.as_deref(), self.header)?)
    }

    fn refuse(&self, doubt: &Doubt) -> Refusal {
        let command = &self.without_journal;
        let (kind, help) = match doubt {
            Doubt::OtherCluster { .. } => (
                Kind::Usage,
                format!("to start here what is not here: `{command}`"),
            ),
            Doubt::Forgotten { .. } => (
                Kind::Usage,
                format!(
                    "to start everything that the service does not know: `{command}`; after retention that begins finished Workflows again"
                ),
            ),
            Doubt::Unanswered(_) => (
                Kind::NoConnection,
                "nothing was sent; run the same command again".to_owned(),
            ),
        };
        Refusal::new(Code::Journal, kind, doubt.to_string()).with_help(help)
    }
}

/// The side of an apply that makes the starts.
struct Making {
    context: ApplyContext,
    started: ApplyStarted,
    limits: Limits,
}

impl Making {
    /// Makes the starts. Sends every event, the first and the last one included.
    async fn run(
        mut self,
        connected: Connected,
        fed: Fed,
        stop: CancellationToken,
        signals: &Signals,
        events: mpsc::Sender<Event>,
    ) {
        let (work, feeder) = fed;
        if let Ok(Some(client)) = &connected {
            self.started.service.server_version = Some(client.facts().server_version.clone());
        }
        self.started.at = Timestamp::now();
        send(&events, Event::ApplyStarted(self.started)).await;
        let mut stopped = match connected {
            Ok(Some(client)) => {
                run::run(
                    &client,
                    work,
                    &self.context,
                    self.limits,
                    &stop,
                    events.clone(),
                )
                .await
            }
            Ok(None) => {
                engine::skip(work, &self.context, &events).await;
                None
            }
            Err(error) => {
                engine::skip(work, &self.context, &events).await;
                Some(Stopped::NoConnection {
                    message: error.to_string(),
                    help: error.help(),
                })
            }
        };
        if let Some(message) = feeder
            .join()
            .expect("the thread that feeds starts does not panic")
        {
            stopped.get_or_insert(Stopped::Input { message });
        }
        if stop.is_cancelled() {
            // A closed standard output stops without a signal.
            let by = signals.stopped();
            stopped = Some(by.unwrap_or(Stopped::Interrupt { signal: 2 }));
        }
        let finished = ApplyFinished {
            at: Timestamp::now(),
            stopped,
        };
        send(&events, Event::ApplyFinished(finished)).await;
    }
}

/// A listener that is gone has stopped the apply by itself.
async fn send(events: &mpsc::Sender<Event>, event: Event) {
    let _ = events.send(event).await;
}
